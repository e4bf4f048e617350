import { existsSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Rig } from '../../support/rig.ts';
import { isAlive } from '../../support/trees.ts';

/** Waits until a program has written so many pids into a file. */
async function pidsIn(rig: Rig, count: number): Promise<number[]> {
  const file = join(rig.home, 'pids');
  const read = () => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number) : []);
  const watcher = watch(rig.home);
  try {
    await new Promise<void>((resolve) => {
      const look = () => read().length >= count && resolve();
      watcher.on('change', look);
      look();
    });
  } finally {
    watcher.close();
  }
  return read();
}

/** Out of the session and of the parent's sight before anybody looks. Only a holder, which is a subreaper, keeps such a process below itself. */
const DOUBLE_FORK = `(setsid sh -c 'echo $$ >> pids; exec sleep 1000' &)`;

for (const backend of ['hold', 'node-pty'] as const) {
  test(`${backend}: kill ends the whole tree, with those who left the terminal and those who hear no signal`, async () => {
    await using rig = await Rig.start({ config: `pty:\n  backend: ${backend}\n` });
    const client = await rig.connect();
    const script = `
      echo $$ >> pids
      sleep 1000 & echo $! >> pids
      sh -c 'trap "" HUP TERM; echo $$ >> pids; while :; do sleep 1000; done' &
      setsid sh -c 'trap "" HUP TERM; echo $$ >> pids; sleep 1000' &
      ${backend === 'hold' ? DOUBLE_FORK : ''}
      wait`;
    const session = await client.call('session.create', { command: ['/bin/sh', '-c', script], cwd: rig.home, env: rig.environment });
    const pids = await pidsIn(rig, backend === 'hold' ? 5 : 4);
    const [killed] = (await client.call('session.kill', { sessions: [session.id] })).killed;
    expect(killed).toMatchObject({ id: session.id, survivors: [] });
    expect(killed!.signals).toEqual(['SIGHUP', 'SIGTERM', 'SIGKILL']);
    expect(pids.filter(isAlive)).toEqual([]);
    expect((await client.call('session.list', {})).sessions).toEqual([]);
  });
}

test('a server that forks while it is dying does not get away', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const script = `
    trap 'setsid sh -c "trap \\"\\" HUP TERM; echo \\$\\$ >> pids; sleep 1000" & exit' HUP TERM
    echo $$ >> pids
    while :; do sleep 0.1; done`;
  const session = await client.call('session.create', { command: ['/bin/sh', '-c', script], cwd: rig.home, env: rig.environment });
  await pidsIn(rig, 1);
  const [killed] = (await client.call('session.kill', { sessions: [session.id] })).killed;
  expect(killed!.survivors).toEqual([]);
  expect((await pidsIn(rig, 1)).filter(isAlive)).toEqual([]);
});

test('a stopped program is continued, so that it can end in order', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client);
  await client.call('pane.signal', { session: session.id, signal: 'STOP', to: 'program' });
  const [killed] = (await client.call('session.kill', { sessions: [session.id] })).killed;
  expect(killed).toMatchObject({ signals: ['SIGHUP'], survivors: [] });
  expect(isAlive(puppet.pid)).toBe(false);
});

test('force goes straight to SIGKILL', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session } = await rig.puppet(client);
  expect((await client.call('session.kill', { sessions: [session.id], force: true })).killed).toEqual([
    { id: session.id, name: session.name, signals: ['SIGKILL'], survivors: [] },
  ]);
});

test('killing a session that has ended forgets it and signals nobody', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const events = await rig.events();
  const { session, puppet } = await rig.puppet(client);
  puppet.exit(0);
  await events.next(({ event }) => event === 'session.ended');
  expect((await client.call('session.kill', { sessions: [session.id] })).killed).toEqual([
    { id: session.id, name: session.name, signals: [], survivors: [] },
  ]);
  expect((await client.call('session.list', {})).sessions).toEqual([]);
});

test('stopping the daemon with its sessions leaves no process', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const puppets = await Promise.all([rig.puppet(client), rig.puppet(client), rig.puppet(client)]);
  const ran = await rig.run(['daemon', 'stop', '--kill-sessions', '--json']);
  expect(JSON.parse(ran.stdout)).toMatchObject({ pid: client.daemon.pid, left: [], survivors: [] });
  expect(puppets.filter(({ puppet, session }) => isAlive(puppet.pid) || isAlive(session.holderPid!))).toEqual([]);
});

test('and it does so for programs that an earlier daemon left, when none runs', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet, session } = await rig.puppet(client, { name: 'left' });
  await rig.run(['daemon', 'stop']);
  expect(isAlive(puppet.pid)).toBe(true);
  const ran = await rig.run(['daemon', 'stop', '--kill-sessions', '--json']);
  expect(JSON.parse(ran.stdout)).toMatchObject({ ended: ['left'], survivors: [] });
  expect([puppet.pid, session.holderPid!].filter(isAlive)).toEqual([]);
});
