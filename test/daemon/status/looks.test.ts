import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Looks } from '../../../src/daemon/status/looks.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Looks at a program that writes so many bytes every so many milliseconds, until it has written for so long; when it was looked at, and how. */
function looksAt({ bytes, everyMs, forMs, waiting = 0 }: { bytes: number; everyMs: number; forMs: number; waiting?: number }) {
  const began = performance.now();
  const rung: [number, string][] = [];
  let bytesWaiting = waiting;
  const looks = new Looks({
    bytesWaiting: () => bytesWaiting,
    ring: (output) => rung.push([Math.round(performance.now() - began), output]),
  });
  for (let ms = 0; ms < forMs; ms += everyMs) {
    looks.wrote(bytes);
    vi.advanceTimersByTime(everyMs);
  }
  bytesWaiting = 0;
  vi.advanceTimersByTime(1000);
  return { rung, timers: vi.getTimerCount() };
}

test('what is written once is looked at once, when it is still; then there is no timer', () => {
  expect(looksAt({ bytes: 10, everyMs: 1, forMs: 1 })).toEqual({ rung: [[151, 'still']], timers: 0 });
});

test('what belongs together is looked at when it is complete', () => {
  expect(looksAt({ bytes: 10, everyMs: 100, forMs: 200 })).toEqual({ rung: [[251, 'still']], timers: 0 });
});

test('a spinner is looked at three times a second', () => {
  const { rung, timers } = looksAt({ bytes: 10, everyMs: 50, forMs: 1000 });
  expect(rung.map(([, how]) => how)).toEqual(['going on', 'going on', 'going on', 'still']);
  expect(timers).toBe(0);
});

test('a flood is not looked at before it is over, nor is a screen that is behind', () => {
  const flood = looksAt({ bytes: 10_000, everyMs: 10, forMs: 600 });
  expect(flood.rung.map(([, how]) => how)).toEqual(['flooding', 'flooding', 'flooding', 'flooding', 'still']);
  const behind = looksAt({ bytes: 1, everyMs: 200, forMs: 200, waiting: 5 });
  expect(behind.rung.map(([, how]) => how)).toEqual(['flooding', 'still']);
  expect([flood.timers, behind.timers]).toEqual([0, 0]);
});

test('nothing is looked at after the end', () => {
  const rung: string[] = [];
  const looks = new Looks({ bytesWaiting: () => 0, ring: (output) => rung.push(output) });
  looks.wrote(1);
  looks[Symbol.dispose]();
  vi.advanceTimersByTime(1000);
  expect([rung, vi.getTimerCount()]).toEqual([[], 0]);
});
