/** Output since the last saved screen at which the next is saved: what a daemon after a crash has to parse again. */
const MOST_BYTES = 1 << 20;
/** Between two saves in a flood: a save costs some 5 ms. */
const LEAST_MS = 2000;
/** A pane that has been quiet for so long is saved, if it wrote more than a prompt or two. */
const QUIET_MS = 2000;
const LEAST_BYTES = 8 << 10;

/** A change of size costs about what so many bytes of text do: all lines are wrapped anew. */
const RESIZE_BYTES = 16 << 10;
/** Parsed again in some 10 ms. */
const MUCH_BYTES = 128 << 10;

/** Decides when a screen is worth saving, so that what follows a crash is short. With nothing new there is no timer. */
export class Checkpoints {
  readonly #save: () => void;
  #bytes = 0;
  #savedAt = 0;
  #wroteAt = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(save: () => void) {
    this.#save = save;
  }

  wrote(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < LEAST_BYTES) return;
    this.#wroteAt = Date.now();
    this.#timer ??= setTimeout(() => this.#look(), QUIET_MS).unref();
  }

  /**
   * So much had to be parsed again after a crash. Much is saved at once: a daemon that is killed every second must not have more to do each
   * time.
   */
  replayed(bytes: number, resizes: number): void {
    const work = bytes + resizes * RESIZE_BYTES;
    if (work >= MUCH_BYTES) this.#save();
    else this.wrote(work);
  }

  resized(): void {
    this.wrote(RESIZE_BYTES);
  }

  /** The screen has been saved now. */
  saved(): void {
    this.#bytes = 0;
    this.#savedAt = Date.now();
  }

  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #look(): void {
    this.#timer = null;
    if (this.#bytes < LEAST_BYTES) return;
    const now = Date.now();
    const isDue = now - this.#wroteAt >= QUIET_MS || (this.#bytes >= MOST_BYTES && now - this.#savedAt >= LEAST_MS);
    if (isDue) this.#save();
    else this.#timer = setTimeout(() => this.#look(), QUIET_MS).unref();
  }
}
