import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LOCK_BUSY } from '../../src/base/daemon-start.ts';
import { takeFileLock } from '../../src/daemon/lock.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lock-'));
  path = join(folder, 'lock');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const owner = 'lock';
const readOwner = () => readFileSync(join(folder, owner), 'utf8');

/** A process that is somebody else, for as long as `work` runs. */
async function withOther(work: (pid: number) => void): Promise<void> {
  const other = spawn('sleep', ['1000']);
  const isGone = new Promise((resolve) => other.once('exit', resolve));
  try {
    work(other.pid!);
  } finally {
    other.kill('SIGKILL');
    await isGone;
  }
}

/** The time a process started, as proc(5) counts: field 22. */
const startOf = (pid: number) => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')[19];

test('the exit code of a busy lock is EX_TEMPFAIL', () => {
  expect(LOCK_BUSY).toBe(75);
});

test('a free lock is taken, names its owner, and is given back whole', () => {
  const unlock = takeFileLock(path);
  expect(unlock).not.toBeNull();
  expect([readdirSync(folder), readOwner().split(' ')[0]]).toEqual([[owner], String(process.pid)]);
  unlock!();
  expect(readdirSync(folder)).toEqual([]);
});

test('a lock that is held is busy, also for its own process, and free again afterwards', () => {
  const unlock = takeFileLock(path)!;
  expect([takeFileLock(path), takeFileLock(path)]).toEqual([null, null]);
  expect(readdirSync(folder)).toEqual([owner]);
  unlock();
  const again = takeFileLock(path);
  expect(again).not.toBeNull();
  again!();
});

// Where there is no /proc an owner is known by its pid alone.
test.runIf(process.platform === 'linux')('a lock of another living process is busy', async () => {
  await withOther((pid) => {
    writeFileSync(join(folder, owner), `${pid} ${startOf(pid)}`);
    expect(takeFileLock(path)).toBeNull();
    expect(readOwner()).toBe(`${pid} ${startOf(pid)}`);
  });
});

test.runIf(process.platform === 'linux')('a lock whose owner’s pid was given to somebody else is stale', async () => {
  await withOther((pid) => {
    writeFileSync(join(folder, owner), `${pid} 1`);
    const unlock = takeFileLock(path);
    expect(readOwner().split(' ')[0]).toBe(String(process.pid));
    unlock!();
  });
});

test.each<[string, string]>([
  ['a process that has gone', '4194999 12345'],
  ['nobody, because it is empty', ''],
  ['nobody, because it is no pid', 'garbage'],
  ['nobody, because the pid is 0', '0 0'],
  ['a process group, which is no process', '-1 5'],
])('a lock of %s is stale and is taken', (_, content) => {
  writeFileSync(join(folder, owner), content);
  const unlock = takeFileLock(path);
  expect(unlock).not.toBeNull();
  expect([readdirSync(folder), readOwner().split(' ')[0]]).toEqual([[owner], String(process.pid)]);
  unlock!();
  expect(readdirSync(folder)).toEqual([]);
});

test('giving back takes no lock away that is somebody else’s by now', () => {
  const unlock = takeFileLock(path)!;
  writeFileSync(join(folder, owner), '1 1');
  unlock();
  expect(readOwner()).toBe('1 1');
});

test('a folder that is not there is an error, not a lock', () => {
  expect(() => takeFileLock(join(folder, 'missing', 'lock'))).toThrow('ENOENT');
});
