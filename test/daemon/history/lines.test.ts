import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Line, LineAssembler } from '../../../src/daemon/history/lines.ts';
import type { Entry } from '../../../src/daemon/persistence/journal/entry.ts';
import { lookOfCell, PLAIN, sameLook } from '../../../src/daemon/terminal/attributes.ts';
import { Screen } from '../../../src/daemon/terminal/screen.ts';
import { anyBytes, CHARACTERS, entriesOf, SEED, withinLine } from './streams.ts';

function linesOf(entries: Iterable<Entry>, options: { keepsLooks?: boolean } = {}): Line[] {
  const assembler = new LineAssembler(options);
  const lines: Line[] = [];
  for (const entry of entries) lines.push(...assembler.push(entry));
  return [...lines, ...assembler.flush()];
}

const textsOf = (output: string | Uint8Array, options = {}) => linesOf(entriesOf(Buffer.from(output)), options).map(({ text }) => text);

test.each<[string, string, string[]]>([
  ['lines end with LF, and empty ones are lines', 'a\r\n\r\nb\n', ['a', '', 'b']],
  ['a line without an end is told by flush', 'a\n$ ', ['a', '$']],
  ['blanks at the end are left out', 'a  \t \n  \n', ['a', '']],
  ['a progress bar leaves what it showed last', '10%\r50%\r100%\n', ['100%']],
  ['what is shorter overwrites a part', 'Downloading\rDone\n', ['Doneloading']],
  ['and all with an erase', 'Downloading\r\x1b[KDone\n', ['Done']],
  ['an erased line is empty', 'Downloading\x1b[2K\r\n', ['']],
  ['BS goes back', 'abc\b\bX\n', ['aXc']],
  ['TAB is blanks up to a multiple of eight', 'a\tb\t\tc\n', ['a       b               c']],
  ['wide characters have two columns', '漢字\x1b[3Gx\n', ['漢x']],
  ['half of one leaves a blank', '漢字\x1b[2Gx\n', [' x字']],
  ['columns are reached from either side', 'ab\x1b[3Cc\x1b[5Dd\x1b[10Ge\n', ['adb  c   e'.replace('adb', 'ad ')]],
  ['characters are deleted, inserted and erased', 'abcdef\r\x1b[2Pgh\x1b[2@ij\x1b[Xk\n', ['ghijk'.concat('f')]],
  ['colors, titles, modes and queries leave nothing', '\x1b[1;31mred\x1b[m\x1b]0;t\x07\x1b[?25l\x1b[6n\x1b]10;?\x1b\\ end\n', ['red end']],
  ['strings of every kind leave nothing', '1\x1b]a\x072\x1bPb\x1b\\3\x1b_c\x1b\\4\x1b^d\x1b\\5\x1bXe\x1b\\6\x1b]f\x1b\\7\n', ['1234567']],
  ['C1 controls are controls', '1\u009b31m2\u009d0;t\u009c3\u00854\n', ['123', '4']],
  ['a wrapped line is one', `${'x'.repeat(3000)}\r\n`, ['x'.repeat(3000)]],
  ['going to another row finishes the line', 'one\x1b[Btwo\x1b[Hthree\x1b[2;3Hfour\n', ['one', '   two', 'three', '  four']],
  ['clear finishes the line', 'left\x1b[H\x1b[2J\x1b[3Jnew\n', ['left', 'new']],
  ['erasing the screen alone does, too', 'left\x1b[2Jnew\n', ['left', '    new']],
  ['erasing what is below does not', 'prompt\r\x1b[Jagain\n', ['again']],
  ['going up from an empty line does not make one', 'a\n\x1b[A\x1b[2K\x1b[Gb\n', ['a', 'b']],
  ['a reset finishes the line', 'one\x1bctwo\n', ['one', 'two']],
  ['the alternate screen is not lines', 'vim\x1b[?1049h\x1b[Hnot\nlines\x1b[?1049lback\n', ['vim', 'back']],
  ['under each of its names', 'a\x1b[?47hb\x1b[?47lc\x1b[?25;1047hd\x1b[?1047;25le\n', ['a', 'c', 'e']],
  ['line drawing is what it looks like', '\x1b(0lqk\x1b(B lqk\n', ['┌─┐ lqk']],
  ['a cursor that comes back in its line goes on there', 'ab\x1b7cd\x1b8X\n', ['abXd']],
  ['a cursor that comes back from elsewhere goes on in another', 'ab\x1b7\x1b[Hcd\x1b8X\n', ['ab', 'cd', '  X']],
  ['a repeated character is repeated', '-\x1b[4b|\n', ['-----|']],
  ['invalid bytes are replaced', 'bad\n', ['bad']],
])('%s', (_, output, expected) => {
  expect(textsOf(output)).toEqual(expected);
});

