import { execFileSync } from 'node:child_process';
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { Rig } from '../support/rig.ts';
import type { TestTerminal } from '../support/terminal.ts';
import { isAlive } from '../support/trees.ts';

const LOST = '[lost the daemon; session "a" runs on, and what you type is kept]';
const REPLACED = '[the daemon is being replaced; session "a" runs on, and what you type is kept]';

/** Kills it and waits until it has gone: what is typed from here on cannot have reached it. */
async function kill(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  while (isAlive(pid)) await new Promise(setImmediate);
}

/** Everything a person could scroll back to. */
function allLines({ screen }: TestTerminal): string[] {
  return screen.lines({ from: -screen.historyLines, to: screen.rows - 1, withEscapes: false, joinWrapped: false, trimEnd: true });
}

const count = (terminal: TestTerminal, text: string) => terminal.written.toString().split(text).length - 1;

test('an attached client follows daemons that are killed, one after the other, and no key is lost', async () => {
  await using rig = await Rig.start();
  const { puppet } = await rig.puppet(await rig.connect(), { name: 'a' });
  await puppet.raw();
  puppet.reads();
  const terminal = await rig.terminal(['attach', 'a']);
  puppet.print(`${Array.from({ length: 60 }, (_, n) => `line ${n}\r\n`).join('')}end`);
  await terminal.shows('end');
  for (let n = 1; n <= 4; n++) {
    terminal.type(`before ${n};`);
    expect((await puppet.input(9)).toString()).toBe(`before ${n};`);
    // A daemon that greets us has told the client by now that it has read this.
    await kill((await rig.connect()).daemon.pid);
    terminal.type(`in the gap ${n};`);
    expect((await puppet.input(13)).toString()).toBe(`in the gap ${n};`);
    puppet.print(`\r\nafter ${n}`);
    await terminal.shows(`after ${n}`);
    expect(count(terminal, LOST)).toBe(n);
  }
  // Each line is there once, and the notice nowhere.
  const lines = allLines(terminal);
  expect(lines.filter((line) => line !== '')).toEqual([
    ...Array.from({ length: 60 }, (_, n) => `line ${n}`),
    'end',
    ...[1, 2, 3, 4].map((n) => `after ${n}`),
  ]);
  terminal.type('\x02d');
  expect((await terminal.exited).code).toBe(0);
});

test('what was typed into a daemon that stood still when it was killed is typed into the next one', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  await puppet.raw();
  puppet.reads();
  const terminal = await rig.terminal(['attach', 'a']);
  puppet.print('here');
  await terminal.shows('here');
  const { pid } = client.daemon;
  process.kill(pid, 'SIGSTOP');
  terminal.type('unread;');
  // Nothing shows when it has been sent. Should it not be yet, it is typed into the gap, and comes as well.
  await new Promise((resolve) => setTimeout(resolve, 20));
  await kill(pid);
  expect((await puppet.input(7)).toString()).toBe('unread;');
});

test('of somebody who types on and on, nothing is lost while daemons are killed and replaced', async () => {
  await using rig = await Rig.start();
  const { puppet } = await rig.puppet(await rig.connect(), { name: 'a' });
  await puppet.raw();
  puppet.reads();
  const terminal = await rig.terminal(['attach', 'a']);
  puppet.print('here');
  await terminal.shows('here');
  let typed = 0;
  using typing = setInterval(() => terminal.type(`${typed++};`), 10);
  for (let n = 1; n <= 2; n++) {
    await kill((await rig.connect()).daemon.pid);
    await terminal.shows(() => count(terminal, LOST) === n);
    puppet.print(`\r\nkilled ${n}`);
    await terminal.shows(`killed ${n}`);
    expect(await rig.run(['daemon', 'restart'])).toMatchObject({ code: 0, stderr: '' });
    await terminal.shows(() => count(terminal, REPLACED) === n);
    puppet.print(`\r\nreplaced ${n}`);
    await terminal.shows(`replaced ${n}`);
  }
  clearInterval(typing);
  terminal.type('end');
  let read = '';
  while (!read.endsWith('end')) read += await puppet.input(1);
  // Once more comes only what a killed daemon had read and not said so yet, which is a matter of microseconds, and of luck.
  const keys = new Set(read.split(';').slice(0, -1).map(Number));
  expect([...keys]).toEqual(Array.from({ length: typed }, (_, n) => n));
});

