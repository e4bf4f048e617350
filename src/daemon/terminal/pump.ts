/**
 * Shares the event loop among the screens that have bytes to parse: one slice each in turn, about 1 ms in one turn of the loop, then
 * sockets and timers have theirs. When nobody has bytes there is no timer and no immediate.
 */
export class Pump {
  readonly #waiting = new Set<Pumped>();
  readonly #now: () => number;
  #next: NodeJS.Immediate | null = null;

  constructor({ now = () => performance.now() }: { now?: () => number } = {}) {
    this.#now = now;
  }

  /** Asks for slices until one says that nothing is left. */
  add(pumped: Pumped): void {
    this.#waiting.add(pumped);
    this.#next ??= setImmediate(() => this.#turn());
  }

  remove(pumped: Pumped): void {
    this.#waiting.delete(pumped);
    if (this.#waiting.size > 0 || !this.#next) return;
    clearImmediate(this.#next);
    this.#next = null;
  }

  get isIdle(): boolean {
    return this.#next === null;
  }

  #turn(): void {
    this.#next = null;
    const until = this.#now() + TURN_MS;
    try {
      do {
        const [pumped] = this.#waiting;
        if (!pumped) return;
        this.#waiting.delete(pumped);
        // Back to the end of the queue: the set keeps the order of insertion.
        if (pumped.slice()) this.#waiting.add(pumped);
      } while (this.#now() < until);
    } finally {
      if (this.#waiting.size > 0) this.#next ??= setImmediate(() => this.#turn());
    }
  }
}

export interface Pumped {
  /** Does a millisecond or two of work; true when more is left. */
  slice(): boolean;
}

/** The daemon's one pump. */
export const pump = new Pump();

/** Somebody's keystroke may wait for as long as this, and for one slice more. */
const TURN_MS = 1;
