import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Connection } from '../../../src/daemon/server/connection.ts';
import type { Caller } from '../../../src/daemon/subsystem.ts';
import { encodeJson } from '../../../src/wire/frame.ts';
import { PROTOCOL } from '../../../src/wire/version.ts';

test('a call at work hears that its client has gone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'aisc-'));
  const path = join(folder, 's');
  const server = createServer();
  const asked = new Promise<Caller>((resolve) => {
    const dispatch = (_method: string, _params: unknown, caller: Caller) => {
      resolve(caller);
      return new Promise<unknown>(() => {});
    };
    server.once('connection', (socket) => new Connection(socket, dispatch, {} as never));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const client = createConnection(path);
  client.write(encodeJson({ hello: { protocol: PROTOCOL, oldest: PROTOCOL, build: '1.0.0', pid: 1, instance: 'test' } }));
  client.write(encodeJson({ jsonrpc: '2.0', id: 1, method: 'pane.wait', params: {} }));
  const { gone } = await asked;
  expect(gone.aborted).toBe(false);
  const hears = new Promise<void>((resolve) => gone.addEventListener('abort', () => resolve()));
  client.destroy();
  await hears;
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});
