import { expect, test } from 'vitest';
import { findTyped, isStillThere, type Shown } from '../../../src/daemon/waiting/typed-place.ts';

const shown = (text: string, cursorRow: number): Shown => ({ rows: text.split('\n'), cursorRow });

const BOX = ['', 'Welcome', '╭──────────╮', '│ > explain this │', '╰──────────╯', '  ? for help'].join('\n');

test.each<[string, Shown, string, Shown, boolean]>([
  ['a shell runs it', shown('$ sleep 10', 0), 'sleep 10', shown('$ sleep 10\n', 1), false],
  ['a shell that has answered at once', shown('$ true', 0), 'true', shown('$ true\n$ ', 1), false],
  ['the last row, which scrolls', shown('old\n$ date', 1), 'date', shown('$ date\nSat Nov 21', 1), false],
  ['a clock above it', shown('10:01\n\n$ date', 2), 'date', shown('10:02\n\n$ date', 2), true],
  ['a prompt that moved down, with its cursor', shown('> hello', 0), 'hello', shown('loading\n> hello', 1), true],
  ['the end of a wrapped text', shown('> a long\n  text\n', 1), 'a long text', shown('> a long\n  text\n…', 1), true],
  ['a text of several lines, by its last', shown('> one\n  two', 1), 'one\ntwo', shown('> one\n  two\nworking', 2), false],
  ['a box with a drawn cursor', shown(BOX, 5), 'explain this', shown(BOX.replace('Welcome', 'Loading…'), 5), true],
  ['a box that moved down', shown(BOX, 5), 'explain this', shown(`news\n${BOX}`, 6), true],
  [
    'a box that was emptied below the transcript',
    shown(BOX, 5),
    'explain this',
    shown(`Welcome\n│ > explain this │\n✶ Thinking…\n${BOX.replace('explain this', '')}`, 8),
    false,
  ],
])('%s', (_, before, typed, after, isStill) => {
  const place = findTyped(before, typed);
  expect(place).not.toBeNull();
  expect(isStillThere(before, place!)).toBe(true);
  expect(isStillThere(after, place!)).toBe(isStill);
});

test.each<[string, Shown, string]>([
  ['a password', shown('Password:', 0), 'secret'],
  ['a paste that is only named', shown('> [Pasted text #1 +9 lines]', 0), 'one\ntwo'],
  ['a short text, which may stand anywhere by chance', shown('yes\n\nsure?', 2), 'yes'],
  ['nothing but blanks at its end', shown('>', 0), 'one\n   '],
])('%s is not to be seen', (_, before, typed) => {
  expect(findTyped(before, typed)).toBeNull();
});
