import { existsSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Connection } from '../../../src/client/connection.ts';
import { WireError } from '../../../src/wire/errors.ts';
import { Rig } from '../../support/rig.ts';

async function refusal(call: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error = await call.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(error instanceof WireError)) throw new Error(`expected a refusal, got ${error}`);
  return { code: error.code, message: error.message };
}

function shell(client: Connection, rig: Rig, script: string, more: object = {}) {
  return client.call('session.create', { command: ['/bin/sh', '-c', script], cwd: rig.home, env: rig.environment, ...more });
}

test('a session outlives the client that made it', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client);
  client.close();
  puppet.print('still here\n');
  const other = await rig.connect();
  const watcher = await rig.watch(other, session.id);
  await watcher.shows('still here');
});

test('clients that race to start the daemon start one', async () => {
  await using rig = await Rig.start();
  const clients = await Promise.all(Array.from({ length: 6 }, () => rig.connect()));
  expect(new Set(clients.map(({ daemon }) => daemon.instance)).size).toBe(1);
});

test('a stopped daemon leaves programs running, and the next one shows the same screen', async () => {
  await using rig = await Rig.start();
  const first = await rig.connect();
  const { session, puppet } = await rig.puppet(first, { name: 'kept', cols: 60, rows: 10, role: 'reviewer' });
  const watcher = await rig.watch(first, session.id, { cols: 60, rows: 10 });
  puppet.print(`${Array.from({ length: 30 }, (_, n) => `line ${n}`).join('\n')}\n\x1b[1;31mred\x1b[m\x1b]2;my title\x07`);
  await watcher.shows('red');
  const before = await first.call('pane.capture', { session: 'kept', escapes: true, start: '-' });
  const infoBefore = await first.call('session.get', { session: 'kept' });
  expect((await rig.run(['daemon', 'stop'])).code).toBe(0);
  expect(await watcher.ended).toEqual({ stream: 1, because: 'daemon stopping', exitCode: null, signal: null });
  puppet.print('while nobody was there\n');

  const second = await rig.connect();
  expect(second.daemon.instance).not.toBe(first.daemon.instance);
  const again = await rig.watch(second, 'kept', { cols: 60, rows: 10 });
  await again.shows('while nobody was there');
  const after = await second.call('pane.capture', { session: 'kept', escapes: true, start: '-' });
  expect(
    after.lines.slice(
      0,
      before.lines.findIndex((line) => line.includes('red')),
    ),
  ).toEqual(
    before.lines.slice(
      0,
      before.lines.findIndex((line) => line.includes('red')),
    ),
  );
  expect(after.title).toBe('my title');
  const { pid, holderPid, name, id, role, createdAt } = await second.call('session.get', { session: 'kept' });
  expect({ pid, holderPid, name, id, role, createdAt }).toEqual({
    pid: puppet.pid,
    holderPid: infoBefore.holderPid,
    name: 'kept',
    id: session.id,
    role: 'reviewer',
    createdAt: infoBefore.createdAt,
  });
  puppet.exit(5);
  expect(await again.ended).toMatchObject({ because: 'session ended', exitCode: 5 });
});

test('kill -9 of the daemon ends no program: the next daemon has its last screen and its exit code', async () => {
  await using rig = await Rig.start();
  const first = await rig.connect();
  const { session, puppet } = await rig.puppet(first);
  const watcher = await rig.watch(first, session.id);
  puppet.print('before the crash\n');
  await watcher.shows('before the crash');
  process.kill(first.daemon.pid, 'SIGKILL');
  puppet.print('during it\n');

  const second = await rig.connect();
  const again = await rig.watch(second, session.id);
  await again.shows('during it');
  expect(again.text).toBe('before the crash\nduring it');
  await again.detach();

  process.kill(second.daemon.pid, 'SIGKILL');
  puppet.exit(42);
  await puppet.gone;
  const third = await rig.connect();
  const events = await rig.events();
  let info = await third.call('session.get', { session: session.id });
  if (info.status === 'running') {
    await events.next(({ event }) => event === 'session.ended');
    info = await third.call('session.get', { session: session.id });
  }
  expect({ status: info.status, exitCode: info.exitCode, signal: info.signal }).toEqual({ status: 'exited', exitCode: 42, signal: null });
  expect((await third.call('pane.capture', { session: session.id })).lines.slice(0, 2)).toEqual(['before the crash', 'during it']);
});

