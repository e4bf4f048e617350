import fc from 'fast-check';
import { expect, test } from 'vitest';
import { VERSION } from '../../../src/base/package.ts';
import { QueryFilter } from '../../../src/daemon/terminal/queries.ts';
import { Screen } from '../../../src/daemon/terminal/screen.ts';

/** What is written, and what our screen says to it. */
const ANSWERS: [string, string][] = [
  ['\x1b[5n', '\x1b[0n'],
  ['ab\x1b[6n', '\x1b[1;3R'],
  ['0123456789\x1b[6n', '\x1b[1;10R'], // A pending wrap is still the last column.
  ['\x1b[2;4r\x1b[?6h\x1b[6n', '\x1b[1;1R'], // With origin mode rows count from the margin.
  ['\x1b[3;2H\x1b[?6n', '\x1b[?3;2R'],
  ['\x1b[c', '\x1b[?62;22c'],
  ['\x1b[0c', '\x1b[?62;22c'],
  ['\x1b[>c', '\x1b[>0;276;0c'],
  ['\x1b[=c', '\x1bP!|00000000\x1b\\'],
  ['\x1b[>q', `\x1bP>|ai-session ${VERSION}\x1b\\`],
  ['\x1b[?u', '\x1b[?0u'],
  ['\x1b[>5u\x1b[?u', '\x1b[?5u'],
  ['\x1b[>5u\x1b[?1049h\x1b[?u', '\x1b[?0u'],
  ['\x1b[>5u\x1b[>1u\x1b[<u\x1b[=2;2u\x1b[?u', '\x1b[?7u'],
  ['\x1b[?4m', '\x1b[>4;0m'],
  ['\x1b[>4;2m\x1b[?4m', '\x1b[>4;2m'],
  ['\x1b[?2026$p', '\x1b[?2026;2$y'],
  ['\x1b[?2026h\x1b[?2026$p', '\x1b[?2026;1$y'],
  ['\x1b[?2004h\x1b[?2004$p', '\x1b[?2004;1$y'],
  ['\x1b[?1004h\x1b[?1004$p', '\x1b[?1004;1$y'],
  ['\x1b[?1006h\x1b[?1006$p', '\x1b[?1006;1$y'],
  ['\x1b[?1015h\x1b[?1015$p\x1b[?1006$p', '\x1b[?1015;1$y\x1b[?1006;2$y'],
  ['\x1b[?1003h\x1b[?1003$p\x1b[?1000$p', '\x1b[?1003;1$y\x1b[?1000;2$y'],
  ['\x1b[?25l\x1b[?25$p', '\x1b[?25;2$y'],
  ['\x1b[?1049h\x1b[?1049$p', '\x1b[?1049;1$y'],
  ['\x1b[?7$p', '\x1b[?7;1$y'],
  ['\x1b[?4242$p', '\x1b[?4242;0$y'],
  ['\x1b[4h\x1b[4$p\x1b[20$p\x1b[99$p', '\x1b[4;1$y\x1b[20;2$y\x1b[99;0$y'],
  ['\x1b[14t', '\x1b[4;80;80t'],
  ['\x1b[16t', '\x1b[6;16;8t'],
  ['\x1b[18t', '\x1b[8;5;10t'],
  ['\x1b]11;?\x07', '\x1b]11;rgb:0000/0000/0000\x1b\\'],
  ['\x1b]10;?\x1b\\', '\x1b]10;rgb:d0d0/d0d0/d0d0\x1b\\'],
  ['\x1b]10;?;?\x07', '\x1b]10;rgb:d0d0/d0d0/d0d0\x1b\\\x1b]11;rgb:0000/0000/0000\x1b\\'],
  ['\x1b]11;#102030\x07\x1b]11;?\x07', '\x1b]11;rgb:1010/2020/3030\x1b\\'],
  ['\x1b]12;rgb:f/80/123\x07\x1b]12;?\x07', '\x1b]12;rgb:ffff/8080/1231\x1b\\'],
  ['\x1b]4;1;?;231;?\x07', '\x1b]4;1;rgb:cdcd/0000/0000\x1b\\\x1b]4;231;rgb:ffff/ffff/ffff\x1b\\'],
  ['\x1b]4;1;#fff\x07\x1b]4;1;?\x07\x1b]104;1\x07\x1b]4;1;?\x07', '\x1b]4;1;rgb:ffff/ffff/ffff\x1b\\\x1b]4;1;rgb:cdcd/0000/0000\x1b\\'],
  ['\x1b[1;4:3;38;5;9m\x1bP$qm\x1b\\', '\x1bP1$r0;1;4:3;38;5;9m\x1b\\'],
  ['\x1b[2;4r\x1bP$qr\x1b\\', '\x1bP1$r2;4r\x1b\\'],
  ['\x1b[5 q\x1bP$q q\x1b\\', '\x1bP1$r5 q\x1b\\'],
  ['\x1bP$qz\x1b\\', '\x1bP0$r\x1b\\'],
  ['\x1bP+q544e\x1b\\', '\x1bP0+r544e\x1b\\'],
  ['\x05', ''],
  ['plain \x1b[31mtext\x1b[m\r\n', ''],
];

