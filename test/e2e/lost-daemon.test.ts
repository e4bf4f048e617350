import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Connection } from '../../src/client/connection.ts';
import { Rig } from '../support/rig.ts';

const LOST_RUN = '[lost the daemon; what was run goes on, and the next daemon is asked for the result]\n';

/** A session with this shell in a folder of its own, and FIFOs there by which a command tells that it has begun and is told to go on. */
async function shellIn(rig: Rig, client: Connection, shell: string, name = 's') {
  const cwd = join(rig.home, 'in', name);
  mkdirSync(cwd, { recursive: true });
  await client.call('session.create', { name, command: [shell], cwd, env: { ...rig.environment, HOME: cwd, ENV: '' } });
  spawnSync('mkfifo', [join(cwd, 'begun'), join(cwd, 'go')]);
  return {
    cwd,
    begun: () => readFile(join(cwd, 'begun')),
    go: () => writeFile(join(cwd, 'go'), 'on\n'),
    times: () => readFileSync(join(cwd, 'times'), 'utf8'),
    /** Does it once and says so, and waits in the middle. */
    line: (last: string) => `echo once >>times; echo x >begun; cat go; ${last}`,
  };
}

function kill({ daemon: { pid } }: Connection): void {
  process.kill(pid, 'SIGKILL');
}

/** What lies in the shells' folder besides the shells' own files. */
const leftIn = (rig: Rig) => readdirSync(join(rig.paths.run, 'shell')).filter((name) => !name.endsWith('.log'));

const isHere = (shell: string) => spawnSync(shell, ['-c', 'exit 0']).error === undefined;

test('what ends while a daemon leaves is told by the next one, and not run again', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { cwd, begun, go, times } = await shellIn(rig, client, 'bash');
  const { puppet } = await rig.puppet(client, { name: 'mute' });
  await puppet.raw();
  const events = await rig.events();
  // It leaves only when this is answered, or after two seconds.
  const pending = client.call('pane.submit', { session: 'mute', text: 'hello', timeoutMs: 20_000 }).catch(() => {});
  // Of what has printed nothing, nothing is kept once it was put away.
  const text = `cd '${cwd}'; echo once >>times; echo x >begun; read x <go; exit 4`;
  const running = rig.run(['run', '--json', '--', 'sh', '-c', text]);
  await begun();
  const restart = rig.run(['daemon', 'restart']);
  await events.next(({ event }) => event === 'daemon.stopping');
  await go();
  expect(JSON.parse((await running).stdout)).toMatchObject({ status: 'finished', exitCode: 4 });
  expect(times()).toBe('once\n');
  expect(await restart).toMatchObject({ code: 0 });
  await pending;
});

test('a run has its result in every shell, whether it ends with no daemon or with the next one', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const shells = ['bash', 'zsh', 'fish', 'dash'].filter(isHere);
  const runs = await Promise.all(
    [...shells, 'bash', 'dash'].map(async (shell, n) => {
      const session = await shellIn(rig, client, shell, `${shell}-${n}`);
      const text = session.line('sh -c "exit 9"');
      const running = rig.run(['run', `${shell}-${n}`, '--json', '--', text]);
      await session.begun();
      return { ...session, name: `${shell}-${n}`, text, running, isLate: n >= shells.length };
    }),
  );
  kill(client);
  for (const { isLate, go } of runs) if (!isLate) await go();
  const next = await rig.connect();
  for (const { isLate, go } of runs) if (isLate) await go();
  for (const { name, text, running, times } of runs) {
    const { code, stdout, stderr } = await running;
    expect({ code, stderr, ...JSON.parse(stdout) }).toMatchObject({
      code: 9,
      stderr: '',
      status: 'finished',
      exitCode: 9,
      output: 'on\n',
      because: null,
      isRunning: false,
      command: 1,
      session: { name },
    });
    expect(times()).toBe('once\n');
    const { commands } = await next.call('command.list', { session: name });
    expect(commands.map(({ n, by, exitCode, text }) => [n, by, exitCode, text])).toEqual([[1, 'run', 9, text]]);
    expect(Object.keys(commands[0]!)).not.toContain('token');
  }
  expect(leftIn(rig)).toEqual([]);
});

