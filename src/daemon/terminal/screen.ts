import { type CaptureOptions, captureLines } from './capture.ts';
import { Emulator } from './emulator.ts';
import type { MouseEncoding } from './modes.ts';
import { type Pump, type Pumped, pump as sharedPump } from './pump.ts';
import type { Onto } from './serialize.ts';

/**
 * A pane's screen: what a late joiner will be shown, and who answers the program's queries while nobody is attached. Bytes are queued and
 * parsed in slices between other work; whatever must be exact (a snapshot, a resize) settles the queue first.
 */
export class Screen {
  readonly #options: ScreenOptions;
  readonly #pump: Pump;
  readonly #now: () => number;
  readonly #queue: { bytes: Uint8Array; isAnswering: boolean; parsed?: () => void }[] = [];
  readonly #pumped: Pumped = { slice: () => this.#slice() };
  #emulator: Emulator;
  #bytesWaiting = 0;
  #sliceBytes = SLICE_BYTES;
  #isAboveDrain = false;
  #isDisposed = false;
  #scrolledBefore = 0;
  #news: (() => void)[] = [];

  constructor(options: ScreenOptions) {
    this.#options = options;
    this.#pump = options.pump ?? sharedPump;
    this.#now = options.now ?? (() => performance.now());
    this.#emulator = this.#freshEmulator(options.cols, options.rows);
  }

  /** Queues bytes the program wrote. `isAnswering`: our screen answers the queries that end in these bytes. The bytes must not change afterwards. */
  feed(bytes: Uint8Array, isAnswering: boolean): void {
    if (this.#isDisposed || bytes.length === 0) return;
    this.#queue.push({ bytes, isAnswering });
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
    this.settle();
    if (!this.#isDisposed) this.#emulator.engine.resize(Math.max(2, cols), Math.max(1, rows));
  }

  /**
   * Bytes that bring any terminal of this size to this state, with all of the history, none, or the lines from a number of `linesScrolled`
   * on. What a `used` terminal shows is pushed into its scrollback; a `same` one showed this screen before, and a `new` one (a screen made from saved bytes) has nothing to lose, and
   * would only gain a screenful of blank lines each time.
   */
  snapshot({ history, onto = 'used' }: { history: 'all' | 'none' | { sinceLine: number }; onto?: Onto }): Uint8Array {
    this.settle();
    const { normal, linesScrolled } = this.#emulator.engine;
    const firstLine =
      history === 'all' ? 0 : history === 'none' ? normal.ybase : history.sinceLine - this.#scrolledBefore - (linesScrolled - normal.ybase);
    return this.#emulator.snapshot({ firstLine: Math.max(0, Math.min(normal.ybase, firstLine)), onto });
  }

  /** Lines of text as tmux's capture-pane counts them: 0 is the first visible row, negative rows are history; what is out of range is clamped. */
  lines(options: CaptureOptions): string[] {
    this.settle();
    return captureLines(this.#emulator.engine, options);
  }

  get cols(): number {
    return this.#emulator.engine.cols;
  }
  get rows(): number {
    return this.#emulator.engine.rows;
  }
  get title(): string {
    return this.#emulator.engine.title;
  }
  /** The path of the last OSC 7, or null. */
  get workingDirectory(): string | null {
    const uri = this.#emulator.modes.workingDirectory;
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
    const { active, cols, core } = this.#emulator.engine;
    return { x: Math.min(active.x, cols - 1), y: active.y, visible: !core.coreService.isCursorHidden };
  }
  get isAlternate(): boolean {
    return this.#emulator.engine.isAlternate;
  }
  /** How many lines ever left the top of the normal screen. */
  get linesScrolled(): number {
    return this.#scrolledBefore + this.#emulator.engine.linesScrolled;
  }
  /** How many of them are still here. */
  get historyLines(): number {
    return this.#emulator.engine.normal.ybase;
  }
  /** What the program has asked of keyboard and mouse. */
  get keyModes(): ScreenKeyModes {
    const { engine, modes } = this.#emulator;
    const { decPrivateModes } = engine.core.coreService;
    return {
      applicationCursor: decPrivateModes.applicationCursorKeys,
      applicationKeypad: decPrivateModes.applicationKeypad,
      bracketedPaste: decPrivateModes.bracketedPasteMode,
      focusReports: decPrivateModes.sendFocus,
      mouse: MOUSE[engine.core.coreMouseService.activeProtocol],
      mouseEncoding: modes.mouseEncoding,
      kittyFlags: modes.kittyNow.flags,
      modifyOtherKeys: modes.modifyOtherKeys,
    };
  }
  /** The cells themselves, for those who draw them (`Painter`). Replaced when the emulator breaks, so nobody keeps it. */
  get emulator(): Emulator {
    return this.#emulator;
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#pump.remove(this.#pumped);
    this.#queue.length = 0;
    this.#bytesWaiting = 0;
    this.#emulator.dispose();
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
    const sliceBytes = this.#sliceBytes;
    const { isAnswering } = this.#queue[0]!;
    const parts: Uint8Array[] = [];
    let length = 0;
    let taken = 0;
    for (const chunk of this.#queue) {
      if (chunk.isAnswering !== isAnswering || length === sliceBytes) break;
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
    this.#bytesWaiting -= length;
    const slice = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    try {
      this.#emulator.parse(slice, isAnswering);
    } catch (error) {
      this.#replaceEmulator(error);
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
    this.#emulator.dispose();
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
    emulator.engine.core.onTitleChange((title) => this.#news.push(() => this.#options.onTitle?.(title)));
    emulator.engine.core.onBell(() => this.#news.push(() => this.#options.onBell?.()));
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
  /** Milliseconds, for the size of the slices. */
  now?: () => number;
}

export interface ScreenKeyModes {
  applicationCursor: boolean;
  applicationKeypad: boolean;
  bracketedPaste: boolean;
  focusReports: boolean;
  mouse: 'none' | 'x10' | 'press' | 'drag' | 'any';
  mouseEncoding: MouseEncoding;
  kittyFlags: number;
  modifyOtherKeys: number;
}

const MOUSE = { NONE: 'none', X10: 'x10', VT200: 'press', DRAG: 'drag', ANY: 'any' } as const;

/** A third of a millisecond of text. The first slice of something slow is already this long: of resets it takes 50 ms (200 on a large screen), and four times as much were four times that. */
const SLICE_BYTES = 4 * 1024;
/** A slice that took longer makes the following ones smaller. */
const SLICE_MS = 8;
const SLICE_LEAST_BYTES = 256;
