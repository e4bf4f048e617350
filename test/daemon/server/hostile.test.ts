import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, symlinkSync, unlinkSync, watch } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeJson, type Frame, FrameDecoder } from '../../../src/wire/frame.ts';
import { Rig } from '../../support/rig.ts';

const HELLO = encodeJson({ hello: { protocol: 1, oldest: 1, build: 'test', pid: 1, instance: 'test' } });

/** Says something to the daemon, and hears everything until the daemon ends the connection. */
function say(path: string, ...chunks: (Buffer | string)[]): Promise<Frame[]> {
  const socket = createConnection(path);
  const decoder = new FrameDecoder(1 << 20);
  const heard: Frame[] = [];
  socket.on('data', (chunk: Buffer) => heard.push(...decoder.push(chunk)));
  socket.on('error', () => {});
  for (const chunk of chunks) socket.write(chunk);
  return new Promise((resolve) => socket.on('close', () => resolve(heard)));
}

function length(bytes: number, kind = 1): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(bytes, 0);
  header[4] = kind;
  return header;
}

/** A frame of JSON as it stands, which no encoder of ours would write. */
function json(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([length(bytes.length + 1), bytes]);
}

const call = (message: unknown) => encodeJson(message);

describe('one that makes no sense', () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await Rig.start();
    await rig.connect();
  });
  afterAll(() => rig[Symbol.asyncDispose]());

  test.each([
    ['a length of 4 GiB', [HELLO, length(0xffffffff)], 'frame of 4294967295 bytes'],
    // No more than a socket takes: a sender whose write fails may not hear why.
    ['a length of 100 MB', [HELLO, length(100_000_000), Buffer.alloc(1 << 16)], 'frame of 100000000 bytes'],
    ['a length of nothing', [HELLO, length(0)], 'frame of 0 bytes'],
    ['an unknown kind', [HELLO, length(2, 77), 'x'], 'frame of unknown kind 77'],
    ['invalid UTF-8', [HELLO, length(4), Buffer.from([0x22, 0xff, 0x22])], 'frame is not JSON'],
    ['no JSON', [HELLO, length(5), 'nope'], 'frame is not JSON'],
    ['a snapshot', [HELLO, length(14, 3), Buffer.alloc(13)], 'Clients send no snapshots'],
    ['no hello', [call({ jsonrpc: '2.0', id: 1, method: 'session.list' })], 'The first message must be a hello'],
    ['no id', [HELLO, call({ method: 'session.list' })], 'A message must be a call'],
    ['a list', [HELLO, call([1, 2])], 'A message must be a call'],
    ['a web browser', ['GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'], 'frame of 1195725856 bytes'],
  ])('%s costs the sender its connection, and it is told why', async (_, chunks, why) => {
    const client = await rig.connect({ start: false });
    const heard = await say(rig.paths.socket, ...chunks);
    const last = heard.at(-1) as { value: { error: { message: string } } };
    expect(last.value.error.message).toContain(why);
    expect((await client.call('session.list', {})).sessions).toEqual([]);
  });
});

