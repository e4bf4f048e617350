import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Connection } from '../../../src/client/connection.ts';
import { Journal } from '../../../src/daemon/persistence/journal/journal.ts';
import type { WrittenListener } from '../../../src/daemon/session/pane.ts';
import type { Caller } from '../../../src/daemon/subsystem.ts';
import { Waiting } from '../../../src/daemon/waiting/waiting.ts';
import type { CallInput, CallParams, CallResult } from '../../../src/wire/calls.ts';
import { WireError } from '../../../src/wire/errors.ts';
import { Rig } from '../../support/rig.ts';

type Conditions = CallParams<'pane.wait'>['conditions'];
type Result = CallResult<'pane.wait'>;

const text = (text: string): Conditions[number] => ({ is: 'text', text });

function wait(
  client: Connection,
  sessions: string | string[],
  conditions: Conditions[number] | Conditions,
  more: Partial<CallParams<'pane.wait'>> = {},
): Promise<Result> {
  return client.call('pane.wait', { sessions: [sessions].flat(), conditions: [conditions].flat(), ...more });
}

/** The waits that this client asked for have begun: what is printed from now on is theirs. */
async function begun(client: Connection): Promise<void> {
  await client.call('daemon.ping', {});
}

/** What a test says of a result. */
function told({ outcome, name, condition, matched, all }: Result) {
  return { outcome, name, condition, line: matched?.line ?? null, all: all.map(({ name, outcome }) => `${name}: ${outcome}`) };
}

/** Waits until all that a puppet was told to print has come, and returns the cursor after it. */
async function printed(client: Connection, session: string, puppet: { print(text: string): void }, text: string): Promise<string> {
  const before = client.call('pane.screen', { session });
  const { after } = await before;
  puppet.print(`${text}#seen#`);
  const { cursor } = await wait(client, session, { is: 'text', text: '#seen#' }, { after: [after] });
  return cursor!;
}

/** A daemon with a session, its puppet and a client. */
async function started(name = 'a', params: Partial<CallParams<'session.create'>> = {}) {
  const rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name, ...params });
  return { rig, client, puppet, [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose]() };
}

