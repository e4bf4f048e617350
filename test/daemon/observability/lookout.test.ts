import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SETTINGS, type Settings } from '../../../src/config/settings.ts';
import { Lookout } from '../../../src/daemon/observability/lookout.ts';
import type { CommandRecord } from '../../../src/daemon/output/command-file.ts';
import type { Session } from '../../../src/daemon/session/session.ts';
import type { Decision } from '../../../src/daemon/status/decide.ts';
import type { Status } from '../../../src/wire/pane-status.ts';

const DEFAULTS = Object.fromEntries(Object.entries(SETTINGS).map(([name, { fallback }]) => [name, fallback])) as Settings;

let told: string[];
let lookout: Lookout;
let settings: Settings;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  told = [];
  settings = { ...DEFAULTS, 'notify.on': ['waiting', 'failed', 'done'] };
  lookout = new Lookout({
    settings: () => settings,
    tell: (_, { name, status, because }) => told.push(`${name} ${status}: ${because}`),
  });
});

afterEach(() => {
  lookout[Symbol.dispose]();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

interface Options {
  shell?: object | null;
  isBeingKilled?: boolean;
  role?: string | null;
  token?: string;
  /** Why it was lost. */
  because?: string;
}

function sessionOf({ shell = null, isBeingKilled = false, role = null, token, because }: Options = {}) {
  const facts = { id: '$1', name: 's', shell, role, token, restores: [], createdAt: Date.now() };
  const pane = { state: because === undefined ? { is: 'running' } : { is: 'ended', how: 'lost', because } };
  const session = { facts, pane, isBeingKilled } as unknown as Session;
  let before: Decision | null = null;
  return {
    /** It does this from now on, and so much time passes. */
    does(status: Status, forMs: number, rule = 'x') {
      const now = { status, because: { source: 'screen', rule, text: status }, since: Date.now() } as Decision;
      if (before) lookout.changed(session, now, before);
      before = now;
      vi.advanceTimersByTime(forMs);
    },
    ran(text: string, tookMs: number, exitCode: number | null, by: 'person' | 'run' = 'person') {
      lookout.finished(session, { by, text, exitCode, startedAt: Date.now() - tookMs, endedAt: Date.now() } as CommandRecord);
    },
  };
}

test('what waits is told when it has for two seconds, and what flickers is not', () => {
  const one = sessionOf();
  one.does('working', 5000);
  one.does('waiting', 1999);
  one.does('working', 100);
  one.does('waiting', 1999);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(told).toEqual(['s waiting: waiting']);
  vi.advanceTimersByTime(1_000_000);
  expect(told).toHaveLength(1);
});

test('the same is told again after ten seconds at the earliest, and then if it is still so', () => {
  const one = sessionOf();
  one.does('working', 0);
  for (let i = 0; i < 5; i++) {
    one.does('waiting', 2000);
    one.does('working', 10);
  }
  expect(told).toHaveLength(1);
  one.does('waiting', 2000);
  expect(told).toHaveLength(2);
});

test('a turn is done when it was long enough to look away, questions included', () => {
  const one = sessionOf();
  one.does('working', 9999);
  one.does('done', 5000);
  expect(told).toEqual([]);
  one.does('working', 4000);
  one.does('waiting', 1000);
  one.does('working', 5000);
  one.does('done', 5000);
  expect(told).toEqual(['s done: done']);
});

test('an agent that was at rest from the start has done nothing', () => {
  const one = sessionOf();
  one.does('starting', 60_000);
  one.does('done', 60_000);
  one.does('unknown', 60_000);
  one.does('done', 60_000);
  expect(told).toEqual([]);
});

test.each<[string, Status, number, string[]]>([
  ['a program that fails at once', 'failed', 10, ['s failed: failed']],
  ['one that is lost', 'lost', 10, ['s failed: lost']],
  ['one that ends well after a while', 'exited', 10_000, ['s done: exited']],
  ['one that ends well at once', 'exited', 9000, []],
])('%s', (_, status, afterMs, wanted) => {
  const one = sessionOf();
  one.does('running', afterMs);
  one.does(status, 2000);
  expect(told).toEqual(wanted);
});

test('nobody is told of the end of a shell, unless a signal ended it, nor of what was killed', () => {
  for (const [options, rule] of [
    [{ shell: { kind: 'bash' } }, 'exit-code'],
    [{ isBeingKilled: true }, 'signal'],
  ] as const) {
    const one = sessionOf(options);
    one.does('prompt', 20_000);
    one.does('failed', 5000, rule);
  }
  expect(told).toEqual([]);
  const shot = sessionOf({ shell: { kind: 'bash' } });
  shot.does('prompt', 20_000);
  shot.does('failed', 5000, 'signal');
  expect(told).toEqual(['s failed: failed']);
});

test.each<[string, Parameters<typeof sessionOf>[0]]>([
  ['with a token', { token: 'abc' }],
  ['without one', { role: 'run' }],
])('nobody is told how a run with a session to itself ended, but that it waits: one %s', (_, options) => {
  for (const status of ['exited', 'failed', 'lost'] as const) {
    const one = sessionOf(options);
    one.does('running', 20_000);
    one.does(status, 5000);
  }
  expect(told).toEqual([]);
  const asks = sessionOf(options);
  asks.does('running', 0);
  asks.does('waiting', 2000);
  expect(told).toEqual(['s waiting: waiting']);
});

test.each<[string, string, string[]]>([
  ['a newer daemon has, is not lost', 'A newer daemon has taken the program over', []],
  ['nobody has, is', 'The holder has gone', ['s failed: lost']],
])('a program that %s', (_, because, wanted) => {
  const one = sessionOf({ because });
  one.does('running', 5000);
  one.does('lost', 5000);
  expect(told).toEqual(wanted);
});

test.each<[string, (one: ReturnType<typeof sessionOf>) => void, string[]]>([
  ['a long one', (one) => one.ran('make', 12_000, 0), ['s done: "make" ended with 0 after 12 s']],
  ['a long one that fails', (one) => one.ran('make', 12_000, 2), ['s failed: "make" ended with 2 after 12 s']],
  ['a short one', (one) => one.ran('ls', 9999, 1), []],
  ['one that Ctrl-C ended', (one) => one.ran('npm run dev', 60_000, 130), []],
  ['one that ai-session run ran', (one) => one.ran('make', 60_000, 0, 'run'), []],
  ['one of which nobody knows how it ended', (one) => one.ran('make', 60_000, null), []],
])('a command in a shell: %s', (_, end, wanted) => {
  const one = sessionOf({ shell: { kind: 'bash' } });
  one.does('running', 0);
  end(one);
  one.does('prompt', 3000);
  expect(told).toEqual(wanted);
});

test('a shell that goes on with the next command has nobody who looks away', () => {
  const one = sessionOf({ shell: { kind: 'bash' } });
  one.does('running', 0);
  one.ran('make', 12_000, 0);
  one.does('prompt', 100);
  one.does('running', 5000);
  expect(told).toEqual([]);
});

test('the settings count as they are: what is told, how long it holds, what is long', () => {
  settings = { ...settings, 'notify.on': ['done'], 'notify.hold_seconds': 0, 'notify.long_seconds': 1 };
  const one = sessionOf();
  one.does('working', 1000);
  one.does('waiting', 5000);
  one.does('done', 0);
  vi.advanceTimersByTime(0);
  expect(told).toEqual(['s done: done']);
});
