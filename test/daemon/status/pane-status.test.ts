import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Log } from '../../../src/base/log.ts';
import type { WrittenListener } from '../../../src/daemon/session/pane.ts';
import type { Session } from '../../../src/daemon/session/session.ts';
import { PaneStatus } from '../../../src/daemon/status/pane-status.ts';
import type { TerminalModes } from '../../../src/daemon/terminal/pty.ts';

const folder = mkdtempSync(join(tmpdir(), 'ais-'));
beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());
afterAll(() => rmSync(folder, { recursive: true }));

/** A status of a pane with this screen, of which nobody is in the foreground. */
function statusOf(screen: { isAwake: boolean; lines(): string[] }, terminalModes: () => Promise<TerminalModes | null> = async () => null) {
  const incidents: string[] = [];
  const changes: string[] = [];
  let write: WrittenListener = () => {};
  const pane = {
    id: '%1',
    head: 0,
    activeAt: 0,
    state: { is: 'running', pty: { foreground: async () => null, terminalModes } } as { is: string },
    screen: { bytesWaiting: 0, rows: 2, cols: 80, title: '', cursor: { x: 0, y: 0, visible: true }, isAlternate: false, ...screen },
    onTyped: () => {},
    onWritten: (then: WrittenListener) => {
      write = then;
      return () => {
        write = () => {};
      };
    },
  };
  const facts = { id: '$1', pid: null, shell: null, restores: [], createdAt: 0, command: ['x'], endedAt: null };
  const log = {
    incident: (message: string) => {
      incidents.push(message);
      return 'i1';
    },
  };
  const status = new PaneStatus({
    session: { facts, pane } as unknown as Session,
    rules: () => ({ agents: [], program: null }),
    rulesNow: () => ({ agents: [], program: null }),
    hookSocket: join(folder, 'h1.sock'),
    shellOf: () => null,
    log: log as unknown as Log,
    changed: ({ status }) => changes.push(status),
  });
  status.begin();
  let offset = 0;
  const print = (text: string) => {
    write(offset, Buffer.from(text));
    offset += text.length;
  };
  return { status, incidents, changes, pane, print };
}

test('a bug costs the status of that pane, and its end is told all the same', () => {
  const { status, incidents, pane, print } = statusOf({
    isAwake: true,
    lines: () => {
      throw new Error('a bug');
    },
  });
  expect(status.status).toBe('starting');
  print('a');
  vi.advanceTimersByTime(1000);
  expect(status.decision).toMatchObject({ status: 'unknown', because: { text: 'its status could not be told: incident i1' } });
  expect([incidents, vi.getTimerCount()]).toEqual([['the status of a pane failed'], 0]);
  print('b');
  Object.assign(pane, { state: { is: 'ended', how: 'exited', exit: { code: 2, signal: null } } });
  expect(status.status).toBe('failed');
});

test('a screen at rest is not woken, and one that is written to is read once', () => {
  let reads = 0;
  const lines = () => {
    reads++;
    return ['hello', ''];
  };
  const resting = statusOf({ isAwake: false, lines });
  resting.print('\x07');
  vi.advanceTimersByTime(1000);
  expect([reads, resting.status.status]).toEqual([0, 'starting']);
  const awake = statusOf({ isAwake: true, lines });
  awake.print('hello');
  vi.advanceTimersByTime(100_000);
  expect([reads, awake.status.status, awake.changes, vi.getTimerCount()]).toEqual([1, 'running', ['running'], 0]);
});

test('what floods from its first byte is seen to have drawn something', () => {
  let reads = 0;
  const lines = () => {
    reads++;
    return ['y', 'y'];
  };
  const { status, pane, print } = statusOf({ isAwake: true, lines });
  Object.assign(pane.screen, { bytesWaiting: 100_000 });
  print('y');
  vi.advanceTimersByTime(10_000);
  expect([reads, status.status]).toEqual([1, 'running']);
});

test('what is typed and not shown is a secret that is waited for, until somebody types or more is written', async () => {
  let modes: TerminalModes | null = { echo: false, canonical: true };
  let asks = 0;
  const lines = () => ['Geheimzahl >', ''];
  const { status, pane, print } = statusOf({ isAwake: true, lines }, async () => {
    asks++;
    return modes;
  });
  const settle = () => vi.advanceTimersByTimeAsync(10_000);
  print('Geheimzahl > ');
  await settle();
  const because = { source: 'terminal', rule: 'hidden-input', text: 'what is typed is not shown: it asks for a secret' };
  expect(status.decision).toMatchObject({ status: 'waiting', because });
  pane.onTyped();
  expect([status.status, asks, vi.getTimerCount()]).toEqual(['running', 1, 0]);
  print('again: ');
  await settle();
  expect(status.status).toBe('waiting');
  for (let n = 0; n < 20; n++) {
    print('.');
    await vi.advanceTimersByTimeAsync(50);
  }
  expect([status.status, asks]).toEqual(['running', 2]);
  modes = { echo: true, canonical: true };
  await settle();
  expect([status.status, asks, vi.getTimerCount()]).toEqual(['running', 3, 0]);
});
