import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isTyping } from '../../../src/daemon/session/typing.ts';

const typing = (text: string) => isTyping(Buffer.from(text, 'latin1'));

/** What terminals send without anybody at the keys. */
const REPORTS: readonly [string, string][] = [
  ['a mouse press (SGR)', '\x1b[<0;10;20M'],
  ['a mouse release (SGR)', '\x1b[<0;10;20m'],
  ['a mouse wheel (SGR)', '\x1b[<64;1;1M'],
  ['a mouse press (X10)', '\x1b[M !!'],
  ['a mouse press (X10) beyond column 94', '\x1b[M \xff\xe0'],
  ['focus gained', '\x1b[I'],
  ['focus lost', '\x1b[O'],
  ['primary device attributes', '\x1b[?62;1;6;22c'],
  ['secondary device attributes', '\x1b[>41;354;0c'],
  ['the state of the terminal', '\x1b[0n'],
  ['the position of the cursor', '\x1b[24;80R'],
  ['the position of the cursor (DECXCPR)', '\x1b[?24;80;1R'],
  ['a private mode', '\x1b[?2026;2$y'],
  ['an ANSI mode', '\x1b[4;1$y'],
  ['the kitty keyboard flags', '\x1b[?1u'],
  ['the size of the window', '\x1b[8;24;80t'],
  ['a colour, ended by BEL', '\x1b]11;rgb:0000/0000/0000\x07'],
  ['a colour, ended by ST', '\x1b]10;rgb:ffff/ffff/ffff\x1b\\'],
  ['the version (XTVERSION)', '\x1bP>|XTerm(354)\x1b\\'],
  ['a terminfo answer', '\x1bP1+r544e=787465726d\x1b\\'],
  ['a graphics answer', '\x1b_Gi=31;OK\x1b\\'],
];

/** What somebody at the keys sends. */
const KEYS: readonly [string, string][] = [
  ['a letter', 'a'],
  ['Enter', '\r'],
  ['Ctrl-C', '\x03'],
  ['Escape', '\x1b'],
  ['an arrow', '\x1b[A'],
  ['an arrow in application mode', '\x1bOA'],
  ['an arrow with Ctrl', '\x1b[1;5A'],
  ['Page Up', '\x1b[5~'],
  ['Home', '\x1b[H'],
  ['back-tab', '\x1b[Z'],
  ['F1', '\x1bOP'],
  ['Alt-x', '\x1bx'],
  ['Ctrl-A as kitty sends it', '\x1b[97;5u'],
  ['Ctrl-1 as xterm sends it', '\x1b[27;5;49~'],
  ['a character in UTF-8', '\xc3\xa4'],
  ['a paste', '\x1b[200~hello\x1b[201~'],
  ['an empty paste', '\x1b[200~\x1b[201~'],
];

describe('is no typing:', () => {
  test.each(REPORTS)('%s', (_, bytes) => expect(typing(bytes)).toBe(false));

  test('several reports in a row, and nothing at all', () => {
    expect([typing(REPORTS.map(([, bytes]) => bytes).join('')), typing('')]).toEqual([false, false]);
  });
});

describe('is typing:', () => {
  test.each(KEYS)('%s', (_, bytes) => expect(typing(bytes)).toBe(true));

  test('a key among reports', () => {
    const pick = <T>(of: readonly T[]) => fc.constantFrom(...of);
    fc.assert(
      fc.property(
        fc.array(pick(REPORTS)),
        pick(KEYS.filter(([, bytes]) => !/^\x1b$/.test(bytes))),
        fc.array(pick(REPORTS)),
        (before, key, after) => {
          expect(typing([...before, key, ...after].map(([, bytes]) => bytes).join(''))).toBe(true);
        },
      ),
    );
  });

  test('anything longer than reports come in', () => {
    expect(typing('\x1b[I'.repeat(2000))).toBe(true);
  });
});

test('hostile input is judged at once, however it is nested', () => {
  const began = process.hrtime.bigint();
  for (const piece of ['\x1b]', '\x1b[', '\x1b[<', '\x1bP', '\x1b[1;', '\x1b[?', '\x1b]1;1;', '\x1b]1'])
    typing(piece.repeat(Math.floor(4096 / piece.length)));
  // Linear work on 4 KiB is far below this; a pattern that backtracks takes seconds.
  expect(Number(process.hrtime.bigint() - began) / 1e6).toBeLessThan(1000);
});
