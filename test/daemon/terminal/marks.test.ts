import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Mark, MarkFilter } from '../../../src/daemon/terminal/marks.ts';

const NONCE = 'abcdef0123456789';
const mark = (letter: string, status?: number, nonce = NONCE) =>
  `\x1b]633;${letter}${status === undefined ? '' : `;${status}`};${nonce}\x07`;

/** What is shown and told of bytes that come in these chunks. */
function through(chunks: readonly Buffer[]): { shown: string; marks: Mark[] } {
  const filter = new MarkFilter(NONCE);
  let offset = 0;
  const marks: Mark[] = [];
  const shown: Uint8Array[] = [];
  for (const chunk of chunks) {
    const before = filter.held;
    const found = filter.push(offset, chunk);
    offset += chunk.length;
    const marked = found.marks.reduce((sum, { offset, end }) => sum + end - offset, 0);
    expect(found.shown.length).toBe(before + chunk.length - marked - filter.held);
    shown.push(Buffer.from(found.shown));
    marks.push(...found.marks);
  }
  shown.push(filter.release());
  return { shown: Buffer.concat(shown).toString('latin1'), marks };
}

test('our marks are taken out and told with their places', () => {
  const bytes = `$ ${mark('C')}out\r\n${mark('D', 127)}${mark('A')}$ `;
  expect(through([Buffer.from(bytes)])).toEqual({
    shown: '$ out\r\n$ ',
    marks: [
      { letter: 'C', status: null, offset: 2, end: 2 + mark('C').length },
      { letter: 'D', status: 127, offset: bytes.indexOf(mark('D', 127)), end: bytes.indexOf(mark('A')) },
      { letter: 'A', status: null, offset: bytes.indexOf(mark('A')), end: bytes.length - 2 },
    ],
  });
});

test('what is not ours is text', () => {
  for (const text of [
    mark('C', undefined, 'fedcba9876543210'),
    '\x1b]633;C\x07',
    `\x1b]633;E;${NONCE}\x07`,
    `\x1b]633;D;1234;${NONCE}\x07`,
    `\x1b]633;A;${NONCE}\x1b\\`,
    `\x1b]633;${'x'.repeat(500)}`,
    '\x1b]133;A\x07',
    'a lone \x1b',
  ])
    expect(through([Buffer.from(text)])).toEqual({ shown: text, marks: [] });
});

test('a mark is one however it is cut, and nothing else is held back for long', () => {
  const piece = fc.oneof(
    fc.constantFrom(mark('A'), mark('B'), mark('C'), mark('D', 0), mark('D', 130)),
    fc.constantFrom(
      mark('C', undefined, 'fedcba9876543210'),
      '\x1b]633;',
      '\x1b',
      '\x1b[1m',
      '\x1b]633;D;0',
      `;${NONCE}\x07`,
      '\x1b]0;title\x07',
    ),
    fc.string({ maxLength: 5 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.array(fc.nat({ max: 9 }), { maxLength: 60 }), (pieces, cuts) => {
      const bytes = Buffer.from(pieces.join(''));
      const chunks: Buffer[] = [];
      let at = 0;
      for (const cut of cuts) chunks.push(bytes.subarray(at, (at = Math.min(bytes.length, at + cut))));
      chunks.push(bytes.subarray(at));
      const whole = through([bytes]);
      expect(through(chunks)).toEqual(whole);
      // Nothing was lost: what is shown and what was told are all there was.
      let shown = bytes.toString('latin1');
      for (const { offset, end } of [...whole.marks].reverse()) shown = shown.slice(0, offset) + shown.slice(end);
      expect(whole.shown).toBe(shown);
    }),
    { numRuns: 3000 },
  );
});