test('invalid UTF-8 becomes U+FFFD, as often as in a browser', () => {
  const bytes = Buffer.from([
    0x61, 0xff, 0xe0, 0x80, 0x80, 0xf0, 0x80, 0x80, 0x80, 0x62, 0xe2, 0x82, 0x63, 0xc0, 0x80, 0xed, 0xa0, 0x80, 0xf4, 0x90, 0x80, 0x80,
    0xe2, 0x82, 0x0a, 0xf0, 0x9f,
  ]);
  expect(textsOf(bytes)).toEqual(new TextDecoder().decode(bytes).split('\n'));
});

test('a line knows its bytes and when it was finished', () => {
  const entries: Entry[] = [
    { is: 'resize', at: 1, offset: 100, cols: 80, rows: 24 },
    { is: 'output', at: 2, offset: 100, bytes: Buffer.from('one\r\ntw') },
    { is: 'input', at: 3, offset: 107, length: 4 },
    { is: 'output', at: 4, offset: 107, bytes: Buffer.from('o\r\nthree \x1b[H\x1b[1mfour') },
  ];
  expect(linesOf(entries)).toEqual([
    { text: 'one', offset: 100, end: 105, at: 2 },
    { text: 'two', offset: 105, end: 110, at: 4 },
    { text: 'three', offset: 110, end: 116, at: 4 },
    { text: 'four', offset: 116, end: 127, at: 4 },
  ]);
});

test('lines do not overlap, even if one ends within a sequence', () => {
  expect(linesOf(entriesOf(Buffer.from('a\x1b[\nAb\n'))).map(({ text, offset, end }) => [text, offset, end])).toEqual([
    ['a', 0, 4],
    ['b', 4, 7],
  ]);
});

test('a gap finishes the line, is a line, and ends whatever was going on', () => {
  const gap: Entry = { is: 'gap', at: 5, offset: 8, to: 1_234_575, because: 'budget' };
  const before: Entry[] = [{ is: 'output', at: 1, offset: 0, bytes: Buffer.from('cut\x1b]0;t') }];
  const after: Entry[] = [{ is: 'output', at: 6, offset: 1_234_575, bytes: Buffer.from('next\n') }];
  expect(linesOf([...before, gap, ...after])).toEqual([
    { text: 'cut', offset: 0, end: 8, at: 5 },
    { text: '[... 1,234,567 bytes were not kept: budget ...]', offset: 8, end: 1_234_575, at: 5 },
    { text: 'next', offset: 1_234_575, end: 1_234_580, at: 6 },
  ]);
  const alternate: Entry[] = [{ is: 'output', at: 1, offset: 0, bytes: Buffer.from('\x1b[?1049h') }];
  expect(linesOf([...alternate, { ...gap, to: 9, because: 'disk' }, ...after]).map(({ text }) => text)).toEqual([
    '[... 1 byte was not kept: disk ...]',
    'next',
  ]);
});

test("another pane's journal begins another line", () => {
  const first: Entry[] = [{ is: 'output', at: 1, offset: 500, bytes: Buffer.from('old\x1b(0\x1b[?1049h\x1b]0;t') }];
  const second: Entry[] = [{ is: 'output', at: 2, offset: 0, bytes: Buffer.from('qed\n') }];
  expect(linesOf([...first, ...second])).toEqual([
    { text: 'old', offset: 500, end: 506, at: 1 },
    { text: 'qed', offset: 0, end: 4, at: 2 },
  ]);
});

test('a cursor sent to the right stops where the terminal does', () => {
  const sized = (bytes: string): Entry[] => [{ is: 'resize', at: 0, offset: 0, cols: 20, rows: 5 }, ...entriesOf(Buffer.from(bytes))];
  expect(linesOf(sized('\x1b[999Cx\r\x1b[999Gy\n')).map(({ text }) => text)).toEqual([`${' '.repeat(19)}y`]);
});

test('what is pushed over the right edge is gone, and so is the other half of it', () => {
  const pushed: Entry[] = [{ is: 'resize', at: 0, offset: 0, cols: 10, rows: 5 }, ...entriesOf(Buffer.from('abcdefgh漢\r\x1b[@\n'))];
  expect(linesOf(pushed).map(({ text }) => text)).toEqual([' abcdefgh']);
});

