import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Connection } from '../../src/client/connection.ts';
import type { CallResult } from '../../src/wire/calls.ts';
import { Inbox } from '../support/inbox.ts';
import { Rig } from '../support/rig.ts';
import type { TestTerminal } from '../support/terminal.ts';

const BELL = 'notify: { hold_seconds: 0, osc9: true }\n';

/** An address, and what is sent there. */
async function webhook(): Promise<{ url: string; got: Inbox<Record<string, unknown>> } & AsyncDisposable> {
  const got = new Inbox<Record<string, unknown>>();
  const server: Server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      response.end();
      got.put(JSON.parse(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/secret`,
    got,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Every program that asks for a password waits. */
const asks = async (client: Connection, session: string, puppet: { print(text: string): void }) => {
  puppet.print('\x1b[2J\x1b[HPassword: ');
  await client.call('pane.wait', { sessions: [session], conditions: [{ is: 'state', status: 'waiting' }], timeoutMs: 20_000 });
};

const shown = (terminal: TestTerminal, text: string) => terminal.shows(() => terminal.written.includes(text));

const outcomes = async (client: Connection) =>
  (await client.call('notify.status', {})).outcomes.map(({ channel, outcome, because, text }) => ({ channel, outcome, because, text }));

test('a session that waits is told by terminals, a command and a webhook, whatever its name is', async () => {
  await using rig = await Rig.start();
  await using hook = await webhook();
  const client = await rig.connect();
  const { puppet: other } = await rig.puppet(client, { name: 'other' });
  const terminal = await rig.terminal(['attach', 'other']);
  other.print('here\r\n');
  await terminal.shows('here');
  const name = `it's "$(touch pwned)" \\033 <b>;`;
  const { puppet } = await rig.puppet(client, { name });
  const { command, enters } = rig.cast();
  // Settings count at once.
  writeFileSync(
    rig.paths.config,
    JSON.stringify({ notify: { hold_seconds: 0, osc9: true, webhook: hook.url, command: command.map((word) => `'${word}'`).join(' ') } }),
  );
  other.print('\x1b]2;a title that is cut: ');
  await asks(client, name, puppet);
  const told = await enters;
  const { environment, cwd } = await told.environment();
  expect(cwd).toBe('/');
  expect(environment).toMatchObject({
    AI_SESSION_NAME: name,
    AI_SESSION_ID: '$2',
    AI_SESSION_STATUS: 'waiting',
    AI_SESSION_HOME: rig.home,
  });
  expect(environment.AI_SESSION_TEXT).toMatch(/^"it's "\$\(touch pwned\)" \\033 <b>;" waits for you: .*Password/);
  expect(await hook.got.next()).toMatchObject({ text: environment.AI_SESSION_TEXT, status: 'waiting', session: '$2', name, test: false });
  // Not inside the title.
  other.print('whole\x07');
  await shown(terminal, `a title that is cut: whole\x07\x1b]9;${environment.AI_SESSION_TEXT}\x1b\\\x07`);
  expect(terminal.screen.title).toBe('a title that is cut: whole');
  told.exit(3);
  await told.gone;
  const sent = { outcome: 'sent', because: 'one terminal', text: environment.AI_SESSION_TEXT };
  const { stdout } = await rig.run(['notify', '--json']);
  const now = JSON.parse(stdout) as CallResult<'notify.status'>;
  expect(now).toMatchObject({ on: ['waiting', 'failed'], holdSeconds: 0, longSeconds: 10, problems: [] });
  expect(now.channels).toMatchObject([
    { channel: 'bell', isOn: true, canWork: true, note: 'one terminal' },
    { channel: 'osc9', isOn: true, canWork: true },
    { channel: 'desktop', isOn: false },
    { channel: 'command', isOn: true },
    // The path of a webhook is its password.
    { channel: 'webhook', isOn: true, note: `${new URL(hook.url).origin}/…` },
  ]);
  expect(now.outcomes).toEqual(expect.arrayContaining([expect.objectContaining({ channel: 'bell', ...sent })]));
  expect(existsSync(join(rig.home, 'pwned')) || existsSync('/pwned')).toBe(false);
  for (const one of [other, puppet]) one.exit(0);
});

test('who types into the session is there; everybody else is told', async () => {
  await using rig = await Rig.start({ config: 'notify: { hold_seconds: 0, osc9: true, command: ": > $AI_SESSION_HOME/told" }' });
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'mine' });
  const { puppet: other } = await rig.puppet(client, { name: 'other' });
  const [typing, looking, elsewhere] = [
    await rig.terminal(['attach', 'mine']),
    await rig.terminal(['attach', '-r', 'mine']),
    await rig.terminal(['attach', 'other']),
  ];
  puppet.print('one\r\n');
  other.print('two\r\n');
  await Promise.all([typing.shows('one'), looking.shows('one'), elsewhere.shows('two')]);
  typing.type('x');
  await typing.shows('x');
  await asks(client, 'mine', puppet);
  await Promise.all([looking, elsewhere].map((terminal) => shown(terminal, '\x1b]9;"mine" waits for you')));
  expect(await outcomes(client)).toMatchObject([
    { channel: 'command', outcome: 'skipped', because: 'somebody types there' },
    { channel: 'osc9', outcome: 'sent', because: '2 terminals' },
    { channel: 'bell', outcome: 'sent', because: '2 terminals' },
  ]);
  puppet.print('\r\nand on\r\n');
  await typing.shows('and on');
  expect(typing.written.includes('\x1b]9;')).toBe(false);
  expect(existsSync(join(rig.home, 'told'))).toBe(false);
  for (const one of [other, puppet]) one.exit(0);
});