test('deep JSON, __proto__ and calls that make no sense are refused and nobody else notices', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet, session } = await rig.puppet(client);
  const watcher = await rig.watch(client, session.id);
  const hostile = [
    json(`{"jsonrpc":"2.0","id":1,"method":"session.create","params":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}}`),
    call({ jsonrpc: '2.0', id: 2, method: '__proto__', params: {} }),
    call({ jsonrpc: '2.0', id: 3, method: 'toString', params: {} }),
    call({ jsonrpc: '2.0', id: 4, method: 'session.get', params: null }),
    call({ jsonrpc: '2.0', id: 5, method: 'session.get', params: { session: { toString: 1 } } }),
    json(
      '{"jsonrpc":"2.0","id":6,"method":"session.create","params":{"cwd":"/","command":["true"],"env":{"__proto__":"x","PATH":"/bin"}}}',
    ),
    call({ jsonrpc: '2.0', id: 7, method: 'pane.attach', params: { session: session.id, cols: 1e9, rows: -1 } }),
    call({ jsonrpc: '2.0', id: 8, method: 'pane.viewport', params: { stream: 99, cols: 10, rows: 10 } }),
  ];
  const socket = createConnection(rig.paths.socket);
  const decoder = new FrameDecoder(1 << 20);
  const codes = new Map<number, string>();
  const answered = new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      for (const frame of decoder.push(chunk)) {
        const { id, error } = (frame as { value: { id?: number; error?: { data: { code: string } } } }).value;
        if (id !== undefined) codes.set(id, error?.data.code ?? 'ok');
      }
      if (codes.size === hostile.length) resolve();
    });
  });
  socket.write(HELLO);
  for (const frame of hostile) socket.write(frame);
  await answered;
  socket.destroy();
  expect(Object.fromEntries(codes)).toEqual({
    1: 'bad-params',
    2: 'unknown-call',
    3: 'unknown-call',
    4: 'bad-params',
    5: 'bad-params',
    6: 'ok',
    7: 'bad-params',
    8: 'not-found',
  });
  puppet.print('undisturbed');
  await watcher.shows('undisturbed');
});

test('a thousand idle connections and half frames keep nobody from working', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const sockets: Socket[] = [];
  for (let n = 0; n < 1000; n++) {
    const socket = createConnection(rig.paths.socket);
    socket.on('error', () => {});
    if (n % 2) socket.write(Buffer.concat([HELLO, length(1000), Buffer.from('{"half')]));
    sockets.push(socket);
    // No more at once than the socket's queue holds (511): the kernel refuses the rest. What it calls connected may still be in the queue.
    if (n % 250 === 249) while ((await client.call('daemon.status', {})).connections < n + 2);
  }
  const { puppet, session } = await rig.puppet(client);
  const watcher = await rig.watch(client, session.id);
  puppet.print('as ever');
  await watcher.shows('as ever');
  expect((await client.call('daemon.status', {})).connections).toBe(1001);
  for (const socket of sockets) socket.destroy();
});

test('a client that asks and never reads is not hoarded for', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet, session } = await rig.puppet(client, { cols: 200, rows: 50 });
  const watcher = await rig.watch(client, session.id, { cols: 200, rows: 50 });
  puppet.print(`${'x'.repeat(199)}\n`.repeat(2000));
  puppet.print('full');
  await watcher.shows('full');
  const rude = createConnection(rig.paths.socket);
  rude.pause();
  rude.on('error', () => {});
  rude.write(HELLO);
  for (let id = 0; id < 900; id++)
    rude.write(call({ jsonrpc: '2.0', id, method: 'pane.capture', params: { session: session.id, start: '-' } }));
  // Each answer has 400 KB: all of them would be 360 MB.
  for (let n = 0; n < 20; n++) await client.call('session.list', {});
  const rssKb = Number(/VmRSS:\s+(\d+)/.exec((await import('node:fs')).readFileSync(`/proc/${client.daemon.pid}/status`, 'utf8'))![1]);
  expect(rssKb).toBeLessThan(300_000);
  rude.destroy();
});

test('a socket that vanished is made again', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const before = statSync(rig.paths.socket).ino;
  const made = new Promise<void>((resolve) => {
    const watcher = watch(rig.paths.run, () => {
      const found = statSync(rig.paths.socket, { throwIfNoEntry: false });
      if (!found || found.ino === before) return;
      watcher.close();
      resolve();
    });
  });
  unlinkSync(rig.paths.socket);
  await made;
  // The file is there a moment before anybody listens on it, so this may have to try again: the lock keeps it from starting another.
  const again = await rig.connect();
  expect(again.daemon.instance).toBe(client.daemon.instance);
  expect(statSync(rig.paths.socket).mode & 0o777).toBe(0o600);
});

