import { createRequire } from 'node:module';
import type { Terminal as XtermTerminal } from '@xterm/headless';
import { repair } from './repairs.ts';

/**
 * The terminal emulator: the one place (with `repairs.ts`) that knows it is `@xterm/headless`. The version is pinned exactly because we
 * read its internals: the public buffer API makes an object per cell, and hides the pen, the margins, the tab stops, the character sets
 * and the parser's state, all of which a late joiner must be given.
 */
export class Engine {
  readonly core: Core;
  readonly #terminal: XtermTerminal;
  /** What DECSC keeps, one record a screen. Ours, because upstream's has defects (see `repairs.ts`). */
  readonly saved: { normal: SavedCursor; alternate: SavedCursor } = { normal: savedNothing(), alternate: savedNothing() };
  readonly links = new Links();
  /** Lines dropped from the top of the history, so that lines keep a number for as long as they live. */
  #linesTrimmed = 0;
  #normal!: CoreBuffer;

  constructor({ cols, rows, scrollbackLines }: { cols: number; rows: number; scrollbackLines: number }) {
    this.#terminal = new Terminal({
      cols,
      rows,
      scrollback: scrollbackLines,
      allowProposedApi: true,
      logLevel: 'off',
      windowOptions: { pushTitle: true, popTitle: true },
    });
    this.core = (this.#terminal as unknown as { _core: Core })._core;
    this.#terminal.loadAddon(new UnicodeGraphemesAddon() as never);
    this.#watchNormalBuffer();
    repair(this);
    this.core._inputHandler.onRequestReset(() => this.#wasReset());
  }

  /** Parses now, synchronously. The bytes must not end inside a UTF-8 character: upstream's decoder garbles some that are split (`Emulator`). */
  parse(bytes: Uint8Array): void {
    this.core._inputHandler.parse(bytes);
  }

  resize(cols: number, rows: number): void {
    // Upstream keeps the saved row relative to the top of the history, and its reflow moves that; we lend it our rows while it works.
    for (const [buffer, saved] of this.#buffersWithSaved()) {
      buffer.savedX = saved.x;
      buffer.savedY = buffer.ybase + saved.row;
      // Upstream gives memory back from a timer, and writes to the console when that is late. `mendLines` does it at once.
      buffer._memoryCleanupQueue = { clear() {}, enqueue() {} };
      fromTheStart(buffer.lines);
    }
    this.core.resize(cols, rows);
    this.#mendTop();
    // While it is away upstream keeps its old bound, and after a shrink it would scroll lines into a history of its own.
    const { alt } = this.core.buffers;
    if (alt.lines.length === 0) alt.lines.maxLength = rows;
    for (const [buffer, saved] of this.#buffersWithSaved()) {
      saved.x = Math.min(saved.x, cols - 1);
      saved.row = Math.max(0, Math.min(rows - 1, buffer.savedY - buffer.ybase));
      mendLines(buffer, cols);
    }
    // The last printed character may be anywhere now: nothing joins it, nothing repeats it.
    this.core._inputHandler._parser.precedingJoinState = 0;
    const first = this.normal.lines.get(0);
    if (first) first.isWrapped = false;
  }

  get cols(): number {
    return this.core.cols;
  }
  get rows(): number {
    return this.core.rows;
  }
  get normal(): CoreBuffer {
    return this.core.buffers.normal;
  }
  get active(): CoreBuffer {
    return this.core.buffers.active;
  }
  get isAlternate(): boolean {
    return this.core.buffers.active !== this.core.buffers.normal;
  }
  get pen(): CoreAttributes {
    return this.core._inputHandler._curAttrData;
  }
  /** How many lines ever left the top of the normal screen. */
  get linesScrolled(): number {
    return this.#linesTrimmed + this.normal.ybase;
  }
  get title(): string {
    return this.core._inputHandler._windowTitle;
  }
  /** True between sequences: nothing of one has been read and not yet acted upon. */
  get isAtGround(): boolean {
    return this.core._inputHandler._parser.currentState === GROUND;
  }
  /** What the last printed character leaves behind for combining marks and REP; 0 when the last thing was not a printed character. */
  get joinState(): number {
    return this.core._inputHandler._parser.precedingJoinState;
  }
  /** What printing `codePoint` after `joinState` would do. */
  joined(codePoint: number, joinState: number): number {
    return this.core.unicodeService.charProperties(codePoint, joinState);
  }

  /** Handlers run before upstream's own; true means the sequence has been dealt with. Not through the public API, which gates CSI t. */
  onCsi(id: SequenceId, handler: (params: Params) => boolean): void {
    this.core._inputHandler._parser.registerCsiHandler(id, handler);
  }
  onEsc(id: SequenceId, handler: () => boolean): void {
    this.core._inputHandler._parser.registerEscHandler(id, handler);
  }
  onOsc(id: number, handler: (data: string) => boolean): void {
    this.core._inputHandler.registerOscHandler(id, handler);
  }
  onDcs(id: SequenceId, handler: (data: string, params: Params) => boolean): void {
    this.core._inputHandler.registerDcsHandler(id, handler);
  }
  /** RIS: everything is as new. */
  onReset(listener: () => void): void {
    this.core._inputHandler.onRequestReset(listener);
  }

  dispose(): void {
    this.#terminal.dispose();
  }

  #buffersWithSaved(): [CoreBuffer, SavedCursor][] {
    return [
      [this.core.buffers.normal, this.saved.normal],
      [this.core.buffers.alt, this.saved.alternate],
    ];
  }

  #watchNormalBuffer(): void {
    this.#normal = this.normal;
    const lines = this.#normal.lines;
    lines.onTrim((count) => {
      this.#linesTrimmed += count;
      // The head of a long line is gone: what is left of it continues nothing.
      const first = lines.get(0);
      if (first) first.isWrapped = false;
    });
  }

  /** With a full history (or none) upstream's reflow counts lines to the history that it has not got, and the screen reaches beyond its last line. */
  #mendTop(): void {
    const { normal, rows } = this;
    while (normal.lines.length > normal.ybase + rows) normal.lines.pop();
    const missing = Math.min(normal.ybase, normal.ybase + rows - normal.lines.length);
    normal.ybase -= missing;
    normal.ydisp = normal.ybase;
    normal.y = Math.min(rows - 1, normal.y + missing);
  }

  #wasReset(): void {
    // Upstream has thrown the old buffers away by now; the history they held is gone, and still counts as scrolled.
    this.#linesTrimmed += this.#normal.ybase;
    this.#watchNormalBuffer();
    this.saved.normal = savedNothing();
    this.saved.alternate = savedNothing();
    // RIS forgets these three upstream.
    this.core.coreService.isCursorHidden = false;
    this.core.optionsService.options.convertEol = false;
    this.core.optionsService.options.cursorBlink = false;
  }
}

