import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { encodeJson, encodeStream, FrameDecoder } from '../../../src/wire/frame.ts';
import { Rig } from '../../support/rig.ts';
import { isAlive } from '../../support/trees.ts';

/** Makes every write of this session's record fail, as a full disk does, until it is undone. */
function breakRecord(rig: Rig, id: string): () => void {
  const file = join(rig.paths.sessions, id.slice(1), 'state.json');
  const aside = `${file}.aside`;
  renameSync(file, aside);
  mkdirSync(join(file, 'in the way'), { recursive: true });
  return () => {
    rmSync(file, { recursive: true });
    renameSync(aside, file);
  };
}

test('while its record cannot be written, a session works on, and its exit code is kept for the next daemon', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client, { name: 'full' });
  const mend = breakRecord(rig, session.id);
  const watcher = await rig.watch(client, 'full', { cols: 100, rows: 30 });
  puppet.print('shown');
  await watcher.shows('shown');
  expect(await client.call('session.get', { session: 'full' })).toMatchObject({ cols: 100, rows: 30 });
  await expect(client.call('session.rename', { session: 'full', name: 'other' })).rejects.toMatchObject({ code: 'spawn-failed' });
  expect((await client.call('session.get', { session: session.id })).name).toBe('full');
  await watcher.detach();
  const events = await rig.events();
  puppet.exit(7);
  await events.next(({ event }) => event === 'session.ended');
  mend();
  // Without a word of goodbye: what is known is what the holder kept.
  process.kill(client.daemon.pid, 'SIGKILL');
  const next = await rig.connect();
  const later = await rig.events();
  if ((await next.call('session.get', { session: session.id })).status === 'running')
    await later.next(({ event }) => event === 'session.ended');
  expect(await next.call('session.get', { session: session.id })).toMatchObject({ status: 'exited', exitCode: 7 });
});

test('lost or damaged counters cost no session, and no id is given twice', async () => {
  for (const damage of [(file: string) => rmSync(file), (file: string) => writeFileSync(file, '')]) {
    await using rig = await Rig.start();
    const client = await rig.connect();
    const { session, puppet } = await rig.puppet(client, { name: 'precious' });
    await rig.run(['daemon', 'stop']);
    damage(join(rig.paths.metadata, 'counters.json'));
    const next = await rig.connect();
    const fresh = await rig.puppet(next, { name: 'fresh' });
    expect([session.id, session.pane, fresh.session.id, fresh.session.pane]).toEqual(['$1', '%1', '$2', '%2']);
    const watcher = await rig.watch(next, 'precious');
    puppet.print('still mine');
    await watcher.shows('still mine');
  }
});

test('a record that makes no sense keeps no daemon from starting', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session } = await rig.puppet(client, { name: 'a' });
  await rig.run(['daemon', 'stop']);
  const file = join(rig.paths.sessions, session.id.slice(1), 'state.json');
  const record = readFileSync(file, 'utf8');
  writeFileSync(file, record.replace(/"cols": \d+/, '"cols": 1000000000'));
  expect((await rig.run(['ls'])).code).toBe(0);
  await rig.run(['daemon', 'stop']);
  writeFileSync(file, record);
});

test('a client that does not read cannot keep the daemon from stopping', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const session = await client.call('session.create', { command: ['yes'], cwd: rig.home, env: rig.environment });
  const frozen = createConnection(rig.paths.socket);
  frozen.on('error', () => {});
  frozen.write(encodeJson({ hello: { protocol: 1, oldest: 1, build: 'test', pid: 1, instance: 'test' } }));
  frozen.write(encodeJson({ jsonrpc: '2.0', id: 1, method: 'pane.attach', params: { session: session.id, cols: 80, rows: 24 } }));
  const events = await rig.events();
  while ((await client.call('session.get', { session: session.id })).attached === 0);
  expect(events.all.length).toBeGreaterThanOrEqual(0);
  frozen.pause();
  const ran = await rig.run(['daemon', 'stop']);
  expect(ran.code).toBe(0);
  expect(isAlive(client.daemon.pid)).toBe(false);
  frozen.destroy();
});