test('a run that waits for its turn, one that ends its shell, and a program with no shell around it', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { begun, go, times, line, cwd } = await shellIn(rig, client, 'bash');
  spawnSync('mkfifo', [join(cwd, 'alone')]);
  const first = rig.run(['run', 's', '--', line('true')]);
  await begun();
  const second = rig.run(['run', 's', '--', 'echo once >>times; exit 7']);
  const alone = rig.run(['run', '--', 'sh', '-c', 'echo once >>times; echo x >begun; exec cat alone'], { cwd });
  await begun();
  while ((await client.call('daemon.status', {})).connections < 4);
  kill(client);
  await go();
  expect(await first).toMatchObject({ code: 0, stdout: 'on\n' });
  expect(await second).toMatchObject({ code: 7, stdout: '', stderr: expect.stringContaining('The shell has ended with this command.') });
  await writeFile(join(cwd, 'alone'), 'by itself\n');
  expect(await alone).toEqual({ code: 0, signal: null, stdout: 'by itself\n', stderr: LOST_RUN });
  expect(times()).toBe('once\nonce\nonce\n');
  expect((await rig.run(['ls', '--json'])).stdout).not.toContain('"role":"run"');
});

test('a program whose daemon was lost before it had begun is run, and one that was lost itself is not run again', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { begun, times, cwd } = await shellIn(rig, client, 'sh');
  const asked = { command: ['sh', '-c', 'echo once >>times; echo x >begun; cat go'], cwd, env: rig.environment };
  const token = 'feedfacecafebeef';
  client.call('command.exec', { ...asked, token }).catch(() => {});
  await begun();
  let holderPid: number | null = null;
  while (holderPid === null) {
    const { sessions } = await client.call('session.list', {});
    holderPid = sessions.find(({ role }) => role === 'run')!.holderPid;
  }
  kill(client);
  process.kill(holderPid, 'SIGKILL');
  const next = await rig.connect();
  expect(await next.call('command.exec', { ...asked, token, resume: true })).toMatchObject({
    status: 'finished',
    exitCode: null,
    because: 'It was lost: nobody knows how it ended.',
  });
  expect(times()).toBe('once\n');
  // As a daemon leaves it that is killed between the record and the program.
  const record = JSON.parse(readFileSync(join(rig.paths.sessions, '1', 'state.json'), 'utf8'));
  kill(next);
  mkdirSync(join(rig.paths.sessions, '9'));
  const never = { ...record, id: '$9', pane: '%9', name: 'never', pid: null, shell: null, role: 'run', token: '0'.repeat(16) };
  writeFileSync(join(rig.paths.sessions, '9', 'state.json'), JSON.stringify(never));
  const last = await rig.connect();
  const again = { ...asked, command: ['echo', 'begun'], token: '0'.repeat(16), resume: true };
  expect(await last.call('command.exec', again)).toMatchObject({ status: 'finished', exitCode: 0, output: 'begun\n' });
  expect(readdirSync(rig.paths.run)).not.toContain('p9.sock');
  // And where the time was over meanwhile nothing begins.
  await expect(last.call('command.exec', { ...again, token: '1'.repeat(16), timeoutMs: 0 })).rejects.toMatchObject({ code: 'not-found' });
});

test('a line that was typed into a shell that did not read is begun in the next daemon’s time, once', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { times } = await shellIn(rig, client, 'bash');
  await client.call('command.run', { session: 's', text: 'true' });
  const { pid } = await client.call('session.get', { session: 's' });
  process.kill(pid!, 'SIGSTOP');
  const running = rig.run(['run', 's', '--timeout', '20', '--', 'echo once >>times']);
  while (leftIn(rig).length === 0) await client.call('daemon.ping', {});
  kill(client);
  process.kill(pid!, 'SIGCONT');
  expect(await running).toEqual({ code: 0, signal: null, stdout: '', stderr: LOST_RUN });
  expect(times()).toBe('once\n');
});

