import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Connection } from '../../src/client/connection.ts';
import type { CallParams } from '../../src/wire/calls.ts';
import { Rig } from '../support/rig.ts';

type Shell = 'bash' | 'zsh' | 'fish' | 'dash';

/** A session with this shell, whose user's files say what `rc` says. */
async function shellIn(rig: Rig, client: Connection, shell: Shell, { rc = '', name = 's' }: { rc?: string; name?: string } = {}) {
  const home = join(rig.home, 'user');
  mkdirSync(join(home, '.config', 'fish'), { recursive: true });
  for (const file of ['.bashrc', '.zshrc', join('.config', 'fish', 'config.fish')]) writeFileSync(join(home, file), rc);
  await client.call('session.create', {
    name,
    command: [shell],
    cwd: home,
    env: { ...rig.environment, HOME: home, XDG_CONFIG_HOME: join(home, '.config'), ENV: '' },
    cols: 100,
    rows: 30,
  });
  const run = (text: string, more: Partial<CallParams<'command.run'>> = {}) =>
    client.call('command.run', { session: name, text, timeoutMs: 20_000, ...more });
  return { home, run };
}

const isHere = (shell: string) => spawnSync(shell, ['-c', 'exit 0']).error === undefined;

describe.each<Shell>(['bash', 'zsh', 'fish', 'dash'])('%s', (shell) => {
  const it = isHere(shell) ? test : test.skip;
  // One daemon for all of them; each has the session to itself.
  let rig: Rig;
  let client: Connection;
  beforeAll(async () => {
    rig = await Rig.start();
    client = await rig.connect();
  });
  afterEach(() => client.call('session.kill', { sessions: ['s'], force: true }));
  afterAll(() => rig[Symbol.asyncDispose]());
  const posix = shell !== 'fish';
  const self = posix ? '$$' : '$fish_pid';

  it('what a command changes stays, and each result is its own', async () => {
    const { run, home } = await shellIn(rig, client, shell);
    expect(await run('cd /; export A=one')).toMatchObject({ status: 'finished', exitCode: 0, output: '', because: null, isRunning: false });
    const define = posix ? 'f() { echo "f $1"; }' : 'function f; echo "f $argv[1]"; end';
    expect(await run(define)).toMatchObject({ exitCode: 0, output: '' });
    expect(await run('pwd; echo $A; f x')).toMatchObject({ exitCode: 0, output: '/\none\nf x\n', truncated: null, command: 3 });
    expect(await run('sh -c "echo to the end >&2; exit 7"')).toMatchObject({ exitCode: 7, output: 'to the end\n' });
    expect(await run('false && echo no')).toMatchObject({ exitCode: 1, output: '' });
    expect(await run('# nothing at all')).toMatchObject({ status: 'finished', output: '' });
    expect(await run(`printf '%s\\n' "it's" 'a "b" \\t' '  ünï→😀 漢字'`)).toMatchObject({ output: 'it\'s\na "b" \\t\n  ünï→😀 漢字\n' });
    expect(await run("printf '\\377\\200x\\n'")).toMatchObject({ exitCode: 0, output: '\ufffd\ufffdx\n' });
    expect(await run('cd\npwd\n\necho last')).toMatchObject({ output: `${home}\nlast\n` });
    const { commands, is, shell: kind } = await client.call('command.list', { session: 's' });
    expect({ is, kind }).toEqual({ is: 'prompt', kind: shell === 'dash' ? 'sh' : shell });
    expect(commands.map(({ n, text, by, exitCode }) => [n, by, exitCode, text]).slice(2, 5)).toEqual([
      [3, 'run', 0, 'pwd; echo $A; f x'],
      [4, 'run', 7, 'sh -c "echo to the end >&2; exit 7"'],
      [5, 'run', 1, 'false && echo no'],
    ]);
    expect(await client.call('command.output', { session: 's', command: 3 })).toMatchObject({ output: '/\none\nf x\n' });
  });

  it('a heredoc, a hundred kilobytes, a slip and an open quote', async () => {
    const { run } = await shellIn(rig, client, shell);
    if (posix) expect(await run('cat <<END\none $((1+1))\nEND\necho three')).toMatchObject({ output: 'one 2\nthree\n', exitCode: 0 });
    const long = `${'# a comment that is long enough\n'.repeat(3200)}echo done\n`;
    expect(long.length).toBeGreaterThan(100_000);
    expect(await run(long)).toMatchObject({ exitCode: 0, output: 'done\n' });
    for (const slip of [posix ? 'if' : 'echo (', 'echo "open', "echo 'open\nmore"]) {
      const result = await run(slip);
      expect(result).toMatchObject({ status: 'finished', isRunning: false });
      expect(result.exitCode).not.toBe(0);
    }
    expect(await run('echo alive')).toMatchObject({ exitCode: 0, output: 'alive\n' });
  });

  it('background jobs go on, Ctrl-C ends what takes too long, and the next command runs', async () => {
    const { run } = await shellIn(rig, client, shell);
    expect(await run('sleep 60 &')).toMatchObject({ status: 'finished', exitCode: 0 });
    const late = await run('echo begun; sleep 60; echo never', { timeoutMs: 600, interrupt: true });
    expect(late).toMatchObject({
      status: 'timed_out',
      exitCode: 130,
      isRunning: false,
      because: 'The time was over, and it was interrupted.',
    });
    expect(late.output).toContain('begun\n');
    expect(late.output).not.toContain('never');
    expect(await run('echo next')).toMatchObject({ status: 'finished', exitCode: 0, output: 'next\n' });
    await run('kill %1 2>/dev/null; true');
  });

  it('a command that goes on after the timeout is told as running, and its shell is busy', async () => {
    const { run, home } = await shellIn(rig, client, shell);
    spawnSync('mkfifo', [join(home, 'go')]);
    expect(await run('echo one; cat go; echo three', { timeoutMs: 600 })).toMatchObject({
      status: 'timed_out',
      exitCode: null,
      isRunning: true,
    });
    await expect(run('echo no')).rejects.toMatchObject({ code: 'busy' });
    if (shell !== 'dash') {
      const queued = run('echo after', { queue: true });
      writeFileSync(join(home, 'go'), 'two\n');
      expect(await queued).toMatchObject({ status: 'finished', output: 'after\n' });
      expect(await client.call('command.output', { session: 's', command: 1 })).toMatchObject({
        output: 'one\ntwo\nthree\n',
        command: { exitCode: 0 },
      });
    } else writeFileSync(join(home, 'go'), 'two\n');
  });

  it.each([
    // In fish it ends the file that is being read, and no more.
    ...(posix ? ([['exit 7', 7, null]] as const) : []),
    ['exec sh -c "exit 3"', 3, null],
    [`kill -9 ${self}`, null, 'SIGKILL'],
    ...(posix ? ([['set -e\necho before\nfalse\necho never', 1, null]] as const) : []),
  ] as const)('%s ends the shell, and that is said', async (text, exitCode, signal) => {
    const { run } = await shellIn(rig, client, shell);
    expect(await run(text)).toMatchObject({ status: 'shell_exited', exitCode, signal, isRunning: false });
    const { commands, is } = await client.call('command.list', { session: 's' });
    expect(is).toBe('gone');
    expect(commands.at(-1)).toMatchObject({ text, exitCode });
    await expect(run('echo no')).rejects.toMatchObject({ code: 'ended' });
  });

  it('a full-screen program and a question for a password are told, not waited for', async () => {
    const { run } = await shellIn(rig, client, shell);
    const picture = await run(`printf '\\033[?1049hpicture'; sleep 60`);
    expect(picture).toMatchObject({ status: 'full_screen', exitCode: null, isRunning: true });
    await client.call('pane.write', { session: 's', input: ['C-c'] });
    expect(await run(`printf '\\033[?1049l'`, { queue: true })).toMatchObject({ status: 'finished' });
    const ask = (stty: string, prompt: string) => `sh -c 'stty ${stty}; printf "${prompt}"; read x; stty echo; echo "got $x"'`;
    const answer = () => client.call('pane.write', { session: 's', input: ['secret'], as: 'text', enter: true });
    // The terminal's modes tell, whatever the words are.
    const secret = await run(ask('-echo', 'Geheimzahl eingeben > '), { queue: true });
    expect(secret).toMatchObject({ status: 'needs_secret', exitCode: null, isRunning: true });
    await answer();
    const shown = await run(ask('echo', '[sudo] password for me: '), { queue: true, timeoutMs: 500 });
    expect(shown).toMatchObject({ status: 'timed_out', isRunning: true });
    await answer();
    // The shell's own, which prints nothing; fish edits the line by itself, so there the words count.
    const own = { bash: 'read -s x', zsh: 'read -s x', fish: 'read -s -P "Token: " x', dash: 'stty -echo; read x; stty echo' };
    const asked = await run(own[shell], { queue: true });
    expect(asked).toMatchObject({ status: 'needs_secret', isRunning: true });
    await answer();
    expect(await run('echo on', { queue: true })).toMatchObject({ status: 'finished', output: 'on\n' });
  });

  it('what is typed by hand has its record too, and marks reach no viewer', async () => {
    const { run } = await shellIn(rig, client, shell);
    const events = await rig.events();
    await run('echo ready');
    // A line that somebody has begun is put aside.
    await client.call('pane.write', { session: 's', input: ['echo half a li'], as: 'text' });
    expect(await run('echo whole')).toMatchObject({ output: 'whole\n', exitCode: 0 });
    const watcher = await rig.watch(client, 's', { cols: 100, rows: 30 });
    const line = `echo by ${posix ? '$((40+2))' : '(math 40+2)'} hand; sh -c "exit 5"`;
    watcher.type(`${line}\r`);
    await watcher.shows('by 42 hand');
    const all = Buffer.concat(watcher.frames.map(({ bytes }) => bytes)).toString('latin1');
    expect(all).not.toContain('\x1b]633');
    expect((await rig.run(['export', 's', '--format', 'asciicast', '-o', '-'])).stdout).not.toContain(']633;C;');
    if (shell === 'dash') return;
    for (;;) {
      const event = await events.next();
      // A line that is begun without anything typed before rings no bell.
      if (event.event === 'session.rang') expect(shell).toBe('nobody rings');
      if (event.event !== 'command.finished' || event.command < 3) continue;
      expect(event).toMatchObject({ exitCode: 5, command: 3, text: line });
      break;
    }
    expect(await client.call('command.output', { session: 's' })).toMatchObject({
      output: 'by 42 hand\n',
      command: { by: 'person', exitCode: 5 },
    });
  });

  // sh tells of nothing but what is run in it.
  if (shell === 'dash') return;

  it('a slow rc file is waited for, and a broken one does not matter', async () => {
    const rc = 'sleep 0.3\nexport FROM_RC=yes\nif\n';
    const { run } = await shellIn(rig, client, shell, { rc: shell === 'fish' ? 'sleep 0.3\nset -gx FROM_RC yes\nfalse\n' : rc });
    expect(await run('echo "$FROM_RC"')).toMatchObject({ status: 'finished', output: 'yes\n' });
  });

  it('a line that somebody has begun is put aside, over several lines too; one that was just entered runs', async () => {
    const { run, home } = await shellIn(rig, client, shell);
    const type = (text: string, enter: boolean) => client.call('pane.write', { session: 's', input: [text], as: 'text', enter });
    const events = await rig.events();
    await run('echo ready');
    await type('echo half', false);
    expect(await run('echo one')).toMatchObject({ output: 'one\n', exitCode: 0 });
    // It lies in the shell's own buffer.
    await client.call('pane.write', { session: 's', input: ['C-y', 'Enter'] });
    await events.next((event) => event.event === 'command.finished' && event.text === 'echo half');
    const loop = shell === 'fish' ? 'for i in 1 2' : 'for i in 1 2; do';
    for (const lines of [[loop], [loop, 'echo "an open quote']]) {
      for (const line of lines) await type(line, true);
      expect(await run('echo whole')).toMatchObject({ status: 'finished', output: 'whole\n', exitCode: 0 });
    }
    spawnSync('mkfifo', [join(home, 'go')]);
    await type('cat go; sh -c "exit 5"', true);
    await expect(run('echo no')).rejects.toMatchObject({ code: 'busy' });
    const queued = run('echo after', { queue: true });
    writeFileSync(join(home, 'go'), 'two\n');
    expect(await queued).toMatchObject({ status: 'finished', output: 'after\n' });
    const { commands: all } = await client.call('command.list', { session: 's' });
    expect(all.at(-2)).toMatchObject({ text: 'cat go; sh -c "exit 5"', exitCode: 5 });
  });
});

