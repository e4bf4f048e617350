import { type CaptureOptions, captureLines } from './capture.ts';
import { Emulator } from './emulator.ts';
import type { Parkable, Parking } from './parking.ts';
import { type Pump, type Pumped, pump as sharedPump } from './pump.ts';
import {
  completeFromRest,
  factsOf,
  type Rest,
  restOf,
  restOfNothing,
  type ScreenFacts,
  type ScreenKeyModes,
  snapshotOfRest,
} from './rest.ts';
import type { Onto } from './serialize.ts';
import type { NextGap } from './tail.ts';

/**
 * A pane's screen: what a late joiner will be shown, and who answers the program's queries while nobody is attached. Bytes are queued and
 * parsed in slices between other work; whatever must be exact (a snapshot, a resize) settles the queue first.
 *
 * at rest ──bytes, a look at cells──▶ waking ──its own bytes parsed──▶ awake ──left alone──▶ at rest
 */
export class Screen implements Parkable {
  readonly #options: ScreenOptions;
  readonly #pump: Pump;
  readonly #now: () => number;
  readonly #queue: Chunk[] = [];
  readonly #pumped: Pumped = { slice: () => this.#slice() };
  /** At rest it is null. */
  #emulator: Emulator | null = null;
  /** At rest and while waking: what the screen is. */
  #rest: Rest | null;
  /** The bytes being parsed are the screen's own: they are no news. */
  #isWaking = false;
  #bytesWaiting = 0;
  #sliceBytes = SLICE_BYTES;
  #isAboveDrain = false;
  #isDisposed = false;
  #scrolledBefore = 0;
  usedAt = 0;
  patienceMs = PATIENCE_MS;
  #parkedAt = Number.NEGATIVE_INFINITY;
  #news: (() => void)[] = [];

  constructor(options: ScreenOptions) {
    this.#options = options;
    this.#pump = options.pump ?? sharedPump;
    this.#now = options.now ?? (() => performance.now());
    this.#rest = restOfNothing(options.cols, options.rows);
  }

