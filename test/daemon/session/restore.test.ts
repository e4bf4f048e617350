import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Connection } from '../../../src/client/connection.ts';
import { Rig } from '../../support/rig.ts';

/** What a reboot leaves: no daemon, no holders, no programs, no sockets. */
async function reboot(rig: Rig, client: Connection): Promise<void> {
  const { sessions } = await client.call('session.list', {});
  const isLost = new Promise((resolve) => (client.onLost = resolve));
  process.kill(client.daemon.pid, 'SIGKILL');
  await isLost;
  for (const { holderPid, pid } of sessions) for (const each of [holderPid, pid]) if (each !== null) kill(each);
  rmSync(rig.paths.run, { recursive: true });
  mkdirSync(rig.paths.run, { mode: 0o700 });
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It went with its holder.
  }
}

test('after a reboot sessions are lost and readable, and restore brings them back', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const folder = join(rig.home, 'work');
  mkdirSync(folder);
  const { session, puppet, again } = await rig.puppet(client, {
    name: 'agent',
    cwd: folder,
    env: { ...rig.environment, MARK: 'kept' },
    cols: 70,
    rows: 20,
  });
  const watcher = await rig.watch(client, 'agent', { cols: 70, rows: 20 });
  puppet.print('\x1b[?1000hbefore the reboot');
  await watcher.shows('before the reboot');
  await reboot(rig, client);

  const next = await rig.connect();
  expect(await next.call('session.get', { session: 'agent' })).toMatchObject({ status: 'lost', exitCode: null, cols: 70, rows: 20 });
  const reader = await rig.watch(next, 'agent', { cols: 70, rows: 20, readOnly: true });
  expect(await reader.ended).toMatchObject({ because: 'session ended', exitCode: null });
  expect(reader.text).toBe('before the reboot');

  const ran = rig.run(['restore', 'agent']);
  const revived = await again();
  expect(await ran).toMatchObject({ code: 0, stdout: expect.stringMatching(/^agent \(\$1\): starts "node" from the beginning\n$/) });
  const { environment, cwd } = await revived.environment();
  expect(environment).toMatchObject({ MARK: 'kept', AI_SESSION_PANE: '%2' });
  expect(cwd).toBe(folder);
  const now = await next.call('session.get', { session: 'agent' });
  expect(now).toMatchObject({ id: session.id, pane: '%2', status: 'running', cols: 70, rows: 20, command: session.command });
  revived.print('after it');
  const viewer = await rig.watch(next, 'agent', { cols: 70, rows: 20 });
  await viewer.shows('after it');
  expect(viewer.text).toMatch(/^before the reboot\n\[\d{4}-.* restored: starts "node" from the beginning\]\nafter it$/);
});

test('what is to come back by itself does, and what ended by itself does not', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const always = await rig.puppet(client, { name: 'always', restart: 'always' });
  const asks = await rig.puppet(client, { name: 'asks', restart: 'ask' });
  const done = await rig.puppet(client, { name: 'done', restart: 'always' });
  const events = await rig.events();
  done.puppet.exit(0);
  await events.next(({ event }) => event === 'session.ended');
  await reboot(rig, client);
  const next = await rig.connect();
  const revived = await always.again();
  revived.print('here');
  const status = async (session: string) => (await next.call('session.get', { session })).status;
  expect([await status('always'), await status('asks'), await status('done')]).toEqual(['running', 'lost', 'exited']);
  const { restored, refused } = await next.call('session.restore', { all: true });
  expect(restored.map(({ session }) => session.name)).toEqual(['asks']);
  expect(refused).toEqual([]);
  await asks.again();
});

test('what cannot be restored says why, and loses nothing', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const folder = join(rig.home, 'gone');
  mkdirSync(folder);
  const program = join(rig.home, 'program');
  writeFileSync(program, '#!/bin/sh\necho from the program; sleep 1000\n', { mode: 0o755 });
  await rig.puppet(client, { name: 'elsewhere', cwd: folder });
  await client.call('session.create', { name: 'broken', command: [program], cwd: rig.home, env: rig.environment });
  const watcher = await rig.watch(client, 'broken');
  await watcher.shows('from the program');
  expect(await rig.run(['restore', 'broken'])).toMatchObject({
    code: 6,
    stderr: 'Session "broken" is running: there is nothing to restore.\n',
  });
  expect(await rig.run(['restore', 'nobody'])).toMatchObject({ code: 3 });
  expect(await rig.run(['restore'])).toMatchObject({ code: 2 });
  await reboot(rig, client);
  rmSync(folder, { recursive: true });
  chmodSync(program, 0o644);
  expect(await rig.run(['restore', 'elsewhere'])).toMatchObject({
    code: 2,
    stderr: `The directory "${folder}" of session "elsewhere" is not there. Name another one with: -c DIR\n`,
  });
  expect(await rig.run(['restore', 'broken', '--json'])).toMatchObject({ code: 8, stderr: expect.stringContaining('Not executable') });
  const next = await rig.connect();
  expect(await next.call('session.get', { session: 'broken' })).toMatchObject({ status: 'lost', pane: '%2' });
  expect((await next.call('pane.capture', { session: 'broken' })).lines[0]).toBe('from the program');
  expect(existsSync(join(rig.paths.sessions, '2', 'panes', '3'))).toBe(false);
  chmodSync(program, 0o755);
  expect(await rig.run(['restore', '--all', '--json'])).toMatchObject({ code: 1, stdout: expect.stringContaining('"broken"') });
  expect(await next.call('session.get', { session: 'broken' })).toMatchObject({ status: 'running' });
});

test('an environment that is kept is nobody else’s to read', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  await rig.puppet(client, { name: 'a', env: { ...rig.environment, TOKEN: 'xyzzy' } });
  const file = join(rig.paths.sessions, '1', 'launch.json');
  expect(readFileSync(file, 'utf8')).toContain('xyzzy');
  expect(statSync(file).mode & 0o777).toBe(0o600);
});
