import { execFile } from 'node:child_process';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { encodeJson, FrameDecoder } from '../../src/wire/frame.ts';
import { OLDEST_PROTOCOL } from '../../src/wire/version.ts';
import { Rig } from '../support/rig.ts';

/** What the client of the day protocol 1 was made meets, when it speaks for so old or so new a build. */
async function meet(rig: Rig, { protocol, oldest }: { protocol: number; oldest: number }) {
  const hello = JSON.stringify({ protocol, oldest, build: '0.1.0', pid: process.pid, instance: 'frozen' });
  const argv = [join(import.meta.dirname, 'client-1.js'), rig.paths.socket, hello];
  const { stdout } = await promisify(execFile)(process.execPath, argv, { env: rig.environment });
  return JSON.parse(stdout) as Record<string, unknown>;
}

test.runIf(OLDEST_PROTOCOL === 1)('the client of protocol 1 creates, lists, attaches, types and stops', async () => {
  await using rig = await Rig.start();
  const { pid } = (await rig.connect()).daemon;
  const met = await meet(rig, { protocol: 1, oldest: 1 });
  const session = { id: '$1', pane: '%1', name: 'old', status: 'running', exitCode: null, signal: null, command: ['cat'], cwd: '/' };
  expect(met).toMatchObject({
    hello: { oldest: 1, pid },
    created: { ...session, cols: 80, rows: 24, attached: 0 },
    listed: { sessions: [session] },
    attached: { stream: 1, prefix: 'C-b', session: { ...session, attached: 1 } },
    snapshot: { stream: 1, offset: 0, isEmpty: false },
    output: 'typed\r\ntyped\r\nwritten\r\nwritten\r\n',
    ended: { stream: 1, because: 'daemon stopping', exitCode: null, signal: null },
    stopped: { pid, ended: [], left: ['old'], survivors: [] },
    refused: null,
  });
});

test.each([
  ['older', { protocol: 0, oldest: 0 }],
  ['newer', { protocol: 999, oldest: 999 }],
])('a client that is too much %s for us is told who we are, and may do nothing but stop us', async (_, versions) => {
  await using rig = await Rig.start();
  const { pid } = (await rig.connect()).daemon;
  const met = await meet(rig, versions);
  expect(met).toMatchObject({ hello: { pid }, created: null, refused: { code: -32007, data: { code: 'version' } } });
  expect(await stopAlone(rig, versions)).toMatchObject({ pid, ended: [], left: [], survivors: [] });
});

/** The call that replaces a daemon, in the words that every daemon understands from everybody. */
async function stopAlone(rig: Rig, { protocol, oldest }: { protocol: number; oldest: number }): Promise<unknown> {
  const socket = createConnection(rig.paths.socket);
  const decoder = new FrameDecoder(1 << 20);
  const answer = new Promise<unknown>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      for (const frame of decoder.push(chunk)) {
        const { id, result } = (frame.kind === 'json' ? frame.value : {}) as { id?: number; result?: unknown };
        if (id === 1) resolve(result);
      }
    });
  });
  socket.write(encodeJson({ hello: { protocol, oldest, build: 'x', pid: 1, instance: 'x' } }));
  socket.write(encodeJson({ jsonrpc: '2.0', id: 1, method: 'daemon.stop', params: { killSessions: false } }));
  return await answer.finally(() => socket.destroy());
}