/** OSC 8 links by number. Upstream's own table drops links whose line was moved by a margin scroll, and adds three listeners to every scroll for each link on the screen: ten thousand links (one `ls --hyperlink`) make it crawl. */
class Links {
  readonly #byId = new Map<number, Link>();
  readonly #idByKey = new Map<string, number>();
  #next = 1;
  #sweepAt = SWEEP_AT_LEAST;
  #sizeBytes = 0;
  #refusedSinceSweep = REFUSALS_BETWEEN_SWEEPS;

  /** About how much memory the table takes. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** The link's number, or 0, which is no link, when it is too long or too much. */
  register(link: Link, stillUsed: () => Set<number>): number {
    if (link.uri.length > LINK_LIMIT || (link.id?.length ?? 0) > LINK_LIMIT) return 0;
    const key = `${link.id ?? ''};${link.uri}`;
    const known = this.#idByKey.get(key);
    if (known !== undefined) return known;
    const size = sizeOfLink(key);
    const isFull = () => this.#sizeBytes + size > LINKS_LIMIT_BYTES;
    if (isFull() && this.#refusedSinceSweep < REFUSALS_BETWEEN_SWEEPS) {
      this.#refusedSinceSweep++;
      return 0;
    }
    if (isFull() || this.#byId.size >= this.#sweepAt) {
      this.#sweep(stillUsed());
      this.#refusedSinceSweep = isFull() ? 0 : REFUSALS_BETWEEN_SWEEPS;
      if (isFull()) return 0;
    }
    this.#sizeBytes += size;
    const id = this.#next++;
    this.#byId.set(id, link);
    this.#idByKey.set(key, id);
    return id;
  }

  get(id: number): Link | undefined {
    return this.#byId.get(id);
  }

  #sweep(used: Set<number>): void {
    for (const [id, old] of this.#byId) {
      if (used.has(id)) continue;
      const key = `${old.id ?? ''};${old.uri}`;
      this.#byId.delete(id);
      this.#idByKey.delete(key);
      this.#sizeBytes -= sizeOfLink(key);
    }
    this.#sweepAt = Math.max(SWEEP_AT_LEAST, this.#byId.size * 2);
  }
}

