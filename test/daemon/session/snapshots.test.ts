import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { gitHead } from '../../../src/daemon/session/git-head.ts';
import { Rig } from '../../support/rig.ts';

const git = (folder: string, ...args: string[]) =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', '-c', 'init.defaultBranch=main', '-C', folder, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim();

test('a snapshot brings back what was there, beside what is there now', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const folder = join(rig.home, 'work');
  mkdirSync(folder);
  git(folder, 'init');
  git(folder, 'commit', '--allow-empty', '-m', 'one');
  const commit = git(folder, 'rev-parse', 'HEAD');
  const env = { ...rig.environment, MARK: 'then' };
  const { puppet, again } = await rig.puppet(client, { name: 'agent', cwd: folder, env, cols: 60, rows: 10 });
  const watcher = await rig.watch(client, 'agent', { cols: 60, rows: 10 });
  puppet.print('good state');
  await watcher.shows('good state');
  expect(await rig.run(['snapshot', 'agent', 'before the refactoring'])).toMatchObject({ code: 0, stdout: 's1\n' });
  puppet.print('\x1b[2J\x1b[Hbad state');
  await watcher.shows('bad state');
  // The same screen twice is kept once.
  for (const id of ['s2', 's3']) expect((await rig.run(['snapshot', '-t', 'agent'])).stdout).toBe(`${id}\n`);
  const parts = join(rig.paths.snapshots, '1', 'parts');
  expect(readdirSync(parts)).toHaveLength(3);
  const listed = JSON.parse((await rig.run(['snapshots', 'agent', '--json'])).stdout);
  expect(listed).toMatchObject([
    { id: 's1', label: 'before the refactoring', git: { branch: 'main', commit } },
    { id: 's2', label: null },
    { id: 's3' },
  ]);
  expect((await rig.run(['snapshots'])).stdout).toContain('before the refactoring');

  git(folder, 'commit', '--allow-empty', '-m', 'two');
  const ran = rig.run(['restore', '--from', 'before the refactoring', 'second']);
  const revived = await again();
  expect(await ran).toMatchObject({ code: 0, stdout: expect.stringContaining(`"main" was checked out at ${commit.slice(0, 12)} then`) });
  expect((await revived.environment()).environment).toMatchObject({ MARK: 'then', AI_SESSION: '$2' });
  expect(await client.call('session.get', { session: 'second' })).toMatchObject({ status: 'running', cols: 60, rows: 10 });
  const viewer = await rig.watch(client, 'second', { cols: 60, rows: 10 });
  await viewer.shows('restored: snapshot s1');
  expect(viewer.text).toMatch(/^good state\n\[.* restored: snapshot s1 of /);
  expect((await client.call('session.get', { session: 'agent' })).status).toBe('running');

  // They outlive their session, and the daemon.
  await client.call('session.kill', { sessions: ['agent'] });
  await rig.run(['daemon', 'restart']);
  expect(await rig.run(['snapshots', '--remove', 's1'])).toMatchObject({ code: 0 });
  expect(readdirSync(parts)).toHaveLength(2);
  expect(await rig.run(['restore', '--from', 's1'])).toMatchObject({ code: 3 });
  const [screen] = readdirSync(parts).filter((name) => statSync(join(parts, name)).size > 0);
  for (const name of readdirSync(parts)) {
    const bytes = readFileSync(join(parts, name));
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(join(parts, name), bytes);
  }
  expect(screen).toBeDefined();
  expect(await rig.run(['restore', '--from', 's2'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('Snapshot "s2" cannot be read'),
  });
  expect(await rig.run(['snapshots', '--remove', 's2', 's3'])).toMatchObject({ code: 0 });
  expect(await rig.run(['snapshots'])).toMatchObject({ code: 0, stdout: '' });
  expect((await (await rig.connect()).call('snapshot.create', { session: 'second' })).id).toBe('s4');
});

test('what is checked out is read without running anything', async () => {
  await using rig = await Rig.start();
  const folder = join(rig.home, 'repo');
  mkdirSync(join(folder, 'deep', 'down'), { recursive: true });
  expect(gitHead(folder)).toBeNull();
  git(folder, 'init');
  expect(gitHead(join(folder, 'deep'))).toEqual({ branch: 'main', commit: null });
  git(folder, 'commit', '--allow-empty', '-m', 'one');
  const commit = git(folder, 'rev-parse', 'HEAD');
  expect(gitHead(join(folder, 'deep', 'down'))).toEqual({ branch: 'main', commit });
  git(folder, 'pack-refs', '--all');
  expect(gitHead(folder)).toEqual({ branch: 'main', commit });
  git(folder, 'worktree', 'add', '-b', 'feat/x.y', join(rig.home, 'tree'));
  expect(gitHead(join(rig.home, 'tree'))).toEqual({ branch: 'feat/x.y', commit });
  git(folder, 'checkout', '--detach');
  expect(gitHead(folder)).toEqual({ branch: null, commit });
  writeFileSync(join(folder, '.git', 'HEAD'), 'nonsense\n');
  expect(gitHead(folder)).toEqual({ branch: null, commit: null });
  rmSync(join(folder, '.git'), { recursive: true });
  writeFileSync(join(folder, '.git'), 'gitdir: /nowhere/at/all\n');
  expect(gitHead(folder)).toBeNull();
});
