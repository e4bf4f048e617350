import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkName, generateName } from '../../../src/daemon/session/names.ts';
import { WireError } from '../../../src/wire/errors.ts';

function refusalOf(name: string): string | null {
  try {
    return checkName(name) === name ? null : 'changed';
  } catch (error) {
    if (error instanceof WireError && error.code === 'bad-params') return error.message;
    throw error;
  }
}

describe('a session may be named', () => {
  test.each([
    'a',
    'build',
    'my session',
    'päivä',
    '日本語',
    '🎉',
    'user@host',
    'a.b',
    'a+b',
    "it's",
    'say "hi"',
    'a\\b',
    'x$',
    '1',
    '~',
    '#',
    '*',
    'x'.repeat(100),
    '🎉'.repeat(100),
  ])('%j', (name) => {
    expect(refusalOf(name)).toBeNull();
  });
});

describe('a session may not be named', () => {
  test.each<[string, string]>([
    ['', 'Session name "" is empty: give it at least one character.'],
    ['x'.repeat(101), `Session name "${'x'.repeat(40)}…" has 101 characters: use at most 100.`],
    ['a\nb', 'Session name "a\\nb" contains a control character: leave it out.'],
    ['a\x1b[31mb', 'Session name "a\\u001b[31mb" contains a control character: leave it out.'],
    ['a\0', 'Session name "a\\u0000" contains a control character: leave it out.'],
    ['a\x9bb', 'contains a control character'],
    ['a\u202eb', 'contains a control character'],
    ['a\u2028b', 'contains a control character'],
    ['a\ud800', 'contains a control character'],
    ['-d', 'Session name "-d" begins with "-", which marks an option or an id: begin with another character.'],
    ['$1', 'begins with "$"'],
    ['%1', 'begins with "%"'],
    ['@1', 'begins with "@"'],
    ['=a', 'begins with "="'],
    ['a:b', 'Session name "a:b" contains ":" or "/": use another character.'],
    ['a/b', 'contains ":" or "/"'],
    ['../x', 'contains ":" or "/"'],
    [' a', 'Session name " a" begins or ends with a space: leave it out.'],
    ['a ', 'begins or ends with a space'],
    ['\u00a0a', 'begins or ends with a space'],
    [' ', 'begins or ends with a space'],
  ])('%j', (name, why) => {
    expect(refusalOf(name)).toContain(why);
  });
});

describe('a session without a name is named after its folder', () => {
  test.each<[string, string]>([
    ['/home/me/project', 'project'],
    ['/home/me/My Project (2)', 'My-Project-2'],
    ['/', 'session'],
    ['/tmp/...', 'session'],
    ['/tmp/.config', 'config'],
    ['/tmp/-x', 'x'],
    ['/tmp/päivä', 'päivä'],
    ['/tmp/$HOME', 'HOME'],
    ['/tmp/a:b', 'a-b'],
    ['/tmp/abcdefghijklmnopqrstuvwxyz', 'abcdefghijklmnopqrstuvwx'],
  ])('%s: %s', (cwd, name) => {
    expect(generateName(cwd, () => false)).toBe(name);
  });

  test('with the first number that is free', () => {
    const taken = new Set(['web', 'web-2', 'web-4']);
    expect(generateName('/srv/web', (name) => taken.has(name))).toBe('web-3');
  });

  test('whatever the folder is called, the name is one that may be given', () => {
    for (const unit of ['grapheme', 'binary'] as const) {
      fc.assert(
        fc.property(fc.string({ unit }), (folder) => {
          expect(refusalOf(generateName(`/${folder}`, () => false))).toBeNull();
        }),
        { numRuns: 500 },
      );
    }
  });
});