/** Two strings of two bytes a unit at most, and what the maps take. */
function sizeOfLink(key: string): number {
  return key.length * 4 + 128;
}

export interface Link {
  id: string | undefined;
  uri: string;
}

export interface SavedCursor {
  x: number;
  row: number;
  fg: number;
  bg: number;
  ext: number;
  charsets: (Charset | undefined)[];
  level: number;
}

export function savedNothing(): SavedCursor {
  return { x: 0, row: 0, fg: 0, bg: 0, ext: 0, charsets: [], level: 0 };
}

/** The letter that designates each character set: upstream keeps the tables only, so the letters are found by asking it once. */
export function charsetLetter(charset: Charset | undefined): string {
  if (!charset) return 'B';
  if (!letters) {
    letters = new Map();
    const engine = new Engine({ cols: 2, rows: 1, scrollbackLines: 0 });
    for (const letter of 'AC5RQKYE6ZH7=40') {
      engine.parse(Buffer.from(`\x1b(${letter}`));
      const table = engine.core._charsetService._charsets[0];
      if (table) letters.set(table, letter);
    }
    engine.dispose();
  }
  return letters.get(charset) ?? 'B';
}

let letters: Map<Charset, string> | undefined;

export const GROUND = 0;
const SWEEP_AT_LEAST = 1024;
/** Code units of an address; a longer one is no link. Browsers and other terminals stop at two thousand or so. */
const LINK_LIMIT = 4096;
/** A history full of `ls --hyperlink` has a megabyte or two. */
const LINKS_LIMIT_BYTES = 16 << 20;
/** Looking through all cells for links in use takes milliseconds; when that frees nothing, not every new link asks for it again. */
const REFUSALS_BETWEEN_SWEEPS = 1024;

/** Upstream's reflow makes the ring longer without minding where it begins: where old lines had been dropped, one of them came back at the bottom. */
function fromTheStart(lines: CoreBuffer['lines']): void {
  const { _array, _startIndex, maxLength } = lines;
  // It may stand a whole turn on.
  const start = _startIndex % maxLength;
  lines._array = [..._array.slice(start), ..._array.slice(0, start)];
  lines._startIndex = 0;
}

/**
 * A resize that does not reflow (the alternate screen, the cursor's line) cuts through wide characters. Terminals show nothing there, and
 * half a character could not be written to another terminal. Rows of the alternate screen keep their old length when it gets narrower,
 * and what had been cut off comes back later.
 */
function mendLines(buffer: CoreBuffer, cols: number): void {
  for (let y = 0; y < buffer.lines.length; y++) {
    const line = buffer.lines.get(y);
    if (!line) continue;
    if (line.length > cols) line.resize(cols, undefined);
    line.cleanupMemory();
    for (let x = 0; x < line.length; x++) {
      const content = line._data[x * CELL]!;
      const width = content >>> WIDTH_SHIFT;
      if (width === 2 && x + 1 < line.length && line._data[(x + 1) * CELL]! >>> WIDTH_SHIFT === 0) x++;
      else if (width !== 1) line._data[x * CELL] = 1 << WIDTH_SHIFT;
    }
  }
}

/** Three numbers a cell: content, foreground, background. */
export const CELL = 3;
export const WIDTH_SHIFT = 22;
export const HAS_CONTENT = 0x3fffff;
export const CODE_POINT = 0x1fffff;
export const IS_COMBINED = 0x200000;
/** In the background: there is more in `_extendedAttrs`. */
export const HAS_EXTENDED = 0x10000000;

const require = createRequire(import.meta.url);
const { Terminal } = require('@xterm/headless') as typeof import('@xterm/headless');
const { UnicodeGraphemesAddon } = requireGraphemes();

/** On Node 20 and 22 the addon reads its width table from a pooled Buffer without the offset, and every emoji gets width 1. Without a pool the offset is 0. */
function requireGraphemes(): typeof import('@xterm/addon-unicode-graphemes') {
  const poolSize = Buffer.poolSize;
  Buffer.poolSize = 0;
  try {
    return require('@xterm/addon-unicode-graphemes');
  } finally {
    Buffer.poolSize = poolSize;
  }
}

export type Charset = Readonly<Record<string, string>>;

export interface SequenceId {
  prefix?: string;
  intermediates?: string;
  final: string;
}

export interface Params {
  params: Int32Array;
  length: number;
  hasSubParams(index: number): boolean;
}