describe.each<Shell>(['bash', 'zsh', 'fish'])('%s, killed daemon', (shell) => {
  const it = isHere(shell) ? test : test.skip;
  it('a daemon that is killed while a command runs leaves it whole for the next one', async () => {
    await using rig = await Rig.start();
    const client = await rig.connect();
    const { run, home } = await shellIn(rig, client, shell);
    spawnSync('mkfifo', [join(home, 'go')]);
    await run('echo first');
    expect(await run('echo one; cat go; sh -c "exit 9"', { timeoutMs: 600 })).toMatchObject({ status: 'timed_out' });
    const { pid } = client.daemon;
    process.kill(pid, 'SIGKILL');
    writeFileSync(join(home, 'go'), 'two\n');
    const next = await rig.connect();
    expect(next.daemon.pid).not.toBe(pid);
    const after = await next.call('command.run', { session: 's', text: 'echo after', timeoutMs: 20_000, queue: true });
    expect(after).toMatchObject({ status: 'finished', output: 'after\n', command: 3 });
    expect(await next.call('command.output', { session: 's', command: 2 })).toMatchObject({
      output: 'one\ntwo\n',
      command: { exitCode: 9, text: 'echo one; cat go; sh -c "exit 9"' },
    });
  });
});

test('a hundred in a row and twenty panes at once never mix', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { run } = await shellIn(rig, client, 'bash');
  const row = await Promise.all(
    Array.from({ length: 100 }, (_, n) => run(`echo "number ${n}"; sh -c "exit ${n % 100}"`, { timeoutMs: 60_000 })),
  );
  expect(row.map(({ output, exitCode }) => [output, exitCode])).toEqual(row.map((_, n) => [`number ${n}\n`, n % 100]));
  const panes = await Promise.all(Array.from({ length: 20 }, (_, n) => shellIn(rig, client, n % 2 ? 'bash' : 'dash', { name: `p${n}` })));
  const answers = await Promise.all(
    panes.flatMap(({ run }, n) => Array.from({ length: 3 }, (_, k) => run(`echo pane ${n} of ${k}`, { timeoutMs: 60_000 }))),
  );
  expect(answers.map(({ output }) => output)).toEqual(panes.flatMap((_, n) => [0, 1, 2].map((k) => `pane ${n} of ${k}\n`)));
  // Nothing of the commands is left but the shells' own files.
  expect(readdirSync(join(rig.paths.run, 'shell')).filter((file) => !file.endsWith('.log'))).toEqual([]);
});