function ask(bytes: string, isAnswering: boolean): string {
  let answers = '';
  const screen = new Screen({ cols: 10, rows: 5, scrollbackLines: 10, answer: (part) => (answers += Buffer.from(part)) });
  screen.feed(Buffer.from(bytes), isAnswering);
  screen.settle();
  screen.dispose();
  return answers;
}

test.each(ANSWERS)('%j is answered once, with %j', (bytes, answer) => {
  expect(ask(bytes, true)).toBe(answer);
});

test.each(ANSWERS)('%j is not answered when somebody else does', (bytes) => {
  expect(ask(bytes, false)).toBe('');
});

test('each chunk is answered, or not, as it was fed, though all are parsed later', () => {
  let answers = '';
  const screen = new Screen({ cols: 10, rows: 5, scrollbackLines: 10, answer: (part) => (answers += Buffer.from(part)) });
  screen.feed(Buffer.from('a\x1b[6n'), true);
  screen.feed(Buffer.from('b\x1b[6n'), false);
  screen.feed(Buffer.from('c\x1b[6n'), true);
  screen.settle();
  expect(answers).toBe('\x1b[1;2R\x1b[1;4R');
  screen.dispose();
});

const QUERIES = ANSWERS.filter(([, answer]) => answer !== '').flatMap(([bytes]) =>
  [
    ...bytes.matchAll(
      /\x1b(?:\[[\d;]*n|\[\?[\d;]*n|\[[>=]?0?c|\[>q|\[\?u|\[\?4m|\[\??\d+\$p|\[1[468]t|\][^\x07\x1b]*\?(?:\x07|\x1b\\)|P[$+]q[^\x1b]*\x1b\\)/g,
    ),
  ].map(([query]) => query),
);
const MORE_QUERIES = [
  '\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\',
  '\x1b[?2;1;0S',
  '\x1bZ',
  '\x1b]52;c;?\x07',
  '\x1b[21t',
  '\x1b[1$w',
  '\x05',
];
const OTHERS = [
  'text',
  'é漢🙂',
  '\r\n',
  '\x1b[31m',
  '\x1b[?25l',
  '\x1b[2J\x1b[H',
  '\x1b]0;title?\x07',
  '\x1b]0;a?\x1b\\',
  '\x1b]8;;http://x/?q=1\x1b\\',
  '\x1b]4;1;#fff\x07',
  '\x1b]11;#000\x1b\\',
  '\x1b]52;c;aGk=\x07',
  '\x1b[>1u',
  '\x1b[<u',
  '\x1b[=5u',
  '\x1b[u',
  '\x1b[s',
  '\x1b[>4;2m',
  '\x1b[22;0t',
  '\x1b[8;24;80t',
  '\x1b[5 q',
  '\x1b[0"q',
  '\x1b[5S',
  '\x1b[2;3r',
  '\x1b_Ga=T,f=24;AAAA\x1b\\',
  '\x1bPq#0~~-\x1b\\',
  '\x1bP0;1q~\x1b\\',
  '\x1b(0',
  '\x1b7',
  '\x1b8',
  '\x1b=',
  '\x1b\\',
  '\x1b\x1b[m',
  '\x1b[31\x18m',
  '\x1b[3\n1m',
  '\x1b[!p',
  '\x1b]133;A\x07',
  '\x1b[>4n',
  '\x1b^pm\x1b\\',
];

function strip(bytes: Buffer, cuts: readonly number[] = []): string {
  const filter = new QueryFilter();
  const at = [0, ...[...cuts].map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at
    .slice(1)
    .map((end, i) => Buffer.from(filter.strip(bytes.subarray(at[i]!, end))).toString('latin1'))
    .join('');
}

test.each([...QUERIES, ...MORE_QUERIES])('the query %j is taken out', (query) => {
  expect(strip(Buffer.from(`a${query}b`))).toBe('ab');
});

test.each(OTHERS)('%j passes', (bytes) => {
  expect(strip(Buffer.from(`a${bytes}b`))).toBe(Buffer.from(`a${bytes}b`).toString('latin1'));
});

test('controls inside a query stay, what a query cut short is still ended', () => {
  expect(strip(Buffer.from('a\x1b[\r\n6nb'))).toBe('a\r\nb');
  expect(strip(Buffer.from('a\x1b[6\x1b[31mb'))).toBe('a\x1b[6\x1b[31mb');
  expect(strip(Buffer.from('a\x1b]11;?\x1b[31mb'))).toBe('a\x1b[31mb');
  expect(strip(Buffer.from('a\x1b]0;t\x1b[6nb'))).toBe('a\x1b]0;t\x1b\\b');
  expect(strip(Buffer.from('a\x1b[3\x1b[6nb'))).toBe('a\x1b[3\x1b\\b');
});

test('a long string is not held back', () => {
  const filter = new QueryFilter();
  const image = Buffer.from(`\x1bPq${'~'.repeat(10_000)}`);
  expect(filter.strip(image).length).toBeGreaterThan(10_000 - 4096);
  expect(Buffer.from(filter.strip(Buffer.from('\x1b\\a\x1b[6nb'))).toString()).toBe('\x1b\\ab');
});

test('a filter that is ended gives back what it held', () => {
  for (const [begun, held] of [
    ['a\x1b[6', '\x1b[6'],
    ['a\x1b', '\x1b'],
    ['a\x1b]11;?\x1b', '\x1b]11;?\x1b'],
    ['a', ''],
  ] as const) {
    const filter = new QueryFilter();
    expect(Buffer.from(filter.strip(Buffer.from(begun))).toString()).toBe('a');
    expect(Buffer.from(filter.release()).toString()).toBe(held);
    expect(Buffer.from(filter.strip(Buffer.from('b'))).toString()).toBe('b');
  }
});

test('whatever the chunks, the same is taken out; what holds no query passes byte for byte', () => {
  const parts = fc.array(
    fc.oneof(
      fc.constantFrom(...QUERIES, ...MORE_QUERIES),
      fc.constantFrom(...OTHERS),
      fc.constantFrom('\x1b', '\x1b[', '\x1b]', '\x1bP', '\x18', '\x07', '?', '6n', 'x'.repeat(5000)),
    ),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(parts, fc.array(fc.nat(), { maxLength: 8 }), (all, cuts) => {
      const bytes = Buffer.from(all.join(''));
      expect(strip(bytes, cuts)).toBe(strip(bytes));
      expect(strip(bytes, Array.from(bytes.keys()).slice(0, 3000))).toBe(strip(bytes));
    }),
    { numRuns: 400 },
  );
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...OTHERS), { maxLength: 20 }), fc.array(fc.nat(), { maxLength: 8 }), (all, cuts) => {
      const bytes = Buffer.from(`${all.join('')}.`);
      expect(strip(bytes, cuts)).toBe(bytes.toString('latin1'));
    }),
    { numRuns: 400 },
  );
});
