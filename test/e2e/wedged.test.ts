import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { connect } from '../../src/client/daemon.ts';
import { encodeJson } from '../../src/wire/frame.ts';
import { Rig } from '../support/rig.ts';

test('a daemon that is stopped is replaced by restart, and programs run on', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  const { pid } = client.daemon;
  process.kill(pid, 'SIGSTOP');
  expect(await rig.run(['ls'])).toMatchObject({
    code: 4,
    stderr: `The daemon at "${rig.paths.socket}" does not answer. Replace it with: ai-session daemon restart\n`,
  });
  const restarted = await rig.run(['daemon', 'restart', '--json']);
  expect(restarted).toMatchObject({
    code: 0,
    stderr: `A daemon that could not be talked to was ended (pid ${pid}). Programs run on for the next one.\n`,
  });
  expect(JSON.parse(restarted.stdout)).toMatchObject({ sessions: 1 });
  const watcher = await rig.watch(await rig.connect(), 'a');
  puppet.print('still here');
  await watcher.shows('still here');
});

/** A daemon of another time: it has our name and place, speaks a protocol of its own, and hears no SIGTERM. */
const STRANGER = `
  process.title = 'ai-session-daemon';
  process.on('SIGTERM', () => {});
  process.umask(0o077);
  const [, run, hello] = process.argv;
  require('node:fs').writeFileSync(run + '/daemon.json', JSON.stringify({ pid: process.pid, instance: 'x' }));
  const server = require('node:net').createServer((socket) => socket.on('error', () => {}).write(Buffer.from(hello, 'hex')));
  server.listen(run + '/daemon.sock', () => console.log('ready'));
`;

test('a daemon of another version that will not end is made to', async () => {
  await using rig = await Rig.start();
  mkdirSync(rig.paths.run, { mode: 0o700 });
  const hello = encodeJson({ hello: { protocol: 999, oldest: 999, build: '99.0.0', pid: 1, instance: 'x' } });
  const stranger = spawn(process.execPath, ['-e', STRANGER, rig.paths.run, Buffer.from(hello).toString('hex')], {
    env: rig.environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(stranger, 'exit');
  await once(stranger.stdout, 'data');
  expect(await rig.run(['daemon', 'status'])).toMatchObject({
    code: 4,
    stderr: expect.stringMatching(
      /^This is ai-session \S+ \(protocol 1\), and the daemon is the newer 99.0.0 \(protocol 999\): use that version here too. Or go back to this one with: ai-session daemon upgrade --force\n$/,
    ),
  });
  expect(await rig.run(['daemon', 'stop', '--json'])).toMatchObject({
    code: 0,
    stdout: `{"pid":${stranger.pid},"ended":[],"left":[],"survivors":[]}\n`,
  });
  expect(await ended).toEqual([null, 'SIGKILL']);
  expect(await rig.run(['daemon', 'stop'])).toMatchObject({ code: 0, stderr: 'No daemon is running.\n' });
});

test('a daemon that does not get ready is waited for only so long, and is not taken for none', async () => {
  await using rig = await Rig.start();
  // Reading its settings holds it until somebody writes them.
  execFileSync('mkfifo', [rig.paths.config]);
  const failed = await connect(rig.paths, { limitMs: 500 }).catch((error: unknown) => error);
  expect(failed).toMatchObject({
    reason: 'start-failed',
    message: expect.stringMatching(/^The daemon \(pid \d+\) was not ready within 0.5 s. See: .*daemon.log$/),
  });
  for (const command of ['status', 'stop'])
    expect(await rig.run(['daemon', command])).toEqual({
      code: 4,
      signal: null,
      stdout: '',
      stderr: 'The daemon is starting or stopping. Try again in a moment.\n',
    });
  await writeFile(rig.paths.config, '');
  expect(await rig.run(['daemon', 'start'])).toMatchObject({ code: 0 });
});

test('AI_SESSION_PREFIX that is no prefix key is said before anything is shown; empty is none', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  for (const prefix of ['ctrl-a', 'foo', 'C-B', 'C-ab']) {
    const terminal = await rig.terminal(['attach', 'a'], { environment: { AI_SESSION_PREFIX: prefix }, cols: 200 });
    expect((await terminal.exited).code).toBe(2);
    expect(terminal.text).toBe(
      `AI_SESSION_PREFIX "${prefix}" is not a prefix key: use C-a to C-z, C-Space, C-\\, C-], C-^, C-_ or none, or unset it.`,
    );
  }
  const terminal = await rig.terminal(['attach', 'a'], { environment: { AI_SESSION_PREFIX: '' } });
  puppet.print('shown');
  await terminal.shows('shown');
  terminal.type('\x02d');
  expect((await terminal.exited).code).toBe(0);
});
