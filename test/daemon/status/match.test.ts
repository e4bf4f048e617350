import { expect, test } from 'vitest';
import { matchScreen } from '../../../src/daemon/status/match.ts';
import { loadRules } from '../../../src/daemon/status/rules.ts';

/** A rule as a user would write it, for the whole screen. */
function match(conditions: string, text: string) {
  const file = `id: a\nagent: A\nprograms: [a]\nscreen:\n  - { id: r, status: done, priority: 1, region: whole_screen, provenance: read, ${conditions} }`;
  const { rules, problems } = loadRules([{ file: 'a.yaml', text: file, origin: 'user' }]);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return matchScreen(rules.agents[0]!.screen[0]!, { rows: text.split('\n'), title: '', cursorRow: 0, isAlternate: false });
}

test.each([
  ['contains: esc to cancel', 'x\n│ Esc to   │\n│ cancel │', 'esc to cancel'],
  ['all: [b, A]', 'a b', 'b'],
  ['any: [x, b]', 'a b', 'b'],
  ['any: x', 'x', 'x'],
  ['contains: a, not: [c, d]', 'a b', 'a'],
  ["regex: '^a$\\n^b'", 'x\na\nb', 'a b'],
  ["line_regex: '^. yes'", 'a yes\nb yes\nc no', 'b yes'],
  ["any: [no], line_regex: '^a'", 'a yes\nno', 'a yes'],
])('{ %s } matches %j by "%s"', (conditions, text, seen) => {
  expect(match(conditions, text)).toEqual({ matches: true, text: seen });
});

test.each([
  ['contains: c', 'a b', '"c" is not there'],
  ['all: [a, c]', 'a b', '"c" is not there'],
  ['any: [c, d]', 'a b', 'none of "c", "d" is there'],
  ['contains: a, not: [c, B]', 'a b', '"B" is there'],
  ["regex: 'a.b'", 'a\nb', 'nothing matches /a.b/'],
  ["line_regex: 'a\\sb'", 'a\nb', 'no row matches /a\\sb/'],
  ['contains: a', '\n  \n', 'there is nothing in its region'],
])('{ %s } does not match %j: %s', (conditions, text, why) => {
  expect(match(conditions, text)).toEqual({ matches: false, why });
});

test('what is shown of a match is short', () => {
  const found = match("line_regex: 'x+'", 'x'.repeat(300));
  expect(found.matches && found.text).toBe(`${'x'.repeat(99)}…`);
});
