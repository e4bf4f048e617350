import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Output, typeAt } from '../../../src/daemon/output/inside.ts';
import type { Pane, WrittenListener } from '../../../src/daemon/session/pane.ts';
import { Screen } from '../../../src/daemon/terminal/screen.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }));
afterEach(() => void vi.useRealTimers());

/** A screen with a prompt on it, and a program that the test plays. */
function playing(prompt: string) {
  const screen = new Screen({ cols: 40, rows: 4, scrollbackLines: 100, answer: () => {} } as never);
  const listeners = new Set<WrittenListener>();
  const typed: string[] = [];
  const pane = {
    screen,
    head: 0,
    state: { is: 'running', pty: { terminalModes: async () => null } },
    write: (bytes: Uint8Array) => typed.push(Buffer.from(bytes).toString()),
    onWritten: (then: WrittenListener) => {
      listeners.add(then);
      return () => listeners.delete(then);
    },
  };
  const print = (text: string) => {
    const offset = pane.head;
    pane.head += text.length;
    screen.feed(Buffer.from(text), false);
    screen.settle();
    for (const then of listeners) then(offset, Buffer.from(text));
  };
  print(prompt);
  const place = { text: prompt, row: screen.linesScrolled + screen.cursor.y, host: 'ssh', isCanonical: false };
  const type = (text: string, deadline: number | null = null) =>
    typeAt(pane as unknown as Pane, place, { text, deadline, onHostEnded: () => () => {} });
  return { print, type, typed, listeners };
}

test('the prompt that was there is there again, below: that is the end', async () => {
  const { print, type, typed, listeners } = playing('$ ');
  const answer = type('ls');
  expect(typed).toEqual(['ls\r']);
  print('ls\r\n');
  await vi.advanceTimersByTimeAsync(100);
  // A prompt with something behind it is none, nor is one that goes on.
  print('$ x\r\n$ ');
  await vi.advanceTimersByTimeAsync(40);
  print('a file\r\nb\r\n$ ');
  await vi.advanceTimersByTimeAsync(60);
  expect(await answer).toEqual({ why: 'prompt', from: 6, to: 24 });
  expect([listeners.size, vi.getTimerCount()]).toEqual([0, 0]);
});

test('with another prompt, or none, silence is the end', async () => {
  const { print, type } = playing('~ $ ');
  const answer = type('cd /');
  print('cd /\r\n/ $ ');
  await vi.advanceTimersByTimeAsync(1900);
  print('x');
  await vi.advanceTimersByTimeAsync(1999);
  expect(vi.getTimerCount()).toBeGreaterThan(0);
  await vi.advanceTimersByTimeAsync(2);
  expect(await answer).toEqual({ why: 'silent', from: 10, to: 15 });
  expect(vi.getTimerCount()).toBe(0);
});

test('with nothing but the echo there is no output', async () => {
  const { print, type } = playing('$ ');
  const answer = type('sleep 9', Date.now() + 500);
  print('sleep 9');
  await vi.advanceTimersByTimeAsync(501);
  expect(await answer).toEqual({ why: 'late', from: 9, to: 9 });
});

test.each([
  { what: 'the kernel', isEdited: false, echo: 'ls\r\n' },
  { what: 'bash', isEdited: true, echo: 'a \rb\r\n> c\r\n\x1b[?2004l' },
  { what: 'zsh', isEdited: true, echo: 'l\bls\r\nx\x1b[?2004l\r\r\n' },
])('an echo by $what is left out, however it is cut', ({ isEdited, echo }) => {
  fc.assert(
    fc.property(fc.array(fc.nat(30), { maxLength: 6 }), (cuts) => {
      const all = Buffer.from(`${echo}\nout\r\n$ `);
      const output = new Output(100, { isEdited });
      let at = 0;
      for (const cut of [...cuts, all.length]) {
        output.push(100 + at, all.subarray(at, at + cut));
        at = Math.min(all.length, at + cut);
      }
      expect(output.range(null)).toEqual({ from: 100 + echo.length, to: 100 + all.length - 2 });
    }),
  );
});
