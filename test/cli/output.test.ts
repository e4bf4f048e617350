import { afterEach, describe, expect, test, vi } from 'vitest';
import { ago, plain, report, UsageError } from '../../src/cli/output.ts';
import { ConnectionError } from '../../src/client/connection.ts';
import { DaemonError } from '../../src/client/daemon.ts';
import { WireError } from '../../src/wire/errors.ts';

afterEach(() => vi.restoreAllMocks());

/** The exit code of a failure, and what standard error was told. */
function told(error: unknown, isJson: boolean): { exit: number; said: string } {
  let said = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += text;
    return true;
  });
  const exit = report(error, isJson);
  return { exit, said };
}

describe('a failure has an exit code, a sentence, and the same as JSON', () => {
  test.each<[Error, number, string, object]>([
    [
      new WireError('not-found', 'No session named "x".', { session: 'x' }),
      3,
      'No session named "x".',
      { code: 'not-found', session: 'x' },
    ],
    [new WireError('exists', 'Taken.'), 6, 'Taken.', { code: 'exists' }],
    [new WireError('ended', 'Over.'), 7, 'Over.', { code: 'ended' }],
    [new WireError('internal', 'A bug.', { incident: 'ab' }), 1, 'A bug.', { code: 'internal', incident: 'ab' }],
    [new UsageError('Which session?'), 2, 'Which session?', { code: 'usage' }],
    [new UsageError('No log yet.', 3), 3, 'No log yet.', { code: 'usage' }],
    [new DaemonError('not-running', 'No daemon.'), 4, 'No daemon.', { code: 'daemon-not-running' }],
    [new DaemonError('start-failed', 'It ended.'), 4, 'It ended.', { code: 'daemon-start-failed' }],
    [new DaemonError('strange', 'Who?'), 4, 'Who?', { code: 'daemon-strange' }],
    [new DaemonError('unsafe', 'Open to others.'), 5, 'Open to others.', { code: 'daemon-unsafe' }],
    [new DaemonError('home', 'Too long.'), 2, 'Too long.', { code: 'daemon-home' }],
    [new ConnectionError('lost', 'Lost.'), 4, 'Lost.', { code: 'connection-lost' }],
  ])('%s', (error, exit, sentence, json) => {
    expect(told(error, false)).toEqual({ exit, said: `${sentence}\n` });
    const { exit: sameExit, said } = told(error, true);
    expect({ exit: sameExit, said: JSON.parse(said) }).toEqual({ exit, said: { error: { message: sentence, exitCode: exit, ...json } } });
  });

  test('a bug keeps its stack', () => {
    const bug = new TypeError('undefined is not a function');
    expect(told(bug, false)).toEqual({ exit: 1, said: `${bug.stack}\n` });
    expect(told('thrown', false)).toEqual({ exit: 1, said: 'thrown\n' });
  });

  test('a message with control characters cannot write to the terminal', () => {
    expect(told(new WireError('not-found', 'No session "\x1b]0;x\x07".'), false).said).toBe('No session "\\x1b]0;x\\x07".\n');
  });
});

test.each<[string, string]>([
  ['plain text, ä, 日本 🎉', 'plain text, ä, 日本 🎉'],
  ['\x1b[31mred', '\\x1b[31mred'],
  ['a\nb\tc\rd', 'a\\x0ab\\x09c\\x0dd'],
  ['\x00\x7f\x9b', '\\x00\\x7f\\x9b'],
  ['a\u202eb\u2066c\u200f', 'a\\x202eb\\x2066c\\x200f'],
])('control characters are made visible: %j', (text, shown) => {
  expect(plain(text)).toBe(shown);
});

test.each<[number, string]>([
  [-5000, '0s'],
  [0, '0s'],
  [499, '0s'],
  [5000, '5s'],
  [59_499, '59s'],
  [59_500, '1m'],
  [3_599_000, '59m'],
  [3_600_000, '1h'],
  [86_399_000, '23h'],
  [86_400_000, '1d'],
  [864_000_000, '10d'],
])('%i ms are said as %s', (ms, text) => {
  expect(ago(ms)).toBe(text);
});
