import { describe, expect, test } from 'vitest';
import { comeback, crashLoop, planRestore, type RestoreRecord } from '../../../src/daemon/session/restart.ts';

const ID = '019e353a-a0fb-7ae0-a931-48a4aec65cd7';

const LOST: NonNullable<RestoreRecord['ended']> = { how: 'lost', exitCode: null, signal: null };
const RECORD: RestoreRecord = {
  name: 'build',
  command: ['claude', '--model', 'opus', 'fix it'],
  cwd: '/work',
  ended: LOST,
  policy: 'ask',
  conversation: { agent: 'claude', id: ID },
  restores: [],
};

describe('restoring', () => {
  const plan = (record: Partial<RestoreRecord>, cwd?: string) =>
    planRestore({ ...RECORD, ...record }, { isCwdThere: (folder) => folder !== '/gone', cwd });

  test('goes on with the conversation, in the same folder, with the same options', () => {
    expect(plan({})).toEqual({
      command: ['claude', '--resume', ID, '--model', 'opus'],
      cwd: '/work',
      notes: [`resumes Claude conversation ${ID}`],
    });
  });

  test('starts what is no agent again as it was', () => {
    expect(plan({ command: ['/usr/bin/vim', 'a b'], conversation: null })).toEqual({
      command: ['/usr/bin/vim', 'a b'],
      cwd: '/work',
      notes: ['starts "vim" from the beginning'],
    });
  });

  test.each<[string, Partial<RestoreRecord>, string]>([
    ['without a conversation', { conversation: null }, 'starts Claude anew: no conversation of it is known'],
    ['with another agent’s', { conversation: { agent: 'codex', id: ID } }, 'starts Claude anew: no conversation of it is known'],
    [
      'when it holds none',
      { command: ['claude', '-p', 'go'] },
      'starts Claude anew: this command holds no conversation that could be resumed',
    ],
  ])('starts an agent anew %s, and says so', (_, record, note) => {
    const command = [...(record.command ?? RECORD.command)];
    expect(plan(record)).toEqual({ command, cwd: '/work', notes: [note] });
  });

  test('in another folder goes on with a conversation only where the agent finds it from there', () => {
    expect(plan({}, '/else')).toEqual({
      command: [...RECORD.command],
      cwd: '/else',
      notes: ['starts in "/else" instead of "/work"', `starts Claude anew: its conversation ${ID} belongs to "/work"`],
    });
    expect(plan({ command: ['codex'], conversation: { agent: 'codex', id: ID } }, '/else')).toEqual({
      command: ['codex', 'resume', ID],
      cwd: '/else',
      notes: ['starts in "/else" instead of "/work"', `resumes Codex conversation ${ID}`],
    });
    // The same folder, named once more, is no other folder.
    expect(plan({}, '/work')).toEqual(plan({}));
  });

  test.each<[Partial<RestoreRecord>, string | undefined, string]>([
    [{ ended: null }, undefined, 'Session "build" is running: there is nothing to restore.'],
    [{ policy: 'never' }, undefined, 'Session "build" is kept to be read only. Start its program with: ai-session new'],
    [{ cwd: '/gone' }, undefined, 'The directory "/gone" of session "build" is not there. Name another one with: -c DIR'],
    [{}, '/gone', 'The directory "/gone" of session "build" is not there.'],
  ])('is refused for %j in %j', (record, cwd, refused) => {
    expect(plan(record, cwd)).toEqual({ refused });
  });

  test('in a folder that is there works for a session whose own has gone', () => {
    expect(plan({ cwd: '/gone', command: ['top'], conversation: null }, '/work')).toEqual({
      command: ['top'],
      cwd: '/work',
      notes: ['starts in "/work" instead of "/gone"', 'starts "top" from the beginning'],
    });
  });

  test('leaves the record as it is', () => {
    const command = Object.freeze(['claude', 'go']) as RestoreRecord['command'];
    expect(plan({ command })).toMatchObject({ command: ['claude', '--resume', ID] });
    expect(plan({ command, conversation: null })).toMatchObject({ command: ['claude', 'go'] });
  });
});

describe('what the daemon does as it starts', () => {
  const short = { at: 1000, endedAt: 10_999 };
  const long = { at: 1000, endedAt: 11_000 };

  test.each<[Partial<RestoreRecord>, ReturnType<typeof comeback>]>([
    [{ policy: 'always' }, { do: 'start' }],
    [{ policy: 'ask' }, { do: 'wait' }],
    [{ policy: 'never' }, { do: 'leave', because: 'it is kept to be read only' }],
    [
      { policy: 'always', ended: null },
      { do: 'leave', because: 'it is running' },
    ],
    // A shutdown that the daemon was still there to see.
    [{ policy: 'always', ended: { how: 'exited', exitCode: null, signal: 'SIGTERM' } }, { do: 'start' }],
    [{ policy: 'always', ended: { how: 'exited', exitCode: null, signal: 'SIGHUP' } }, { do: 'start' }],
    [{ policy: 'ask', ended: { how: 'exited', exitCode: 143, signal: null } }, { do: 'wait' }],
    [{ policy: 'always', ended: { how: 'exited', exitCode: 129, signal: null } }, { do: 'start' }],
    [
      { policy: 'always', ended: { how: 'exited', exitCode: 0, signal: null } },
      { do: 'leave', because: 'it ended by itself (exit 0)' },
    ],
    [
      { policy: 'ask', ended: { how: 'exited', exitCode: 2, signal: null } },
      { do: 'leave', because: 'it ended by itself (exit 2)' },
    ],
    [
      { policy: 'always', ended: { how: 'exited', exitCode: null, signal: 'SIGSEGV' } },
      { do: 'leave', because: 'it ended by itself (SIGSEGV)' },
    ],
    [
      { policy: 'always', ended: { how: 'failed', exitCode: null, signal: null } },
      { do: 'leave', because: 'it could not be shown any more' },
    ],
    [
      { policy: 'always', restores: [long, short, short, short] },
      { do: 'leave', because: 'it ended within 10 s of its start 3 times in a row' },
    ],
    [{ policy: 'always', restores: [short, short, short, long] }, { do: 'start' }],
    // A person may try as often as they like.
    [{ policy: 'ask', restores: [short, short, short] }, { do: 'wait' }],
  ])('%j: %j', (record, decision) => {
    expect(comeback({ ...RECORD, ...record })).toEqual(decision);
  });

  test.each([
    { restores: [], isLoop: false },
    { restores: [short, short], isLoop: false },
    { restores: [short, short, short], isLoop: true },
    { restores: [short, long, short], isLoop: false },
    { restores: [short, short, { at: 1000, endedAt: null }], isLoop: false },
  ])('$restores is a loop: $isLoop', ({ restores, isLoop }) => {
    expect(crashLoop(restores) !== null).toBe(isLoop);
  });
});