test('a long output is read at both ends, and what was left out is said', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { run } = await shellIn(rig, client, 'bash');
  const some = await run('seq 1 5000', { maxBytes: 1000 });
  expect(some.output).toMatch(/^1\n2\n[\s\S]*\n\[\.\.\. \d+ lines, \d+ bytes left out \.\.\.\]\n[\s\S]*\n4999\n5000\n$/);
  expect(Buffer.byteLength(some.output)).toBeLessThan(1100);
  const shown = some.output.split('\n').length - 2;
  expect(some.truncated).toEqual({ lines: 5000 - shown, bytes: expect.any(Number) });
  const all = await run('seq 1 2000000');
  expect(all.output).toMatch(/^1\n2\n[\s\S]*\n\[\.\.\. \d+ bytes left out \.\.\.\]\n[\s\S]*\n1999999\n2000000\n$/);
  expect(all.truncated).toMatchObject({ lines: null });
  expect(all.output.length).toBeLessThan(66_000);
});

test('from the command line, by processes of their own', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { home } = await shellIn(rig, client, 'bash');
  expect(await rig.run(['run', 's', '--', 'cd /usr'])).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
  expect(await rig.run(['exec', '-t', 's', '--', 'export', "Q=it's"])).toMatchObject({ code: 0 });
  expect(await rig.run(['run', 's', '--', 'pwd; echo "$Q"; (exit 4)'])).toEqual({
    code: 4,
    signal: null,
    stdout: "/usr\nit's\n",
    stderr: '',
  });
  expect(await rig.run(['run', 's', '--', 'printf', '%s\\n', join(home, 'a b'), '$Q'])).toMatchObject({
    stdout: `${join(home, 'a b')}\n$Q\n`,
  });
  expect(await rig.run(['run', 's', '--shell', '--', 'echo', '$Q', '|', 'tr', 'a-z', 'A-Z'])).toMatchObject({ stdout: "IT'S\n" });
  const late = await rig.run(['run', 's', '--timeout', '0.5', '--interrupt', '--', 'sleep 60']);
  expect(late).toMatchObject({ code: 124, stderr: '[The time was over, and it was interrupted.]\n' });
  const { stdout } = await rig.run(['run', 's', '--json', '--', 'echo hi']);
  expect(JSON.parse(stdout)).toMatchObject({
    status: 'finished',
    exitCode: 0,
    output: 'hi\n',
    session: { name: 's' },
    cursor: expect.stringMatching(/^%\d+:\d+$/),
  });
  const history = await rig.run(['history', 's']);
  expect(history.stdout).toMatch(/^ {3}1 {4}0 .* cd \/usr\n[\s\S]* {2}4 .* pwd; echo "\$Q"; \(exit 4\)\n/);
  expect(await rig.run(['show', 's', '3'])).toMatchObject({ stdout: "/usr\nit's\n", code: 0 });
  expect(await rig.run(['show', 's'])).toMatchObject({ stdout: 'hi\n' });
  expect(await rig.run(['show', 's', '99'])).toMatchObject({
    code: 3,
    stderr: 'Session "s" has no command 99. See them with: ai-session history NAME\n',
  });
  // Without a session: no shell, its own folder and environment.
  expect(await rig.run(['run', '--', 'sh', '-c', 'echo "$1"; exit 6', 'sh', 'a  b'])).toMatchObject({ code: 6, stdout: 'a  b\n' });
  expect(await rig.run(['run', '--timeout', '0.3', '--interrupt', '--', 'sleep', '60'])).toMatchObject({ code: 124 });
  expect(await rig.run(['run', '--', 'no-such-program'])).toMatchObject({ code: 8 });
  expect((await rig.run(['ls', '--json'])).stdout).not.toContain('"role":"run"');
  expect(await rig.run(['run', 's'])).toMatchObject({
    code: 2,
    stderr: 'Run what? Give it after "--", as in: ai-session run NAME -- npm test\n',
  });
  const { puppet } = await rig.puppet(client, { name: 'puppet' });
  expect(await rig.run(['run', 'puppet', '--', 'true'])).toMatchObject({ code: 2, stderr: expect.stringContaining('which is no shell') });
  puppet.exit(0);
});

