import { VERSION } from '../../base/version.ts';
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
  #state: 'ground' | 'escape' | 'csi' | 'string' | 'string-escape' | 'passing' | 'passing-escape' = 'ground';
  #held: number[] = [];

  strip(bytes: Uint8Array): Uint8Array {
    if (this.#state === 'ground' && bytes.indexOf(ESC) < 0 && bytes.indexOf(ENQ) < 0) return bytes;
    const out = Buffer.allocUnsafe(bytes.length + this.#held.length + 1);
    let length = 0;
    const pass = (from: readonly number[]) => {
      for (const byte of from) out[length++] = byte;
    };
    const release = () => {
      pass(this.#held);
      this.#held = [];
    };
    for (const byte of bytes) {
      switch (this.#state) {
        case 'ground':
          if (byte === ESC) this.#begin();
          else if (byte !== ENQ) out[length++] = byte;
          continue;
        case 'escape':
          this.#held.push(byte);
          if (byte === 0x5b) this.#state = 'csi';
          else if (byte === 0x5d || byte === 0x50 || byte === 0x5f || byte === 0x5e || byte === 0x58) this.#state = 'string';
          else if (byte === ESC) {
            this.#held.pop();
            release();
            this.#begin();
          } else if (byte < 0x20 && byte !== CAN && byte !== SUB) continue;
          else {
            // ESC Z is the oldest way to ask who is there. Intermediates need no waiting: what follows them is no query.
            if (byte === 0x5a) this.#held = this.#held.filter(isControl);
            release();
            this.#state = 'ground';
          }
          continue;
        case 'csi':
          if (byte === ESC) {
            release();
            this.#begin();
            continue;
          }
          this.#held.push(byte);
          if (byte === CAN || byte === SUB) {
            release();
            this.#state = 'ground';
          } else if (byte >= 0x40 && byte < 0x7f) {
            // Control characters inside a sequence are acted upon: they stay.
            if (isCsiQuery(this.#held)) this.#held = this.#held.filter(isControl);
            release();
            this.#state = 'ground';
          } else if (this.#held.length > HELD_LIMIT_BYTES) {
            release();
            this.#state = 'ground';
          }
          continue;
        case 'string':
          this.#held.push(byte);
          if (byte === ESC) this.#state = 'string-escape';
          else if (byte === CAN || byte === SUB || (byte === BEL && this.#held[1] === 0x5d)) {
            if (byte === BEL && isStringQuery(this.#held)) this.#held = [];
            release();
            this.#state = 'ground';
          } else if (this.#held.length > HELD_LIMIT_BYTES) {
            this.#isBellEnding = this.#held[1] === 0x5d;
            release();
            this.#state = 'passing';
          }
          continue;
        case 'string-escape': {
          // The ESC ends the string; with a backslash it is the end, with anything else a beginning as well.
          this.#held.pop();
          const isQuery = isStringQuery(this.#held);
          if (byte === 0x5c) {
            if (isQuery) this.#held = [];
            else this.#held.push(ESC, byte);
            release();
            this.#state = 'ground';
            continue;
          }
          if (isQuery) this.#held = [];
          release();
          this.#begin();
          this.#afterEscape(byte, pass, release);
          continue;
        }
        case 'passing':
          if (byte === ESC) this.#begin();
          else out[length++] = byte;
          if (byte === ESC) this.#state = 'passing-escape';
          else if (byte === CAN || byte === SUB || (byte === BEL && this.#isBellEnding)) this.#state = 'ground';
          continue;
        case 'passing-escape':
          this.#begin();
          this.#afterEscape(byte, pass, release);
          continue;
      }
    }
    return out.subarray(0, length);
  }

  #isBellEnding = false;

  #begin(): void {
    this.#held = [ESC];
    this.#state = 'escape';
  }

  /** The byte after an ESC that was seen while in a string: the same choices as in 'escape'. */
  #afterEscape(byte: number, pass: (bytes: readonly number[]) => void, release: () => void): void {
    this.#held.push(byte);
    if (byte === 0x5b) this.#state = 'csi';
    else if (byte === 0x5d || byte === 0x50 || byte === 0x5f || byte === 0x5e || byte === 0x58) this.#state = 'string';
    else if (byte === ESC) {
      this.#held = [];
      pass([ESC]);
      this.#begin();
    } else if (byte >= 0x20 || byte === CAN || byte === SUB) {
      if (byte === 0x5a) this.#held = [];
      release();
      this.#state = 'ground';
    }
  }
}

const isControl = (byte: number) => byte < 0x20 && byte !== ESC;

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
    [5, modes.passedOn.get(5) ?? false],
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
  if (slashed) return `rgb:${slashed.slice(1).map((hex) => hex.repeat(4).slice(0, 4)).join('/').toLowerCase()}`;
  const hash = /^#((?:[\da-f]{3}){1,4})$/i.exec(spec ?? '')?.[1];
  if (!hash) return null;
  const digits = hash.length / 3;
  return `rgb:${[0, 1, 2].map((i) => hash.slice(i * digits, (i + 1) * digits).repeat(4).slice(0, 4)).join('/').toLowerCase()}`;
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
  [0, 0, 0], [205, 0, 0], [0, 205, 0], [205, 205, 0], [0, 0, 238], [205, 0, 205], [0, 205, 205], [229, 229, 229],
  [127, 127, 127], [255, 0, 0], [0, 255, 0], [255, 255, 0], [92, 92, 255], [255, 0, 255], [0, 255, 255], [255, 255, 255],
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