  /** Queues bytes the program wrote. `isAnswering`: our screen answers the queries that end in these bytes. The bytes must not change afterwards. */
  feed(bytes: Uint8Array, isAnswering: boolean): void {
    if (this.#isDisposed || bytes.length === 0) return;
    this.#queue.push({ bytes, isAnswering, isOurs: false });
    this.#bytesWaiting += bytes.length;
    if (this.#bytesWaiting > (this.#options.drainBytes ?? 0)) this.#isAboveDrain = true;
    this.#pump.add(this.#pumped);
  }

  /** Queued and not parsed. */
  get bytesWaiting(): number {
    return this.#bytesWaiting;
  }

  /** Parses everything queued, now. */
  settle(): void {
    if (this.#isDisposed) return;
    this.#pump.remove(this.#pumped);
    while (this.#queue.length > 0) this.#parseNext();
    this.#tellNews();
  }

  /** Calls once, when what is queued by now has been parsed. */
  whenParsed(then: () => void): void {
    if (this.#queue.length === 0) then();
    else this.#queue.at(-1)!.parsed = then;
  }

  resize(cols: number, rows: number): void {
    if (this.#isDisposed) return;
    const [width, height] = [Math.max(2, cols), Math.max(1, rows)];
    if (!this.#emulator && this.#rest?.drawn === null && this.#queue.length === 0) this.#rest = restOfNothing(width, height);
    else this.emulator.engine.resize(width, height);
  }

  /**
   * Bytes that bring any terminal of this size to this state, with all of the history, none, or the lines from a number of `linesScrolled`
   * on. What a `used` terminal shows is pushed into its scrollback; a `same` one showed this screen before, and a `new` one (a screen made from saved bytes) has nothing to lose, and
   * would only gain a screenful of blank lines each time.
   */
  snapshot({ history, onto = 'used' }: { history: 'all' | 'none' | { sinceLine: number }; onto?: Onto }): Uint8Array {
    this.settle();
    const rested = !this.#emulator && this.#rest && history === 'all' ? snapshotOfRest(this.#rest, onto) : null;
    if (rested) return rested;
    const { emulator } = this;
    const { normal, linesScrolled } = emulator.engine;
    const firstLine =
      history === 'all' ? 0 : history === 'none' ? normal.ybase : history.sinceLine - this.#scrolledBefore - (linesScrolled - normal.ybase);
    return emulator.snapshot({ firstLine: Math.max(0, Math.min(normal.ybase, firstLine)), onto });
  }

  /** Lines of text as tmux's capture-pane counts them: 0 is the first visible row, negative rows are history; what is out of range is clamped. */
  lines(options: CaptureOptions): string[] {
    return captureLines(this.emulator.engine, options);
  }

  get cols(): number {
    return this.#rest ? this.#rest.facts.cols : this.#emulator!.engine.cols;
  }
  get rows(): number {
    return this.#rest ? this.#rest.facts.rows : this.#emulator!.engine.rows;
  }
  get title(): string {
    return this.#facts.title;
  }
  /** The path of the last OSC 7, or null. */
  get workingDirectory(): string | null {
    const uri = this.#facts.workingDirectoryUri;
    if (!uri) return null;
    try {
      const url = new URL(uri);
      return url.protocol === 'file:' ? decodeURIComponent(url.pathname) : null;
    } catch {
      return uri.startsWith('/') ? uri : null;
    }
  }
  /** Where the cursor is, from 0. While a wrap is pending it is in the last column. */
  get cursor(): { x: number; y: number; visible: boolean } {
    return this.#facts.cursor;
  }
  get isAlternate(): boolean {
    return this.#facts.isAlternate;
  }
  /** How many lines ever left the top of the normal screen. */
  get linesScrolled(): number {
    return this.#rest ? this.#rest.facts.linesScrolled : this.#scrolledBefore + this.#emulator!.engine.linesScrolled;
  }
  /** How many of them are still here. */
  get historyLines(): number {
    return this.#facts.historyLines;
  }
  /** What the program has asked of keyboard and mouse. */
  get keyModes(): ScreenKeyModes {
    return this.#facts.keyModes;
  }
  /** Whether the program has no sequence and no character open, by every byte fed. */
  get isInGap(): boolean {
    this.settle();
    return this.#facts.isInGap;
  }
  /** Finds in the bytes that come next where that is so. */
  get nextGap(): NextGap {
    return this.emulator.nextGap;
  }
  /** The cells themselves, for those who draw them (`Painter`), as of every byte fed. Replaced when the emulator breaks or rests, so nobody keeps it. */
  get emulator(): Emulator {
    this.usedAt = this.#now();
    this.#wake();
    this.settle();
    return this.#emulator!;
  }

  /** Whether its cells are there. */
  get isAwake(): boolean {
    return this.#emulator !== null;
  }

  /** Gives the cells back, when nobody needs them now, and returns their bytes. The screen stays the same in everything that can be asked. */
  park(): number {
    const emulator = this.#emulator;
    if (!emulator || this.#rest || this.#queue.length > 0 || this.#options.isWatched?.()) return 0;
    // Waking must not hold up the others for long.
    const cells = emulator.engine.normal.lines.length * this.cols;
    if (cells > PARKED_CELLS_LIMIT) return 0;
    this.#rest = restOf(emulator, this.#scrolledBefore);
    this.#emulator = null;
    emulator.dispose();
    this.#parkedAt = this.#now();
    return cells * CELL_BYTES;
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#pump.remove(this.#pumped);
    this.#queue.length = 0;
    this.#bytesWaiting = 0;
    this.#options.parking?.gone(this);
    this.#emulator?.dispose();
  }

  get #facts(): ScreenFacts {
    return this.#rest ? this.#rest.facts : factsOf(this.#emulator!, this.#scrolledBefore);
  }

  #wake(): void {
    if (this.#emulator) return;
    const { facts, drawn } = this.#rest!;
    this.#emulator = this.#freshEmulator(facts.cols, facts.rows);
    const own = drawn && snapshotOfRest(this.#rest!, 'new');
    // In slices, like everything else: it may be a quarter of a megabyte.
    if (own && !this.#isDisposed) {
      this.#queue.unshift({ bytes: own, isAnswering: false, isOurs: true });
      this.#pump.add(this.#pumped);
    } else this.#rest = null;
    const now = this.#now();
    // Parking and waking cost some 30 ms for a full history. One that is woken again and again is left awake for longer each time.
    this.patienceMs = now - this.#parkedAt < this.patienceMs * 4 ? Math.min(this.patienceMs * 2, PATIENCE_MOST_MS) : PATIENCE_MS;
    this.usedAt = now;
    if (!this.#isDisposed) this.#options.parking?.woke(this);
  }

  #slice(): boolean {
    if (this.#queue.length > 0) {
      const began = this.#now();
      this.#parseNext();
      this.#fitSlice(this.#now() - began);
    }
    this.#tellNews();
    return this.#queue.length > 0;
  }

  /** Some bytes cost a thousand times what text does (a reset, a screenful scrolled). A stream of them gets slices in proportion, and whole ones again when it is over. */
  #fitSlice(tookMs: number): void {
    if (tookMs > SLICE_MS) this.#sliceBytes = Math.max(SLICE_LEAST_BYTES, Math.floor(this.#sliceBytes * Math.min(0.5, SLICE_MS / tookMs)));
    else if (tookMs < SLICE_MS / 4) this.#sliceBytes = Math.min(SLICE_BYTES, this.#sliceBytes * 2);
  }

  /** Parses up to a slice: the next chunks that are answered alike, as one. */
  #parseNext(): void {
    this.#wake();
    const sliceBytes = this.#sliceBytes;
    const { isAnswering, isOurs } = this.#queue[0]!;
    const parts: Uint8Array[] = [];
    let length = 0;
    let taken = 0;
    for (const chunk of this.#queue) {
      if (chunk.isAnswering !== isAnswering || chunk.isOurs !== isOurs || length === sliceBytes) break;
      const room = sliceBytes - length;
      if (chunk.bytes.length <= room) {
        parts.push(chunk.bytes);
        length += chunk.bytes.length;
        taken++;
      } else {
        parts.push(chunk.bytes.subarray(0, room));
        chunk.bytes = chunk.bytes.subarray(room);
        length += room;
      }
    }
    for (const { parsed } of this.#queue.splice(0, taken)) if (parsed) this.#news.push(parsed);
    if (!isOurs) this.#bytesWaiting -= length;
    this.usedAt = this.#now();
    this.#isWaking = isOurs;
    const slice = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    try {
      this.#emulator!.parse(slice, isAnswering);
    } catch (error) {
      this.#replaceEmulator(error);
    }
    this.#isWaking = false;
    if (isOurs && taken > 0) {
      completeFromRest(this.#emulator!, this.#rest!);
      this.#scrolledBefore = this.#rest!.facts.linesScrolled - this.#emulator!.engine.linesScrolled;
      this.#rest = null;
    }
    if (this.#isAboveDrain && this.#bytesWaiting <= (this.#options.drainBytes ?? 0)) {
      this.#isAboveDrain = false;
      this.#news.push(() => this.#options.onDrain?.());
    }
  }

  /** A bug in the emulator costs this screen's picture, never the daemon. */
  #replaceEmulator(error: unknown): void {
    const { cols, rows } = this;
    this.#scrolledBefore = this.linesScrolled;
    this.#emulator?.dispose();
    this.#emulator = this.#freshEmulator(cols, rows);
    this.#news.push(() => this.#options.onPoison?.(error));
  }

  #freshEmulator(cols: number, rows: number): Emulator {
    const emulator = new Emulator({
      cols,
      rows,
      scrollbackLines: this.#options.scrollbackLines,
      answer: (bytes) => this.#news.push(() => this.#options.answer(bytes)),
    });
    const tell = (news: () => void) => this.#isWaking || this.#news.push(news);
    emulator.engine.core.onTitleChange((title) => tell(() => this.#options.onTitle?.(title)));
    emulator.engine.core.onBell(() => tell(() => this.#options.onBell?.()));
    return emulator;
  }

  /** Listeners hear when the parser is out of the way: they may feed, settle or throw. */
  #tellNews(): void {
    while (this.#news.length > 0 && !this.#isDisposed) this.#news.shift()!();
  }
}

export interface ScreenOptions {
  cols: number;
  rows: number;
  scrollbackLines: number;
  /** Takes what the screen answers to the program's queries. */
  answer(bytes: Uint8Array): void;
  onTitle?(title: string): void;
  onBell?(): void;
  /** The emulator threw while parsing. The screen has begun again, blank, and goes on after the bytes it choked on. */
  onPoison?(error: unknown): void;
  /** `bytesWaiting` had been above `drainBytes` and is not any more. */
  onDrain?(): void;
  drainBytes?: number;
  pump?: Pump;
  /** Who puts it to rest; without one it stays awake. */
  parking?: Parking;
  /** Whether somebody needs the cells at any moment. */
  isWatched?: () => boolean;
  /** Milliseconds, for the size of the slices. */
  now?: () => number;
}

interface Chunk {
  bytes: Uint8Array;
  isAnswering: boolean;
  /** What a screen at rest is made of again: nobody wrote it now. */
  isOurs: boolean;
  parsed?: () => void;
}

/** A third of a millisecond of text. The first slice of something slow is already this long: of resets it takes 50 ms (200 on a large screen), and four times as much were four times that. */
const SLICE_BYTES = 4 * 1024;
/** A slice that took longer makes the following ones smaller. */
const SLICE_MS = 8;
const SLICE_LEAST_BYTES = 256;
/** Left alone for so long, a screen is put to rest. */
const PATIENCE_MS = 3000;
const PATIENCE_MOST_MS = 300_000;
/** 10,000 lines of 200: some 50 ms to park, and 300 to wake in slices. */
const PARKED_CELLS_LIMIT = 2_000_000;
const CELL_BYTES = 12;
