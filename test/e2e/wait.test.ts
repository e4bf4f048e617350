import { expect, test } from 'vitest';
import { Rig } from '../support/rig.ts';
import type { TestTerminal } from '../support/terminal.ts';

/** A cursor that a command printed on standard error. */
function cursorIn(text: string): string {
  return /%\d+:\d+(:[0-9a-f]+)?/.exec(text)![0];
}

test('wait, read and screen, from cursor to cursor, as a script uses them', async () => {
  await using rig = await Rig.start();
  await rig.run(['new', '-d', '-s', 'sh', '-e', 'PS1=> ', '--', 'sh']);
  expect(await rig.run(['wait', 'sh', '--for', 'regex=^> $', '--after', '%1:0'])).toEqual({
    code: 0,
    signal: null,
    stdout: 'sh  regex=^> $  >\n',
    stderr: '',
  });
  const { stderr } = await rig.run(['read', 'sh']);
  await rig.run(['send', 'sh', 'echo one; exit 5', 'Enter']);
  const waited = await rig.run(['wait', '-t', 'sh', '--for', 'text=nothing', '--for', 'exit', '--after', cursorIn(stderr), '--json']);
  expect({ ...waited, stdout: JSON.parse(waited.stdout) }).toMatchObject({
    code: 0,
    stdout: { outcome: 'matched', session: '$1', name: 'sh', pane: '%1', condition: 'exit', exitCode: 5, matched: null },
    stderr: '',
  });
  expect(await rig.run(['read', 'sh', '--since', cursorIn(stderr)])).toMatchObject({
    code: 0,
    stdout: 'echo one; exit 5\none\n',
    stderr: expect.stringMatching(/^cursor %1:\d+\n$/),
  });
  expect(await rig.run(['read', 'sh', '-n', '1'])).toMatchObject({
    stdout: 'one\n',
    stderr: expect.stringContaining('Earlier lines were left out.'),
  });
  expect((await rig.run(['screen', 'sh'])).stdout).toBe('> echo one; exit 5\none\n');
  expect(await rig.run(['wait', 'sh', '--for', 'text=never'])).toEqual({
    code: 3,
    signal: null,
    stdout: '',
    stderr: 'Session "sh" has ended (exit 5), and it did not come to that.\nSee why with: ai-session logs sh\n',
  });
});

test('a time that is over is exit code 124, in words and in JSON', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  await rig.puppet(client, { name: 'a' });
  await rig.puppet(client, { name: 'b' });
  expect(await rig.run(['wait', 'a', 'b', '--for', 'text=x', '--timeout', '0.05'])).toEqual({
    code: 124,
    signal: null,
    stdout: '',
    stderr: 'The time is over. Wait on from there with: --after %1:0 --after %2:0\n',
  });
  const { code, stdout, stderr } = await rig.run(['wait', 'a', '--for', 'change', '--timeout', '0', '--json']);
  expect({ code, stderr, ...JSON.parse(stdout) }).toMatchObject({
    code: 124,
    stderr: '',
    outcome: 'timeout',
    cursor: expect.stringMatching(/^%1:0:[0-9a-f]{16}$/),
  });
});

test('screen --json has what a menu has selected, and a hash that changes when the screen does', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'menu', cols: 40, rows: 5 });
  const look = async () => JSON.parse((await rig.run(['screen', 'menu', '--json'])).stdout);
  const empty = await look();
  puppet.print('\x1b[?1049h\x1b[H\x1b]0;Pick one\x07 first\x1b[2;1H\x1b[7m 第二  \x1b[27m\x1b[3;1H third\x1b[4;2H');
  await rig.run(['wait', 'menu', '--for', 'text=third', '--after', empty.after]);
  const shown = await look();
  expect(shown).toEqual({
    session: '$1',
    name: 'menu',
    pane: '%1',
    lines: [' first', ' 第二', ' third', '', ''],
    cols: 40,
    rows: 5,
    cursor: { x: 1, y: 3, visible: true },
    title: 'Pick one',
    alternate: true,
    highlighted: [{ row: 1, column: 0, text: ' 第二' }],
    hash: expect.stringMatching(/^[0-9a-f]{16}$/),
    after: expect.stringMatching(new RegExp(`^%1:\\d+:${'[0-9a-f]'.repeat(16)}$`)),
  });
  expect(empty).toMatchObject({ highlighted: null, alternate: false });
  expect(shown.hash).not.toBe(empty.hash);
  // The same in the next daemon, which draws the screen anew; and the cursor of it counts there.
  await rig.run(['daemon', 'restart']);
  expect(await look()).toMatchObject({ hash: shown.hash, after: shown.after });
  puppet.print('\x1b[2;1H\x1b[m 第二  ');
  expect((await rig.run(['wait', 'menu', '--for', 'change', '--after', shown.after])).code).toBe(0);
  const next = await look();
  expect(next).toMatchObject({ lines: shown.lines, highlighted: null });
  expect(next.hash).not.toBe(shown.hash);
});

