import { expect, test } from 'vitest';
import { cut, readRegion, type View } from '../../../src/daemon/status/regions.ts';

const rule = '─'.repeat(40);

function view(text: string, cursorRow = 0): View {
  return { rows: text.split('\n'), title: 'a title', cursorRow, isAlternate: false };
}

const claude = view(`before\n${rule}\n❯ typed\n  more\n${rule}\n  a footer\n`, 2);
const gemini = view(` spinner\n\n▄${'▄'.repeat(20)}\n > typed\n▀${'▀'.repeat(20)}\n footer`, 3);
const opencode = view(`  ┃  said\n\n  ┃\n  ┃  typed\n  ╹${'▀'.repeat(20)}\n   footer`, 3);
const dialog = view(`above\n╭${'─'.repeat(20)}╮\n│ ╭${'─'.repeat(16)}╮ │\n│ │ inner │ │\n│ ● 1. Yes │\n╰${'─'.repeat(20)}╯\n\n`, 5);

test.each([
  ['title', claude, ['a title']],
  ['whole_screen', view('a  \n│ b │\n'), ['a', ' b', '']],
  ['bottom_non_empty_lines(2)', view('a\n\nb\n\nc\n\n'), ['b', 'c']],
  ['cursor_lines(2)', view('a\nb\nc\n\n', 2), ['b', 'c']],
  ['cursor_lines(1)', view('a\nb\nc\n', 1), []],
  ['after_last_horizontal_rule', claude, ['  a footer', '']],
  ['after_last_horizontal_rule', view('nothing\ndrawn'), []],
  ['after_last_horizontal_rule', view(`${'─'.repeat(10)} a label ──\nx`), ['x']],
  ['after_last_horizontal_rule', view(`${rule}\nnow\n  ${rule}\n  quoted`), ['now', `  ${rule}`, '  quoted']],
  ['prompt_box', claude, ['❯ typed', '  more']],
  ['prompt_box', gemini, [' > typed']],
  ['prompt_box', opencode, ['', '    typed']],
  ['prompt_box', view(`${rule}\nno marker\n${rule}`), []],
  ['prompt_box', view(`${rule}\n❯ a\n${'page\n'.repeat(21)}${rule}`), []],
  ['above_prompt_box(1)', gemini, [' spinner']],
  ['above_prompt_box(3)', claude, ['before']],
  ['after_prompt_box', claude, ['  a footer', '']],
  ['after_prompt_box', gemini, [' footer']],
  ['after_prompt_box', opencode, ['   footer']],
  ['after_prompt_box', dialog, []],
  ['screen_without_prompt_box', claude, []],
  ['screen_without_prompt_box', view('a\nb'), ['a', 'b']],
  ['bottom_box', dialog, [` ╭${'─'.repeat(16)}╮`, ' │ inner │', ' ● 1. Yes']],
  ['bottom_box', view(`${dialog.rows.join('\n')}something below`), []],
  ['bottom_box', view(`│ its top is out of sight │\n╰${'─'.repeat(20)}╯`), [' its top is out of sight']],
  ['after_last_prompt_marker', view('› said\nanswer\n› 1. Yes\n  2. No'), ['› 1. Yes', '  2. No']],
  ['after_last_prompt_marker', view('x\n  › 1. Yes\n    › quoted'), ['  › 1. Yes', '    › quoted']],
  ['after_last_prompt_marker', view('x\n❯\u00a0typed'), ['❯ typed']],
  ['after_last_prompt_marker', view('nobody\nasks'), []],
  ['before_last_prompt_marker(2)', view('a\nb\n\nc\n› \nfooter'), []],
  ['before_last_prompt_marker(2)', view('a\nb\n\nc\n› typed\nfooter'), ['b', 'c']],
])('%s', (written, seen, rows) => {
  expect(cut(seen, readRegion(written)!)).toEqual(rows);
});

test.each(['nowhere', 'title(2)', 'cursor_lines', 'cursor_lines(0)', 'cursor_lines(x)', 'constructor'])('"%s" is no region', (written) => {
  expect(readRegion(written)).toBeNull();
});

test('a wide and high screen is cut to its end', () => {
  const rows = Array.from({ length: 1000 }, (_, n) => `${n} ${'x'.repeat(10_000)}`);
  const seen = cut({ rows, title: '', cursorRow: 0, isAlternate: false }, readRegion('whole_screen')!);
  expect([seen.length, seen[0]!.length, seen.at(-1)!.slice(0, 5)]).toEqual([19, 500, '999 x']);
});
