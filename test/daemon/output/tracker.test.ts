import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CommandFile } from '../../../src/daemon/output/command-file.ts';
import { commandText } from '../../../src/daemon/output/command-output.ts';
import { ShellLog } from '../../../src/daemon/output/shell-log.ts';
import { Tracker } from '../../../src/daemon/output/tracker.ts';
import type { Entry } from '../../../src/daemon/persistence/journal/entry.ts';
import type { Session } from '../../../src/daemon/session/session.ts';
import type { Mark } from '../../../src/daemon/terminal/marks.ts';

const NONCE = '0123456789abcdef';
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aist-'));
  writeFileSync(join(folder, 'log'), '');
  vi.useFakeTimers({ now: 1_800_000_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

/** A tracker of a shell that the test plays. */
function shell() {
  const pane = {
    id: '%1',
    head: 0,
    typedBytes: 0,
    entered: { typedBytes: 0, head: 0 },
    state: { is: 'running' } as { is: string; exit?: object },
  };
  const session = { facts: { shell: { kind: 'bash', nonce: NONCE } }, pane } as unknown as Session;
  const file = new CommandFile({ folder, session: '$1', vault: null });
  const told: string[] = [];
  const open = () => {
    const known = file.read();
    const log = new ShellLog(join(folder, 'log'), { nonce: NONCE, position: known.position });
    return new Tracker({ session, log, file, known, news: (what, { n, text, exitCode }) => told.push(`${what} ${n} ${text} ${exitCode}`) });
  };
  const mark = (letter: Mark['letter'], status: number | null = null): Mark => {
    const offset = (pane.head += 10);
    return { letter, status, offset, end: offset + 5 };
  };
  const write = (...lines: string[]) => appendFileSync(join(folder, 'log'), lines.map((line) => `${line}\n`).join(''));
  return { open, mark, write, file, told, pane };
}
const ready = `ready\t${NONCE}\t1800000000.000000\t77\t/`;
const start = (n: number, text: string) => `start\t${NONCE}\t${n}\t1800000001.500000\t/home\t${text}`;
const end = (n: number, status: number) => `end\t${NONCE}\t${n}\t1800000003.250000\t${status}\t/home`;

test('a line says what, its mark says where', () => {
  const { open, mark, write, file, told } = shell();
  const tracker = open();
  write(ready);
  tracker.hearMark(mark('A'));
  expect(tracker.is).toBe('prompt');
  write(start(1, 'make\\tall\\n\\\\done'));
  const began = mark('C');
  tracker.hearMark(began);
  expect(tracker.running).toMatchObject({ n: 1, text: 'make\tall\n\\done', cwd: '/home', from: began.end, startedAt: 1_800_000_001_500 });
  write(end(1, 2));
  const over = mark('D', 2);
  tracker.hearMark(over);
  tracker.hearMark(mark('A'));
  expect(file.read().commands).toEqual([
    expect.objectContaining({ n: 1, exitCode: 2, from: began.end, to: over.offset, endedAt: 1_800_000_003_250, because: null }),
  ]);
  expect(told).toEqual(['started 1 make\tall\n\\done null', 'finished 1 make\tall\n\\done 2']);
});

test('where the two disagree the line is believed, and either alone will do', async () => {
  const { open, mark, write, told, file } = shell();
  const tracker = open();
  write(ready, start(1, 'one'));
  tracker.hearMark(mark('C'));
  write(end(1, 3));
  tracker.hearMark(mark('D', 0));
  // The log cannot be written.
  tracker.hearMark(mark('C'));
  tracker.hearMark(mark('D', 4));
  tracker.hearMark(mark('A'));
  // No marks come: after a second the lines count.
  write(start(3, 'three'), end(3, 5));
  tracker.nudge();
  await vi.advanceTimersByTimeAsync(900);
  expect(told.at(-1)).toBe('finished 2 null 4');
  await vi.advanceTimersByTimeAsync(200);
  expect(told.slice(1)).toEqual([
    'finished 1 one 3',
    'started 2 null null',
    'finished 2 null 4',
    'started 3 three null',
    'finished 3 three 5',
  ]);
  write(start(4, 'four'), end(4, 6));
  tracker.hearMark(mark('A'));
  await vi.advanceTimersByTimeAsync(1100);
  expect(told.at(-1)).toBe('finished 4 four 6');
  expect(file.read().commands.map(({ from, to }) => [from === null, to === null])).toEqual([
    [false, false],
    [false, false],
    [true, false],
    [true, false],
  ]);
  expect(vi.getTimerCount()).toBe(0);
});

test('a mark that comes late by less than a second is still that of its line', async () => {
  const { open, mark, write, told } = shell();
  const tracker = open();
  for (let n = 1; n <= 5; n++) {
    write(start(n, `c${n}`));
    tracker.nudge();
    await vi.advanceTimersByTimeAsync(700);
    tracker.hearMark(mark('C'));
    write(end(n, n));
    tracker.nudge();
    await vi.advanceTimersByTimeAsync(700);
    tracker.hearMark(mark('D', n));
    tracker.hearMark(mark('A'));
  }
  expect(told).toEqual([1, 2, 3, 4, 5].flatMap((n) => [`started ${n} c${n} null`, `finished ${n} c${n} ${n}`]));
});

test('the next daemon reads on where this one was killed', () => {
  const { open, mark, write, told, pane } = shell();
  const first = open();
  write(ready, start(1, 'one'));
  first.hearMark(mark('C'));
  first.stop();
  const missed = [mark('D', 7), mark('A'), mark('C')];
  write(end(1, 7), start(2, 'two'));
  const second = open();
  expect(second).toMatchObject({ is: 'command', running: { n: 1, text: 'one' } });
  for (const each of missed) if (each.offset >= second.offset) second.hearMark(each);
  expect(second.running).toMatchObject({ n: 2, text: 'two' });
  pane.state = { is: 'ended', exit: { code: 9, signal: null } };
  second.ended();
  expect(second.is).toBe('gone');
  expect(told).toEqual(['started 1 one null', 'finished 1 one 7', 'started 2 two null', 'finished 2 two 9']);
});

test('a line with Enter has come to nothing until a command or a prompt comes of it', () => {
  const { open, mark, write, pane } = shell();
  const tracker = open();
  const type = (text: string) => {
    pane.typedBytes += text.length;
    if (text.includes('\r')) pane.entered = { typedBytes: pane.typedBytes, head: pane.head };
  };
  const told: boolean[] = [];
  const tell = () => told.push(tracker.isEntered);
  type('typed before the prompt\r');
  tell();
  tracker.hearMark(mark('A'));
  tell();
  type('half a line');
  tell();
  type('; do\r');
  tell();
  type('more');
  tell();
  tracker.hearMark(mark('A'));
  tell();
  type('ls\r');
  tell();
  write(start(1, 'ls'));
  tracker.hearMark(mark('C'));
  tell();
  type('an answer\r');
  write(end(1, 0));
  tracker.hearMark(mark('D', 0));
  tracker.hearMark(mark('A'));
  tell();
  expect(told).toEqual([false, false, false, true, true, false, true, false, false]);
});

test('a line that begins with a blank is kept out, as shells keep it out of their history', () => {
  const { open, mark, write, told } = shell();
  const tracker = open();
  write(start(1, ' secret --token=x'), end(1, 0));
  for (const letter of ['C', 'D', 'A'] as const) tracker.hearMark(mark(letter));
  expect(told).toEqual(['started 1 null null', 'finished 1 null 0']);
  expect(readFileSync(join(folder, 'history.log'), 'utf8')).not.toContain('secret');
});

test('what others write into the log is passed over', () => {
  const { open, mark, write, told } = shell();
  const tracker = open();
  write(
    start(1, 'one').replace(NONCE, 'fedcba9876543210'),
    'rubbish',
    '\0\xff',
    `end\t${NONCE}\t1\t\tnine\t/`,
    `start\t${NONCE}\t1`,
    'x'.repeat(200_000),
  );
  tracker.hearMark(mark('A'));
  expect(told).toEqual([]);
  write(start(1, 'one'));
  tracker.hearMark(mark('C'));
  expect(told).toEqual(['started 1 one null']);
});

test('a log is read the same however it grows', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 8 }), { maxLength: 8 }), fc.array(fc.nat({ max: 40 })), (texts, cuts) => {
      const escaped = (text: string) =>
        text.replace(/[\\\x00-\x1f\x7f]/g, (c) => (c === '\\' ? '\\\\' : `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`));
      const bytes = Buffer.from(texts.map((text, n) => `${start(n, escaped(text))}\n`).join(''));
      const path = join(folder, 'grows');
      writeFileSync(path, '');
      const log = new ShellLog(path, { nonce: NONCE });
      const lines = [];
      let at = 0;
      for (const cut of [...cuts, bytes.length]) {
        appendFileSync(path, bytes.subarray(at, at + cut));
        at += cut;
        lines.push(...log.read());
      }
      expect(lines.map((line) => line.is === 'start' && line.text)).toEqual(texts.map((text) => Buffer.from(text).toString()));
      for (const { position } of lines) expect(readFileSync(path)[position - 1]).toBe(10);
    }),
    { numRuns: 200 },
  );
});

