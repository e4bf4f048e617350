import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AsciicastError, readAsciicast } from '../../../src/cli/replay/read-asciicast.ts';
import { asciicast } from '../../../src/daemon/history/asciicast.ts';
import type { Entry } from '../../../src/daemon/persistence/journal/entry.ts';
import { anyBytes, entriesOf, SEED } from './streams.ts';

const AT = 1_795_262_400_000;

function linesOf(entries: Iterable<Entry>, options: Partial<Parameters<typeof asciicast>[1]> = {}): string[] {
  return [...asciicast(entries, { cols: 80, rows: 24, ...options })].join('').trimEnd().split('\n');
}

test('a recording is a header and events, as the format has them', () => {
  const entries: Entry[] = [
    { is: 'resize', at: AT, offset: 0, cols: 100, rows: 30 },
    { is: 'output', at: AT + 250, offset: 0, bytes: Buffer.from('\x1b[31mHi "you"\r\n€').subarray(0, -1) },
    { is: 'input', at: AT + 300, offset: 17, length: 3 },
    { is: 'resize', at: AT + 1500, offset: 17, cols: 60, rows: 20 },
    { is: 'output', at: AT + 1600, offset: 17, bytes: Buffer.from('€').subarray(2) },
    { is: 'output', at: AT + 1000, offset: 18, bytes: Buffer.from([0xff, 0xe2, 0x82]) },
    { is: 'gap', at: AT + 2000, offset: 21, to: 1021, because: 'holder' },
    { is: 'output', at: AT + 3000, offset: 1021, bytes: Buffer.from([0x21, 0xf0]) },
  ];
  expect(linesOf(entries, { title: 'Demo', command: 'bash -l', env: { TERM: 'screen', SHELL: '/bin/zsh', SECRET: 'x' } })).toEqual([
    '{"version":2,"width":100,"height":30,"timestamp":1795262400,"title":"Demo","command":"bash -l",' +
      '"env":{"TERM":"screen","SHELL":"/bin/zsh"}}',
    '[0.25, "o", "\\u001b[31mHi \\"you\\"\\r\\n"]',
    '[1.5, "r", "60x20"]',
    '[1.6, "o", "€"]',
    '[1.6, "o", "�"]',
    '[2, "o", "�"]',
    '[2, "m", "1,000 bytes were not kept: holder"]',
    '[3, "o", "!"]',
    '[3, "o", "�"]',
  ]);
});

test('nothing recorded is a header', () => {
  expect(linesOf([])).toEqual(['{"version":2,"width":80,"height":24,"env":{"TERM":"xterm-256color"}}']);
});

test('a byte order mark is output like any other', () => {
  expect(linesOf(entriesOf(Buffer.from('\ufeffa')))[1]).toBe('[0, "o", "\ufeffa"]');
});

test('however it was cut, what is read again is what was written', () => {
  fc.assert(
    fc.property(anyBytes(), fc.array(fc.nat(300)), (bytes, cuts) => {
      const { events } = readAsciicast(linesOf(entriesOf(bytes, cuts)));
      expect([...events].map((event) => (event.is === 'output' ? event.text : '')).join('')).toBe(
        new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes),
      );
    }),
    { seed: SEED, numRuns: 300 },
  );
});

const HEADER = '{"version": 2, "width": 80, "height": 24}';

test('a recording of asciinema is read, and what nobody knows is passed over', () => {
  const { header, events } = readAsciicast([
    '{"version": 2, "width": 80, "height": 24, "timestamp": 1504467315, "idle_time_limit": 2, "title": "Demo", ' +
      '"env": {"SHELL": "/bin/zsh", "X": 1}, "theme": {}}\n',
    '[0.248848, "o", "\\u001b[1;31mHello"]\n',
    '\n',
    '[1.5, "m", "here"]',
    '[1.0, "i", "x"]',
    '[2, "x", "0"]',
    '[2.5, "r", "100x50"]',
  ]);
  expect(header).toEqual({
    cols: 80,
    rows: 24,
    timestamp: 1_504_467_315,
    title: 'Demo',
    command: null,
    env: { SHELL: '/bin/zsh' },
    idleLimitSeconds: 2,
  });
  expect([...events]).toEqual([
    { is: 'output', seconds: 0.248848, text: '\x1b[1;31mHello' },
    { is: 'marker', seconds: 1.5, label: 'here' },
    { is: 'input', seconds: 1.5, text: 'x' },
    { is: 'resize', seconds: 2.5, cols: 100, rows: 50 },
  ]);
});

test('a long recording is read as it is asked for', () => {
  function* endless() {
    yield HEADER;
    for (;;) yield '[1, "o", "x"]';
  }
  expect(readAsciicast(endless()).events.next().value).toEqual({ is: 'output', seconds: 1, text: 'x' });
});

const NO_CAST = 'This is no asciicast recording: its first line should be a JSON object.';
const NO_EVENT = 'Line 2 of the recording is no event: it should be [seconds, "code", "data"].';

test.each<[string[], string]>([
  [[], 'The recording is empty.'],
  [['#!/bin/sh'], NO_CAST],
  [['[]'], NO_CAST],
  [['null'], NO_CAST],
  [['{"version": 3, "term": {}}'], 'This is asciicast version 3: only version 2 can be played.'],
  [['{"version":"\\u001b[2J\u009b2J"}'], 'This is asciicast version "\\u001b[2J?2J": only version 2 can be played.'],
  [['{}'], 'This is asciicast version missing: only version 2 can be played.'],
  [['{"version": 2}'], 'Line 1 of the recording has a size of missing: it should be from 1 to 2000.'],
  [['{"version": 2, "width": 80, "height": 1e9}'], 'Line 1 of the recording has a size of 1000000000: it should be from 1 to 2000.'],
  [['{"version": 2, "width": 80.5, "height": 24}'], 'Line 1 of the recording has a size of 80.5: it should be from 1 to 2000.'],
  [['{"version": 2, "width": 80, "height": 24, "title": {}}'], "The recording's title is {}: it should be text."],
  [['{"version": 2, "width": 80, "height": 24, "timestamp": "x"}'], 'The recording\'s timestamp is "x": it should be a number.'],
  [['{"version": 2, "width": 80, "height": 24, "env": []}'], "The recording's env is []: it should be an object."],
  [[HEADER, 'x'], 'Line 2 of the recording is not JSON.'],
  [[HEADER, '{}'], NO_EVENT],
  [[HEADER, '[1, "o"]'], NO_EVENT],
  [[HEADER, '[1, "o", 5]'], NO_EVENT],
  [[HEADER, '[-1, "o", ""]'], 'Line 2 of the recording has no time: it begins with -1.'],
  [[HEADER, '[1e999, "o", ""]'], 'Line 2 of the recording has no time: it begins with null.'],
  [[HEADER, '[1, "r", "axb"]'], 'Line 2 of the recording has a size of "axb": it should be from 1 to 2000.'],
  [[HEADER, '[1, "r", "80x99999"]'], 'Line 2 of the recording has a size of 99999: it should be from 1 to 2000.'],
  [[HEADER, ' '.repeat((16 << 20) + 1)], 'Line 2 of the recording is longer than 16 MiB.'],
])('what is wrong with a recording is said in a sentence (%#)', (lines, sentence) => {
  expect(() => [...readAsciicast(lines).events]).toThrow(new AsciicastError(sentence));
});