describe('a wait is over when', () => {
  test('the text is printed after it began, and says where to go on', async () => {
    await using stage = await started();
    const { client, puppet } = stage;
    const { after } = await client.call('pane.screen', { session: 'a' });
    const waiting = wait(client, 'a', text('ready'));
    await begun(client);
    puppet.print('not yet\nis rea');
    await wait(client, 'a', text('is rea'), { after: [after] });
    puppet.print('\x1b[32mdy\x1b[m now, and more\n');
    const result = await waiting;
    expect(result).toEqual({
      outcome: 'matched',
      session: '$1',
      name: 'a',
      pane: '%1',
      condition: 'text=ready',
      matched: { text: 'ready', line: expect.stringMatching(/^is ready/), offset: 9 },
      cursor: '%1:22',
      elapsedMs: expect.any(Number),
      all: [
        {
          session: '$1',
          name: 'a',
          pane: '%1',
          outcome: 'matched',
          condition: 'text=ready',
          matched: result.matched,
          cursor: '%1:22',
        },
      ],
    });
    // What stands behind it in the same line is still to come.
    expect(told(await wait(client, 'a', text('more'), { after: [result.cursor!] }))).toMatchObject({ outcome: 'matched' });
  });

  test('a regular expression matches a prompt that has no end', async () => {
    await using stage = await started();
    const { client, puppet } = stage;
    const waiting = wait(client, 'a', { is: 'regex', pattern: '[$#] $' });
    await begun(client);
    puppet.print('\r\n\x1b[1muser@host\x1b[m:~$ ');
    expect(told(await waiting)).toEqual({
      outcome: 'matched',
      name: 'a',
      condition: 'regex=[$#] $',
      line: 'user@host:~$',
      all: ['a: matched'],
    });
  });

  test('the program has ended', async () => {
    await using stage = await started();
    const { client, puppet } = stage;
    const waiting = wait(client, 'a', { is: 'exit' });
    await begun(client);
    puppet.exit(7);
    expect(await waiting).toMatchObject({ outcome: 'matched', condition: 'exit', exitCode: 7 });
    // And had ended before.
    expect(await wait(client, 'a', { is: 'exit' })).toMatchObject({ outcome: 'matched', condition: 'exit', exitCode: 7 });
  });

  test('nothing has been printed for a while', async () => {
    await using stage = await started();
    const { client, puppet } = stage;
    const began = performance.now();
    expect(await wait(client, 'a', { is: 'idle', ms: 80 })).toMatchObject({ outcome: 'matched', condition: 'idle=80', matched: null });
    expect(performance.now() - began).toBeGreaterThanOrEqual(79);
    // It counts from the last byte: what was printed before somebody asked may be long enough ago.
    const { cursor } = await wait(client, 'a', { is: 'idle', ms: 1 });
    puppet.print('x');
    await wait(client, 'a', text('x'), { after: [cursor!] });
    await wait(client, 'a', { is: 'idle', ms: 300 });
    expect((await wait(client, 'a', { is: 'idle', ms: 300 }, { after: [cursor!] })).elapsedMs).toBeLessThan(200);
  });

  test('a byte comes while it is idle: it begins anew', async () => {
    await using stage = await started();
    const { client, puppet } = stage;
    const idle = wait(client, 'a', { is: 'idle', ms: 400 });
    let last = 0;
    for (let n = 0; n < 5; n++) {
      const seen = wait(client, 'a', text(`tick${n}`));
      await wait(client, 'a', { is: 'idle', ms: 100 });
      last = performance.now();
      await begun(client);
      puppet.print(`tick${n}`);
      await seen;
    }
    expect((await idle).outcome).toBe('matched');
    expect(performance.now() - last).toBeGreaterThanOrEqual(399);
  });

  test('the screen is another one, and not when only the cursor is shown and hidden', async () => {
    await using stage = await started();
    const { client, puppet } = stage;
    await printed(client, 'a', puppet, 'here');
    const screen = await client.call('pane.screen', { session: 'a' });
    const waiting = wait(client, 'a', { is: 'change' });
    await begun(client);
    puppet.print('\x1b[?25l\x1b[?25h\x1b[1 q\x1b[?12h');
    const still = await wait(client, 'a', [{ is: 'change' }, { is: 'idle', ms: 50 }], { after: [screen.after] });
    expect(still).toMatchObject({ outcome: 'matched', condition: 'idle=50' });
    expect((await client.call('pane.screen', { session: 'a' })).hash).toBe(screen.hash);
    puppet.print('\x1b[31m!');
    expect(await waiting).toMatchObject({ outcome: 'matched', condition: 'change', matched: null });
    // Who looked before need not have waited.
    for (const after of [screen.after, still.cursor!])
      expect(await wait(client, 'a', { is: 'change' }, { after: [after] })).toMatchObject({ outcome: 'matched' });
    expect((await client.call('pane.screen', { session: 'a' })).hash).not.toBe(screen.hash);
  });

  test('the time is over, which is no error', async () => {
    await using stage = await started();
    const { client } = stage;
    expect(await wait(client, 'a', [text('x'), { is: 'exit' }], { timeoutMs: 30 })).toEqual({
      outcome: 'timeout',
      session: '$1',
      name: 'a',
      pane: '%1',
      condition: null,
      matched: null,
      cursor: '%1:0',
      elapsedMs: expect.any(Number),
      all: [{ session: '$1', name: 'a', pane: '%1', outcome: 'waiting', condition: null, matched: null, cursor: '%1:0' }],
    });
  });

  test('the program ends and nothing matched; its last words count', async () => {
    await using stage = await started();
    const { client, puppet } = stage;
    const [never, last] = [wait(client, 'a', text('never')), wait(client, 'a', text('bye'))];
    await begun(client);
    puppet.print('bye');
    puppet.exit(3);
    expect(await never).toMatchObject({ outcome: 'ended', name: 'a', condition: null, cursor: '%1:3', exitCode: 3 });
    expect(await last).toMatchObject({ outcome: 'matched', condition: 'text=bye' });
    // What an ended one printed can be waited for too.
    expect(await wait(client, 'a', text('bye'), { after: ['%1:0'] })).toMatchObject({ outcome: 'matched', exitCode: 3 });
    expect(await wait(client, 'a', text('bye'))).toMatchObject({ outcome: 'ended', exitCode: 3 });
  });

  test('a session is killed', async () => {
    await using stage = await started();
    const { client } = stage;
    const waiting = wait(client, 'a', text('never'));
    await begun(client);
    await client.call('session.kill', { sessions: ['a'], force: true });
    expect(told(await waiting)).toMatchObject({ outcome: 'ended', name: 'a' });
    await expect(wait(client, 'a', text('never'))).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('several sessions', () => {
  test('any of them will do, or all are waited for', async () => {
    await using stage = await started();
    const { rig, client, puppet } = stage;
    const { puppet: other } = await rig.puppet(client, { name: 'b' });
    const [any, all] = [wait(client, ['a', 'b'], text('done')), wait(client, ['a', 'b', '$1'], text('done'), { all: true })];
    await begun(client);
    other.print('done\n');
    expect(told(await any)).toEqual({
      outcome: 'matched',
      name: 'b',
      condition: 'text=done',
      line: 'done',
      all: ['a: waiting', 'b: matched'],
    });
    puppet.print('done\n');
    expect(told(await all)).toMatchObject({ outcome: 'matched', name: 'a', all: ['a: matched', 'b: matched'] });
  });

  test('one that ends is none that matters while others may match, and the end of it where all have to', async () => {
    await using stage = await started();
    const { rig, client, puppet } = stage;
    const { puppet: other } = await rig.puppet(client, { name: 'b' });
    const [any, all] = [wait(client, ['a', 'b'], text('done')), wait(client, ['a', 'b'], text('done'), { all: true })];
    await begun(client);
    puppet.exit(0);
    expect(told(await all)).toMatchObject({ outcome: 'ended', name: 'a', all: ['a: ended', 'b: waiting'] });
    other.print('done');
    expect(told(await any)).toMatchObject({ outcome: 'matched', name: 'b', all: ['a: ended', 'b: matched'] });
    other.exit(0);
    await wait(client, 'b', { is: 'exit' });
    expect(told(await wait(client, ['a', 'b'], text('done')))).toMatchObject({ outcome: 'ended', all: ['a: ended', 'b: ended'] });
  });

  test('after a timeout of several nobody is named, and each has its cursor', async () => {
    await using stage = await started();
    const { rig, client, puppet } = stage;
    await rig.puppet(client, { name: 'b' });
    const cursor = await printed(client, 'a', puppet, 'x');
    const { session, all } = await wait(client, ['a', 'b'], text('never'), { timeoutMs: 10, after: ['%2:0', cursor] });
    expect({ session, cursors: all.map(({ cursor }) => cursor) }).toEqual({ session: null, cursors: ['%1:7', '%2:0'] });
  });
});

describe('a cursor', () => {
  test('brings what came before anybody asked, in the next daemon too', async () => {
    await using stage = await started();
    const { rig, client, puppet } = stage;
    const cursor = await printed(client, 'a', puppet, 'one two three\n');
    expect(told(await wait(client, 'a', text('two'), { after: ['%1:0'], timeoutMs: 0 }))).toMatchObject({ outcome: 'matched' });
    const first = await wait(client, 'a', text('two'), { after: ['%1:0'] });
    await rig.run(['daemon', 'restart']);
    const next = await rig.connect();
    expect(await wait(next, 'a', text('two'), { after: [first.cursor!], timeoutMs: 0 })).toMatchObject({ outcome: 'timeout' });
    expect(await wait(next, 'a', text('three'), { after: [first.cursor!], timeoutMs: 0 })).toMatchObject({ outcome: 'matched' });
    const waiting = wait(next, 'a', text('four'), { after: [cursor] });
    puppet.print('four');
    expect(await waiting).toMatchObject({ outcome: 'matched', cursor: '%1:25' });
  });

  test('inside a sequence or a character is read on from as it has to be', async () => {
    await using stage = await started();
    const { client, puppet } = stage;
    for (const [half, rest, offset] of [
      ['\x1b[3', '1mred', 3],
      ['\x1b[m\n\xe6\x9c', '\xac ja', 15],
    ] as const) {
      puppet.printBytes(Buffer.from(half, 'latin1'));
      let after = '';
      while (!after.startsWith(`%1:${offset}:`)) ({ after } = await client.call('pane.screen', { session: 'a' }));
      puppet.printBytes(Buffer.from(rest, 'latin1'));
      const { matched } = await wait(client, 'a', { is: 'regex', pattern: 'red|ja' }, { after: [after] });
      expect(matched?.line).toBe(offset === 3 ? 'red' : '本 ja');
      expect((await client.call('pane.read', { session: 'a', since: after })).lines).toEqual([matched?.line]);
    }
  });

  test.each([
    ['nonsense', '"nonsense" is no cursor.'],
    ['%1', '"%1" is no cursor.'],
    ['%1:-3', '"%1:-3" is no cursor.'],
    ['%2:0', 'Cursor "%2:0" is of pane %2, and session "a" has pane %1.'],
    ['%1:999', 'Cursor "%1:999" is beyond the end: pane %1 has printed 1 bytes so far.'],
  ])('%s is refused', async (cursor, message) => {
    await using stage = await started();
    const { client, puppet } = stage;
    const seen = wait(client, 'a', text('x'));
    await begun(client);
    puppet.print('x');
    await seen;
    const refusal = { code: 'bad-params', message: expect.stringContaining(message) };
    await expect(wait(client, 'a', text('x'), { after: [cursor] })).rejects.toMatchObject(refusal);
    await expect(client.call('pane.read', { session: 'a', since: cursor })).rejects.toMatchObject(refusal);
  });

  test('of none of several sessions is refused, and so is an old one without history or without a picture', async () => {
    await using stage = await started();
    const { rig, client, puppet } = stage;
    const { puppet: other } = await rig.puppet(client, { name: 'b', history: false });
    const [seen, otherSeen] = [wait(client, 'a', text('x')), wait(client, 'b', text('x'))];
    await begun(client);
    puppet.print('x');
    other.print('x');
    const [{ cursor }] = await Promise.all([otherSeen, seen]);
    const refused = (message: string) => ({ code: 'bad-params', message: expect.stringContaining(message) });
    await expect(wait(client, ['a', 'b'], text('x'), { after: ['%9:0'] })).rejects.toMatchObject(
      refused('which none of these sessions has'),
    );
    await expect(wait(client, 'b', text('x'), { after: ['%2:0'] })).rejects.toMatchObject(refused('keeps no history'));
    await expect(wait(client, 'a', { is: 'change' }, { after: ['%1:0'] })).rejects.toMatchObject(
      refused('Nobody knows what the screen showed'),
    );
    // From now on it can be waited for.
    const waiting = wait(client, 'b', text('y'), { after: [cursor!] });
    await begun(client);
    other.print('y');
    expect(await waiting).toMatchObject({ outcome: 'matched' });
  });
});

test('a wait that is over, or whose client has gone, leaves no listener and no timer', async () => {
  const listeners = new Set<unknown>();
  const pane = {
    id: '%1',
    head: 0,
    journal: null,
    state: { is: 'running' },
    screen: { cols: 80, rows: 24 },
    onWritten(then: WrittenListener) {
      listeners.add(then);
      return () => listeners.delete(then);
    },
  };
  const session = { facts: { id: '$1', name: 'a' }, pane };
  const waiting = new Waiting({ sessions: { find: () => session, isReplaced: false }, history: {}, log: {} } as never);
  const timers = () => process.getActiveResourcesInfo().filter((what) => what === 'Timeout').length;
  const before = timers();
  const conditions: CallInput<'pane.wait'>['conditions'] = [{ is: 'idle', ms: 100_000 }, { is: 'text', text: 'x' }, { is: 'exit' }];
  const ask = (gone: AbortSignal, more = {}) =>
    waiting.calls['pane.wait']({ sessions: ['a'], conditions, all: false, timeoutMs: 100_000, after: [], ...more }, { gone } as Caller);
  const left = () => ({ listeners: listeners.size, timers: timers() - before });

  const client = new AbortController();
  const gone = ask(client.signal);
  expect(left()).toEqual({ listeners: 1, timers: 2 });
  client.abort();
  await expect(gone).rejects.toMatchObject({ code: 'busy' });
  expect(left()).toEqual({ listeners: 0, timers: 0 });

  const matched = ask(new AbortController().signal);
  for (const then of listeners) (then as WrittenListener)(0, Buffer.from('x'));
  expect(await matched).toMatchObject({ outcome: 'matched', condition: 'text=x', cursor: '%1:1' });
  expect(left()).toEqual({ listeners: 0, timers: 0 });

  // A holder that a daemon comes back to says again what was said.
  const once = ask(new AbortController().signal, { conditions: [text('abab'), text('abx')] });
  const [hear] = [...listeners] as WrittenListener[];
  hear!(0, Buffer.from('ab'));
  hear!(0, Buffer.from('abx'));
  expect(await once).toMatchObject({ condition: 'text=abx', cursor: '%1:3' });

  // Only idle and a timeout need one.
  const timeless = ask(new AbortController().signal, { conditions: conditions.slice(1), timeoutMs: undefined });
  expect(left()).toEqual({ listeners: 1, timers: 0 });
  await waiting[Symbol.asyncDispose]();
  await expect(timeless).rejects.toMatchObject({ code: 'busy', data: { after: ['%1:0'] } });
  expect(left()).toEqual({ listeners: 0, timers: 0 });
});

test('what is written while a wait reads what was there before is read too', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'aisw-'));
  const journal = Journal.open({
    folder,
    purpose: 'test',
    cols: 80,
    rows: 24,
    host: { vault: null, seal: async () => {}, isDirty() {}, hasGrown() {} },
    whenFull: () => 'gap',
    onTrouble() {},
    onDamage() {},
    onSafe() {},
  });
  // More than can be looked through in one turn.
  const before = Buffer.from('\x1b[31mx'.repeat(100_000));
  journal.append(0, before);
  let hear: WrittenListener = () => {};
  const onWritten = (then: WrittenListener) => {
    hear = then;
    return () => {};
  };
  const pane = { id: '%1', journal, state: { is: 'running' }, screen: { cols: 80, rows: 24 }, onWritten, head: before.length };
  const sessions = { find: () => ({ facts: { id: '$1', name: 'a' }, pane }), isReplaced: false };
  const waiting = new Waiting({ sessions, history: {}, log: {} } as never);
  const params = { sessions: ['a'], conditions: [{ is: 'text' as const, text: 'here' }], all: false, after: ['%1:0'] };
  const result = waiting.calls['pane.wait'](params, { gone: new AbortController().signal } as Caller);
  await new Promise((resolve) => setImmediate(resolve));
  const more = Buffer.from('\nhere');
  journal.append(before.length, more);
  pane.head += more.length;
  hear(before.length, more);
  expect(await result).toMatchObject({ outcome: 'matched', matched: { line: 'here' }, cursor: `%1:${pane.head}` });
  await journal.close();
  rmSync(folder, { recursive: true, force: true });
});

test('a stopping daemon says from where to go on, and does not wait for those who wait', async () => {
  await using stage = await started();
  const { rig, client } = stage;
  const waiting = wait(client, 'a', text('never')).catch((error) => error as WireError);
  await begun(client);
  const stopping = rig.run(['daemon', 'stop']);
  const error = (await waiting) as WireError;
  expect(error).toBeInstanceOf(WireError);
  expect(error).toMatchObject({
    code: 'busy',
    message: 'The daemon is stopping. Wait on with: --after %1:0',
    data: { after: ['%1:0'], isReplaced: false },
  });
  await stopping;
});

test('a regular expression that would take for ever is refused, and everything else goes on', async () => {
  await using stage = await started();
  const { client, puppet } = stage;
  const refused = wait(client, 'a', { is: 'regex', pattern: '^(a+)+$' });
  const other = wait(client, 'a', text('after'));
  await begun(client);
  puppet.print(`${'a'.repeat(60)}!\n`);
  await expect(refused).rejects.toMatchObject({ code: 'bad-params', message: expect.stringContaining('took longer than 250 ms') });
  puppet.print('after');
  expect(await other).toMatchObject({ outcome: 'matched' });
});

test('the last of a hundred thousand lines is found, as they come and when they are there', async () => {
  await using stage = await started();
  const { rig, client } = stage;
  const script =
    "let n = 0; const go = () => { while (n < 100000 && process.stdout.write('line ' + n++ + ' of a flood that nobody reads\\r\\n')); if (n < 100000) process.stdout.once('drain', go); else process.stdin.resume(); }; go();";
  const waiting = (async () => {
    await client.call('session.create', { name: 'flood', command: [process.execPath, '-e', script], cwd: rig.home, env: rig.environment });
    return wait(client, 'flood', [{ is: 'regex', pattern: '^line 99999 ' }], { after: ['%2:0'] });
  })();
  expect(await waiting).toMatchObject({ outcome: 'matched', matched: { text: 'line 99999 ' } });
  const again = await wait(client, 'flood', text('line 99998 '), { after: ['%2:0'] });
  expect(again).toMatchObject({ outcome: 'matched', matched: { line: 'line 99998 of a flood that nobody reads' } });
});
