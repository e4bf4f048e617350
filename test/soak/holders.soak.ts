import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import { Rig, ROOT } from '../support/rig.ts';
import { ended, expectFlood, floodUntil, journalHead, logOf, readAll, textOf, until } from './tools.ts';

const CONFIG = 'sessions:\n  keep_ended: always\n';
const folder = mkdtempSync(join(tmpdir(), 'aish-'));
/** The first version that had a holder, as it landed, and why it is not here if it is not. */
let old: { root: string; holder: string } | string;

function git(...args: string[]): Buffer {
  return execFileSync('git', ['-C', ROOT, ...args], { maxBuffer: 64 << 20, stdio: ['ignore', 'pipe', 'ignore'] });
}

beforeAll(() => {
  try {
    const commit = git('log', '--format=%H', '--reverse', '--', 'native/hold.c').toString().split('\n')[0]!;
    const root = join(folder, 'old');
    mkdirSync(root);
    execFileSync('tar', ['-x', '-C', root], { input: git('archive', commit) });
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
    for (const script of ['build-native.js', 'build.js']) {
      const { status } = spawnSync(process.execPath, [join(root, 'scripts', script)], { cwd: root, stdio: 'ignore' });
      // It may have no step of this name.
      if (status !== 0 && script === 'build-native.js') throw new Error('it cannot be built');
    }
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], { cwd: root, stdio: 'ignore' });
    old = { root, holder: join(root, 'native', 'bin', 'hold') };
  } catch (error) {
    old = `there is no history to build the first holder from: ${(error as Error).message.split('\n')[0]}`;
  }
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function needsOld(context: TestContext): { root: string; holder: string } {
  if (typeof old === 'string') context.skip(old);
  return old as { root: string; holder: string };
}

test('a daemon of today with the first holder there was: a flood and kills cost nothing', async (context) => {
  const { holder } = needsOld(context);
  await using rig = await Rig.start({ config: CONFIG, environment: { AI_SESSION_HOLD: holder } });
  let client = await rig.connect();
  const stop = join(rig.home, 'stop');
  const flood = await client.call('session.create', { name: 'flood', command: floodUntil(stop), cwd: rig.home, env: rig.environment });
  const { session, puppet } = await rig.puppet(client, { name: 'a' });
  expect(commandOf(flood.holderPid!)).toContain(holder);
  puppet.reads();
  const watcher = await rig.watch(client, 'a', { readOnly: true });
  puppet.print('before the kill');
  await watcher.shows('before the kill');
  for (let kills = 0; kills < 5; kills++) {
    const head = journalHead(rig, flood);
    await until(() => journalHead(rig, flood) > head + (1 << 20));
    process.kill(client.daemon.pid, 'SIGKILL');
    client = await rig.connect();
  }
  // What it had acknowledged that holder has thrown away; the journal has it.
  expect((await client.call('pane.capture', { session: 'a' })).lines[0]).toBe('before the kill');
  await client.call('pane.write', { session: 'a', input: ['typed'], as: 'text', enter: true });
  expect((await puppet.input(6)).toString()).toBe('typed\n');
  await client.call('pane.resize', { session: 'a', cols: 70, rows: 20 });
  expect(await puppet.size()).toEqual([70, 20]);
  puppet.exit(5);
  expect(await ended(rig, session)).toMatchObject({ status: 'exited', exitCode: 5 });
  writeFileSync(stop, '');
  expect(await ended(rig, flood)).toMatchObject({ status: 'exited', exitCode: 7 });
  const all = readAll(rig, flood);
  expect([all.gaps, all.duplicates]).toEqual([0, 0]);
  expectFlood(all);
  expect(textOf(readAll(rig, session))).toMatch(/^before the kill/);
});

test('the first daemon there was with a holder of today: it serves, and keeps the exit for the next', async (context) => {
  const { root } = needsOld(context);
  await using rig = await Rig.start({ environment: { AI_SESSION_HOLD: join(ROOT, 'native', 'bin', 'hold') } });
  const cli = join(root, 'bin', 'ai-session');
  const run = (...args: string[]) => oldCommand(rig, cli, args);
  expect(run('new', '-d', '-s', 'a', '--', 'sh', '-c', 'echo hello; read word; echo "heard $word"; exit 4')).toMatchObject({ status: 0 });
  const client = await rig.connect({ start: false });
  const [session] = (await client.call('session.list', {})).sessions;
  expect(commandOf(session!.holderPid!)).toContain(join(ROOT, 'native', 'bin', 'hold'));
  await until(() => run('capture', '-t', 'a').stdout.includes('hello'));
  process.kill(client.daemon.pid, 'SIGKILL');
  expect(run('ls').stdout).toContain('a');
  expect(run('send', '-t', 'a', 'word', 'Enter')).toMatchObject({ status: 0 });
  await until(() => run('capture', '-t', 'a').stdout.includes('heard word'));
  await until(() => JSON.parse(run('ls', '--json').stdout)[0].status !== 'running');
  expect(JSON.parse(run('ls', '--json').stdout)[0]).toMatchObject({ status: 'exited', exitCode: 4 });
});

test('sessions of the first version there was go on under the daemon of today', async (context) => {
  const { root } = needsOld(context);
  await using rig = await Rig.start({ config: CONFIG });
  const cli = join(root, 'bin', 'ai-session');
  const stop = join(rig.home, 'stop');
  expect(oldCommand(rig, cli, ['new', '-d', '-s', 'flood', '--', ...floodUntil(stop)])).toMatchObject({ status: 0 });
  const { command, enters } = rig.cast();
  expect(oldCommand(rig, cli, ['new', '-d', '-s', 'a', '--', ...command])).toMatchObject({ status: 0 });
  const puppet = await enters;
  puppet.reads();
  puppet.print('before');
  await until(() => oldCommand(rig, cli, ['capture', '-t', 'a']).stdout.includes('before'));
  const before = await rig.connect({ start: false });
  expect(await rig.run(['daemon', 'restart'])).toMatchObject({ code: 0 });
  const client = await rig.connect();
  expect(client.daemon.pid).not.toBe(before.daemon.pid);
  const { sessions } = await client.call('session.list', {});
  expect(sessions.map(({ name, status }) => `${name} ${status}`)).toEqual(['flood running', 'a running']);
  expect((await client.call('pane.capture', { session: 'a' })).lines[0]).toBe('before');
  await client.call('pane.write', { session: 'a', input: ['typed'], as: 'text', enter: true });
  expect((await puppet.input(6)).toString()).toBe('typed\n');
  const [flood] = sessions;
  writeFileSync(stop, '');
  expect(await ended(rig, flood!)).toMatchObject({ status: 'exited', exitCode: 7 });
  const { lines } = await client.call('pane.capture', { session: flood!.id });
  expect(lines.filter(Boolean).at(-1)).toMatch(/^the end after \d+$/);
  expect(logOf(rig).filter(({ incident }) => incident !== undefined)).toEqual([]);
});

function oldCommand(rig: Rig, cli: string, args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], {
    cwd: rig.home,
    env: rig.environment,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

function commandOf(pid: number): string {
  return execFileSync('ps', ['-o', 'command=', '-p', `${pid}`], { encoding: 'utf8' });
}
