import type { Entry } from '../persistence/journal/entry.ts';
import { type JournalPlace, readJournal } from '../persistence/journal/reader.ts';
import { endOf } from '../persistence/journal/tail.ts';
import { type Cursor, writeCursor } from '../session/cursor.ts';
import type { Session } from '../session/session.ts';
import type { Condition, Scene, Watch } from './condition.ts';
import type { Found } from './finder.ts';

/** Of one turn of the event loop, for what was printed before anybody asked. */
const TURN_MS = 4;
/** A chunk that took longer to look through is the last for now: what comes is read from the journal, a turn at a time. */
const CHUNK_LIMIT_MS = 10;
/** Before the mark, to know whether it is inside a sequence. Only pictures and clipboards have longer ones. */
const BEFORE_BYTES = 4096;

export interface PaneWaitParts {
  session: Session;
  mark: Cursor;
  conditions: readonly Condition[];
  /** How long ago it was first asked for, of an earlier daemon. */
  waitedMs: number;
  /** Where its output is kept; null when it is not. */
  place: JournalPlace | null;
  /** What was there already has been read. */
  onCaughtUp(): void;
  onSettled(): void;
  onFailed(error: unknown): void;
}

/** How it has gone so far. */
export type PaneOutcome =
  | { is: 'waiting' }
  | { is: 'matched'; condition: string; found: Found | null }
  /** The program ended, and nothing had matched. */
  | { is: 'ended' };

/**
 * Waits in one pane for any of some conditions. behind ──all is read──▶ live ──a chunk took long──▶ behind
 *
 * Live it is given the bytes as they come. Behind it reads them from the journal, which keeps them meanwhile, so it can be slow and needs no
 * memory. Each byte after the mark is told once, in order.
 */
export class PaneWait implements Disposable {
  readonly session: Session;
  readonly #parts: PaneWaitParts;
  readonly #watches: { name: string; watch: Watch }[] = [];
  #unhear = () => {};
  #turn: NodeJS.Immediate | null = null;
  #isLive = false;
  #hasCaughtUp = false;
  /** Every byte before this has been told. */
  #at: number;
  #cols = 0;
  #outcome: PaneOutcome = { is: 'waiting' };
  #cursor: string | null = null;

  constructor(parts: PaneWaitParts) {
    this.#parts = parts;
    this.session = parts.session;
    this.#at = parts.mark.offset;
  }

  get outcome(): PaneOutcome {
    return this.#outcome;
  }

  /** From where to wait again: after what matched, or after all that was looked through. */
  get cursor(): string {
    return this.#cursor ?? this.#cursorAt(this.#at);
  }

  get hasCaughtUp(): boolean {
    return this.#hasCaughtUp;
  }

  /** Throws WireError when a condition cannot be waited for. */
  begin(): void {
    const { conditions, mark, waitedMs } = this.#parts;
    const { pane } = this.session;
    let before: readonly Entry[] | null = null;
    for (const condition of conditions) {
      const { name } = condition;
      const scene: Scene = {
        pane,
        mark,
        waitedMs,
        before: () => (before ??= [...this.#before()]),
        met: (found) => this.#settle({ is: 'matched', condition: name, found: found ?? null }),
        run: (work) => this.#run(work),
      };
      this.#watches.push({ name, watch: condition.begin(scene) });
    }
    this.#unhear = pane.onWritten((offset, bytes) => this.#run(() => this.#heard(offset, bytes)));
    this.#run(() => (this.#at < pane.head ? this.#readOn() : this.#goLive()));
  }

  [Symbol.dispose](): void {
    this.#unhear();
    if (this.#turn) clearImmediate(this.#turn);
    this.#turn = null;
    for (const { watch } of this.#watches) watch[Symbol.dispose]();
  }

  #cursorAt(offset: number): string {
    const picture = this.#watches.find(({ watch }) => watch.picture)?.watch.picture ?? null;
    return writeCursor({ pane: this.session.pane.id, offset, picture });
  }

  *#before(): Generator<Entry> {
    const { place, mark } = this.#parts;
    yield this.#size();
    if (place) yield* readJournal(place, { from: Math.max(0, mark.offset - BEFORE_BYTES), to: mark.offset });
  }

  #size(): Entry {
    const { cols, rows } = this.session.pane.screen;
    this.#cols = cols;
    return { is: 'resize', at: 0, offset: this.#at, cols, rows };
  }

  /** What is thrown here must not reach the pane, which goes on. */
  #run(work: () => void): void {
    if (this.#outcome.is !== 'waiting') return;
    try {
      work();
    } catch (error) {
      this[Symbol.dispose]();
      this.#parts.onFailed(error);
    }
  }

  #heard(offset: number | undefined, bytes: Uint8Array | undefined): void {
    if (!this.#isLive) return;
    if (offset === undefined || bytes === undefined) {
      this.#endIfEnded();
      return;
    }
    if (this.session.pane.screen.cols !== this.#cols) this.#tell(this.#size());
    const began = performance.now();
    this.#take({ is: 'output', at: Date.now(), offset, bytes });
    if (this.#parts.place && performance.now() - began > CHUNK_LIMIT_MS) this.#readOn();
  }

  #take(entry: Entry): void {
    if (entry.is === 'output' && entry.offset < this.#at) {
      if (endOf(entry) <= this.#at) return;
      entry = { ...entry, offset: this.#at, bytes: entry.bytes.subarray(this.#at - entry.offset) };
    }
    this.#at = Math.max(this.#at, endOf(entry));
    this.#tell(entry);
  }

  #tell(entry: Entry): void {
    for (const { watch } of this.#watches) if (this.#outcome.is === 'waiting') watch.output?.(entry);
  }

  /** Reads the journal from where it is, in turns. */
  #readOn(): void {
    this.#isLive = false;
    const from = this.#at;
    const entries = this.#parts.place ? readJournal(this.#parts.place, { from }) : [][Symbol.iterator]();
    const turn = () => {
      const until = performance.now() + TURN_MS;
      while (this.#outcome.is === 'waiting' && performance.now() < until) {
        const next = entries.next();
        if (!next.done) this.#take(next.value);
        // What was written meanwhile. A disk that takes nothing brings nothing.
        else if (this.#at > from && this.#at < this.session.pane.head) return this.#readOn();
        else return this.#goLive();
      }
      later();
    };
    const later = () => {
      if (this.#outcome.is !== 'waiting') return;
      this.#turn = setImmediate(() => this.#run(turn));
    };
    later();
  }

  #goLive(): void {
    this.#isLive = true;
    if (!this.#hasCaughtUp) {
      this.#hasCaughtUp = true;
      for (const { watch } of this.#watches) if (this.#outcome.is === 'waiting') watch.caughtUp?.();
      this.#parts.onCaughtUp();
    }
    this.#endIfEnded();
  }

  #endIfEnded(): void {
    if (this.session.pane.state.is !== 'ended') return;
    for (const { watch } of this.#watches) if (this.#outcome.is === 'waiting') watch.ended?.();
    this.#settle({ is: 'ended' });
  }

  #settle(outcome: PaneOutcome): void {
    if (this.#outcome.is !== 'waiting') return;
    this.#outcome = outcome;
    const found = outcome.is === 'matched' ? outcome.found : null;
    this.#cursor = this.#cursorAt(found?.end ?? this.#at);
    this[Symbol.dispose]();
    this.#parts.onSettled();
  }
}
