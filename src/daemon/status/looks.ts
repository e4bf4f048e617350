/** A screen that was still for so long is looked at. A program draws what belongs together within this. */
const QUIET_MS = 150;
/** One that is never still, as with a spinner, is looked at so long after it began to change. */
const PATIENCE_MS = 300;
/** Output between two rings past which nobody could read it. */
const FLOOD_BYTES = 32 << 10;

export interface LooksParts {
  /** Output that the screen has not shown yet. */
  bytesWaiting(): number;
  /** Time to look: output has been still for a while, goes on, or floods, which nobody could read. */
  ring(output: 'still' | 'going on' | 'flooding'): void;
}

/** When to look at a screen: soon after it was written to, and never by the clock. One timer, and none while nothing is written. */
export class Looks implements Disposable {
  readonly #parts: LooksParts;
  #timer: NodeJS.Timeout | null = null;
  #beganAt = 0;
  #writtenAt = 0;
  #bytes = 0;

  constructor(parts: LooksParts) {
    this.#parts = parts;
  }

  /** So many bytes were written; none: look anyway. */
  wrote(bytes: number): void {
    const now = performance.now();
    this.#writtenAt = now;
    this.#bytes += bytes;
    if (this.#timer) return;
    this.#beganAt = now;
    this.#ringIn(QUIET_MS);
  }

  [Symbol.dispose](): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #ringIn(ms: number): void {
    // The timer of Node may come a fraction of a millisecond early.
    this.#timer = setTimeout(() => this.#ring(), ms + 1).unref();
  }

  #ring(): void {
    this.#timer = null;
    const now = performance.now();
    const isQuiet = now - this.#writtenAt >= QUIET_MS;
    const isFlooding = this.#parts.bytesWaiting() > 0 || (!isQuiet && this.#bytes > FLOOD_BYTES);
    if (isFlooding) {
      this.#bytes = 0;
      this.#ringIn(QUIET_MS);
      this.#parts.ring('flooding');
    } else if (isQuiet) {
      this.#bytes = 0;
      this.#parts.ring('still');
    } else if (now - this.#beganAt >= PATIENCE_MS) {
      this.#bytes = 0;
      this.#beganAt = now;
      // Where this was the last of it, it has still to become still.
      this.#ringIn(QUIET_MS);
      this.#parts.ring('going on');
    } else this.#ringIn(Math.min(this.#writtenAt + QUIET_MS, this.#beganAt + PATIENCE_MS) - now);
  }
}
