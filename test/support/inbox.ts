/** Things that arrive, for a test that waits for one of them. Nothing is lost that comes before it is waited for. */
export class Inbox<T> {
  readonly #arrived: T[] = [];
  readonly #waiting = new Set<{ wanted: (item: T) => boolean; resolve(item: T): void; reject(error: Error): void }>();
  #closed: Error | null = null;

  put(item: T): void {
    for (const one of this.#waiting) {
      if (!one.wanted(item)) continue;
      this.#waiting.delete(one);
      one.resolve(item);
      return;
    }
    this.#arrived.push(item);
  }

  /** Everything that has arrived and was not taken. */
  get all(): readonly T[] {
    return this.#arrived;
  }

  /** The first that is wanted, now or when it comes. The test's own time limit bounds the wait. */
  next(wanted: (item: T) => boolean = () => true): Promise<T> {
    const at = this.#arrived.findIndex(wanted);
    if (at !== -1) return Promise.resolve(this.#arrived.splice(at, 1)[0]!);
    if (this.#closed) return Promise.reject(this.#closed);
    return new Promise((resolve, reject) => this.#waiting.add({ wanted, resolve, reject }));
  }

  close(because: Error): void {
    this.#closed = because;
    for (const { reject } of this.#waiting) reject(because);
    this.#waiting.clear();
  }
}