test('a holder that is killed leaves a session that is lost, and says so', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const events = await rig.events();
  const { session, puppet } = await rig.puppet(client, { name: 'gone' });
  puppet.print('last words\n');
  await (await rig.watch(client, 'gone')).shows('last words');
  process.kill(session.holderPid!, 'SIGKILL');
  expect(await events.next(({ event }) => event === 'session.ended')).toMatchObject({ status: 'lost', exitCode: null, signal: null });
});

test('how a program ended stays until somebody kills the session or takes its name', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const events = await rig.events();
  await shell(client, rig, 'echo done; exit 3', { name: 'build' });
  await events.next(({ event }) => event === 'session.ended');
  const ended = await client.call('session.get', { session: 'build' });
  expect({ status: ended.status, exitCode: ended.exitCode, attached: ended.attached }).toEqual({
    status: 'exited',
    exitCode: 3,
    attached: 0,
  });
  expect((await client.call('pane.capture', { session: 'build' })).lines[0]).toBe('done');
  expect(await refusal(client.call('pane.write', { session: 'build', input: ['x'] }))).toEqual({
    code: 'ended',
    message: 'The program has ended (exit 3).',
  });

  const viewer = await rig.watch(client, 'build');
  expect(await viewer.ended).toMatchObject({ because: 'session ended', exitCode: 3 });
  expect(viewer.text).toBe('done');

  await (await rig.connect()).call('daemon.stop', {});
  const next = await rig.connect();
  expect(await next.call('session.get', { session: 'build' })).toMatchObject({ status: 'exited', exitCode: 3 });
  expect((await next.call('pane.capture', { session: 'build' })).lines[0]).toBe('done');

  const { session } = await rig.puppet(next, { name: 'build' });
  expect((await next.call('session.list', {})).sessions.map(({ id }) => id)).toEqual([session.id]);
});

test('a session that ended under somebody’s eyes is gone, unless it is to be kept', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet, session } = await rig.puppet(client);
  const watcher = await rig.watch(client, session.id);
  puppet.exit(0);
  await watcher.ended;
  expect((await client.call('session.list', {})).sessions).toEqual([]);

  await using keeping = await Rig.start({ config: 'sessions:\n  keep_ended: always\n' });
  const keeper = await keeping.connect();
  const kept = await keeping.puppet(keeper);
  const eyes = await keeping.watch(keeper, kept.session.id);
  kept.puppet.exit(0);
  await eyes.ended;
  expect((await keeper.call('session.list', {})).sessions).toHaveLength(1);
});

test('a signal is told as a signal', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const events = await rig.events();
  const { session } = await rig.puppet(client);
  expect(await client.call('pane.signal', { session: session.id, signal: 'kill', to: 'program' })).toEqual({
    signal: 'SIGKILL',
    delivered: true,
  });
  expect(await events.next(({ event }) => event === 'session.ended')).toMatchObject({
    status: 'exited',
    exitCode: null,
    signal: 'SIGKILL',
  });
});

test('a program that cannot be started leaves nothing behind', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const create = (command: string[], cwd = rig.home) => refusal(client.call('session.create', { command, cwd, env: rig.environment }));
  expect(await create(['no-such-thing'])).toEqual({ code: 'spawn-failed', message: 'No such command: "no-such-thing"' });
  expect(await create(['npm test'])).toEqual({
    code: 'spawn-failed',
    message: 'No such command: "npm test". For a line of shell, write: -- sh -c "npm test"',
  });
  expect(await create(['/etc/passwd'])).toEqual({ code: 'spawn-failed', message: 'Not executable: "/etc/passwd"' });
  expect(await create(['true'], '/no/such/place')).toEqual({ code: 'spawn-failed', message: 'No such directory: "/no/such/place"' });
  expect((await create(['true'], 'relative')).code).toBe('bad-params');
  expect((await client.call('session.list', {})).sessions).toEqual([]);
  expect(readdirSync(rig.paths.sessions)).toEqual([]);
  expect(readdirSync(rig.paths.run).filter((name) => name.startsWith('p'))).toEqual([]);
});

test('names are exact, and a slip gets the near one suggested', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session } = await rig.puppet(client, { name: 'build' });
  await rig.puppet(client, { name: 'buildx' });
  expect(await refusal(client.call('session.get', { session: 'buil' }))).toEqual({
    code: 'not-found',
    message: 'No session named "buil". Did you mean "build"?',
  });
  expect(await refusal(client.call('session.create', { name: 'build', cwd: rig.home }))).toEqual({
    code: 'exists',
    message: 'A session named "build" exists. Attach to it with: ai-session attach build',
  });
  expect((await client.call('session.get', { session: session.pane })).name).toBe('build');
  await client.call('session.rename', { session: 'build', name: '建築 🏗️' });
  expect((await client.call('session.get', { session: '建築 🏗️' })).id).toBe(session.id);
  expect((await refusal(client.call('session.rename', { session: session.id, name: 'buildx' }))).code).toBe('exists');
});