test('a line of more than 64 KiB comes in pieces of that size, which hold all of it', () => {
  const long = `${'word and '.repeat(20_000)}.`;
  const lines = linesOf(entriesOf(Buffer.from(`${long}\nnext\n`), [1, 70_000, 140_000]));
  expect(lines.map(({ text }) => text.length)).toEqual([65_536, 65_536, long.length - 131_072, 4]);
  expect(
    lines
      .slice(0, 3)
      .map(({ text }) => text)
      .join(''),
  ).toBe(long);
  expect(lines.map(({ offset, end }) => [offset, end])).toEqual([
    [0, 65_536],
    [65_536, 131_072],
    [131_072, 180_002],
    [180_002, 180_007],
  ]);
  // A blank at the end of a piece stands in the middle of the line.
  for (const pattern of ['x ', 'é ']) expect(textsOf(`${pattern.repeat(50_000)}.`).join('')).toBe(`${pattern.repeat(50_000)}.`);
  const wide = '漢'.repeat(40_000);
  expect(textsOf(wide).map((text) => text.length)).toEqual([32_768, 7_232]);
});

test('one cell with marks without end is cut too, and a bar that is drawn without end is not', () => {
  const texts = textsOf(`a${'\u0301'.repeat(200_000)}\n`);
  expect(Math.max(...texts.map((text) => text.length))).toBeLessThan(70_000);
  expect(texts.join('')).toHaveLength(200_001);
  expect(textsOf('e\u0301e\u0301\r'.repeat(100_000))).toEqual(['e\u0301e\u0301']);
});

test('a string without an end hides 8 MiB and no more', () => {
  const bytes = Buffer.concat([Buffer.from('before\x1b]52;c;'), Buffer.alloc(9 << 20, 'x'), Buffer.from('\nafter\n')]);
  const entries = entriesOf(bytes, [10, 100_000, 8_388_600, 8_388_700]);
  const lines = linesOf(entries);
  expect(lines.map(({ text }) => text.slice(0, 10)).slice(-1)).toEqual(['after']);
  expect(lines[0]!.text.startsWith('beforexxxx')).toBe(true);
  expect(lines.reduce((sum, { text }) => sum + text.length, 0)).toBe(bytes.length - (8 << 20) - 2);
});

test('however the bytes are cut into entries, the lines are the same, one after the other, and none lacks a byte', () => {
  fc.assert(
    fc.property(anyBytes(), fc.array(fc.nat(400), { maxLength: 12 }), fc.boolean(), (bytes, cuts, keepsLooks) => {
      const whole = linesOf(entriesOf(bytes), { keepsLooks });
      expect(linesOf(entriesOf(bytes, cuts), { keepsLooks })).toEqual(whole);
      expect(linesOf(entriesOf(bytes, [...bytes.keys()]), { keepsLooks })).toEqual(whole);
      let last = 0;
      for (const { offset, end } of whole) {
        expect(offset).toBeGreaterThanOrEqual(last);
        expect(end).toBeGreaterThanOrEqual(offset);
        last = end;
      }
      expect(last).toBeLessThanOrEqual(bytes.length);
      for (const { text } of whole) expect(text).not.toMatch(keepsLooks ? /[\x00-\x1a\x1c-\x1f\x7f-\x9f]/ : /[\x00-\x1f\x7f-\x9f]/);
    }),
    { seed: SEED, numRuns: 500 },
  );
});

const printable = fc
  .array(fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...CHARACTERS) }, { weight: 1, arbitrary: fc.string({ unit: 'binary' }) }), {
    maxLength: 20,
  })
  .map((parts) => parts.join('').replace(/\p{C}/gu, (character) => (/[\u200d]/.test(character) ? character : '')));

test('of a program that prints lines, those are the lines, and each can be had from its own bytes', () => {
  fc.assert(
    fc.property(
      fc.array(printable, { maxLength: 8 }),
      fc.array(fc.nat(200), { maxLength: 6 }),
      fc.constantFrom('\n', '\r\n'),
      (texts, cuts, ending) => {
        const bytes = Buffer.from(texts.map((text) => text + ending).join(''));
        const lines = linesOf(entriesOf(bytes, cuts, { offset: 1000 }));
        expect(lines.map(({ text }) => text)).toEqual(texts.map((text) => text.replace(/ +$/, '')));
        for (const { text, offset, end } of lines)
          expect(linesOf(entriesOf(bytes.subarray(offset - 1000, end - 1000))).map((line) => line.text)).toEqual([text]);
      },
    ),
    { seed: SEED, numRuns: 500 },
  );
});

const COLS = 300;
/** Without a saved cursor ESC 8 goes to another row. */
const SAVED = '\x1b7';

