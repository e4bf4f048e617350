import { VERSION } from '../../base/package.ts';
import { lookOfPen, PROTECTED, sgrOf } from './attributes.ts';
import type { Engine, Params } from './engine.ts';
import { type Modes, PASSED_ON, SPECIAL_COLOR } from './modes.ts';
import { cursorStyle } from './serialize.ts';

/**
 * Answers what programs ask of their terminal, truthfully for what our screen keeps. Programs hang at start when nobody does
 * (codex#2805). Each of upstream's own answers is replaced: some it gets wrong (the column while a wrap is pending, SGR always 0).
 */
export function answerQueries(engine: Engine, modes: Modes, reply: (text: string) => void): { color(color: number): void } {
  const csi = (id: { prefix?: string; intermediates?: string; final: string }, answer: (first: number) => string | null) =>
    engine.onCsi(id, (params: Params) => {
      const text = answer(params.params[0]!);
      if (text) reply(text);
      return true;
    });
  csi({ final: 'c' }, (first) => (first ? null : '\x1b[?62;22c')); // A VT220 with colour.
  csi({ prefix: '>', final: 'c' }, (first) => (first ? null : '\x1b[>0;276;0c')); // As xterm.js says, which editors know how to treat.
  csi({ prefix: '=', final: 'c' }, (first) => (first ? null : '\x1bP!|00000000\x1b\\'));
  csi({ final: 'n' }, (first) => (first === 5 ? '\x1b[0n' : first === 6 ? `\x1b[${position(engine)}R` : null));
  csi({ prefix: '?', final: 'n' }, (first) => (first === 6 ? `\x1b[?${position(engine)}R` : null));
  csi({ intermediates: '$', final: 'p' }, (mode) => `\x1b[${mode};${ansiMode(engine, mode)}$y`);
  csi({ prefix: '?', intermediates: '$', final: 'p' }, (mode) => `\x1b[?${mode};${privateMode(engine, modes, mode)}$y`);
  csi({ prefix: '>', final: 'q' }, (first) => (first ? null : `\x1bP>|ai-session ${VERSION}\x1b\\`));
  csi({ prefix: '?', final: 'u' }, () => `\x1b[?${modes.kittyNow.flags}u`);
  csi({ prefix: '?', final: 'm' }, (resource) => (resource === 4 ? `\x1b[>4;${modes.modifyOtherKeys}m` : null));
  engine.onCsi({ final: 't' }, (params) => {
    const { rows, cols } = engine;
    switch (params.params[0]) {
      case 14:
        reply(`\x1b[4;${rows * CELL_HEIGHT};${cols * CELL_WIDTH}t`);
        return true;
      case 16:
        reply(`\x1b[6;${CELL_HEIGHT};${CELL_WIDTH}t`);
        return true;
      case 18:
        reply(`\x1b[8;${rows};${cols}t`);
        return true;
      default:
        return false;
    }
  });
  engine.onDcs({ intermediates: '$', final: 'q' }, (setting) => {
    const value = settingValue(engine, setting);
    reply(value === null ? '\x1bP0$r\x1b\\' : `\x1bP1$r${value}${setting}\x1b\\`);
    return true;
  });
  engine.onDcs({ intermediates: '+', final: 'q' }, (names) => {
    reply(`\x1bP0+r${names}\x1b\\`);
    return true;
  });
  return {
    color(color) {
      const rgb = toRgb(modes.colors.get(color)) ?? defaultColor(color);
      reply(color < 256 ? `\x1b]4;${color};${rgb}\x1b\\` : `\x1b]${color - SPECIAL_COLOR};${rgb}\x1b\\`);
    },
  };
}

/**
 * Takes the queries out of a stream for a terminal that must not answer, because another one (or our screen) does; every other byte
 * passes. A sequence that is not complete waits for its end, at most 4 KiB of it: a longer one is not a query. An OSC that both sets a
 * colour and asks for one is taken out whole; nobody writes that. C1 controls are looked for in their ESC form only.
 */
