import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Counters } from '../../../src/daemon/persistence/counters.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'counters-'));
  file = join(folder, 'metadata', 'counters.json');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('each name counts by itself, from 1', () => {
  const counters = new Counters(file);
  expect([counters.next('session'), counters.next('session'), counters.next('pane'), counters.next('session')]).toEqual([1, 2, 1, 3]);
});

test('a number is on disk when it is given', () => {
  const counters = new Counters(file);
  counters.next('session');
  counters.next('session');
  counters.next('epoch', 500);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ session: 2, epoch: 500 });
  expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
});

test('the next daemon goes on, and never gives a number again', () => {
  new Counters(file).next('session');
  expect([new Counters(file).next('session'), new Counters(file).next('session')]).toEqual([2, 3]);
});

test('"at least" lifts a number and never lowers it', () => {
  const counters = new Counters(file);
  expect([counters.next('epoch', 100), counters.next('epoch', 50), counters.next('epoch'), counters.next('epoch', 1000)]).toEqual([
    100, 101, 102, 1000,
  ]);
});

describe('a damaged file', () => {
  // A power cut can leave an empty one. The numbers in use are found by looking, and are not given again.
  test.each(['', '{', 'null', '7', '"x"', '{"session":1'])('counts for nothing: %j', (content) => {
    new Counters(file);
    writeFileSync(file, content);
    const counters = new Counters(file);
    counters.raise('session', 12);
    counters.raise('session', 3);
    expect([counters.next('session'), counters.next('session'), counters.next('pane')]).toEqual([13, 14, 1]);
  });

  test.each<[string, number]>([
    ['{"session":-1}', 1],
    ['{"session":1.5}', 1],
    ['{"session":"9"}', 1],
    ['{"session":null,"pane":4}', 1],
    ['{"other":5,"session":6}', 7],
    ['{"__proto__":{"session":9}}', 1],
  ])('with values that are no counts, only those are left out: %s', (content, next) => {
    new Counters(file);
    writeFileSync(file, content);
    expect(new Counters(file).next('session')).toBe(next);
  });
});
