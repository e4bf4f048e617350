import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { pathsFor } from '../../../src/config/paths.ts';
import { CommandFile } from '../../../src/daemon/output/command-file.ts';
import { Runner, type RunOptions } from '../../../src/daemon/output/runner.ts';
import { ShellLog } from '../../../src/daemon/output/shell-log.ts';
import { Tracker } from '../../../src/daemon/output/tracker.ts';
import type { Session } from '../../../src/daemon/session/session.ts';
import type { Mark } from '../../../src/daemon/terminal/marks.ts';

const NONCE = '0123456789abcdef';
const TOKEN = 'feedfacecafebeef';
let home = '';
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'aist-'));
  mkdirSync(join(home, 'run', 'shell'), { recursive: true });
  vi.useFakeTimers({ now: 1_800_000_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(home, { recursive: true, force: true });
});

/** The shell of a session, which the test plays, and the daemons that come and go around it. */
function shell() {
  const paths = pathsFor({ AI_SESSION_HOME: home });
  const log = join(home, 'run', 'shell', '1.log');
  const text = join(home, 'run', 'shell', `1-${TOKEN}`);
  writeFileSync(log, `ready\t${NONCE}\t1800000000.000000\t77\t/\n`);
  const typed: string[] = [];
  const screen = { isAlternate: false, bytesWaiting: 0, cursor: { x: 0, y: 0 }, lines: () => [pane.shown] };
  const pane = {
    id: '%1',
    head: 0,
    shown: '',
    typedBytes: 0,
    entered: { head: 0, typedBytes: 0, at: 0 },
    state: { is: 'running', pty: { terminalModes: async () => null } } as { is: string; exit?: object },
    screen,
    onWritten: () => () => {},
    write: (bytes: Buffer) => typed.push(bytes.toString()),
  };
  const session = { facts: { name: 's', shell: { kind: 'bash', nonce: NONCE } }, pane } as unknown as Session;
  const file = new CommandFile({ folder: home, session: '$1', vault: null });
  const daemon = () => {
    const known = file.read();
    const tracker = new Tracker({ session, log: new ShellLog(log, { nonce: NONCE, position: known.position }), file, known, news() {} });
    const runner = new Runner(tracker, { paths, known: known.commands, isLeaving: () => false });
    const mark = (letter: Mark['letter'], status: number | null = null) => {
      const offset = (pane.head += 10);
      tracker.hearMark({ letter, status, offset, end: offset + 5 });
    };
    return { tracker, runner, mark };
  };
  const say = (...fields: (string | number)[]) => appendFileSync(log, `${fields.join('\t')}\n`);
  const start = (n: number, line: string) => say('start', NONCE, n, '', '/', line);
  const end = (n: number, status: number) => say('end', NONCE, n, '', status, '/');
  return { daemon, start, end, text, typed, pane, file, line: ` . ${text}` };
}

const asked = (more: Partial<RunOptions> = {}): RunOptions => ({
  token: TOKEN,
  text: 'make',
  timeoutMs: null,
  isPatient: false,
  isInterrupted: false,
  ...more,
});

/** What an earlier daemon has left of its texts. */
const left = () => readdirSync(join(home, 'run', 'shell')).filter((name) => !name.endsWith('.log'));

test('of what nobody knows anything: it was not typed, and is run', async () => {
  const { daemon, start, end, typed, line } = shell();
  const { runner, mark } = daemon();
  mark('A');
  const outcome = runner.resume(asked());
  await vi.advanceTimersByTimeAsync(0);
  expect(typed).toEqual([`${line}\r`]);
  start(1, line);
  mark('C');
  end(1, 3);
  mark('D', 3);
  mark('A');
  expect(await outcome).toMatchObject({ status: 'finished', command: { text: 'make', by: 'run', exitCode: 3, token: TOKEN } });
  expect(left()).toEqual([]);
});

test('a text that its shell, at the prompt, does not begin is taken away, and never typed again', async () => {
  const { daemon, start, text, typed, line } = shell();
  writeFileSync(text, 'make\n');
  const { runner, mark, tracker } = daemon();
  mark('A');
  const outcome = runner.resume(asked());
  const next = runner.run(asked({ token: '0'.repeat(16), text: 'next', timeoutMs: 5000 }));
  await vi.advanceTimersByTimeAsync(999);
  expect(existsSync(text)).toBe(true);
  await vi.advanceTimersByTimeAsync(1);
  expect(await outcome).toEqual({
    status: 'not_started',
    command: null,
    because: 'The daemon was lost when it was typed, and the shell did not begin it.',
  });
  expect(existsSync(text)).toBe(false);
  expect(await runner.resume(asked())).toMatchObject({ status: 'not_started' });
  // The next one comes only now, and what is begun later is no run of ours.
  expect(typed).toEqual([expect.stringContaining(`1-${'0'.repeat(16)}`)]);
  start(1, line);
  mark('C');
  expect(tracker.running).toMatchObject({ text: null, by: 'person' });
  await vi.advanceTimersByTimeAsync(5000);
  expect(await next).toMatchObject({ status: 'not_started' });
});

