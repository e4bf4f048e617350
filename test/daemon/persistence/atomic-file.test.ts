import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeFileAtomic } from '../../../src/daemon/persistence/atomic-file.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'atomic-'));
  file = join(folder, 'state.json');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test.each<[string, string | Uint8Array]>([
  ['text', 'häh\n'],
  ['bytes', Uint8Array.from([0, 255, 10])],
  ['nothing', ''],
  ['much', 'x'.repeat(5_000_000)],
])('%s is written whole, and nothing is left beside it', (_, content) => {
  writeFileAtomic(file, 'something longer that was there before');
  writeFileAtomic(file, content);
  expect(readFileSync(file).equals(Buffer.from(content))).toBe(true);
  expect(readdirSync(folder)).toEqual(['state.json']);
});

test('the file is for nobody else, whatever the old one was and whatever the umask', () => {
  writeFileSync(file, 'old');
  chmodSync(file, 0o666);
  const before = process.umask(0);
  try {
    writeFileAtomic(file, 'new');
  } finally {
    process.umask(before);
  }
  expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
});

test('who has the old file open or linked keeps the old content: it is replaced, not overwritten', () => {
  writeFileSync(file, 'old');
  linkSync(file, join(folder, 'kept'));
  writeFileAtomic(file, 'new');
  expect([readFileSync(join(folder, 'kept'), 'utf8'), readFileSync(file, 'utf8')]).toEqual(['old', 'new']);
});

test('a symbolic link is replaced, and where it led is left alone', () => {
  writeFileSync(join(folder, 'target'), 'theirs');
  symlinkSync(join(folder, 'target'), file);
  writeFileAtomic(file, 'ours');
  expect([readFileSync(join(folder, 'target'), 'utf8'), readFileSync(file, 'utf8')]).toEqual(['theirs', 'ours']);
});

test('a part that a crash left behind is no obstacle', () => {
  writeFileSync(`${file}.${process.pid}.new`, 'half of somethi');
  writeFileAtomic(file, 'whole');
  expect([readdirSync(folder), readFileSync(file, 'utf8')]).toEqual([['state.json'], 'whole']);
});

test('a folder in the way is an error', () => {
  mkdirSync(join(file, 'inner'), { recursive: true });
  expect(() => writeFileAtomic(file, 'x')).toThrow('state.json');
  expect(readdirSync(file)).toEqual(['inner']);
});

test('a folder that is not there is an error', () => {
  expect(() => writeFileAtomic(join(folder, 'missing', 'file'), 'x')).toThrow('ENOENT');
});