test('wait hears when a shell is at its prompt, and when a command has ended', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { run, home } = await shellIn(rig, client, 'bash');
  expect(await rig.run(['wait', 's', '--for', 'prompt', '--timeout', '20'])).toMatchObject({ code: 0 });
  const { cursor } = await run('echo first');
  spawnSync('mkfifo', [join(home, 'go')]);
  const waiting = rig.run(['wait', 's', '--for', 'command', '--after', cursor, '--timeout', '20', '--json']);
  await client.call('pane.write', { session: 's', input: ['cat go; sh -c "exit 3"'], as: 'text', enter: true });
  writeFileSync(join(home, 'go'), 'on\n');
  const { stdout, code } = await waiting;
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ outcome: 'matched', matched: { text: 'exit 3', line: 'cat go; sh -c "exit 3"' } });
  expect(await rig.run(['wait', 's', '--for', 'command', '--timeout', '0.2'])).toMatchObject({ code: 124 });
  const { puppet } = await rig.puppet(client, { name: 'puppet' });
  expect(await rig.run(['wait', 'puppet', '--for', 'prompt'])).toMatchObject({ code: 2, stderr: expect.stringContaining('runs no shell') });
  puppet.exit(0);
});

test('a log that is taken away, or is something else, costs records and nothing more', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { run } = await shellIn(rig, client, 'bash');
  await run('true');
  const [log] = readdirSync(join(rig.paths.run, 'shell'));
  const path = join(rig.paths.run, 'shell', log!);
  rmSync(path);
  mkdirSync(path);
  // The marks alone: nobody knows what it is, but that it is the one that was typed last.
  expect(await run('echo still; sh -c "exit 3"')).toMatchObject({ status: 'finished', output: 'still\n', exitCode: 3 });
  rmSync(join(rig.paths.run, 'shell'), { recursive: true });
  expect(await run('echo on; sh -c "exit 4"')).toMatchObject({ status: 'finished', output: 'on\n', exitCode: 4 });
});
