import { expect, test } from 'vitest';
import { nearest } from '../../src/base/nearest.ts';

const COMMANDS = ['new', 'attach', 'ls', 'send', 'capture', 'resize', 'rename', 'signal', 'kill'];

test.each<[wanted: string, meant: string | null]>([
  ['attach', 'attach'],
  ['atach', 'attach'],
  ['attahc', 'attach'],
  ['attachh', 'attach'],
  ['ATTACH', 'attach'],
  ['Kil', 'kill'],
  ['klil', 'kill'],
  ['sl', 'ls'],
  ['snd', 'send'],
  ['capturre', 'capture'],
  ['cpature', 'capture'],
  ['rsieze', 'resize'],
  // One slip for each three characters: two in six, one in four, one in the shortest.
  ['renema', 'rename'],
  ['kxxl', null],
  ['xy', null],
  ['frobnicate', null],
  ['', null],
])('who types "%s" means %j', (wanted, meant) => {
  expect(nearest(wanted, COMMANDS)).toBe(meant);
});

test('the nearest wins, and of equals the first', () => {
  expect([nearest('tests', ['texts', 'test', 'tests!']), nearest('bat', ['cat', 'hat'])]).toEqual(['texts', 'cat']);
  expect(nearest('session', ['sessions', 'session'])).toBe('session');
});

test('without candidates nobody is meant', () => {
  expect(nearest('a', [])).toBeNull();
});