test('a cut output has the beginning and the end of the whole one, and what is left out is counted', () => {
  const line = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '漢'), maxLength: 30 });
  fc.assert(
    fc.property(fc.array(line, { maxLength: 60 }), fc.integer({ min: 40, max: 600 }), (lines, maxBytes) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\r\n`).join(''));
      const read = ({ from, to }: { from: number; to: number }): Entry[] => [
        { is: 'output', at: 0, offset: from, bytes: bytes.subarray(from, to) },
      ];
      const whole = lines.map((text) => `${text}\n`).join('');
      const { text, truncated } = commandText(read, { from: 0, to: bytes.length }, maxBytes);
      if (Buffer.byteLength(whole) <= Math.floor(maxBytes / 4)) expect({ text, truncated }).toEqual({ text: whole, truncated: null });
      if (!truncated) {
        expect(text).toBe(whole);
        return;
      }
      const [head, tail] = text.split(/\[\.\.\. \d+ lines, \d+ bytes left out \.\.\.\]\n/) as [string, string];
      expect(whole.startsWith(head)).toBe(true);
      expect(whole.endsWith(tail)).toBe(true);
      expect(Buffer.byteLength(head) + Buffer.byteLength(tail)).toBeLessThanOrEqual(maxBytes);
      expect(Buffer.byteLength(head) + Buffer.byteLength(tail) + truncated.bytes).toBe(Buffer.byteLength(whole));
    }),
    { numRuns: 500 },
  );
});
