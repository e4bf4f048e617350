import { existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { giveMemoryBack, TRIM } from '../../../src/daemon/terminal/memory.ts';
import { Parking } from '../../../src/daemon/terminal/parking.ts';
import { Pump } from '../../../src/daemon/terminal/pump.ts';
import { Screen } from '../../../src/daemon/terminal/screen.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Screens of one parking place, whose clock is the test's. */
function place() {
  const givenBack: number[] = [];
  const now = () => Date.now();
  // A quarter of a millisecond passes with every look at the clock.
  let looks = 0;
  const pump = new Pump({ now: () => looks++ / 4 });
  const busy = { is: false };
  const parking = new Parking({ now, isBusy: () => busy.is, giveBack: () => givenBack.push(Date.now()) });
  const watched = new Set<Screen>();
  const open = ({ cols = 20, rows = 5, scrollbackLines = 50 } = {}) => {
    const told: string[] = [];
    const screen: Screen = new Screen({
      cols,
      rows,
      scrollbackLines,
      answer: (bytes) => told.push(`answer ${JSON.stringify(Buffer.from(bytes).toString())}`),
      onTitle: (title) => told.push(`title ${title}`),
      onBell: () => told.push('bell'),
      isWatched: () => watched.has(screen),
      parking,
      pump,
      now,
    });
    return { screen, told };
  };
  return { parking, pump, open, watched, givenBack, busy };
}

const print = (screen: Screen, text: string) => {
  screen.feed(Buffer.from(text), true);
  screen.settle();
};

test('a screen on which nothing ever happened has no cells', () => {
  const { open, parking } = place();
  const { screen } = open();
  screen.resize(30, 6);
  expect(screen).toMatchObject({ cols: 30, rows: 6, isAwake: false, historyLines: 0, title: '', cursor: { x: 0, y: 0, visible: true } });
  expect(parking.awake).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
  print(screen, 'hello');
  expect(screen.isAwake).toBe(true);
  expect(screen.lines({ from: 0, to: 0, withEscapes: false, joinWrapped: false, trimEnd: true })).toEqual(['hello']);
});

test('a screen that is left alone is put to rest, one that is used is not, and then there is no timer', async () => {
  const { open, parking } = place();
  const [quiet, busy] = [open().screen, open().screen];
  print(quiet, 'quiet');
  print(busy, 'busy');
  for (let n = 0; n < 8; n++) {
    await vi.advanceTimersByTimeAsync(500);
    print(busy, '.');
  }
  expect([quiet.isAwake, busy.isAwake]).toEqual([false, true]);
  await vi.advanceTimersByTimeAsync(10_000);
  expect([quiet.isAwake, busy.isAwake, parking.awake]).toEqual([false, false, 0]);
  expect(vi.getTimerCount()).toBe(0);
});

test('one that is watched stays awake', async () => {
  const { open, watched } = place();
  const { screen } = open();
  watched.add(screen);
  print(screen, 'hello');
  await vi.advanceTimersByTimeAsync(20_000);
  expect(screen.isAwake).toBe(true);
  watched.delete(screen);
  await vi.advanceTimersByTimeAsync(2000);
  expect(screen.isAwake).toBe(false);
});

test('one that wakes again and again is left awake longer, until it has rested', async () => {
  const { open } = place();
  const { screen } = open();
  const patience: number[] = [];
  for (let n = 0; n < 9; n++) {
    print(screen, 'x');
    patience.push(screen.patienceMs);
    await vi.advanceTimersByTimeAsync(screen.patienceMs + 2000);
    expect(screen.isAwake).toBe(false);
  }
  expect(patience.slice(0, 5)).toEqual([3000, 6000, 12_000, 24_000, 48_000]);
  expect(patience.at(-1)).toBe(300_000);
  await vi.advanceTimersByTimeAsync(300_000 * 4);
  print(screen, 'x');
  expect(screen.patienceMs).toBe(3000);
});

test('waking is no news: what rang, was titled and asked before is not told again', async () => {
  const { open } = place();
  const { screen, told } = open();
  print(screen, '\x1b]2;mine\x07\x07\x1b[5n\x1b[?2004h');
  expect(told).toEqual(['title mine', 'bell', 'answer "\\u001b[0n"']);
  told.length = 0;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(screen).toMatchObject({ isAwake: false, title: 'mine', keyModes: { bracketedPaste: true } });
  print(screen, 'x');
  expect(screen.isAwake).toBe(true);
  expect(told).toEqual([]);
});

test('a snapshot of all its history does not wake it, and a part of it does', async () => {
  const { open } = place();
  const { screen } = open();
  print(screen, 'line\r\n'.repeat(30));
  const awake = Buffer.from(screen.snapshot({ history: 'all' })).toString();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(Buffer.from(screen.snapshot({ history: 'all' })).toString()).toBe(awake);
  expect(screen.isAwake).toBe(false);
  expect(Buffer.from(screen.snapshot({ history: { sinceLine: 20 } })).toString()).toContain('line');
  expect(screen).toMatchObject({ isAwake: true, historyLines: 26, linesScrolled: 26 });
});

test('a screen wakes in slices, between which others have theirs', async () => {
  const { open, pump } = place();
  const { screen } = open({ cols: 100, rows: 40, scrollbackLines: 2000 });
  print(screen, `${'x'.repeat(90)}\r\n`.repeat(2000));
  await vi.advanceTimersByTimeAsync(10_000);
  expect(screen.isAwake).toBe(false);
  screen.feed(Buffer.from('the last'), false);
  let turns = 0;
  while (!pump.isIdle) {
    await vi.advanceTimersToNextTimerAsync();
    turns++;
    // Facts are the old ones until it is whole again.
    expect(screen.historyLines).toBe(1961);
  }
  expect(turns).toBeGreaterThan(8);
  expect(screen.cursor).toEqual({ x: 8, y: 39, visible: true });
});

test('what much was freed is given back once, when nobody prints', async () => {
  const { open, givenBack, busy } = place();
  const screens = Array.from({ length: 12 }, () => open({ cols: 200, rows: 40, scrollbackLines: 2000 }).screen);
  for (const screen of screens) print(screen, 'line\r\n'.repeat(2100));
  busy.is = true;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(screens.map(({ isAwake }) => isAwake)).toEqual(screens.map(() => false));
  expect(givenBack).toEqual([]);
  busy.is = false;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(givenBack).toHaveLength(1);
  expect(vi.getTimerCount()).toBe(0);
});

test('memory can be given back here', () => {
  const isGlibc = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header.glibcVersionRuntime !== undefined;
  expect(existsSync(TRIM)).toBe(isGlibc);
  giveMemoryBack();
  vi.advanceTimersByTime(2000);
});
