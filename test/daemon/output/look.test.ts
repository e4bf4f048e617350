import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { look, waitsForSecret } from '../../../src/daemon/output/look.ts';
import type { WrittenListener } from '../../../src/daemon/session/pane.ts';
import type { TerminalModes } from '../../../src/daemon/terminal/pty.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test.each([
  { modes: { echo: false, canonical: true }, line: 'Geheimzahl eingeben > ', is: true },
  { modes: { echo: false, canonical: true }, line: '', is: true },
  { modes: { echo: true, canonical: true }, line: 'Password: ', is: false },
  { modes: { echo: true, canonical: false }, line: 'Password: ', is: false },
  { modes: { echo: false, canonical: false }, line: 'Password: ', is: true },
  { modes: { echo: false, canonical: false }, line: '> ', is: false },
  { modes: null, line: 'Enter passphrase for key "/k":', is: true },
  { modes: null, line: 'Geheimzahl eingeben > ', is: false },
])('$modes and "$line" ask for a secret: $is', ({ modes, line, is }) => {
  expect(waitsForSecret(modes, line)).toBe(is);
});

/** A pane whose terminal is asked by way of `asked`. */
function paneWith(terminalModes: () => Promise<TerminalModes | null>) {
  let write: WrittenListener = () => {};
  const screen = { isAlternate: false, bytesWaiting: 0, cursor: { x: 0, y: 0 }, lines: () => ['?'] };
  const pane = {
    screen,
    state: { is: 'running', pty: { terminalModes } },
    onWritten: (then: WrittenListener) => {
      write = then;
      return () => {
        write = () => {};
      };
    },
  };
  const found: string[] = [];
  const stop = look(pane as never, { hasStarted: () => true, found: (what) => found.push(what) });
  return { screen, found, stop, print: () => write() };
}

test('a terminal is asked five times in a long pause, and never while nothing is written', async () => {
  let asks = 0;
  const { print, stop, found } = paneWith(async () => {
    asks++;
    return { echo: true, canonical: true };
  });
  await vi.advanceTimersByTimeAsync(10_000);
  for (let n = 0; n < 10; n++) {
    print();
    await vi.advanceTimersByTimeAsync(200);
  }
  expect(asks).toBe(0);
  await vi.advanceTimersByTimeAsync(60_000);
  expect([asks, vi.getTimerCount()]).toEqual([5, 0]);
  print();
  await vi.advanceTimersByTimeAsync(1000);
  expect(asks).toBe(7);
  print();
  await vi.advanceTimersByTimeAsync(300);
  expect(asks).toBe(8);
  stop();
  expect([found, vi.getTimerCount()]).toEqual([[], 0]);
});

test('an answer that comes after more output, or after the end, counts for nothing', async () => {
  const answers: ((modes: TerminalModes) => void)[] = [];
  const { print, stop, found } = paneWith(() => new Promise((resolve) => answers.push(resolve)));
  const ask = async () => {
    print();
    await vi.advanceTimersByTimeAsync(300);
    return answers.pop()!;
  };
  const hidden = { echo: false, canonical: true };
  const first = await ask();
  print();
  first(hidden);
  await vi.advanceTimersByTimeAsync(0);
  expect(found).toEqual([]);
  await vi.advanceTimersByTimeAsync(300);
  answers.pop()!(hidden);
  await vi.advanceTimersByTimeAsync(0);
  expect(found).toEqual(['secret']);
  const last = await ask();
  stop();
  last(hidden);
  await vi.advanceTimersByTimeAsync(0);
  expect(found).toEqual(['secret']);
});
