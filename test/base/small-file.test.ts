import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readSmallFile } from '../../src/base/small-file.ts';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'small-file-'));
  file = join(folder, 'file');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a file is read, also through a link, if it has no more bytes than it may', () => {
  writeFileSync(file, 'üü');
  symlinkSync(file, join(folder, 'link'));
  expect([4, 3].map((limit) => readSmallFile(file, limit))).toEqual(['üü', null]);
  expect(readSmallFile(join(folder, 'link'), 4)).toBe('üü');
});

test('what is no file is never waited for', () => {
  expect(() => readSmallFile(file, 4)).toThrow('ENOENT');
  execFileSync('mkfifo', [file]);
  for (const path of [folder, '/dev/zero', file]) expect(() => readSmallFile(path, 4)).toThrow(/^it is no file$/);
});
