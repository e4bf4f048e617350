import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compilePattern } from '../../../src/daemon/status/pattern.ts';

function find(source: string, text: string): string | null {
  const compiled = compilePattern(source);
  if (!compiled.ok) throw new Error(compiled.reason);
  const found = compiled.pattern.find(text);
  return found && text.slice(found.start, found.end);
}

test.each([
  ['abc', 'xabcx', 'abc'],
  ['^abc$', 'x\nabc\nx', 'abc'],
  ['^b', 'ab', null],
  ['a.c', 'a\nc', null],
  ['a(b|cd)*e', 'xacdbe', 'acdbe'],
  ['(?:a|ab)(?:c|bcd)', 'abcd', 'abcd'],
  ['\\bword\\b', 'a sword, a word', 'word'],
  ['\\d{2,3}', '1 1234', '123'],
  ['[^a-c]+', 'abcxyz', 'xyz'],
  ['[⠀-⣿] ', '⠹ Thinking', '⠹ '],
  ['[\\u2800-\\u28ff]', '⠹', '⠹'],
  ['\\u{1f600}+', 'x😀😀', '😀😀'],
  ['(?i)esc to [A-C]ancel', 'ESC TO CANCEL', 'ESC TO CANCEL'],
  ['a*?b', 'aaab', 'aaab'],
  ['', 'abc', ''],
  ['x*$', 'a\n', ''],
  ['\\[Yes\\]: *$', 'again [Yes]: ', '[Yes]: '],
  ['a]', 'a]', 'a]'],
])('/%s/ in %j finds %j', (source, text, found) => {
  expect(find(source, text)).toBe(found);
});

test.each([
  ['(a)\\1', '"\\1" refers back to a group, which is not possible here'],
  ['a(?=b)', 'of groups that begin with "(?" only "(?:" is known, and "(?i)" at the start: nothing can look ahead or behind'],
  ['(?<name>a)', 'of groups that begin with "(?" only "(?:" is known, and "(?i)" at the start: nothing can look ahead or behind'],
  ['(a', 'a "(" is not closed; write "\\(" for the character'],
  ['a)', 'a ")" closes nothing; write "\\)" for the character'],
  ['[a', 'a "[" is not closed; write "\\[" for the character'],
  ['*a', 'nothing stands before "*"; write "\\*" for the character'],
  ['a{x}', '"{" begins a count such as "{2,5}"; write "\\{" for the character'],
  ['a{3,2}', '"{3,2}" counts backwards'],
  ['a**', 'a quantifier follows a quantifier'],
  ['^*', '"^", "$" and "\\b" cannot be repeated'],
  ['[z-a]', 'a range goes backwards'],
  ['\\', 'it ends in a backslash'],
  ['\\p{L}', '"\\p" is not known'],
  ['\\u12', '"\\u" needs a code, such as "\\u2800"'],
  ['(((((a{9}){9}){9}){9}){9})', 'written out it has more than 200 steps: repeat less'],
  [`${'('.repeat(21)}a${')'.repeat(21)}`, 'its groups are nested more than 20 deep'],
  ['a'.repeat(301), 'it has 301 characters, and 300 are allowed'],
])('/%s/ is refused: %s', (source, reason) => {
  expect(compilePattern(source)).toEqual({ ok: false, reason });
});

/** JavaScript's own takes longer than the universe for each of these. */
test.each([
  ['(a+)+$', 'a'],
  ['(a*)*b', 'a'],
  ['(a|a)*b', 'a'],
  ['(a|aa)+$', 'a'],
  ['(.*)*(.*)*(.*)*x', 'a'],
  ['(a?){50}a{50}b', 'a'],
  ['([a-z]+\\s?)+!', 'ab '],
  ['^(([a-z])+.)+[A-Z]([a-z])+$', 'a'],
])('/%s/ on 200,000 hostile characters is answered', (source, piece) => {
  expect(find(source, `${piece.repeat(200_000 / piece.length)}?`)).toBeNull();
});

test('of a long text the end is searched', () => {
  const compiled = compilePattern('[ab]');
  if (!compiled.ok) throw new Error(compiled.reason);
  expect(compiled.pattern.find(`a${'x'.repeat(20_000)}b`)).toEqual({ start: 20_001, end: 20_002 });
});

test('a search takes no more steps than the pattern has, for each character', () => {
  let looks = 0;
  const text = new Proxy(new String('a'.repeat(1000)), {
    get(target, name) {
      if (name === 'codePointAt') looks++;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
    },
  }) as unknown as string;
  const compiled = compilePattern('(a*)*b');
  expect(compiled.ok && compiled.pattern.find(text)).toBeNull();
  // A pattern of 8 steps is entered at most 8 times for each character, and each looks at the next one.
  expect(looks).toBeLessThan(1000 * 10);
});

/** What both engines have, over a small alphabet, so that much of it matches. */
const atom = fc.constantFrom('a', 'b', '\\d', '[ab]', '[^a]', '.', '\\b', '^', '$', ' ', '\\w', '\\s', '😀');
const source = fc.letrec<{ tree: string; part: string }>((tie) => ({
  part: fc.oneof(
    { depthSize: 'small' },
    atom,
    fc.tuple(tie('tree'), fc.constantFrom('', '*', '+', '?', '{2}', '{1,3}', '{0,1}')).map(([tree, times]) => `(?:${tree})${times}`),
  ),
  tree: fc.oneof(
    { depthSize: 'small' },
    tie('part'),
    fc.array(tie('part'), { minLength: 1, maxLength: 3 }).map((parts) => parts.join('')),
    fc.tuple(tie('part'), tie('part')).map((parts) => parts.join('|')),
  ),
})).tree;
const text = fc.array(fc.constantFrom('a', 'b', '1', ' ', '\n', '😀'), { maxLength: 12 }).map((chars) => chars.join(''));

test('it finds something where JavaScript does, and begins at the same place', () => {
  fc.assert(
    fc.property(source, text, (pattern, where) => {
      const compiled = compilePattern(pattern);
      // Repetitions of repetitions can be too many.
      fc.pre(compiled.ok);
      expect(compiled.pattern.find(where)?.start).toEqual(new RegExp(pattern, 'mu').exec(where)?.index);
    }),
    { numRuns: 2000 },
  );
});
