import fc from 'fast-check';
import type { Entry } from '../../../src/daemon/persistence/journal/entry.ts';

export const SEED = 20_261_121;

/** Printable characters of every width, and those that join their neighbours. */
export const CHARACTERS = [
  ...[
    'a',
    'b',
    'Z',
    ' ',
    '~',
    'é',
    '—',
    '…',
    '│',
    '漢',
    '字',
    '한',
    '🙂',
    '👩‍👩‍👧',
    '👍🏽',
    '🇩🇪',
    '☺️',
    'e\u0301',
    '\u0301',
    '\u200d',
    '\ufe0f',
    '🇫',
    'ก็',
    '€',
    'ﷺ',
  ],
  ...['\u0600', '𝐀'],
];

/** What a program can do within one line, in few columns. */
export function withinLine({
  colors,
  characters = CHARACTERS,
}: {
  colors: readonly string[];
  characters?: readonly string[];
}): fc.Arbitrary<string> {
  const count = fc.integer({ min: 0, max: 8 });
  const text = fc.array(fc.constantFrom(...characters), { minLength: 1, maxLength: 6 }).map((all) => all.join(''));
  return fc.oneof(
    { weight: 6, arbitrary: text },
    { weight: 2, arbitrary: fc.constantFrom('\r', '\b', '\b\b', '\t', '\x07', '\x00') },
    { weight: 2, arbitrary: fc.constantFrom(...colors).map((params) => `\x1b[${params}m`) },
    {
      weight: 3,
      arbitrary: fc.tuple(count, fc.constantFrom('C', 'D', 'P', '@', 'X', 'a', 'I', 'Z')).map(([n, final]) => `\x1b[${n}${final}`),
    },
    { weight: 2, arbitrary: fc.tuple(fc.integer({ min: 0, max: 30 }), fc.constantFrom('G', '`')).map(([n, final]) => `\x1b[${n}${final}`) },
    {
      weight: 2,
      arbitrary: fc.tuple(fc.integer({ min: 0, max: 3 }), fc.constantFrom('K', 'J', '?K')).map(([n, final]) => eraseOf(n, final)),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom('\x1b7', '\x1b8', '\x1b[s', '\x1b[u', '\x1b(0', '\x1b(B', '\x1b)0', '\x0e', '\x0f', 'lqqk'),
    },
    { weight: 1, arbitrary: fc.constantFrom('\x1b]0;title\x07', '\x1bPq#0\x1b\\', '\x1b_G\x1b\\', '\x1b[?25l', '\x1b[6n', '\x1b[>4;2m') },
  );
}

/** CSI 2J is not within a line. */
function eraseOf(what: number, final: string): string {
  return `\x1b[${final === 'J' && what === 2 ? 0 : what}${final}`.replace('[?', '[?').replace(/\[(\d)\?K/, '[?$1K');
}

/** Anything a program may write, hostile ones included. */
export function anyBytes(): fc.Arbitrary<Buffer> {
  const piece = fc.oneof(
    { weight: 6, arbitrary: withinLine({ colors: ['', '1', '31', '48;5;9'] }).map((text) => Buffer.from(text)) },
    { weight: 4, arbitrary: fc.constantFrom('\n', '\r\n', '\n\n', 'word\r\n').map((text) => Buffer.from(text)) },
    {
      weight: 2,
      arbitrary: fc
        .constantFrom(
          '\x1b[A',
          '\x1b[2B',
          '\x1b[H',
          '\x1b[3;4H',
          '\x1b[2J',
          '\x1b[d',
          '\x1bM',
          '\x1bD',
          '\x1bE',
          '\x0b',
          '\x0c',
          '\x1b[r',
          '\x1bc',
        )
        .map((text) => Buffer.from(text)),
    },
    { weight: 1, arbitrary: fc.constantFrom('\x1b[?1049h', '\x1b[?1049l', '\x1b[?47h', '\x1b[?25;1047l').map((text) => Buffer.from(text)) },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom('\x1b]8;;http://x\x07', '\x1b]8;;\x1b\\', '\x1b]52;c;aGk=', '\u009b31m', '\u0090q')
        .map((text) => Buffer.from(text)),
    },
    { weight: 2, arbitrary: fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes)) },
  );
  return fc.array(piece, { maxLength: 40 }).map((pieces) => Buffer.concat(pieces));
}

/** The bytes as entries, cut at these places (taken modulo the length). */
export function entriesOf(bytes: Uint8Array, cuts: readonly number[] = [], { offset = 0, at = 0 } = {}): Entry[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  const edges = [0, ...places, bytes.length];
  return edges.slice(1).map((end, i) => ({ is: 'output', at, offset: offset + edges[i]!, bytes: bytes.subarray(edges[i]!, end) }));
}
