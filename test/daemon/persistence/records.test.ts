import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readSessionRecord, type SessionRecord, writeSessionRecord } from '../../../src/daemon/persistence/records.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'records-'));
  file = join(folder, 'state.json');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A record of version 1 as it is on disk. Every version there ever was must be readable for ever: this literal does not change. */
const VERSION_1 = {
  version: 1,
  id: '$3',
  pane: '%7',
  name: 'build',
  command: ['npm', 'test'],
  cwd: '/work',
  role: null,
  cols: 80,
  rows: 24,
  backend: 'hold',
  pid: 100,
  holderPid: 99,
  pidIdentity: 'boot 12345',
  createdAt: 1_700_000_000_000,
  activeAt: 1_700_000_001_000,
  title: 'npm',
  screenOffset: 512,
  ended: { how: 'exited', exitCode: 2, signal: null, at: 1_700_000_002_000, because: null },
} as const;

/** And one of version 2. */
const VERSION_2 = {
  ...VERSION_1,
  version: 2,
  history: true,
  restart: 'always',
  conversation: { agent: 'claude', id: '0b5c' },
  shell: { kind: 'bash', nonce: '0123456789abcdef' },
  earlierPanes: ['%3'],
  restores: [{ at: 1, endedAt: null }],
  archivedAt: 1_700_000_003_000,
} as const;

test('a record of version 1 is read', () => {
  writeFileSync(file, JSON.stringify(VERSION_1));
  const added = {
    version: 2,
    history: true,
    restart: 'ask',
    conversation: null,
    shell: null,
    earlierPanes: [],
    restores: [],
    archivedAt: null,
  };
  expect(readSessionRecord(file)).toEqual({ ...VERSION_1, ...added });
});

test('a record of version 2 is read', () => {
  writeFileSync(file, JSON.stringify(VERSION_2));
  expect(readSessionRecord(file)).toEqual(VERSION_2);
  // The first builds that wrote it knew of no shells.
  const { shell: _, ...first } = VERSION_2;
  writeFileSync(file, JSON.stringify(first));
  expect(readSessionRecord(file)).toEqual({ ...VERSION_2, shell: null });
});

test('this build writes version 2, as text that a person can read', () => {
  const { version: _, ...record } = VERSION_2;
  writeSessionRecord(file, { ...record, command: ['npm', 'test'], earlierPanes: ['%3'], restores: [{ at: 1, endedAt: null }] });
  const text = readFileSync(file, 'utf8');
  expect(JSON.parse(text)).toEqual(VERSION_2);
  expect(text.split('\n').slice(0, 3)).toEqual(['{', ' "version": 2,', ' "id": "$3",']);
  expect(text.endsWith('}\n')).toBe(true);
});

test('what is written is read back', () => {
  const count = fc.maxSafeNat();
  const record: fc.Arbitrary<Omit<SessionRecord, 'version'>> = fc.record({
    id: count.map((n) => `$${n}`),
    pane: count.map((n) => `%${n}`),
    name: fc.string({ unit: 'binary' }),
    command: fc.tuple(fc.string(), fc.string(), fc.string()).map(([first, ...rest]): [string, ...string[]] => [first, ...rest]),
    cwd: fc.string(),
    role: fc.option(fc.string()),
    cols: fc.integer({ min: 1, max: 10_000 }),
    rows: fc.integer({ min: 1, max: 10_000 }),
    backend: fc.constantFrom('hold', 'node-pty'),
    pid: fc.option(count),
    holderPid: fc.option(count),
    pidIdentity: fc.option(fc.string()),
    createdAt: count,
    activeAt: count,
    title: fc.string({ unit: 'binary' }),
    screenOffset: fc.option(count),
    history: fc.boolean(),
    restart: fc.constantFrom('never', 'ask', 'always'),
    conversation: fc.option(fc.record({ agent: fc.string(), id: fc.string() })),
    shell: fc.option(fc.record({ kind: fc.constantFrom('bash', 'zsh', 'fish', 'sh'), nonce: fc.stringMatching(/^[\da-f]{16}$/) })),
    earlierPanes: fc.array(count.map((n) => `%${n}`)),
    restores: fc.array(fc.record({ at: count, endedAt: fc.option(count) })),
    archivedAt: fc.option(count),
    ended: fc.option(
      fc.record({
        how: fc.constantFrom('exited', 'failed', 'lost'),
        exitCode: fc.option(fc.integer()),
        signal: fc.option(fc.string()),
        at: count,
        because: fc.option(fc.string()),
      }),
    ),
  });
  fc.assert(
    fc.property(record, (written) => {
      writeSessionRecord(file, written);
      expect(readSessionRecord(file)).toEqual({ version: 2, ...written });
    }),
  );
});

test('a member that a later build of the same version added is no obstacle', () => {
  writeFileSync(file, JSON.stringify({ ...VERSION_2, colour: 'blue' }));
  expect(readSessionRecord(file)).toEqual(VERSION_2);
});

/** Why a file with this content is refused. It must be there as it was afterwards. */
function refusal(content: string): string {
  writeFileSync(file, content);
  try {
    readSessionRecord(file);
    return 'it was read';
  } catch (error) {
    return (error as Error).message.replaceAll(file, 'FILE');
  } finally {
    expect(readFileSync(file, 'utf8')).toBe(content);
  }
}

describe('a record that cannot be read is refused and left untouched', () => {
  test('because a newer version wrote it', () => {
    expect(refusal(JSON.stringify({ ...VERSION_1, version: 3 }))).toBe(
      'FILE was written by a newer ai-session (record version 3, this one knows 2); use that one, or move the file away',
    );
    expect(refusal('{"version":999,"shape":"unknown"}')).toContain('was written by a newer ai-session (record version 999');
  });

  test.each(['{}', '{"version":"1"}', '{"version":null}', '[]', '7', '"x"'])('because it is no record: %s', (content) => {
    expect(refusal(content)).toBe('FILE is no session record');
  });

  test.each([
    '',
    '{',
    `${JSON.stringify(VERSION_1).slice(0, -20)}`,
    'null',
    '\0\0\0\0',
    '{"version":0}',
    '{"version":-1}',
    '{"version":0.5}',
  ])('because it is damaged: %j', (content) => {
    expect(refusal(content)).not.toBe('it was read');
  });

  test.each<[string, unknown]>([
    ['id', '3'],
    ['id', '$3/../..'],
    ['pane', '7'],
    ['pane', '%x'],
    ['name', 5],
    ['command', []],
    ['command', 'npm test'],
    ['command', ['npm', 1]],
    ['cwd', null],
    ['cols', '80'],
    ['backend', 'screen'],
    ['pid', '100'],
    ['createdAt', null],
    ['screenOffset', 'x'],
    ['ended', { how: 'vanished' }],
    ['ended', {}],
    ...Object.keys(VERSION_2)
      .filter((name) => name !== 'version' && name !== 'shell')
      .map((name): [string, unknown] => [name, undefined]),
  ])('because %s is %j', (name, value) => {
    expect(refusal(JSON.stringify({ ...VERSION_2, [name]: value }))).toContain(name);
  });

  test('because it is not there', () => {
    expect(() => readSessionRecord(join(folder, 'missing.json'))).toThrow('ENOENT');
  });
});
