import { giveMemoryBack } from './memory.ts';
import { pump } from './pump.ts';

/** A screen that can give its memory back. */
export interface Parkable {
  /** When something last happened to it, in milliseconds of `performance.now()`. */
  readonly usedAt: number;
  /** How long it must have been left alone. */
  readonly patienceMs: number;
  /** Gives its memory back, in a few milliseconds, and returns about how many bytes; 0: not now. */
  park(): number;
}

/**
 * Puts screens to rest that nothing happens to, one in a turn of the loop, so that nobody's keystroke waits for more than one. While all
 * rest there is no timer.
 */
export class Parking {
  readonly #awake = new Set<Parkable>();
  readonly #now: () => number;
  readonly #isBusy: () => boolean;
  readonly #giveBack: () => void;
  #timer: NodeJS.Timeout | null = null;
  #freedBytes = 0;
  #giving: NodeJS.Timeout | null = null;

  constructor({
    now = () => performance.now(),
    isBusy = () => !pump.isIdle,
    giveBack = giveMemoryBack,
  }: { now?: () => number; isBusy?: () => boolean; giveBack?: () => void } = {}) {
    this.#now = now;
    this.#isBusy = isBusy;
    this.#giveBack = giveBack;
  }

  woke(screen: Parkable): void {
    this.#awake.add(screen);
    this.#timer ??= setTimeout(() => this.#look(), LOOK_MS).unref();
  }

  gone(screen: Parkable): void {
    this.#awake.delete(screen);
  }

  /** How many are not at rest. */
  get awake(): number {
    return this.#awake.size;
  }

  #look(): void {
    this.#timer = null;
    const now = this.#now();
    const idle = [...this.#awake].filter(({ usedAt, patienceMs }) => now - usedAt >= patienceMs);
    const next = () => {
      const screen = idle.pop();
      if (!screen) {
        if (this.#awake.size > 0) this.#timer ??= setTimeout(() => this.#look(), LOOK_MS).unref();
        return;
      }
      const freed = this.#awake.has(screen) ? screen.park() : 0;
      if (freed > 0) {
        this.#awake.delete(screen);
        this.#freed(freed);
      }
      setImmediate(next);
    };
    next();
  }

  /** What was let go of is still the process's. To give it back takes some 30 ms, so it is done seldom, and while nobody prints. */
  #freed(bytes: number): void {
    this.#freedBytes += bytes;
    if (this.#freedBytes < WORTH_BYTES) return;
    this.#giving ??= setTimeout(() => {
      this.#giving = null;
      if (this.#isBusy()) return this.#freed(0);
      this.#freedBytes = 0;
      this.#giveBack();
    }, GIVE_MS).unref();
  }
}

const LOOK_MS = 1000;
const WORTH_BYTES = 8 << 20;
const GIVE_MS = 2000;

/** The daemon's one. */
export const parking = new Parking();
