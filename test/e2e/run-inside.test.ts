import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Connection } from '../../src/client/connection.ts';
import type { CallParams } from '../../src/wire/calls.ts';
import { Rig } from '../support/rig.ts';

/** A session `s` with this shell, whose user has no settings. */
async function liveShell(rig: Rig, client: Connection, shell: string) {
  const home = join(rig.home, 'user');
  mkdirSync(home);
  // zsh asks a user without this file whether to make one.
  writeFileSync(join(home, '.zshrc'), '');
  const env = { ...rig.environment, HOME: home, XDG_CONFIG_HOME: join(home, '.config'), ENV: '' };
  await client.call('session.create', { name: 's', command: [shell], cwd: home, env });
  const run = (text: string, more: Partial<CallParams<'command.run'>> = {}) =>
    client.call('command.run', { session: 's', text, timeoutMs: 20_000, ...more });
  /** Types a line, and waits for a prompt that comes after a place in the output. */
  const enter = async (text: string, { prompt, after }: { prompt: string; after: string }) => {
    await client.call('pane.write', { session: 's', input: [text], as: 'text', enter: true });
    const conditions = [{ is: 'regex' as const, pattern: `^${prompt}` }];
    await client.call('pane.wait', { sessions: ['s'], conditions, after: [after], timeoutMs: 20_000 });
  };
  return { home, run, enter };
}

describe.each(['bash', 'zsh', 'fish', 'dash'])('%s', (shell) => {
  const it = spawnSync(shell, ['-c', 'exit 0']).error ? test.skip : test;

  it('a line is typed at the prompt inside ssh, and nobody tells how it ended', async () => {
    await using rig = await Rig.start();
    const client = await rig.connect();
    const { run, enter, home } = await liveShell(rig, client, shell);
    // A shell of its own, that nobody integrated, under the name of what would have one on another machine.
    writeFileSync(join(home, 'ssh'), `#!/bin/bash\nPS1='remote> ' exec -a ssh bash --norc -i -s host\n`, { mode: 0o755 });
    await enter('./ssh host', { prompt: 'remote> ', after: (await run('echo ready')).cursor });
    const because = expect.stringMatching(/^It was typed into ".*ssh .*host", and nobody tells how a command ends there\.$/);
    const unobserved = { status: 'unobserved', exitCode: null, command: null, isRunning: false, because };
    expect(await run('echo one; false')).toMatchObject({ ...unobserved, output: 'one\n' });
    await client.call('pane.write', { session: 's', input: ['echo half'], as: 'text' });
    expect(await run('for i in a b; do\n  echo $i\ndone\n')).toMatchObject({ ...unobserved, output: 'a\nb\n' });
  });
});

test('nothing at all is typed into a full-screen program, nor where a secret is asked for', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { run, home } = await liveShell(rig, client, 'bash');
  await run('echo ready');
  const { command, enters } = rig.cast();
  const ssh = join(home, 'ssh');
  writeFileSync(ssh, `#!/bin/bash\nexec -a ssh ${command.map((word) => `'${word}'`).join(' ')}\n`, { mode: 0o755 });
  await client.call('pane.write', { session: 's', input: ['./ssh'], as: 'text', enter: true });
  const puppet = await enters;
  await puppet.raw();
  puppet.reads();
  for (const screen of ['\x1b[?1049h> ', '\x1b[?1049lPassword: ']) {
    puppet.print(screen);
    await client.call('pane.write', { session: 's', input: ['half'], as: 'text' });
    expect((await puppet.input(4)).toString()).toBe('half');
    await expect(run('echo no')).rejects.toMatchObject({ code: 'busy' });
    await client.call('pane.write', { session: 's', input: ['!'], as: 'text' });
    expect((await puppet.input(1)).toString()).toBe('!');
  }
});

test('inside another program what cannot be typed is refused, and what does not come back is said', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { run, enter } = await liveShell(rig, client, 'bash');
  await enter("PS1='inner> ' sh -i", { prompt: 'inner> ', after: (await run('echo ready')).cursor });
  const because = `It was typed into "PS1='inner> ' sh -i", and nobody tells how a command ends there.`;
  expect(await rig.run(['run', 's', '--', 'echo one; false'])).toEqual({
    code: 125,
    signal: null,
    stdout: 'one\n',
    stderr: `[${because}]\n`,
  });
  await expect(run('echo a\necho b')).rejects.toMatchObject({ code: 'bad-params', message: expect.stringContaining('several lines') });
  await expect(run('echo \x1b[A')).rejects.toMatchObject({ code: 'bad-params', message: expect.stringContaining('\\x1b') });
  await expect(run(`echo ${'x'.repeat(5000)}`)).rejects.toMatchObject({ code: 'bad-params', message: expect.stringContaining('4095') });
  const secret = await run('stty -echo; read x; stty echo');
  expect(secret).toMatchObject({ status: 'needs_secret', isRunning: true, exitCode: null });
  await enter('hidden', { prompt: 'inner> ', after: secret.cursor });
  const late = await run('read x', { timeoutMs: 600 });
  expect(late).toMatchObject({
    status: 'unobserved',
    isRunning: true,
    because: `${because} The time was over.`,
  });
  // It reads, and what it would read is no line for a shell.
  await expect(run('echo no')).rejects.toMatchObject({ code: 'busy' });
  await enter('', { prompt: 'inner> ', after: late.cursor });
  expect(await run('exit 3')).toMatchObject({ status: 'unobserved', exitCode: null, isRunning: false });
  expect(await run('echo back')).toMatchObject({ status: 'finished', exitCode: 0, output: 'back\n' });
});