test('a client that types until the end hears the last words', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session } = await rig.puppet(client);
  const typist = createConnection(rig.paths.socket);
  const decoder = new FrameDecoder(1 << 20);
  const heard: unknown[] = [];
  typist.on('data', (chunk: Buffer) => heard.push(...decoder.push(chunk)));
  const closed = new Promise<Error | null>((resolve) => typist.once('error', resolve).once('close', () => resolve(null)));
  typist.write(encodeJson({ hello: { protocol: 1, oldest: 1, build: 'test', pid: 1, instance: 'test' } }));
  typist.write(encodeJson({ jsonrpc: '2.0', id: 1, method: 'pane.attach', params: { session: session.id, cols: 80, rows: 24 } }));
  while ((await client.call('session.get', { session: session.id })).attached === 0);
  typist.pause();
  // All connections are ended in one turn of the daemon.
  const ended = new Promise<void>((resolve) => {
    client.onLost = () => resolve();
  });
  await client.call('daemon.stop', { replace: true });
  await ended;
  typist.write(encodeStream({ kind: 'bytes', stream: 1, offset: 0, bytes: Buffer.from('too late') }), () => typist.resume());
  expect(await closed).toBeNull();
  expect(heard.at(-1)).toMatchObject({ value: { method: 'stream.ended', params: { because: 'daemon replaced' } } });
});

test('queries of a program whose leader only sees pictures are answered by us', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client);
  await puppet.raw();
  puppet.reads();
  await rig.watch(client, session.id, { cols: 80, rows: 24 });
  await client.call('pane.resize', { session: session.id, cols: 100, rows: 30 });
  puppet.print('\x1b[5n');
  expect((await puppet.input(4)).toString()).toBe('\x1b[0n');
});

test('a slip in the command does not cost what the ended session of that name left', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const events = await rig.events();
  const { puppet } = await rig.puppet(client, { name: 'build' });
  puppet.exit(3);
  await events.next(({ event }) => event === 'session.ended');
  expect((await rig.run(['new', 'build', '-d', '--', 'mkae'])).code).toBe(8);
  expect(await client.call('session.get', { session: 'build' })).toMatchObject({ status: 'exited', exitCode: 3 });
});

test('what is asked for by name reaches the program, whatever it is', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, {
    env: { ...rig.environment, TMUX: 'x', LINES: '3' },
    set: { TERM: 'vt100', LINES: '5', TMUX_TMPDIR: '/t', MINE: '1' },
  });
  const { environment } = await puppet.environment();
  expect(environment).toMatchObject({ TERM: 'vt100', LINES: '5', TMUX_TMPDIR: '/t', MINE: '1' });
  expect(environment).not.toHaveProperty('TMUX');
});

test('a session that was lost can still be killed with what is left of it', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const events = await rig.events();
  const session = await client.call('session.create', {
    command: ['/bin/sh', '-c', 'trap "" HUP; echo ready; exec sleep 1000'],
    cwd: rig.home,
    env: rig.environment,
  });
  const watcher = await rig.watch(client, session.id);
  await watcher.shows('ready');
  await watcher.detach();
  process.kill(session.holderPid!, 'SIGKILL');
  await events.next(({ event }) => event === 'session.ended');
  expect(isAlive(session.pid!)).toBe(true);
  const [killed] = (await client.call('session.kill', { sessions: [session.id] })).killed;
  expect(killed!.survivors).toEqual([]);
  expect(isAlive(session.pid!)).toBe(false);
});

test('kill refuses --all with --status, and a word that is no status', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client);
  expect(await rig.run(['kill', '--all', '--status', 'exited'])).toMatchObject({
    code: 2,
    stderr: 'Use --all or --status, not both: --status alone takes all sessions of that status.\n',
  });
  expect(await rig.run(['kill', '--status', 'runnning'])).toMatchObject({
    code: 2,
    stderr: '"runnning" is no status: use starting, running, exited, failed, lost.\n',
  });
  expect(isAlive(puppet.pid)).toBe(true);
});

test('megabytes of text that resembles keys are text, at once', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session } = await rig.puppet(client);
  const text = 'C-'.repeat(1_000_000);
  expect(await client.call('pane.write', { session: session.id, input: [text] })).toEqual({ bytes: text.length });
});