test('a wait goes on in the daemon that takes the place of its own', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  const waiting = rig.run(['wait', 'a', '--for', 'text=done', '--timeout', '60']);
  while ((await client.call('daemon.status', {})).connections < 2);
  await rig.run(['daemon', 'restart']);
  puppet.print('done');
  expect(await waiting).toMatchObject({ code: 0, stdout: 'a  text=done  done\n', stderr: '' });
});

/** Kills daemons until each of these waits has said that it has lost one: a client that has only just connected has asked for nothing yet. */
async function killUntilLost(rig: Rig, waits: readonly TestTerminal[]): Promise<void> {
  const isLost = () => waits.every(({ text }) => text.includes('[lost the daemon; the wait goes on with the next one]'));
  while (!isLost()) {
    const client = await rig.connect();
    const gone = new Promise((resolve) => (client.onLost = resolve));
    while (!isLost() && (await client.call('daemon.status', {})).connections <= waits.length);
    process.kill(client.daemon.pid, 'SIGKILL');
    await gone;
  }
}

test('what is printed with no daemon, and an exit then, is found by the wait that had begun before', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  puppet.print('Listen');
  await client.call('pane.wait', { sessions: ['a'], conditions: [{ is: 'text', text: 'Listen' }], after: ['%1:0'] });
  client.close();
  const waiting = await rig.terminal(['wait', 'a', '--for', 'text=Listening', '--after', '%1:0', '--timeout', '25']);
  const ending = await rig.terminal(['wait', 'a', '--for', 'exit']);
  await killUntilLost(rig, [waiting, ending]);
  puppet.print('ing on\n');
  await waiting.shows('a  text=Listening  Listening on');
  expect(await waiting.exited).toEqual({ code: 0, signal: null });
  puppet.exit(5);
  await ending.shows('a  exit');
  expect(await ending.exited).toEqual({ code: 0, signal: null });
});

test.each([
  ['no session', ['wait', '--for', 'exit'], 2, 'Wait for which session? Name it, or list them with: ai-session ls\n'],
  [
    'nothing to wait for',
    ['wait', 'a'],
    2,
    'Wait for what? Use --for exit, idle, text=STR, regex=RE, prompt, command, state=S or change: ai-session help wait\n',
  ],
  [
    'what cannot be waited for',
    ['wait', 'a', '--for', 'rain'],
    2,
    '"rain" cannot be waited for: use exit, idle, idle=MS, text=STR, regex=RE, prompt, command, state=S or change.\n',
  ],
  ['an idle that is no time', ['wait', 'a', '--for', 'idle=1s'], 2, '"idle=1s": idle takes whole milliseconds, as in idle=500.\n'],
  ['any and all', ['wait', 'a', '--for', 'exit', '--any', '--all'], 2, '--any and --all: give one of them.\n'],
  [
    'a timeout that is none',
    ['wait', 'a', '--for', 'exit', '--timeout', 'soon'],
    2,
    '"soon" is no time in seconds: use a number up to 2000000.\n',
  ],
  [
    'no such session',
    ['wait', 'nobody', '--for', 'exit'],
    3,
    'No session named "nobody". There are no sessions. Start one with: ai-session new\n',
  ],
  ['nobody to read', ['read', 'nobody'], 3, 'No session named "nobody". There are no sessions. Start one with: ai-session new\n'],
  ['no regular expression', ['wait', 'a', '--for', 'regex=('], 2, expect.stringContaining('The pattern is no regular expression')],
])('%s is one clear sentence and its own exit code', async (_, args, code, stderr) => {
  await using rig = await Rig.start();
  expect(await rig.run(args)).toEqual({ code, signal: null, stdout: '', stderr });
});
