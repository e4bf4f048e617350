import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ReportQuestions } from '../../../src/daemon/terminal/report-questions.ts';

/** What is shown and answered of bytes that come in these chunks. */
function through(chunks: readonly Buffer[]): { shown: string; answer: string } {
  const questions = new ReportQuestions();
  let answer = '';
  const shown: Uint8Array[] = [];
  for (const chunk of chunks) {
    const found = questions.push(chunk);
    shown.push(Buffer.from(found.shown));
    answer += found.answer;
  }
  shown.push(questions.release());
  return { shown: Buffer.concat(shown).toString('latin1'), answer };
}

test.each([
  ['a\x1b]7501;?\x1b\\b', '\x1b]7501;?\x1b\\'],
  ['a\x1b]7501;?\x07b', '\x1b]7501;?\x07'],
  ['a\x1b]7501;?:future=1\x07b', '\x1b]7501;?\x07'],
  ['a\x1b]7501;?\x07\x1b]7501;?\x1b\\b', '\x1b]7501;?\x07\x1b]7501;?\x1b\\'],
])('the question %j is taken out and answered as it was asked', (bytes, answer) => {
  expect(through([Buffer.from(bytes)])).toEqual({ shown: 'ab', answer });
});

const OTHERS = [
  '\x1b]7501;state=idle:app=codex\x1b\\',
  '\x1b]75010;?\x07',
  '\x1b]7501\x07',
  '\x1b]7501;?\x1b[c',
  '\x1b]7501;?\x18\x07',
  '\x1b]7501;?\n\x07',
  `\x1b]7501;?${'x'.repeat(300)}\x07`,
  '\x1b]7501;?',
  '\x1b]7501;?\x1b',
  '\x1b]11;?\x07',
  '\x1b\x1b]',
  'a lone \x1b',
];

test.each(OTHERS)('%j is none', (bytes) => {
  expect(through([Buffer.from(bytes)])).toEqual({ shown: bytes, answer: '' });
});

test('a question is one however it is cut', () => {
  const piece = fc.constantFrom(...OTHERS, '\x1b]7501;?\x1b\\', '\x1b]7501;?\x07', '\x1b', ']7501;?', '\\', '\x07', 'x'.repeat(250));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 8 }), (pieces, cuts) => {
      const bytes = Buffer.from(pieces.join(''));
      const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
      const chunks = at.slice(1).map((end, i) => bytes.subarray(at[i]!, end));
      expect(through(chunks)).toEqual(through([bytes]));
    }),
  );
});

test('nothing but what may become one is held back', () => {
  const questions = new ReportQuestions();
  for (const [bytes, held] of [
    ['text', 0],
    ['text\x1b]7501', 6],
    [';?', 8],
    ['x', 9],
    ['\x1b', 10],
    ['[c', 0],
    [`\x1b]7501;?${'x'.repeat(246)}`, 254],
    ['xx', 0],
  ] as const) {
    questions.push(Buffer.from(bytes));
    expect(questions.held).toBe(held);
  }
});