test('a run folder that was cleaned away comes back with every socket, and the next daemon finds its programs', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet, session } = await rig.puppet(client);
  // In one step: the daemon mends so fast that a folder taken away file by file never gets empty.
  renameSync(rig.paths.run, join(rig.home, 'cleaned'));
  const isBack = () =>
    ['daemon.sock', `p${session.pane.slice(1)}.sock`].every((name) =>
      statSync(join(rig.paths.run, name), { throwIfNoEntry: false })?.isSocket(),
    );
  while (!isBack()) await client.call('daemon.status', {});
  expect((await rig.connect()).daemon.instance).toBe(client.daemon.instance);
  process.kill(client.daemon.pid, 'SIGKILL');
  const next = await rig.connect();
  const watcher = await rig.watch(next, session.id);
  puppet.print('found again');
  await watcher.shows('found again');
});

test('a run folder that others can reach, a symbolic link and somebody else’s are refused by client and daemon', async () => {
  await using rig = await Rig.start();
  const first = await rig.run(['ls']);
  expect(first).toMatchObject({ code: 0, stdout: '' });
  chmodSync(rig.paths.run, 0o755);
  expect(await rig.run(['ls'])).toEqual({
    code: 5,
    signal: null,
    stdout: '',
    stderr: `The folder "${rig.paths.run}" is open to others (mode 755). Fix it with: chmod go= "${rig.paths.run}"\n`,
  });
  chmodSync(rig.paths.run, 0o700);
  chmodSync(rig.paths.socket, 0o666);
  expect((await rig.run(['ls'])).stderr).toContain('is open to others (mode 666)');
  chmodSync(rig.paths.socket, 0o600);
  await rig.run(['daemon', 'stop']);
  const elsewhere = join(rig.home, 'elsewhere');
  renameSync(rig.paths.run, elsewhere);
  symlinkSync(elsewhere, rig.paths.run);
  expect(await rig.run(['ls', '--json'])).toMatchObject({ code: 5, stderr: expect.stringContaining('is a symbolic link') });
  rmSync(rig.paths.run);
  renameSync(elsewhere, rig.paths.run);
  if (process.geteuid?.() === 0) {
    const { chownSync } = await import('node:fs');
    chownSync(rig.paths.run, 12345, 12345);
    expect((await rig.run(['ls'])).stderr).toContain('belongs to user 12345, not to you');
    chownSync(rig.paths.run, 0, 0);
  }
  expect((await rig.run(['ls'])).code).toBe(0);
});

test('a home too long for a socket is explained before anything is made', async () => {
  await using rig = await Rig.start();
  const long = join(mkdtempSync(join(tmpdir(), 'ais-long-')), 'x'.repeat(100));
  const ran = await rig.run(['ls'], { environment: { AI_SESSION_HOME: long } });
  expect(ran.code).toBe(2);
  expect(ran.stderr).toMatch(/is \d+ bytes too long: a Unix socket's path may have 107\. Set AI_SESSION_HOME to a shorter path\./);
  expect(statSync(long, { throwIfNoEntry: false })).toBeUndefined();
  rmSync(join(long, '..'), { recursive: true });
});

test('a home that cannot be made is explained', async () => {
  await using rig = await Rig.start();
  const ran = await rig.run(['ls'], { environment: { AI_SESSION_HOME: '/proc/nope' } });
  expect(ran.code).toBe(2);
  expect(ran.stderr).toContain('Cannot make "/proc/nope');
});

test('a dead daemon’s socket is cleaned away', async () => {
  await using rig = await Rig.start();
  const first = await rig.connect();
  process.kill(first.daemon.pid, 'SIGKILL');
  expect(statSync(rig.paths.socket).isSocket()).toBe(true);
  const second = await rig.connect();
  expect(second.daemon.pid).not.toBe(first.daemon.pid);
});

test('SIGTERM ends the daemon in order', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet, session } = await rig.puppet(client);
  const watcher = await rig.watch(client, session.id);
  process.kill(client.daemon.pid, 'SIGTERM');
  expect((await watcher.ended).because).toBe('daemon stopping');
  mkdirSync(rig.paths.run, { recursive: true });
  const next = await rig.connect();
  const again = await rig.watch(next, session.id);
  puppet.print('alive');
  await again.shows('alive');
});
