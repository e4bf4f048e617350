import type { CoreAttributes, CoreLine, Engine, Link, SavedCursor } from './engine.ts';
import { CELL, HAS_EXTENDED } from './engine.ts';

/** How a cell looks, in a form that can be compared: the leftovers of earlier colours that upstream keeps in unused bits are gone. */
export interface Look {
  /** Colour (mode in bits 24-25) and inverse, bold, blink, invisible, struck out. */
  fg: number;
  /** Colour and italic, dim, protected, overline. */
  bg: number;
  /** 0 none, 1 single, 2 double, 3 curly, 4 dotted, 5 dashed. */
  underline: number;
  underlineColor: number;
  link: number;
}

export const PLAIN: Look = { fg: 0, bg: 0, underline: 0, underlineColor: 0, link: 0 };

export function lookOfCell(line: CoreLine, x: number): Look {
  const fg = line._data[x * CELL + 1]!;
  const bg = line._data[x * CELL + 2]!;
  const extended = bg & HAS_EXTENDED ? line._extendedAttrs[x] : undefined;
  return look(fg, bg, extended?._ext ?? 0, extended !== undefined, extended?._urlId ?? 0);
}

export function lookOfPen(pen: CoreAttributes): Look {
  return look(pen.fg, pen.bg, pen.extended._ext, true, pen.extended._urlId);
}

export function lookOfSaved(saved: SavedCursor): Look {
  return look(saved.fg, saved.bg, saved.ext, true, 0);
}

export function sameLook(a: Look, b: Look): boolean {
  return a.fg === b.fg && a.bg === b.bg && a.underline === b.underline && a.underlineColor === b.underlineColor && a.link === b.link;
}

/** Only a background colour: what erasing leaves. */
export function isErased(look: Look): boolean {
  return look.fg === 0 && look.bg === (look.bg & COLOR) && look.underline === 0 && look.underlineColor === 0 && look.link === 0;
}

/** The sequences that turn one pen into another. */
export function changePen(from: Look, to: Look, engine: Engine): string {
  let out = '';
  if (from.fg !== to.fg || from.bg !== to.bg || from.underline !== to.underline || from.underlineColor !== to.underlineColor) {
    const params = sgrParams(from, to);
    if (params) out += params === '0' ? '\x1b[m' : `\x1b[${params}m`;
    // Upstream's SGR 0 takes the protection away, other terminals' does not.
    const isProtected = (to.bg & PROTECTED) !== 0;
    if (isProtected !== ((from.bg & PROTECTED) !== 0) || (isProtected && params.startsWith('0')))
      out += isProtected ? '\x1b[1"q' : '\x1b[0"q';
  }
  if (from.link !== to.link) out += openLink(engine.links.get(to.link));
  return out;
}

/** SGR parameters of a look, from nothing: what DECRQSS reports. */
export function sgrOf(to: Look): string {
  return ['0', ...additions(PLAIN, to)].join(';');
}

function openLink(link: Link | undefined): string {
  return link ? `\x1b]8;${link.id ? `id=${link.id}` : ''};${link.uri}\x1b\\` : '\x1b]8;;\x1b\\';
}

function sgrParams(from: Look, to: Look): string {
  const lost = (from.fg & FG_FLAGS & ~to.fg) | (from.bg & SGR_BG_FLAGS & ~to.bg);
  const mustReset = lost !== 0 || (from.underline !== 0 && to.underline === 0) || (from.underlineColor !== 0 && to.underlineColor === 0);
  if (!mustReset) return additions(from, to).join(';');
  return ['0', ...additions(PLAIN, to)].join(';');
}

function additions(from: Look, to: Look): string[] {
  const params: string[] = [];
  for (const [bit, param] of FG_BITS) if (to.fg & bit && !(from.fg & bit)) params.push(param);
  for (const [bit, param] of BG_BITS) if (to.bg & bit && !(from.bg & bit)) params.push(param);
  if (to.underline && to.underline !== from.underline) params.push(to.underline === 1 ? '4' : `4:${to.underline}`);
  if ((to.fg & COLOR) !== (from.fg & COLOR)) params.push(colorParams(to.fg & COLOR, 30));
  if ((to.bg & COLOR) !== (from.bg & COLOR)) params.push(colorParams(to.bg & COLOR, 40));
  if (to.underlineColor && to.underlineColor !== from.underlineColor) params.push(underlineColorParams(to.underlineColor));
  return params;
}

function colorParams(color: number, base: number): string {
  const value = color & 0xffffff;
  switch (color & COLOR_MODE) {
    case 0:
      return String(base + 9);
    case PALETTE_16:
      return String(value < 8 ? base + value : base + 60 + value - 8);
    case PALETTE_256:
      return `${base + 8};5;${value}`;
    default:
      return `${base + 8};2;${value >>> 16};${(value >>> 8) & 0xff};${value & 0xff}`;
  }
}

function underlineColorParams(color: number): string {
  // Upstream keeps SGR 59, "the default", as if it were white; far more programs mean the default.
  if (color === UNDERLINE_DEFAULT) return '59';
  const value = color & 0xffffff;
  return (color & COLOR_MODE) === COLOR_MODE ? `58:2::${value >>> 16}:${(value >>> 8) & 0xff}:${value & 0xff}` : `58:5:${value & 0xff}`;
}

function look(fg: number, bg: number, ext: number, hasExtended: boolean, link: number): Look {
  const underline = fg & UNDERLINE ? (hasExtended ? (ext >> 26) & 7 : 1) : 0;
  return {
    fg: (clean(fg) | (fg & FG_FLAGS)) >>> 0,
    bg: (clean(bg) | (bg & (SGR_BG_FLAGS | PROTECTED))) >>> 0,
    underline,
    underlineColor: hasExtended ? clean(ext) : 0,
    link,
  };
}

function clean(color: number): number {
  const mode = color & COLOR_MODE;
  if (mode === 0) return 0;
  return mode === COLOR_MODE ? color & COLOR : mode | (color & 0xff);
}

const COLOR_MODE = 0x3000000;
const PALETTE_16 = 0x1000000;
const PALETTE_256 = 0x2000000;
export const COLOR = 0x3ffffff;
const UNDERLINE_DEFAULT = 0x3ffffff;
const UNDERLINE = 0x10000000;
export const PROTECTED = 0x20000000;
const SGR_BG_FLAGS = 0x4c000000;
const FG_FLAGS = 0xec000000 | 0;
const FG_BITS: readonly [number, string][] = [
  [0x8000000, '1'],
  [0x20000000, '5'],
  [0x4000000, '7'],
  [0x40000000, '8'],
  [0x80000000 | 0, '9'],
];
const BG_BITS: readonly [number, string][] = [
  [0x8000000, '2'],
  [0x4000000, '3'],
  [0x40000000, '53'],
];
