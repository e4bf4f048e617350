import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RotatingFile } from '../../src/base/rotating-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rotating-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Every file of the folder with what is in it. */
function contents(): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
  );
}

test('a line is on disk when write returns', () => {
  const file = new RotatingFile(join(folder, 'log'));
  file.write('one\n');
  expect(contents()).toEqual({ log: 'one\n' });
  file.close();
});

test('at its limit it starts again and keeps the files before it, and no more', () => {
  const file = new RotatingFile(join(folder, 'log'), { limitBytes: 8, keep: 2 });
  for (const line of ['aaaa\n', 'bbbb\n', 'cccc\n', 'dddd\n', 'eeee\n', 'ffff\n', 'gggg\n']) file.write(line);
  file.close();
  expect(contents()).toEqual({ log: 'gggg\n', 'log.1': 'eeee\nffff\n', 'log.2': 'cccc\ndddd\n' });
});

test('a line is never cut in two', () => {
  const file = new RotatingFile(join(folder, 'log'), { limitBytes: 4, keep: 1 });
  file.write('a line longer than the limit\n');
  file.write('b\n');
  file.close();
  expect(contents()).toEqual({ log: 'b\n', 'log.1': 'a line longer than the limit\n' });
});

test('it goes on where an earlier process stopped, and counts what is there', () => {
  writeFileSync(join(folder, 'log'), '12345678');
  const file = new RotatingFile(join(folder, 'log'), { limitBytes: 8, keep: 1 });
  file.write('next\n');
  file.close();
  expect(contents()).toEqual({ log: 'next\n', 'log.1': '12345678' });
});

test('the limit is in bytes, not in characters', () => {
  const file = new RotatingFile(join(folder, 'log'), { limitBytes: 6, keep: 1 });
  for (const line of ['ääs', 'b', 'c']) file.write(line);
  file.close();
  expect(contents()).toEqual({ log: 'c', 'log.1': 'ääsb' });
});

test('file and folder are for nobody else', () => {
  const before = process.umask(0);
  try {
    new RotatingFile(join(folder, 'logs', 'log')).close();
  } finally {
    process.umask(before);
  }
  expect([statSync(join(folder, 'logs')), statSync(join(folder, 'logs', 'log'))].map(({ mode }) => (mode & 0o777).toString(8))).toEqual([
    '700',
    '600',
  ]);
});

test('what is written after the end is dropped, and a second end is harmless', () => {
  const file = new RotatingFile(join(folder, 'log'));
  file.write('kept\n');
  file.close();
  file.close();
  file.write('lost\n');
  expect(contents()).toEqual({ log: 'kept\n' });
});

test('a disk that takes nothing loses lines and nothing else', () => {
  const file = new RotatingFile('/dev/full');
  expect(() => file.write('x\n')).not.toThrow();
  file.close();
});

test('a place where no file can be made again is survived', () => {
  const file = new RotatingFile(join(folder, 'log'), { limitBytes: 1, keep: 1 });
  file.write('a');
  // The renamed file cannot replace a folder that is not empty.
  mkdirSync(join(folder, 'log.1', 'in-the-way'), { recursive: true });
  file.write('b');
  file.write('c');
  file.close();
  expect(readFileSync(join(folder, 'log'), 'utf8')).toBe('abc');
});