test('notify test tells now, and says how it went', async () => {
  await using rig = await Rig.start({ config: BELL });
  const client = await rig.connect();
  expect(await rig.run(['notify', 'test'])).toMatchObject({
    code: 0,
    stdout: 'bell     skipped: no terminal is attached\nosc9     skipped: no terminal is attached\n',
  });
  const { puppet } = await rig.puppet(client, { name: 'p' });
  const terminal = await rig.terminal(['attach', 'p']);
  puppet.print('here');
  await terminal.shows('here');
  expect(await rig.run(['notify', 'test', 'p'])).toMatchObject({
    code: 0,
    stdout: 'bell     sent: one terminal\nosc9     sent: one terminal\n',
  });
  await shown(terminal, '\x1b]9;"p" would be told of: this is a test\x1b\\\x07');
  writeFileSync(rig.paths.config, 'notify: { bell: false, command: "echo no such phone >&2; exit 9", webhook: "http://127.0.0.1:1/" }');
  const failed = await rig.run(['notify', 'test', '--json']);
  expect([failed.code, JSON.parse(failed.stdout)]).toEqual([
    1,
    {
      text: '"ai-session" would be told of: this is a test',
      results: [
        { channel: 'command', outcome: 'failed', because: 'it ended with 9: no such phone' },
        { channel: 'webhook', outcome: 'failed', because: expect.stringContaining('ECONNREFUSED') },
      ],
    },
  ]);
  const { stdout } = await rig.run(['notify']);
  expect(stdout).toMatch(/^on {7}waiting, failed, when it has been so for 2 s\nbell {5}off {2}one terminal\n/);
  expect(stdout).toMatch(
    /^\d+s ago +command {2}failed \(it ended with 9: no such phone\): "ai-session" would be told of: this is a test$/m,
  );
  writeFileSync(rig.paths.config, 'notify: { bell: false, webhok: x }');
  expect(await rig.run(['notify', 'test'])).toMatchObject({ code: 1, stderr: expect.stringContaining('No channel is on.') });
  expect((await rig.run(['notify'])).stdout).toContain('no setting "notify.webhok"; did you mean "notify.webhook"?');
  expect(await rig.run(['notify', 'test', '-t', 'nobody', '--json'])).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('"not-found"'),
  });
  expect(await rig.run(['notify', 'everybody'])).toMatchObject({ code: 2, stderr: expect.stringContaining('"everybody"') });
  puppet.exit(0);
});

test('long commands and ends of programs are told; what was run or killed by somebody is not', async () => {
  await using rig = await Rig.start();
  await using hook = await webhook();
  const notify = { on: ['done', 'failed'], hold_seconds: 0, long_seconds: 0, bell: false, webhook: hook.url };
  writeFileSync(rig.paths.config, JSON.stringify({ notify }));
  const client = await rig.connect();
  await client.call('session.create', {
    name: 'sh',
    command: ['bash'],
    cwd: rig.home,
    env: { ...rig.environment, HOME: rig.home },
  });
  expect(await rig.run(['run', 'sh', '--', 'false'])).toMatchObject({ code: 1 });
  await client.call('pane.write', { session: 'sh', input: ['sh -c "exit 3"'], as: 'text', enter: true });
  expect(await hook.got.next()).toMatchObject({
    status: 'failed',
    name: 'sh',
    because: expect.stringMatching(/^"sh -c "exit 3"" ended with 3 after \d s$/),
  });
  await client.call('pane.write', { session: 'sh', input: ['true'], as: 'text', enter: true });
  expect(await hook.got.next()).toMatchObject({ status: 'done', because: expect.stringMatching(/^"true" ended with 0 after/) });
  await rig.puppet(client, { name: 'killed' });
  expect(await rig.run(['kill', 'killed', 'sh'])).toMatchObject({ code: 0 });
  const { puppet } = await rig.puppet(client, { name: 'p' });
  puppet.exit(5);
  expect(await hook.got.next()).toMatchObject({ status: 'failed', name: 'p', because: 'the program ended with 5' });
});

test('the desktop is told by its program, which is given the text and nothing to interpret', async () => {
  await using rig = await Rig.start({ config: 'notify: { bell: false, desktop: true }' });
  rig.environment.PATH = `${rig.home}:${rig.environment.PATH}`;
  const client = await rig.connect();
  const program = join(rig.home, 'notify-send');
  expect(await rig.run(['notify', 'test', '--json'])).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('notify-send is not installed (Debian'),
  });
  writeFileSync(program, '#!/bin/sh\nprintf "%s\\n" "$@" > "$AI_SESSION_HOME/shown"\n', { mode: 0o755 });
  const { puppet } = await rig.puppet(client, { name: '<b>a & \\007 $(id)' });
  expect(await rig.run(['notify', 'test', '-t', '$1'])).toMatchObject({ code: 0, stdout: 'desktop  sent\n' });
  const text = '"&lt;b&gt;a &amp; /007 $(id)" would be told of: this is a test';
  expect(readFileSync(join(rig.home, 'shown'), 'utf8').split('\n')).toEqual(['--app-name=ai-session', '--', 'ai-session', text, '']);
  expect((await client.call('notify.status', {})).channels).toContainEqual({
    channel: 'desktop',
    isOn: true,
    canWork: true,
    note: program,
  });
  puppet.exit(0);
});

test('a command ends with the daemon, also when that is killed', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { command, enters } = rig.cast();
  writeFileSync(rig.paths.config, JSON.stringify({ notify: { command: command.map((word) => `'${word}'`).join(' ') } }));
  const testing = client.call('notify.test', {});
  testing.catch(() => {});
  const told = await enters;
  process.kill(JSON.parse(readFileSync(rig.paths.daemonJson, 'utf8')).pid, 'SIGKILL');
  await told.gone;
});