test('a shell that has begun it at the very moment has begun it', async () => {
  const { daemon, start, end, text, typed, line } = shell();
  writeFileSync(text, 'make\n');
  const { runner, mark } = daemon();
  mark('A');
  const outcome = runner.resume(asked());
  await vi.advanceTimersByTimeAsync(900);
  // No mark has come of it, and nobody says that there is more in the log.
  start(1, line);
  end(1, 0);
  await vi.advanceTimersByTimeAsync(2000);
  expect(await outcome).toMatchObject({ status: 'finished', command: { text: 'make', exitCode: 0 } });
  expect(typed).toEqual([]);
});

test('a shell that is busy with something else begins it when that has ended, or its time is over before', async () => {
  const { daemon, start, end, text, typed, line, file } = shell();
  const first = daemon();
  first.mark('A');
  start(1, 'sleep 100');
  first.mark('C');
  first.tracker.stop();
  writeFileSync(text, 'make\n');
  const { runner, mark } = daemon();
  const outcome = runner.resume(asked());
  await vi.advanceTimersByTimeAsync(60_000);
  end(1, 0);
  mark('D', 0);
  mark('A');
  await vi.advanceTimersByTimeAsync(10);
  start(2, line);
  mark('C');
  mark('D', 7);
  mark('A');
  expect(await outcome).toMatchObject({ status: 'finished', command: { n: 2, text: 'make', exitCode: 7 } });
  expect(typed).toEqual([]);
  expect(file.read().commands.at(-1)).toMatchObject({ token: TOKEN, by: 'run' });
});

test('a time that is over takes it away from a shell that is busy', async () => {
  const { daemon, start, text, typed } = shell();
  const first = daemon();
  first.mark('A');
  start(1, 'sleep 100');
  first.mark('C');
  writeFileSync(text, 'make\n');
  const { runner } = daemon();
  const outcome = runner.resume(asked({ timeoutMs: 600 }));
  await vi.advanceTimersByTimeAsync(600);
  expect(await outcome).toMatchObject({ status: 'not_started' });
  expect({ left: left(), typed }).toEqual({ left: [], typed: [] });
});

test('what runs is waited for by each daemon that comes, and others wait for it; a time that is over is told', async () => {
  const { daemon, start, end, line, typed } = shell();
  const first = daemon();
  first.mark('A');
  void first.runner.run(asked());
  await vi.advanceTimersByTimeAsync(0);
  start(1, line);
  first.mark('C');
  void daemon().runner.resume(asked());
  const { tracker, runner, mark } = daemon();
  expect(tracker.running).toMatchObject({ token: TOKEN, text: 'make' });
  const outcome = runner.resume(asked());
  const late = runner.resume(asked({ timeoutMs: 0 }));
  const next = runner.run(asked({ token: '0'.repeat(16) }));
  await vi.advanceTimersByTimeAsync(500);
  expect(await late).toMatchObject({ status: 'timed_out', command: { endedAt: null } });
  end(1, 2);
  mark('D', 2);
  mark('A');
  expect(await outcome).toMatchObject({ status: 'finished', command: { exitCode: 2 } });
  await vi.advanceTimersByTimeAsync(0);
  expect(typed).toHaveLength(2);
  expect(left()).toEqual([`1-${'0'.repeat(16)}`]);
  tracker.ended();
  expect(await next).toMatchObject({ status: 'shell_exited' });
});

test('what was typed into another program is not typed again, and nobody says how it ended', async () => {
  const { daemon, text, typed } = shell();
  writeFileSync(`${text}.inside`, '');
  const { runner, mark } = daemon();
  mark('A');
  expect(await runner.resume(asked())).toMatchObject({ status: 'unobserved', command: null });
  expect({ left: left(), typed }).toEqual({ left: [], typed: [] });
});

test('a question for a password that came with no daemon is told by the next one', async () => {
  const { daemon, start, line, pane } = shell();
  const first = daemon();
  first.mark('A');
  void first.runner.run(asked());
  await vi.advanceTimersByTimeAsync(0);
  start(1, line);
  first.mark('C');
  pane.shown = '[sudo] password for me: ';
  const outcome = daemon().runner.resume(asked());
  await vi.advanceTimersByTimeAsync(300);
  expect(await outcome).toMatchObject({ status: 'needs_secret', command: { endedAt: null } });
});

test('a connection that was lost while the daemon was not: the run is found where it is', async () => {
  const { daemon, start, end, typed, line } = shell();
  const { runner, mark } = daemon();
  mark('A');
  const first = runner.run(asked());
  await vi.advanceTimersByTimeAsync(0);
  const again = runner.resume(asked());
  start(1, line);
  mark('C');
  end(1, 0);
  mark('D', 0);
  mark('A');
  expect(await again).toEqual(await first);
  expect(typed).toHaveLength(1);
});

test('what was not removed when it had ended is removed, and what is no text of ours is not waited for', async () => {
  const { daemon, start, end, text, line } = shell();
  writeFileSync(text, 'make\n');
  const first = daemon();
  first.mark('A');
  start(1, line);
  first.mark('C');
  end(1, 0);
  first.mark('D', 0);
  first.mark('A');
  expect(left()).toEqual([]);
  writeFileSync(text, 'make\n');
  daemon();
  expect(left()).toEqual([]);
  mkdirSync(join(home, 'run', 'shell', '1-00000000000000ff'));
  writeFileSync(join(home, 'run', 'shell', '1-0000000000000001'), 'x'.repeat(3 * (1 << 20) + 2));
  const { runner, mark } = daemon();
  mark('A');
  expect(left()).toEqual(['1-00000000000000ff']);
  runner.settle();
});