export class QueryFilter {
  #state: 'ground' | 'escape' | 'csi' | 'string' | 'string-escape' | 'long-string' = 'ground';
  /** The sequence so far, from its ESC. */
  #held: number[] = [];
  /** That ESC also ended a sequence or string which has been passed on. If it is taken out, something else must end that. */
  #isInterrupting = false;
  #isOsc = false;
  #out: Buffer = Buffer.alloc(0);
  #length = 0;

  strip(bytes: Uint8Array): Uint8Array {
    if (this.#state === 'ground' && bytes.indexOf(ESC) < 0 && bytes.indexOf(ENQ) < 0) return bytes;
    // One more for the ESC of 'string-escape', which is held in the state.
    this.#out = Buffer.allocUnsafe(bytes.length + this.#held.length + 1);
    this.#length = 0;
    for (const byte of bytes) this.#step(byte);
    return this.#out.subarray(0, this.#length);
  }

  /**
   * What it has kept back: nothing, the beginning of a sequence, or one that interrupts what has been passed on, which is open therefore.
   */
  get holds(): 'nothing' | 'beginning' | 'interruption' {
    if (this.#held.length === 0) return 'nothing';
    return this.#isInterrupting ? 'interruption' : 'beginning';
  }

  /** Ends the filtering: what has been waiting for its end, for a terminal that may answer what follows. */
  release(): Uint8Array {
    const held = Uint8Array.from(this.#state === 'string-escape' ? [...this.#held, ESC] : this.#held);
    this.#held = [];
    this.#state = 'ground';
    return held;
  }

  #step(byte: number): void {
    switch (this.#state) {
      case 'ground':
        if (byte === ESC) this.#begin(false);
        else if (byte !== ENQ) this.#pass(byte);
        return;
      case 'escape':
        if (byte === ESC) {
          this.#end('passes');
          this.#begin(true);
          return;
        }
        this.#held.push(byte);
        if (byte === 0x5b) this.#state = 'csi';
        else if (STRING_OPENINGS.has(byte)) {
          this.#state = 'string';
          this.#isOsc = byte === 0x5d;
        } else if (byte >= 0x20 || isCancel(byte)) {
          // ESC Z is the oldest way to ask who is there. ESC with an intermediate is never a query, so its end is not waited for.
          this.#end(byte === 0x5a ? 'goes' : 'passes');
        }
        return;
      case 'csi':
        if (byte === ESC) {
          this.#end('passes');
          this.#begin(true);
          return;
        }
        this.#held.push(byte);
        if (byte >= 0x40 && byte < 0x7f) this.#end(isCsiQuery(this.#held) ? 'goes' : 'passes');
        else if (isCancel(byte) || this.#held.length > HELD_LIMIT_BYTES) this.#end('passes');
        return;
      case 'string':
        if (byte === ESC) this.#state = 'string-escape';
        else if (byte === BEL && this.#isOsc && isStringQuery(this.#held)) this.#end('goes');
        else {
          this.#held.push(byte);
          if (isCancel(byte) || (byte === BEL && this.#isOsc)) this.#end('passes');
          else if (this.#held.length > HELD_LIMIT_BYTES) {
            this.#end('passes');
            this.#state = 'long-string';
          }
        }
        return;
      case 'string-escape': {
        // The ESC ends the string; with a backslash it is the end, with anything else a beginning as well.
        const fate = isStringQuery(this.#held) ? 'goes' : 'passes';
        if (byte === 0x5c) {
          this.#held.push(ESC, byte);
          this.#end(fate);
          return;
        }
        this.#end(fate);
        this.#begin(fate === 'passes');
        this.#step(byte);
        return;
      }
      case 'long-string':
        if (byte === ESC) this.#begin(true);
        else {
          this.#pass(byte);
          if (isCancel(byte) || (byte === BEL && this.#isOsc)) this.#state = 'ground';
        }
        return;
    }
  }

  #begin(isInterrupting: boolean): void {
    this.#state = 'escape';
    this.#held = [ESC];
    this.#isInterrupting = isInterrupting;
  }

  #end(fate: 'passes' | 'goes'): void {
    if (fate === 'goes' && this.#isInterrupting) for (const byte of STRING_TERMINATOR) this.#pass(byte);
    // Control characters inside a sequence are acted upon, so they stay; inside a string they are part of it.
    const isSequence = this.#state === 'csi' || this.#state === 'escape';
    for (const byte of this.#held) if (fate === 'passes' || (isSequence && byte < 0x20 && byte !== ESC)) this.#pass(byte);
    this.#held = [];
    this.#state = 'ground';
  }

  #pass(byte: number): void {
    this.#out[this.#length++] = byte;
  }
}

/** OSC, DCS, APC, PM and SOS. */
const STRING_OPENINGS: ReadonlySet<number> = new Set([0x5d, 0x50, 0x5f, 0x5e, 0x58]);
const STRING_TERMINATOR = [0x1b, 0x5c];
const isCancel = (byte: number) => byte === CAN || byte === SUB;

function isCsiQuery(held: readonly number[]): boolean {
  const text = String.fromCharCode(...held.filter((byte) => byte >= 0x20));
  const match = /^\[([<=>?]?)([\d;:]*)([ -/]*)([@-~])$/.exec(text);
  if (!match) return false;
  const [, prefix, params, intermediates, final] = match;
  const first = Number.parseInt(params!, 10) || 0;
  switch (`${prefix}${intermediates}${final}`) {
    case 'n': // DSR
    case '?n':
    case '$p': // DECRQM
    case '?$p':
    case '?u': // kitty keyboard flags
    case '?m': // modifyOtherKeys
    case '?S': // graphics limits (XTSMGRAPHICS)
    case '$w': // presentation state (DECRQPSR)
    case '*y': // checksum of an area (DECRQCRA)
      return true;
    case 'c': // DA 1 to 3
    case '>c':
    case '=c':
    case '>q': // XTVERSION
      return first === 0;
    case 'x': // DECREQTPARM
      return first <= 1;
    case 't': // the window's reports, not its commands
      return first === 11 || (first >= 13 && first <= 16) || (first >= 18 && first <= 21);
    default:
      return false;
  }
}

function isStringQuery(held: readonly number[]): boolean {
  const text = String.fromCharCode(...held.slice(1));
  switch (text[0]) {
    case ']':
      return /^\](?:(?:4|5|21);(?:.*[;=])?\?(?:;|$)|1[0-9];(?:.*;)?\?(?:;|$)|52;[^;]*;\?$)/.test(text);
    case 'P':
      return /^P[\d;]*[$+]q/.test(text);
    case '_':
      return /^_G(?:[^;]*,)?a=q(?:[,;]|$)/.test(text);
    default:
      return false;
  }
}

function position({ active, cols, core }: Engine): string {
  const top = core.coreService.decPrivateModes.origin ? active.scrollTop : 0;
  return `${active.y - top + 1};${Math.min(active.x, cols - 1) + 1}`;
}

function ansiMode({ core }: Engine, mode: number): number {
  if (mode === 4) return core.coreService.modes.insertMode ? 1 : 2;
  if (mode === 20) return core.optionsService.options.convertEol ? 1 : 2;
  return 0;
}

function privateMode(engine: Engine, modes: Modes, mode: number): number {
  const { coreService, coreMouseService, optionsService } = engine.core;
  const dec = coreService.decPrivateModes;
  const known = new Map<number, boolean>([
    [1, dec.applicationCursorKeys],
    [5, modes.passedOn.has(5)],
    [2031, modes.passedOn.has(2031)],
    [6, dec.origin],
    [7, dec.wraparound],
    [9, coreMouseService.activeProtocol === 'X10'],
    [12, optionsService.options.cursorBlink],
    [25, !coreService.isCursorHidden],
    [45, dec.reverseWraparound],
    [47, engine.isAlternate],
    [66, dec.applicationKeypad],
    [1000, coreMouseService.activeProtocol === 'VT200'],
    [1002, coreMouseService.activeProtocol === 'DRAG'],
    [1003, coreMouseService.activeProtocol === 'ANY'],
    [1004, dec.sendFocus],
    [1005, modes.mouseEncoding === 'utf8'],
    [1006, modes.mouseEncoding === 'sgr'],
    [1015, modes.mouseEncoding === 'urxvt'],
    [1016, modes.mouseEncoding === 'sgr-pixels'],
    [1047, engine.isAlternate],
    [1048, true],
    [1049, engine.isAlternate],
    [2004, dec.bracketedPasteMode],
    [2026, dec.synchronizedOutput],
  ]);
  const isSet = known.get(mode) ?? (PASSED_ON.has(mode) ? modes.passedOn.get(mode) : undefined);
  return isSet === undefined ? 0 : isSet ? 1 : 2;
}

function settingValue(engine: Engine, setting: string): string | null {
  switch (setting) {
    case 'm':
      return sgrOf(lookOfPen(engine.pen));
    case 'r':
      return `${engine.active.scrollTop + 1};${engine.active.scrollBottom + 1}`;
    case ' q':
      return String(cursorStyle(engine) || 1);
    case '"q':
      return engine.pen.bg & PROTECTED ? '1' : '0';
    case '"p':
      return '62;1';
    default:
      return null;
  }
}

/** `rgb:h/h/h` to `rgb:hhhh/hhhh/hhhh` and `#rgb` to `#rrrrggggbbbb`, as xterm reports them; null for names, which we do not know. */
function toRgb(spec: string | undefined): string | null {
  const slashed = /^rgb:([\da-f]{1,4})\/([\da-f]{1,4})\/([\da-f]{1,4})$/i.exec(spec ?? '');
  if (slashed)
    return `rgb:${slashed
      .slice(1)
      .map((hex) => hex.repeat(4).slice(0, 4))
      .join('/')
      .toLowerCase()}`;
  const hash = /^#((?:[\da-f]{3}){1,4})$/i.exec(spec ?? '')?.[1];
  if (!hash) return null;
  const digits = hash.length / 3;
  return `rgb:${[0, 1, 2]
    .map((i) =>
      hash
        .slice(i * digits, (i + 1) * digits)
        .repeat(4)
        .slice(0, 4),
    )
    .join('/')
    .toLowerCase()}`;
}

/** xterm's palette; light grey on black for the rest, since nobody told us better and most terminals are dark. */
function defaultColor(color: number): string {
  if (color === SPECIAL_COLOR + 11) return 'rgb:0000/0000/0000';
  if (color > 255) return 'rgb:d0d0/d0d0/d0d0';
  if (color < 16) return rgb(BASIC[color]!);
  if (color >= 232) return rgb([8 + (color - 232) * 10, 8 + (color - 232) * 10, 8 + (color - 232) * 10]);
  const step = (value: number) => (value === 0 ? 0 : 55 + value * 40);
  const cube = color - 16;
  return rgb([step(Math.floor(cube / 36)), step(Math.floor(cube / 6) % 6), step(cube % 6)]);
}

function rgb(parts: readonly number[]): string {
  return `rgb:${parts.map((part) => part.toString(16).padStart(2, '0').repeat(2)).join('/')}`;
}

const BASIC = [
  [0, 0, 0],
  [205, 0, 0],
  [0, 205, 0],
  [205, 205, 0],
  [0, 0, 238],
  [205, 0, 205],
  [0, 205, 205],
  [229, 229, 229],
  [127, 127, 127],
  [255, 0, 0],
  [0, 255, 0],
  [255, 255, 0],
  [92, 92, 255],
  [255, 0, 255],
  [0, 255, 255],
  [255, 255, 255],
] as const;

const ESC = 0x1b;
const ENQ = 0x05;
const BEL = 0x07;
const CAN = 0x18;
const SUB = 0x1a;
const HELD_LIMIT_BYTES = 4096;
/** Nobody can know the pixels of a viewer who is not there. A cell is twice as high as wide, and these are common. */
const CELL_WIDTH = 8;
const CELL_HEIGHT = 16;
