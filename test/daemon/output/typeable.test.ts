import { expect, test } from 'vitest';
import { asTyped, bytesOfLongestLine, keyIn, LINE_LIMIT_BYTES } from '../../../src/daemon/output/typeable.ts';

test.each([
  ['one', 'one'],
  ['one\r\ntwo\rthree\n\nfour\r\n\n', 'one\ntwo\nthree\n\nfour'],
  ['\n', ''],
  ['', ''],
])('%j is typed as %j', (text, typed) => {
  expect(asTyped(text)).toBe(typed);
});

test('300,000 empty lines hold up nothing', () => {
  const text = `${'\n'.repeat(300_000)}x`;
  expect(asTyped(`${text}\n\n`) === text).toBe(true);
});

test('every control character is a key, but tabs and newlines', () => {
  const controls = [...Array.from({ length: 32 }, (_, code) => code), 127];
  expect(controls.filter((code) => keyIn(`a${String.fromCharCode(code)}b`, 'it') === null)).toEqual([9, 10]);
  expect(keyIn('ünï→😀\u0080', 'it')).toBe(null);
  expect(keyIn('a\x01\x1b', '"ssh"')).toBe('The text has the control character \\x01 in it, which "ssh" would take for a key.');
});

test('a line is measured in bytes, however many there are', () => {
  expect(LINE_LIMIT_BYTES).toBe(4095);
  expect(['', 'abc\nü→', 'a\n\nb'].map(bytesOfLongestLine)).toEqual([0, 5, 1]);
  expect(bytesOfLongestLine(`${'x\n'.repeat(1_000_000)}xyz`)).toBe(3);
});