test('a full-screen program is shown as it was, modes and all', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  const terminal = await rig.terminal(['attach', 'a']);
  puppet.print('below\x1b[?1049h\x1b[?1003h\x1b[?1006h\x1b[?2004h\x1b[5;10Hfull\x1b[10;1H');
  await terminal.shows('full');
  await kill(client.daemon.pid);
  await terminal.shows(() => count(terminal, LOST) === 1 && terminal.screen.isAlternate && !terminal.text.includes('lost'));
  await terminal.shows(() => terminal.screen.keyModes.mouse === 'any' && terminal.screen.keyModes.bracketedPaste);
  expect(terminal.text).toBe(`\n\n\n\n         full`);
  puppet.print('\x1b[?1049l!');
  await terminal.shows('below!');
});

test('two clients and a reader follow a restart', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  await puppet.raw();
  puppet.reads();
  const terminals = [await rig.terminal(['attach', 'a']), await rig.terminal(['attach', 'a']), await rig.terminal(['attach', 'a', '-r'])];
  puppet.print('before');
  for (const terminal of terminals) await terminal.shows('before');
  const restarted = JSON.parse((await rig.run(['daemon', 'restart', '--json'])).stdout) as { pid: number };
  expect(restarted.pid).not.toBe(client.daemon.pid);
  const again = await rig.connect({ start: false });
  while ((await again.call('session.get', { session: 'a' })).attached < 3);
  puppet.print(' and after');
  for (const terminal of terminals) await terminal.shows('before and after');
  expect(terminals.map((terminal) => count(terminal, REPLACED))).toEqual([1, 1, 0]);
  terminals[2]!.type('nothing of this');
  terminals[0]!.type('typed');
  expect((await puppet.input(5)).toString()).toBe('typed');
});

test('a restart that nobody finishes is finished by the client', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  const terminal = await rig.terminal(['attach', 'a']);
  puppet.print('before');
  await terminal.shows('before');
  await client.call('daemon.stop', { replace: true });
  await terminal.shows(() => count(terminal, REPLACED) === 1);
  puppet.print(' and after');
  await terminal.shows('before and after');
});

test('a session that ended meanwhile is told as usual', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  const terminal = await rig.terminal(['attach', 'a']);
  puppet.print('before');
  await terminal.shows('before');
  await using held = await holdStart(rig);
  await kill(client.daemon.pid);
  puppet.exit(3);
  await puppet.gone;
  await held.letGo();
  expect((await terminal.exited).code).toBe(0);
  expect(terminal.text).toContain('[session "a" ended: exit 3]');
});

test('who leaves while there is no daemon is let go at once', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  const terminal = await rig.terminal(['attach', 'a']);
  puppet.print('before');
  await terminal.shows('before');
  await using held = await holdStart(rig);
  await kill(client.daemon.pid);
  await terminal.shows(LOST);
  terminal.type('typed\x02d');
  expect((await terminal.exited).code).toBe(0);
  expect(terminal.text).toContain('[detached from session "a"]');
  await held.letGo();
});

test('where no daemon can be started, the client says why and how to come back', async () => {
  await using rig = await Rig.start();
  rig.expectsIncidents = true;
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  const terminal = await rig.terminal(['attach', 'a'], { cols: 200 });
  puppet.print('\x1b[?1049h\x1b[?1003hshown');
  await terminal.shows('shown');
  renameSync(rig.paths.metadata, `${rig.paths.metadata}.aside`);
  writeFileSync(rig.paths.metadata, 'a file where a folder should be');
  await kill(client.daemon.pid);
  expect((await terminal.exited).code).toBe(4);
  expect(terminal.text).toContain('The daemon ended while it started (exit 1): ai-session: EEXIST');
  expect(terminal.text).toContain(`[lost the daemon; session "a" runs on. Come back with: ai-session attach '$1']`);
  expect([terminal.screen.isAlternate, terminal.screen.keyModes.mouse]).toEqual([false, 'none']);
  rmSync(rig.paths.metadata);
  renameSync(`${rig.paths.metadata}.aside`, rig.paths.metadata);
});

/** A daemon that starts reads its settings, and waits there until it is let go. */
async function holdStart({ paths }: Rig): Promise<AsyncDisposable & { letGo(): Promise<void> }> {
  execFileSync('mkfifo', [paths.config]);
  const letGo = async () => {
    if (!existsSync(paths.config)) return;
    // Whoever waits finds a writer, and then the end. Whoever comes later finds no settings.
    const writer = await open(paths.config, 'r+');
    rmSync(paths.config);
    await writer.close();
  };
  return { letGo, [Symbol.asyncDispose]: letGo };
}
