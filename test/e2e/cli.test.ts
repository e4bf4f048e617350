import { expect, test } from 'vitest';
import { Rig } from '../support/rig.ts';

test('new -d prints the name, ls lists it, in every format', async () => {
  await using rig = await Rig.start();
  expect(await rig.run(['new', '-d', '-s', 'one', '-x', '100', '-y', '30', '--', 'sleep', '1000'])).toEqual({
    code: 0,
    signal: null,
    stdout: 'one\n',
    stderr: '',
  });
  expect(
    await rig.run(['create', 'two, "2"', '--role', 'tester', '--json', '-e', 'A=b', '--', 'sh', '-c', 'echo $A; exec sleep 1000']),
  ).toMatchObject({ code: 0, stderr: '' });
  // What prints nothing has begun after a second.
  expect((await rig.run(['wait', 'one', 'two, "2"', '--all', '--for', 'state=running', '--timeout', '20'])).code).toBe(0);
  const table = await rig.run(['ls']);
  expect(table.stdout.split('\n').map((line) => line.trim().split(/ {2,}/).slice(0, 5))).toEqual([
    ['NAME', 'ID', 'STATUS', 'STATE', 'COMMAND'],
    ['one', '$1', 'running', 'running', 'sleep 1000'],
    ['two, "2"', '$2', 'running', 'running', 'sh -c echo $A; exec sleep 1000'],
    [''],
  ]);
  const json = JSON.parse((await rig.run(['list', '--json'])).stdout) as { name: string; role: string | null; cols: number }[];
  expect(json.map(({ name, role, cols }) => ({ name, role, cols }))).toEqual([
    { name: 'one', role: null, cols: 100 },
    { name: 'two, "2"', role: 'tester', cols: 80 },
  ]);
  expect((await rig.run(['ls', '--format', 'csv'])).stdout.split('\n')[2]).toMatch(/^"two, ""2""",\$2,%2,running,.*,running$/);
  expect((await rig.run(['ls', '-F', '{name}={cols}x{rows} {state}', '--status', 'running'])).stdout).toBe(
    'one=100x30 running\ntwo, "2"=80x24 running\n',
  );
  expect((await rig.run(['ls', '--status', 'exited'])).stdout).toBe('');
  expect(await rig.run(['ls', '-F', '{nope}'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('A session has no "{nope}". It has: id, pane, name,'),
  });
});

test('a name is made from the folder when none is given', async () => {
  await using rig = await Rig.start();
  const { mkdirSync } = await import('node:fs');
  mkdirSync(`${rig.home}/my project`);
  const options = { cwd: `${rig.home}/my project` };
  expect((await rig.run(['new', '-d', '--', 'sleep', '1000'], options)).stdout).toBe('my-project\n');
  expect((await rig.run(['new', '-d', '--', 'sleep', '1000'], options)).stdout).toBe('my-project-2\n');
});

test('send types keys and text, and capture reads them', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  await rig.run(['new', '-d', '-s', 'sh', '-e', 'PS1=> ', '--', 'sh']);
  const watcher = await rig.watch(client, 'sh');
  await watcher.shows('>');
  expect(await rig.run(['send', 'sh', 'echo one two', 'Enter'])).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
  await watcher.shows('one two\n>');
  await rig.run(['send', '-t', 'sh', '-l', 'echo Enter']);
  await rig.run(['send', '--enter', 'sh']);
  await watcher.shows('\nEnter\n>');
  expect(JSON.parse((await rig.run(['send', 'sh', '--hex', '65', '63686f', '--json'])).stdout)).toEqual({ bytes: 4 });
  await rig.run(['send', 'sh', 'Space', 'bye', 'C-m']);
  await watcher.shows('\nbye\n>');
  expect((await rig.run(['capture', 'sh'])).stdout).toBe('> echo one two\none two\n> echo Enter\nEnter\n> echo bye\nbye\n>\n');
  expect((await rig.run(['capture', '-t', 'sh', '-S', '1', '-E', '1'])).stdout).toBe('one two\n');
  expect(JSON.parse((await rig.run(['capture', 'sh', '--json'])).stdout)).toMatchObject({
    cols: 80,
    rows: 24,
    cursor: { x: 2, y: 6, visible: true },
    alternate: false,
  });
});

test('resize, rename, signal and kill do what they say', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  await puppet.catches('SIGWINCH');
  expect((await rig.run(['resize', 'a', '-x', '55'])).code).toBe(0);
  expect((await puppet.nextSignal()).size).toEqual([55, 24]);
  expect((await rig.run(['rename', 'a', 'b'])).code).toBe(0);
  await puppet.catches('SIGUSR2');
  expect(JSON.parse((await rig.run(['signal', 'b', 'usr2', '--json'])).stdout)).toEqual({ signal: 'SIGUSR2', delivered: true });
  expect((await puppet.nextSignal()).signal).toBe('SIGUSR2');
  expect(JSON.parse((await rig.run(['kill', 'b', '--json'])).stdout)).toMatchObject([{ name: 'b', survivors: [] }]);
  await puppet.gone;
  expect((await rig.run(['kill', '--all', '--json'])).stdout).toBe('[]\n');
});