function screenOf(output: string): Screen {
  const screen = new Screen({ cols: COLS, rows: 3, scrollbackLines: 0, answer: () => {} });
  screen.feed(Buffer.from(output), false);
  screen.settle();
  return screen;
}

const sized = (output: string): Entry[] => [{ is: 'resize', at: 0, offset: 0, cols: COLS, rows: 3 }, ...entriesOf(Buffer.from(output))];

test('within a line narrower than the terminal, the line is what the emulator shows in that row', () => {
  const output = fc
    .array(withinLine({ colors: ['', '1', '31', '7', '48;5;9'] }), { maxLength: 12 })
    .map((parts) => `${SAVED}${parts.join('')}`);
  fc.assert(
    fc.property(output, (bytes) => {
      const screen = screenOf(bytes);
      expect(linesOf(sized(bytes))[0]?.text ?? '').toBe(screen.lines({ from: 0, to: 0 })[0]);
      screen.dispose();
    }),
    { seed: SEED, numRuns: 1000 },
  );
});

test('in insert mode and with repeated characters too, where the emulator itself is right', () => {
  const within = withinLine({ colors: [''], characters: ['a', 'b', ' ', '漢', 'é'] });
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 5, arbitrary: within }, fc.constantFrom('\x1b[4h', '\x1b[4l', '\x1b[0b', '\x1b[7b')), { maxLength: 12 }),
      (parts) => {
        const screen = screenOf(SAVED + parts.join(''));
        expect(linesOf(sized(SAVED + parts.join('')))[0]?.text ?? '').toBe(screen.lines({ from: 0, to: 0 })[0]);
        screen.dispose();
      },
    ),
    { seed: SEED, numRuns: 500 },
  );
});

/** What one can see of a row: characters and their looks, blanks of no account left out. */
function visible(screen: Screen): string[] {
  const { engine } = screen.emulator;
  const line = engine.normal.lines.get(engine.normal.ybase)!;
  const cells = Array.from({ length: line.length }, (_, x) => {
    const content = line._data[x * 3]!;
    const text = content & 0x200000 ? line._combined[x]! : content & 0x1fffff ? String.fromCodePoint(content & 0x1fffff) : ' ';
    const { link, ...look } = lookOfCell(line, x);
    const { fg, bg, underline } = look;
    const isSeen = text !== ' ' || (!sameLook({ ...look, link: 0 }, PLAIN) && (fg & 0x84000000 || bg & 0x43ffffff || underline));
    return content >>> 22 === 0 ? '' : isSeen ? `${text}|${JSON.stringify(look)}${link ? engine.links.get(link)!.uri : ''}` : ' ';
  });
  while (cells.at(-1) === ' ' || cells.at(-1) === '') cells.pop();
  return cells;
}

test('with looks, a terminal shows the line as it was', () => {
  const styles = ['', '0', '1', '2', '3', '4', '4:3', '21', '5', '7', '8', '9', '22', '23', '24', '25', '27', '28', '29', '53', '55'];
  const colors = [...styles, '31', '97', '39', '38;5;196', '38;2;1;2;3', '38:2::9:8:7', '58;5;9', '4;58:2::1:2:3', '1;4;38;5;7;9', '38;5'];
  // What stands alone after a motion would join its neighbour without the motion; and half a character leaves a blank without a look.
  const characters = ['a', 'b', ' ', 'é', '—', '│', '€', 'e\u0301', 'ก็', '𝐀'];
  const parts = fc.oneof(
    withinLine({ colors, characters }),
    fc.constantFrom('\x1b]8;;http://x/y\x1b\\', '\x1b]8;id=a;https://z\x07', '\x1b]8;;\x07'),
  );
  expect(textsOf('\x1b[32m漢🙂\x1b[m\n', { keepsLooks: true })).toEqual(['\x1b[32m漢🙂\x1b[m']);
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 14 }), (all) => {
      const bytes = SAVED + all.join('');
      const [original, again] = [screenOf(bytes), screenOf(linesOf(sized(`${bytes}\n`), { keepsLooks: true })[0]!.text)];
      expect(visible(again)).toEqual(visible(original));
      expect(again.emulator.engine.pen.fg).toBe(0);
    }),
    { seed: SEED, numRuns: 350 },
  );
});

test('with looks, backgrounds are kept, and blanks in them', () => {
  expect(textsOf('\x1b[44m bar  \x1b[m  \n\x1b[31m a  \n', { keepsLooks: true })).toEqual(['\x1b[44m bar  \x1b[m', '\x1b[31m a\x1b[m']);
});
