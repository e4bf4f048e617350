import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jsonLines } from '../../../src/daemon/history/json.ts';
import { ansiText, plainText } from '../../../src/daemon/history/plain.ts';
import type { Entry } from '../../../src/daemon/persistence/journal/entry.ts';
import { Screen } from '../../../src/daemon/terminal/screen.ts';
import { anyBytes, entriesOf, SEED } from './streams.ts';

const textOf = (output: string | Uint8Array) => [...plainText(entriesOf(Buffer.from(output)))].join('');
const ansiOf = (output: string | Uint8Array) => [...ansiText(entriesOf(Buffer.from(output)))].join('');

/** Text, newlines, SGR and OSC 8 with a printable address: nothing else. */
const HARMLESS = /^(?:[^\x00-\x09\x0b-\x1f\x7f-\x9f]|\x1b\[[\d;:]*m|\x1b\]8;(?:id=[\w.-]+)?;[\x20-\x7e]*\x1b\\)*$/;

test('text is the lines, each with a newline', () => {
  expect(textOf('one\r\n\x1b[31mtwo\x1b[m\r\n$ ')).toBe('one\ntwo\n$\n');
  expect(textOf('')).toBe('');
});

test('colored blanks alone are no line, with looks or without', () => {
  const output = '\x1b[44m   \x1b[Hnext\x1b[m\n';
  expect([textOf(output), ansiOf(output)]).toEqual(['next\n', '\x1b[44mnext\x1b[m\n']);
});

test('with looks, each line has its own and ends without', () => {
  expect(ansiOf('\x1b[1;31mred\r\nstill\x1b[m plain\r\n')).toBe('\x1b[1;31mred\x1b[m\n\x1b[1;31mstill\x1b[m plain\n');
  expect(ansiOf('\x1b[1mb\x1b[0;31mr\n')).toBe('\x1b[1mb\x1b[0;31mr\x1b[m\n');
  expect(ansiOf('\x1b[1;2;3mx\x1b[22my\x1b[23mz\n')).toBe('\x1b[1;2;3mx\x1b[0;3my\x1b[mz\n');
  expect(ansiOf('\x1b[1;31mb\x1b[0;3mi\n')).toBe('\x1b[1;31mb\x1b[0;3mi\x1b[m\n');
  expect(ansiOf('\x1b]8;id=a1:x=y;http://h/p\x07link\x1b]8;;\x07\n')).toBe('\x1b]8;id=a1;http://h/p\x1b\\link\x1b]8;;\x1b\\\n');
  expect(ansiOf('\x1b[38;2;1;2;3;4:3;58:5:9mx\x1b[24;39;59my\n')).toBe('\x1b[4:3;38;2;1;2;3;58;5;9mx\x1b[my\n');
});

test.each([
  ['the clipboard', '\x1b]52;c;cm0gLXJmIC8=\x07'],
  ['a title and its report', '\x1b]0;rm -rf /\x07\x1b[21t'],
  ['a palette', '\x1b]4;0;rgb:ff/ff/ff\x1b\\\x1b]10;#000\x07\x1b]11;?\x07'],
  ['a notification', '\x1b]9;boo\x07\x1b]777;notify;a;b\x07'],
  ['queries', '\x1b[c\x1b[>c\x1b[6n\x1b[?6n\x1b[5n\x1bZ\x05\x1b[>q\x1b[?u\x1bP$qm\x1b\\\x1bP+q544e\x1b\\\x1b[14t\x1b[?2026$p'],
  ['a DCS without an end', `\x1bPq${'#0;2;0;0;0'.repeat(1000)}`],
  ['modes', '\x1b[?1049h\x1b[?1049l\x1b[?1000h\x1b[?2004h\x1b[?25l\x1b[4h\x1b[20h\x1b=\x1b[>4;2m\x1b[>5u'],
  ['charsets', '\x1b(0\x0e\x1b)0\x1b(B\x0f\x1b%@\x1b%G'],
  ['motion', '\x1b[H\x1b[2J\x1b[3J\x1b[5;1H\x1b[10A\x1b[1;2r\x1bM\x1b#8\x1b[?6h'],
  ['a reset', '\x1bc\x1b[!p'],
  ['C1 controls', '\u009b?1049h\u009b?1049l\u009d0;t\u009c\u0090q\u009c'],
  ['keys', '\x1b]1337;File=a:AAAA\x07\x1b_Gf=100;AAAA\x1b\\\x1bP1000p\x1b\\'],
  ['an address that ends the link early', '\x1b]8;;http://x/\u009c\u0007\x1b]8;;\x07'],
  ['an address with characters of its own', '\x1b]8;id=;;;http://x/é\u202e\x07\x1b]8;;\x07'],
])('%s does nothing to the terminal of a reader', (_, attack) => {
  const printed = ansiOf(`before ${attack} \x1b\\after\n`);
  expect(printed).toMatch(HARMLESS);
  expect(printed.replace(/\s/g, '')).toMatch(/before/);
  const answers: string[] = [];
  const news: string[] = [];
  const screen = new Screen({
    cols: 80,
    rows: 10,
    scrollbackLines: 10,
    answer: (bytes) => answers.push(bytes.toString()),
    onTitle: () => news.push('title'),
    onBell: () => news.push('bell'),
  });
  const fresh = screen.keyModes;
  screen.feed(Buffer.from(printed), true);
  screen.settle();
  expect([answers, news, screen.isAlternate, screen.keyModes, screen.cursor.visible]).toEqual([[], [], false, fresh, true]);
});

test('NULs, broken characters and a flood of alternate screens leave text', () => {
  expect(ansiOf(Buffer.from([0, 0x61, 0, 0xed, 0xa0, 0x80, 0x62, 0x0a]))).toBe('a���b\n');
  expect(ansiOf(`${'\x1b[?1049h\x1b[2Jflood\x1b[?1049l'.repeat(10_000)}after\n`)).toBe('after\n');
});

test('whatever the bytes, what is printed is harmless, and without its looks it is the text', () => {
  fc.assert(
    fc.property(anyBytes(), (bytes) => {
      const ansi = ansiOf(bytes);
      expect(ansi).toMatch(HARMLESS);
      const bare = ansi.replace(/\x1b\[[\d;:]*m|\x1b\]8;[^\x1b]*\x1b\\/g, '');
      expect(bare.replace(/ +$/gm, '')).toBe(textOf(bytes));
    }),
    { seed: SEED, numRuns: 400 },
  );
});

/** A program that never stops. */
function* endless(text: string): Generator<Entry> {
  const bytes = Buffer.from(text);
  for (let offset = 0; ; offset += bytes.length) yield { is: 'output', at: 0, offset, bytes };
}

test.each([
  ['text', plainText],
  ['text with looks', ansiText],
  ['JSON', jsonLines],
])('%s comes in pieces of 64 KiB, as it is asked for', (_, make) => {
  for (const output of ['a line\r\n', '\x1b[31mno end \x1b[32m🙂']) {
    const pieces = make(endless(output.repeat(50)));
    for (let i = 0; i < 20; i++) {
      const piece = pieces.next().value as string;
      expect(piece.length).toBeLessThanOrEqual(65_536);
      expect(piece.length).toBeGreaterThan(30_000);
      expect(Buffer.from(piece).toString()).toBe(piece);
    }
  }
});
