/** How text looks, as far as SGR and OSC 8 say so. Never changed: a new look is a new pen. */
export interface Pen {
  /** The parameters of an SGR that makes this look from nothing, and always the same for the same look. */
  sgr: string;
  /** What OSC 8 takes: `id=..;address`. Empty without a link. */
  link: string;
  /** A space is not blank in this look. */
  showsSpaces: boolean;
  attributes: Attributes;
}

interface Attributes {
  /** SGR parameters by what they exclude: one of each kind. */
  readonly [kind: string]: string;
}

export const PLAIN_PEN: Pen = { sgr: '', link: '', showsSpaces: false, attributes: {} };

/** The pen after `CSI params m`. What nobody knows is left out. */
export function withSgr(pen: Pen, params: string): Pen {
  if ((params === '' || params === '0') && pen.link === '') return PLAIN_PEN;
  let attributes: Record<string, string> = { ...pen.attributes };
  const parts = params.split(';');
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    const code = Number.parseInt(part, 10) || 0;
    if (code === 0) attributes = {};
    else if (code === 38 || code === 48 || code === 58) {
      const [color, used] = part.includes(':') ? [colonColor(part), 0] : semicolonColor(parts, i);
      if (color) attributes[code] = `${code}${color}`;
      i += used;
    } else if (code === 4 && part.includes(':')) {
      const style = Number.parseInt(part.slice(2), 10) || 0;
      if (style === 0) delete attributes.underline;
      else if (style <= 5) attributes.underline = style === 1 ? '4' : `4:${style}`;
    } else if (ENDS.has(code)) for (const kind of ENDS.get(code)!) delete attributes[kind];
    else {
      const kind = kindOf(code);
      // Nobody prints 21 in the same way: two lines is what the emulator makes of it.
      if (kind) attributes[kind] = code === 21 ? '4:2' : code === 6 ? '5' : String(code);
    }
  }
  const sgr = ORDER.filter((kind) => attributes[kind])
    .map((kind) => attributes[kind])
    .join(';');
  if (sgr === pen.sgr) return pen;
  return orPlain({ ...pen, sgr, attributes, showsSpaces: SHOWING.some((kind) => attributes[kind]) });
}

/** The pen after an OSC 8, of which `payload` is what follows `8;`. An address may hold what no terminal reads as a control. */
export function withLink(pen: Pen, payload: string): Pen {
  const separator = payload.indexOf(';');
  const address = separator < 0 ? '' : payload.slice(separator + 1).replace(/[^\x20-\x7e]/gu, encodeURIComponent);
  const id = /(?:^|:)id=([\w.-]{1,250})(?=:|$)/.exec(payload.slice(0, Math.max(0, separator)))?.[1];
  const link = address && address.length <= ADDRESS_LIMIT ? `${id ? `id=${id}` : ''};${address}` : '';
  return link === pen.link ? pen : orPlain({ ...pen, link });
}

/** `pen` with the link of another. */
export function withSameLink(pen: Pen, { link }: Pen): Pen {
  return link === pen.link ? pen : orPlain({ ...pen, link });
}

/** The sequences from one pen to another. */
export function penChange(from: Pen, to: Pen): string {
  let out = '';
  if (from.sgr !== to.sgr) out += to.sgr === '' ? '\x1b[m' : from.sgr === '' ? `\x1b[${to.sgr}m` : `\x1b[0;${to.sgr}m`;
  if (from.link !== to.link) out += `\x1b]8;${to.link || ';'}\x1b\\`;
  return out;
}

/** The plain pen is one object, so that it is known at a glance. */
function orPlain(pen: Pen): Pen {
  return pen.sgr === '' && pen.link === '' ? PLAIN_PEN : pen;
}

function kindOf(code: number): string | undefined {
  if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) return '38';
  if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) return '48';
  return KINDS.get(code);
}

/** `38;5;n` and `38;2;r;g;b`: the color, and how many parameters it took. */
function semicolonColor(parts: readonly string[], at: number): [string | null, number] {
  const number = (i: number) => Number.parseInt(parts[at + i] ?? '', 10) || 0;
  if (number(1) === 5) return [number(2) <= 255 ? `;5;${number(2)}` : null, 2];
  if (number(1) === 2) return [Math.max(number(2), number(3), number(4)) <= 255 ? `;2;${number(2)};${number(3)};${number(4)}` : null, 4];
  return [null, 1];
}

/** `38:5:n`, `38:2:r:g:b` and, with a color space, `38:2:x:r:g:b`. */
function colonColor(part: string): string | null {
  const [, kind, ...rest] = part.split(':').map((digits) => Number.parseInt(digits, 10) || 0);
  if (kind === 5) return rest[0] !== undefined && rest[0] <= 255 ? `;5;${rest[0]}` : null;
  if (kind !== 2 || rest.length < 3) return null;
  const [red, green, blue] = rest.length > 3 ? rest.slice(1) : rest;
  return Math.max(red!, green!, blue!) <= 255 ? `;2;${red};${green};${blue}` : null;
}

const KINDS: ReadonlyMap<number, string> = new Map([
  [1, 'bold'],
  [2, 'dim'],
  [3, 'italic'],
  [4, 'underline'],
  [21, 'underline'],
  [5, 'blink'],
  [6, 'blink'],
  [7, 'inverse'],
  [8, 'hidden'],
  [9, 'struck'],
  [53, 'overline'],
]);

const ENDS: ReadonlyMap<number, readonly string[]> = new Map([
  [22, ['bold', 'dim']],
  [23, ['italic']],
  [24, ['underline']],
  [25, ['blink']],
  [27, ['inverse']],
  [28, ['hidden']],
  [29, ['struck']],
  [39, ['38']],
  [49, ['48']],
  [55, ['overline']],
  [59, ['58']],
]);

const SHOWING = ['underline', 'inverse', 'struck', 'overline', '48'];
const ORDER = ['bold', 'dim', 'italic', 'underline', 'blink', 'inverse', 'hidden', 'struck', 'overline', '38', '48', '58'];
/** Characters. The emulator's limit. */
const ADDRESS_LIMIT = 4096;
