import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Connection } from '../../src/client/connection.ts';
import { hookSocket } from '../../src/config/paths.ts';
import type { Status } from '../../src/wire/pane-status.ts';
import { Rig } from '../support/rig.ts';
import { isAlive } from '../support/trees.ts';

/** What an agent has as its hook; outside of a session it does nothing. */
const hook = (event: string, payload = '{}') =>
  `echo '${payload}' | sh -c 'test -z "$AI_SESSION_HOOK" || "$AI_SESSION_HOOK" claude ${event}'`;

const becomes = async (client: Connection, status: Status) => {
  const [condition, timeoutMs] = [{ is: 'state', status } as const, 20_000];
  expect(await client.call('pane.wait', { sessions: ['s'], conditions: [condition], timeoutMs })).toMatchObject({ outcome: 'matched' });
};

/** A session with an agent that does what it is told, which is all that it has of Claude Code but the name. */
async function agentIn(rig: Rig, client: Connection, name = 'claude') {
  const folder = join(rig.home, 'programs');
  mkdirSync(folder, { recursive: true });
  const program = join(folder, name);
  writeFileSync(program, '#!/bin/sh\nwhile read -r line; do eval "$line"; done\n');
  chmodSync(program, 0o755);
  await client.call('session.create', { name: 's', command: [program], cwd: rig.home, env: rig.environment });
  const does = (line: string) => client.call('pane.write', { session: 's', input: [line], as: 'text', enter: true });
  return { program, does };
}

const log = (rig: Rig) => readFileSync(rig.paths.log, 'utf8');

test('an agent reports by its hooks, and that is what it is doing', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { does } = await agentIn(rig, client);
  await does(hook('UserPromptSubmit'));
  await becomes(client, 'working');
  await does(hook('PreToolUse', '{"tool_name":"AskUserQuestion"}'));
  await becomes(client, 'waiting');
  expect((await client.call('session.get', { session: 's' })).state).toMatchObject({
    because: 'the hook PreToolUse reported "AskUserQuestion"',
  });
  await does(hook('PostToolUse'));
  await becomes(client, 'working');
  await does(hook('Stop'));
  await becomes(client, 'done');
  expect((await client.call('pane.explain', { session: 's' })).because).toMatchObject({ source: 'hook', rule: 'claude/Stop' });
});

test('an agent that the agent has started speaks for itself only', async () => {
  await using rig = await Rig.start({ config: 'log: { level: debug }' });
  const client = await rig.connect();
  const events = await rig.events();
  const { program, does } = await agentIn(rig, client);
  await does(hook('UserPromptSubmit'));
  await becomes(client, 'working');
  const script = join(rig.home, 'script');
  writeFileSync(script, `${hook('PermissionRequest')}\n`);
  await does(`${program} < ${script}`);
  while (!log(rig).includes('it is not from the agent in the foreground')) await client.call('daemon.ping', {});
  await does(hook('Stop'));
  await becomes(client, 'done');
  expect(events.all.flatMap((event) => (event.event === 'pane.status' ? [event.status] : []))).not.toContain('waiting');
});

test('what is reported while there is no daemon is known to the next one', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { does } = await agentIn(rig, client);
  await does(hook('UserPromptSubmit'));
  await becomes(client, 'working');
  const { pid } = client.daemon;
  // The answer may not come.
  does(`kill -9 ${pid}; ${hook('PermissionRequest')}; echo reported > ${rig.home}/reported`).catch(() => {});
  while (isAlive(pid) || !existsSync(join(rig.home, 'reported'))) await new Promise(setImmediate);
  const leftOver = hookSocket(rig.paths, '%99');
  writeFileSync(leftOver, '');
  await becomes(await rig.connect(), 'waiting');
  expect(existsSync(leftOver)).toBe(false);
});

test('the socket takes reports and nothing else, and is made again', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { does } = await agentIn(rig, client);
  const path = hookSocket(rig.paths, '%1');
  const say = (text: string | Buffer) =>
    new Promise<string>((resolve) => {
      let heard = '';
      createConnection(path)
        .on('data', (chunk) => (heard += chunk))
        .on('error', () => {})
        .on('close', () => resolve(heard))
        .end(text);
    });
  const own = JSON.stringify({ agent: 'claude', event: 'Stop', at: 1, ancestors: [[process.pid, 'claude']] });
  const hostile = ['', '\n', '{}\n', 'x'.repeat(3 << 20), '\0'.repeat(5000), `${own}\n{`, `${own.replace('1', '1e999')}\n`, '[]\n'];
  const call = `${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'session.list', params: {} })}\n`;
  expect(await Promise.all([...hostile, call, `${own.replace('claude', '__proto__').replace('Stop', 'constructor')}\n`].map(say))).toEqual([
    '\n',
    '\n',
    '\n',
    '',
    '\n',
    '\n',
    '\n',
    '\n',
    '\n',
    '\n',
  ]);
  const both = [path, rig.paths.reporter];
  // A number alone may be used again.
  const stamps = () => both.map((file) => lstatSync(file, { throwIfNoEntry: false, bigint: true })?.ctimeNs);
  const before = stamps();
  await does(`rm ${both.join(' ')}`);
  while (stamps().some((stamp, i) => stamp === undefined || stamp === before[i])) await client.call('daemon.ping', {});
  await does(hook('UserPromptSubmit'));
  await becomes(client, 'working');
});