test.each([
  ['an unknown command', ['atach'], 2, 'There is no command "atach". Did you mean "attach"? See them all with: ai-session help\n'],
  ['an unknown option', ['ls', '--jsn'], 2, "Unknown option '--jsn'\n(Did you mean --json?)\n"],
  ['a size that is none', ['new', '-d', '-x', 'wide'], 2, 'Width "wide" is not a whole number from 1 to 2000.\n'],
  ['a variable that is none', ['new', '-d', '-e', 'novalue'], 2, '"novalue" is not of the form NAME=VALUE.\n'],
  ['two names', ['new', 'a', '-s', 'b'], 2, 'Two names, "a" and "b": give one. A command goes after "--".\n'],
  [
    'a name that is an option',
    ['new', '-d', '-s', '-rf', '--', 'true'],
    2,
    'Session name "-rf" begins with "-", which marks an option or an id: begin with another character.\n',
  ],
  ['a path as a name', ['new', '-d', '../x', '--', 'true'], 2, 'Session name "../x" contains ":" or "/": use another character.\n'],
  ['no such session', ['capture', 'nobody'], 3, 'No session named "nobody". There are no sessions. Start one with: ai-session new\n'],
  ['a command that is not there', ['new', '-d', '--', 'nonesuch'], 8, 'No such command: "nonesuch"\n'],
  ['a folder that is not there', ['new', '-d', '-c', '/nonesuch', '--', 'true'], 8, 'No such directory: "/nonesuch"\n'],
  [
    'attach without a terminal',
    ['attach'],
    2,
    'attach needs a terminal. To read a session from a script: ai-session capture NAME; to follow what happens: ai-session events --json\n',
  ],
  ['nothing to kill', ['kill'], 2, 'Kill which session? Name it, or use --all.\n'],
  ['a format that is none', ['ls', '--format', 'xml'], 2, '"xml" is no format: use table, json or csv.\n'],
])('%s is one clear sentence and its own exit code', async (_, args, code, stderr) => {
  await using rig = await Rig.start();
  expect(await rig.run(args)).toEqual({ code, signal: null, stdout: '', stderr });
});

test('under --json an error is JSON on standard error', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  await rig.puppet(client, { name: 'build' });
  const { code, stdout, stderr } = await rig.run(['capture', 'biuld', '--json']);
  expect({ code, stdout, error: JSON.parse(stderr) }).toEqual({
    code: 3,
    stdout: '',
    error: {
      error: {
        code: 'not-found',
        message: 'No session named "biuld". Did you mean "build"?',
        exitCode: 3,
        session: 'biuld',
        didYouMean: 'build',
      },
    },
  });
});

test('events stream as JSON lines until the daemon stops', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const events = await rig.events();
  const streaming = rig.run(['events', '--json']);
  // It has asked when the daemon has three connections.
  while ((await client.call('daemon.status', {})).connections < 3);
  await rig.puppet(client, { name: 'told' });
  await events.next(({ event }) => event === 'session.started');
  await rig.run(['daemon', 'stop', '--kill-sessions']);
  const { code, stdout } = await streaming;
  expect(code).toBe(0);
  expect(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).event),
  ).toContain('session.ended');
});

test('daemon start, status, restart and stop', async () => {
  await using rig = await Rig.start();
  expect(await rig.run(['daemon', 'status'])).toMatchObject({
    code: 4,
    stderr: `No daemon is running for "${rig.home}". Start one with: ai-session daemon start\n`,
  });
  expect((await rig.run(['daemon', 'start'])).stdout).toMatch(/^The daemon runs \(pid \d+\)\.\n$/);
  const client = await rig.connect();
  const { session } = await rig.puppet(client, { name: 'a' });
  const status = JSON.parse((await rig.run(['daemon', 'status', '--json'])).stdout);
  expect(status).toMatchObject({ pid: client.daemon.pid, home: rig.home, backend: 'hold', sessions: 1, problems: [] });
  expect(status.pids).toEqual([client.daemon.pid, session.holderPid]);
  const restarted = JSON.parse((await rig.run(['daemon', 'restart', '--json'])).stdout);
  expect(restarted).toMatchObject({ sessions: 1 });
  expect(restarted.pid).not.toBe(status.pid);
  expect((await rig.run(['daemon', 'logs', '-n', '500'])).stdout).toContain('"msg":"listening"');
  expect(await rig.run(['daemon', 'stop'])).toEqual({
    code: 0,
    signal: null,
    stdout: '',
    stderr: 'Stopped. One session runs on for the next daemon.\n',
  });
  expect(await rig.run(['daemon', 'stop'])).toEqual({ code: 0, signal: null, stdout: '', stderr: 'No daemon is running.\n' });
});

test('a mistake in the settings is said and nothing else is lost', async () => {
  await using rig = await Rig.start({ config: 'prefix: C-a\nscrollback:\n  lines: many\nnonsense: 1\n' });
  const status = JSON.parse((await rig.run(['daemon', 'start', '--json'])).stdout);
  expect(status.problems).toHaveLength(2);
  const terminal = await rig.terminal(['new', '--', 'sh'], { environment: { PS1: 'ready> ' } });
  await terminal.shows('ready>');
  terminal.type('\x01d');
  expect((await terminal.exited).code).toBe(0);
});