test('a daemon that is replaced or stopped: the one is followed, the other is told', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { begun, go, line, times } = await shellIn(rig, client, 'bash');
  const running = rig.run(['run', 's', '--', line('echo end')]);
  await begun();
  expect((await rig.run(['daemon', 'restart'])).code).toBe(0);
  await go();
  expect(await running).toEqual({ code: 0, signal: null, stdout: 'on\nend\n', stderr: '' });
  const stopped = rig.run(['run', 's', '--json', '--', line('true')]);
  await begun();
  await rig.run(['daemon', 'stop']);
  const { code, stdout, stderr } = await stopped;
  expect({ code, stdout, ...JSON.parse(stderr) }).toEqual({
    code: 4,
    stdout: '',
    error: {
      code: 'daemon-not-running',
      exitCode: 4,
      message: "The daemon was stopped before the command had ended, and the command runs on. See it with: ai-session history 's'",
    },
  });
  await go();
  const { commands } = await (await rig.connect()).call('command.list', { session: 's' });
  expect(commands.at(-1)).toMatchObject({ n: 2, text: line('true') });
  expect(times()).toBe('once\nonce\n');
});

test('a wait goes on from its mark: idle counts from there, and a command that ended in the gap has ended', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { begun, go } = await shellIn(rig, client, 'bash');
  const ran = await client.call('command.run', { session: 's', text: 'true' });
  await client.call('pane.write', { session: 's', input: ['echo x >begun; cat go; sh -c "exit 3"'], as: 'text', enter: true });
  await begun();
  const { marks } = await client.call('pane.mark', { sessions: ['s'], picture: true });
  expect(marks).toEqual([{ session: ran.session.id, name: 's', cursor: expect.stringMatching(/^%1:\d+:[0-9a-f]{16}$/) }]);
  kill(client);
  await go();
  const next = await rig.connect();
  const again = { sessions: ['$1'], after: [marks[0]!.cursor], waitedMs: 60_000 };
  expect(await next.call('pane.wait', { ...again, conditions: [{ is: 'command' }] })).toMatchObject({ matched: { text: 'exit 3' } });
  expect(await next.call('pane.wait', { ...again, conditions: [{ is: 'change' }] })).toMatchObject({ outcome: 'matched' });
  // Nothing was printed after this mark, and it was asked for a minute ago.
  const { marks: now } = await next.call('pane.mark', { sessions: ['s'] });
  const idle = await next.call('pane.wait', {
    ...again,
    after: [now[0]!.cursor],
    conditions: [{ is: 'idle', ms: 50_000 }],
    timeoutMs: 5000,
  });
  expect(idle).toMatchObject({ outcome: 'matched', condition: 'idle=50000' });
  await next.call('session.kill', { sessions: ['s'] });
  await expect(next.call('pane.wait', { ...again, conditions: [{ is: 'exit' }] })).rejects.toMatchObject({ code: 'not-found' });
});

test('what a session without history printed in the gap cannot be waited for, and everything else can', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a', history: false });
  const { marks } = await client.call('pane.mark', { sessions: ['a'] });
  kill(client);
  const next = await rig.connect();
  puppet.print('seen');
  while ((await next.call('pane.mark', { sessions: ['a'] })).marks[0]!.cursor === marks[0]!.cursor);
  const again = { sessions: ['a'], after: [marks[0]!.cursor], waitedMs: 1000 };
  await expect(next.call('pane.wait', { ...again, conditions: [{ is: 'text', text: 'seen' }] })).rejects.toMatchObject({
    code: 'bad-params',
    message: 'Session "a" keeps no history: what it printed while the daemon was away cannot be read. Wait for what comes from now on.',
  });
  puppet.exit(2);
  expect(await next.call('pane.wait', { ...again, conditions: [{ is: 'exit' }] })).toMatchObject({ outcome: 'matched', exitCode: 2 });
});

test('what shells that are gone have left is removed, and nothing else', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  await shellIn(rig, client, 'bash');
  const folder = join(rig.paths.run, 'shell');
  await client.call('command.run', { session: 's', text: 'true' });
  for (const name of ['99.log', '99-0123456789abcdef', '99-0123456789abcdef.run', '1-0123456789abcdef', 'notes', '99-other'])
    appendFileSync(join(folder, name), '');
  spawnSync('mkfifo', [join(folder, '1-00000000000000ff')]);
  kill(client);
  const next = await rig.connect();
  expect(readdirSync(folder).sort()).toEqual(['1-0123456789abcdef', '1.log', '99-other', 'notes']);
  await next.call('session.kill', { sessions: ['s'] });
  expect(readdirSync(folder).sort()).toEqual(['99-other', 'notes']);
});
