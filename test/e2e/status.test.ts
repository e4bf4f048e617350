import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Connection } from '../../src/client/connection.ts';
import type { Status } from '../../src/wire/pane-status.ts';
import { Rig } from '../support/rig.ts';

const RULE = '─'.repeat(80);
const CLEAR = '\x1b[2J\x1b[H';
/** As Claude Code asks. */
const QUESTION = [CLEAR, 'I will look.', RULE, ' Bash command', '', '   ls', '', ' Do you want to proceed?', ' ❯ 1. Yes', '   2. No'].join(
  '\r\n',
);
/** As it works, with its title. */
const WORKING = `\x1b]0;⠂ Looking\x07${[CLEAR, '✶ Forming… (3s · ↓ 6 tokens)', '', RULE, '❯ ', RULE, '  esc to interrupt'].join('\r\n')}`;

const becomes = (client: Connection, session: string, status: Status) =>
  client.call('pane.wait', { sessions: [session], conditions: [{ is: 'state', status }], timeoutMs: 20_000 });

const stateOf = async (client: Connection, session: string) => (await client.call('session.get', { session })).state;

/** A puppet under the name of an agent, and its command. */
function disguise(rig: Rig, name: string) {
  const { command, enters } = rig.cast();
  const folder = join(rig.home, 'programs');
  mkdirSync(folder, { recursive: true });
  const program = join(folder, name);
  // Not by exec: who it is must be told from what is before it, too.
  writeFileSync(program, `#!/bin/sh\n${command.map((word) => `'${word}'`).join(' ')}\nexit $?\n`);
  chmodSync(program, 0o755);
  return { program, enters };
}

async function bashIn(rig: Rig, client: Connection) {
  const home = join(rig.home, 'user');
  mkdirSync(home, { recursive: true });
  await client.call('session.create', { name: 's', command: ['bash'], cwd: home, env: { ...rig.environment, HOME: home } });
}

test('a shell is at its prompt, runs a command, and says how the last one ended', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const events = await rig.events();
  await bashIn(rig, client);
  expect(await becomes(client, 's', 'prompt')).toMatchObject({ outcome: 'matched', condition: 'state=prompt' });
  expect(await stateOf(client, 's')).toEqual({ status: 'prompt', because: 'the shell is at its prompt', since: expect.any(Number) });
  // Not by its looks, which say that it is at its prompt already.
  await client.call('pane.write', { session: 's', input: ['read -r line; sh -c "exit 3"'], as: 'text', enter: true });
  await becomes(client, 's', 'running');
  expect(await stateOf(client, 's')).toMatchObject({ because: '"read -r line; sh -c "exit 3"" runs' });
  expect((await rig.run(['ls', '-F', '{name} {status} {state}'])).stdout).toBe('s running running\n');
  await client.call('pane.write', { session: 's', input: [], as: 'text', enter: true });
  await becomes(client, 's', 'prompt');
  expect(await stateOf(client, 's')).toMatchObject({ because: 'the shell is at its prompt; the last command ended with 3' });
  // By their reasons: what is found first is no change, and on a busy machine that is the first prompt.
  const next = async (because: string) => {
    const event = await events.next((event) => event.event === 'pane.status' && event.because === because);
    const { seq: _, at: __, ...facts } = event;
    return facts;
  };
  const about = { event: 'pane.status', session: '$1', name: 's', since: expect.any(Number) };
  const [runs, ended] = ['"read -r line; sh -c "exit 3"" runs', 'the shell is at its prompt; the last command ended with 3'] as const;
  expect([await next(runs), await next(ended)]).toEqual([
    { ...about, status: 'running', because: runs },
    { ...about, status: 'prompt', because: ended },
  ]);
  await client.call('pane.write', { session: 's', input: ['exit 4'], as: 'text', enter: true });
  await becomes(client, 's', 'failed');
  expect(await stateOf(client, 's')).toMatchObject({ status: 'failed', because: 'the program ended with 4' });
});

test('an agent in a shell works, waits for its human, and is gone', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const events = await rig.events();
  await bashIn(rig, client);
  await becomes(client, 's', 'prompt');
  const { program, enters } = disguise(rig, 'claude');
  await client.call('pane.write', { session: 's', input: [program], as: 'text', enter: true });
  const puppet = await enters;
  puppet.print(WORKING);
  await becomes(client, 's', 'working');
  const waiting = rig.run(['wait', 's', '--for', 'state=waiting', '--timeout', '20']);
  puppet.print(QUESTION);
  expect(await waiting).toMatchObject({ code: 0, stdout: 's  state=waiting\n' });
  expect(await events.next(({ event }) => event === 'agent.waiting')).toMatchObject({
    session: '$1',
    name: 's',
    because: 'the screen shows "❯ 1. Yes"',
    since: expect.any(Number),
  });
  // It is so already.
  expect(await rig.run(['wait', 's', '--for', 'state=waiting', '--timeout', '20'])).toMatchObject({ code: 0 });
  expect((await rig.run(['ls'])).stdout).toMatch(/^s +\$1 +running +waiting +bash /m);
  puppet.exit(5);
  await becomes(client, 's', 'prompt');
  expect(await stateOf(client, 's')).toMatchObject({ because: 'the shell is at its prompt; the last command ended with 5' });
});