test('two calls with one name at once make one session', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const tries = await Promise.allSettled(Array.from({ length: 5 }, () => shell(client, rig, 'sleep 1000', { name: 'same' })));
  expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect((await client.call('session.list', {})).sessions).toHaveLength(1);
});

test('ids are never given twice, not even by the next daemon', async () => {
  await using rig = await Rig.start();
  const first = await rig.connect();
  const { session } = await rig.puppet(first);
  await first.call('session.kill', { sessions: [session.id] });
  await first.call('daemon.stop', {});
  const second = await rig.connect();
  const next = await rig.puppet(second);
  expect([session.id, session.pane, next.session.id, next.session.pane]).toEqual(['$1', '%1', '$2', '%2']);
});

test('a pane has the client’s environment, less what misleads, plus where it is', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet, session } = await rig.puppet(client, {
    env: {
      ...rig.environment,
      MINE: 'a b\nc',
      TMUX: '/tmp/x,1,0',
      TMUX_PANE: '%9',
      CLAUDECODE: '1',
      TERM: 'dumb',
      COLUMNS: '1',
      npm_lifecycle_event: 'start',
    },
  });
  const { environment, cwd } = await puppet.environment();
  expect(cwd).toBe(rig.home);
  expect(environment).toMatchObject({
    MINE: 'a b\nc',
    AI_SESSION: session.id,
    AI_SESSION_PANE: session.pane,
    TERM: 'xterm-256color',
    COLORTERM: 'truecolor',
    TERM_PROGRAM: 'ai-session',
    PWD: rig.home,
  });
  for (const name of ['TMUX', 'TMUX_PANE', 'CLAUDECODE', 'COLUMNS', 'npm_lifecycle_event']) expect(environment).not.toHaveProperty(name);
});

test('events tell a session’s life in order', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const events = await rig.events();
  const { session, puppet } = await rig.puppet(client, { name: 'a' });
  const watcher = await rig.watch(client, 'a', { cols: 90 });
  puppet.print('\x1b]2;working\x07\x07');
  await events.next(({ event }) => event === 'session.rang');
  await client.call('session.rename', { session: 'a', name: 'b' });
  await watcher.detach();
  await client.call('session.kill', { sessions: ['b'] });
  await events.next(({ event }) => event === 'session.removed');
  const seen = events.all.map(({ seq: _, at: __, ...rest }) => rest);
  expect(seen).toEqual([
    { event: 'session.started', session: session.id, name: 'a', pid: puppet.pid },
    { event: 'session.resized', session: session.id, name: 'a', cols: 90, rows: 24 },
    { event: 'client.attached', session: session.id, name: 'a', stream: 1, readOnly: false },
    { event: 'session.titled', session: session.id, name: 'a', title: 'working' },
    { event: 'session.renamed', session: session.id, name: 'b', from: 'a' },
    { event: 'client.detached', session: session.id, name: 'b', stream: 1, because: 'detached' },
    { event: 'session.ended', session: session.id, name: 'b', status: 'exited', exitCode: null, signal: 'SIGHUP' },
    {
      event: 'pane.status',
      session: session.id,
      name: 'b',
      status: 'failed',
      because: 'the program was ended by SIGHUP',
      since: expect.any(Number),
    },
  ]);
});

test('a record that a newer version wrote is left alone, and so is one that is damaged', async () => {
  await using rig = await Rig.start();
  const { mkdirSync, readFileSync, writeFileSync } = await import('node:fs');
  const files = { newer: `${rig.paths.sessions}/7/state.json`, damaged: `${rig.paths.sessions}/8/state.json` };
  for (const folder of ['7', '8']) mkdirSync(`${rig.paths.sessions}/${folder}`, { recursive: true });
  writeFileSync(files.newer, '{"version": 99, "name": "future"}');
  writeFileSync(files.damaged, '{"version": 1, "na');
  const client = await rig.connect();
  expect((await client.call('session.list', {})).sessions).toEqual([]);
  expect(readFileSync(files.newer, 'utf8')).toBe('{"version": 99, "name": "future"}');
  expect(existsSync(files.damaged)).toBe(true);
});