export interface CoreLine {
  length: number;
  isWrapped: boolean;
  resize(cols: number, fill: undefined): void;
  cleanupMemory(): void;
  addCodepointToCell(index: number, codePoint: number, width: number): void;
  setCellFromCodepoint(column: number, codePoint: number, width: number, look: CoreAttributes): void;
  insertCells(column: number, count: number, fill: unknown): void;
  copyCellsFrom(source: CoreLine, sourceColumn: number, column: number, length: number, inReverse: boolean): void;
  _data: Uint32Array;
  _combined: Record<number, string>;
  _extendedAttrs: Record<number, CoreExtended | undefined>;
}

interface CoreExtended {
  _ext: number;
  _urlId: number;
  clone(): CoreExtended;
}

export interface CoreAttributes {
  fg: number;
  bg: number;
  extended: CoreExtended;
  updateExtended(): void;
}

export interface CoreBuffer {
  lines: {
    length: number;
    maxLength: number;
    _array: (CoreLine | undefined)[];
    _startIndex: number;
    get(index: number): CoreLine | undefined;
    pop(): void;
    onTrim(listener: (count: number) => void): void;
  };
  ybase: number;
  ydisp: number;
  x: number;
  y: number;
  scrollTop: number;
  scrollBottom: number;
  tabs: Record<number, boolean | undefined>;
  savedX: number;
  savedY: number;
  getNullCell(look: CoreAttributes): unknown;
  _memoryCleanupQueue: { clear(): void; enqueue(): void };
}

export interface Core {
  cols: number;
  rows: number;
  buffers: { normal: CoreBuffer; alt: CoreBuffer; active: CoreBuffer; onBufferActivate(listener: () => void): void };
  coreService: {
    isCursorHidden: boolean;
    modes: { insertMode: boolean };
    decPrivateModes: {
      applicationCursorKeys: boolean;
      applicationKeypad: boolean;
      bracketedPasteMode: boolean;
      cursorBlink: boolean | undefined;
      cursorStyle: 'block' | 'underline' | 'bar' | undefined;
      origin: boolean;
      reverseWraparound: boolean;
      sendFocus: boolean;
      synchronizedOutput: boolean;
      wraparound: boolean;
    };
  };
  coreMouseService: { activeProtocol: 'NONE' | 'X10' | 'VT200' | 'DRAG' | 'ANY' };
  optionsService: { options: { convertEol: boolean; cursorBlink: boolean } };
  unicodeService: { charProperties(codePoint: number, preceding: number): number };
  _charsetService: {
    glevel: number;
    _charsets: (Charset | undefined)[];
    setgCharset(slot: number, charset: Charset | undefined): void;
    setgLevel(level: number): void;
  };
  _oscLinkService: { registerLink(link: Link): number; addLineToLink(): void; getLinkData(id: number): Link | undefined };
  _inputHandler: CoreInputHandler;
  resize(cols: number, rows: number): void;
  onBell(listener: () => void): void;
  onTitleChange(listener: (title: string) => void): void;
}

/** Upstream's collector of one kind of OSC or DCS. */
export interface StringHandler {
  _data: string;
  _hitLimit: boolean;
  put(data: Uint32Array, start: number, end: number): void;
}

interface CoreInputHandler {
  _parser: {
    currentState: number;
    precedingJoinState: number;
    _transitions: { table: Uint8Array };
    _oscParser: { _handlers: Record<string, StringHandler[]> };
    _dcsParser: { _handlers: Record<string, StringHandler[]> };
    registerCsiHandler(id: SequenceId, handler: (params: Params) => boolean): void;
    registerEscHandler(id: SequenceId, handler: () => boolean): void;
  };
  _curAttrData: CoreAttributes;
  _windowTitle: string;
  _iconName: string;
  _windowTitleStack: string[];
  _iconNameStack: string[];
  _eraseAttrData(): CoreAttributes;
  _eraseInBufferLine(y: number, start: number, end: number, clearWrap: boolean, respectProtect: boolean): void;
  _resetBufferLine(y: number, respectProtect: boolean): void;
  _restrictCursor(maxCol?: number): void;
  setTitle(title: string): boolean;
  setIconName(name: string): boolean;
  parse(bytes: Uint8Array): void;
  print(codes: Uint32Array, start: number, end: number): void;
  registerOscHandler(id: number, handler: (data: string) => boolean): void;
  registerDcsHandler(id: SequenceId, handler: (data: string, params: Params) => boolean): void;
  saveCursor(params?: unknown): boolean;
  restoreCursor(params?: unknown): boolean;
  softReset(params: unknown): boolean;
  onRequestReset(listener: () => void): void;
}