test('explain tells the evidence; the next daemon finds the same', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { program, enters } = disguise(rig, 'claude');
  await client.call('session.create', { name: 'agent', command: [program], cwd: rig.home, env: rig.environment });
  const puppet = await enters;
  puppet.print(`\x1b]0;✳ Claude Code\x07${QUESTION}`);
  await becomes(client, 'agent', 'waiting');
  const told = {
    session: '$1',
    name: 'agent',
    status: 'waiting',
    because: { source: 'screen', rule: 'claude/choice', text: 'the screen shows "❯ 1. Yes"' },
    agent: { id: 'claude', name: 'Claude Code', because: '"claude" runs in the foreground', file: 'claude.yaml (built-in)' },
  };
  const found = JSON.parse((await rig.run(['explain', 'agent', '--json'])).stdout);
  expect(found).toMatchObject(told);
  expect(found.considered.slice(0, 2)).toMatchObject([
    { source: 'title', status: 'done', text: 'the title is "✳ Claude Code"', verdict: 'lost' },
    { source: 'screen', rule: 'claude/choice', status: 'waiting', verdict: 'won' },
  ]);
  const { stdout } = await rig.run(['explain', 'agent']);
  expect(stdout).toMatch(/^agent is waiting since \d+s: the screen shows "❯ 1\. Yes"\n {2}by screen, rule claude\/choice\n/);
  expect(stdout).toContain('  agent: Claude Code, "claude" runs in the foreground (rules: claude.yaml (built-in))\n');
  expect(stdout).toMatch(/^ {2}- title +done +claude\/star, \d+s ago: the title is "✳ Claude Code": waiting beats done/m);
  expect((await rig.run(['daemon', 'restart'])).code).toBe(0);
  const later = await rig.connect();
  expect(await becomes(later, 'agent', 'waiting')).toMatchObject({ outcome: 'matched' });
  expect(await later.call('pane.explain', { session: 'agent' })).toMatchObject(told);
  expect(await rig.run(['explain', 'nobody'])).toMatchObject({ code: 3 });
  puppet.exit(0);
  await becomes(later, 'agent', 'exited');
});

test("a user's rules make an agent of a program, count as soon as they are written, and what is wrong with them is said", async () => {
  await using rig = await Rig.start();
  const rules = (status: string) =>
    `id: mine\nagent: Mine\nprograms: [my-agent]\ntitles:\n  - { id: asks, status: ${status}, regex: '^ask', provenance: seen }\n`;
  const client = await rig.connect();
  const events = await rig.events();
  const problems = async () => (await client.call('daemon.status', {})).problems;
  const reloaded = () => events.next(({ event }) => event === 'agents.reloaded');
  const { program, enters } = disguise(rig, 'my-agent');
  await client.call('session.create', { name: 'mine', command: [program], cwd: rig.home, env: rig.environment });
  const puppet = await enters;
  puppet.print('hello\x1b]2;ask me\x07');
  await becomes(client, 'mine', 'running');
  mkdirSync(rig.paths.agents);
  writeFileSync(join(rig.paths.agents, 'mine.yaml'), rules('waiting'));
  await becomes(client, 'mine', 'waiting');
  expect(await stateOf(client, 'mine')).toMatchObject({ because: 'the title is "ask me"' });
  writeFileSync(join(rig.paths.agents, 'mine.yaml'), rules('working'));
  await becomes(client, 'mine', 'working');
  expect([await reloaded(), await reloaded(), await problems()]).toMatchObject([{ problems: [] }, { problems: [] }, []]);
  writeFileSync(join(rig.paths.agents, 'mine.yaml'), `${rules('done')}program: x\n`);
  const wrong = 'agents/mine.yaml: the file: no key "program"; did you mean "programs"?; the last good rules of this file stay';
  expect([await reloaded(), await problems()]).toMatchObject([{ problems: [wrong] }, [wrong]]);
  expect(await stateOf(client, 'mine')).toMatchObject({ status: 'working' });
  writeFileSync(join(rig.paths.agents, 'bad.yaml'), 'agent: Bad\n');
  expect(await reloaded()).toMatchObject({ problems: expect.arrayContaining([wrong, expect.stringMatching(/^agents\/bad.yaml: id: /)]) });
  puppet.exit(0);
});

test('any program that asks for a password waits; one that only prints runs', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'p' });
  expect(await stateOf(client, 'p')).toMatchObject({ status: 'starting' });
  puppet.print('working on it\r\n');
  await becomes(client, 'p', 'running');
  puppet.print('Password: ');
  await becomes(client, 'p', 'waiting');
  expect(await rig.run(['wait', 'p', '--for', 'state=nothing'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('"nothing" is no state: use starting, running, prompt,'),
  });
  puppet.exit(0);
});

test('a command that hides what is typed waits for a secret, whatever its words are', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  await bashIn(rig, client);
  await becomes(client, 's', 'prompt');
  await client.call('pane.write', { session: 's', input: ['read -s -p "Geheimzahl > " x'], as: 'text', enter: true });
  await becomes(client, 's', 'waiting');
  expect(await stateOf(client, 's')).toMatchObject({ because: 'what is typed is not shown: it asks for a secret' });
  await client.call('pane.write', { session: 's', input: ['C-c'] });
  await becomes(client, 's', 'prompt');
  await client.call('pane.write', { session: 's', input: ['read x'], as: 'text', enter: true });
  await becomes(client, 's', 'running');
  await client.call('pane.write', { session: 's', input: ['C-c'] });
});

test('a shell that tells nothing is at its prompt when it is in the foreground itself', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { command, enters } = rig.cast();
  await client.call('session.create', { name: 's', command: ['dash'], cwd: rig.home, env: { ...rig.environment, ENV: '' } });
  await becomes(client, 's', 'prompt');
  expect(await stateOf(client, 's')).toMatchObject({ because: 'the shell itself is in the foreground' });
  const line = command.map((word) => `'${word}'`).join(' ');
  await client.call('pane.write', { session: 's', input: [line], as: 'text', enter: true });
  const puppet = await enters;
  puppet.print('here\r\n');
  await becomes(client, 's', 'running');
  puppet.exit(0);
  await becomes(client, 's', 'prompt');
});
