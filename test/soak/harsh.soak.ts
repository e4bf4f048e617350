import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Connection } from '../../src/client/connection.ts';
import { endOf } from '../../src/daemon/persistence/journal/tail.ts';
import { journalPlace } from '../../src/daemon/session/journal-place.ts';
import type { SessionInfo } from '../../src/wire/calls.ts';
import { Rig, ROOT } from '../support/rig.ts';
import { isAlive } from '../support/trees.ts';
import {
  chooseSeed,
  countUntil,
  daemonsOf,
  ended,
  entriesOf,
  expectFlood,
  floodUntil,
  journalHead,
  kill,
  namesIn,
  readAll,
  seededRandom,
  textOf,
  throughDaemons,
  until,
} from './tools.ts';

const CONFIG = 'sessions:\n  keep_ended: always\nlog:\n  level: debug\n';

function create(rig: Rig, client: Connection, name: string, command: string[]): Promise<SessionInfo> {
  return client.call('session.create', { name, command, cwd: rig.home, env: rig.environment });
}

function journalFolder(rig: Rig, { id, pane }: SessionInfo): string {
  return journalPlace({ folder: join(rig.paths.sessions, id.slice(1)), session: id, pane }).folder;
}

/** Its newest tail. */
function tailOf(rig: Rig, session: SessionInfo): string {
  const folder = journalFolder(rig, session);
  return join(
    folder,
    namesIn(folder)
      .filter((name) => name.endsWith('.tail'))
      .sort()
      .at(-1)!,
  );
}

/** So that the next daemon is started only when the test says so. */
async function killDaemon(client: Connection): Promise<void> {
  const isLost = new Promise((resolve) => (client.onLost = resolve));
  process.kill(client.daemon.pid, 'SIGKILL');
  await isLost;
}

/** How many sessions were taken back in all: the debug log tells of each. */
function adopted(rig: Rig): number {
  return readFileSync(rig.paths.log, 'latin1').split('"event":"session.adopted"').length - 1;
}

test('daemons that are killed while they take programs back cost nothing', async () => {
  await using rig = await Rig.start({ config: CONFIG });
  const random = seededRandom(chooseSeed());
  const client = await rig.connect();
  const stop = join(rig.home, 'stop');
  const sessions = [];
  for (let n = 0; n < 20; n++) sessions.push(await create(rig, client, `s${n}`, n < 3 ? floodUntil(stop) : countUntil(stop)));
  client.close();
  // Somebody who always wants a daemon.
  let isOver = false;
  const wanting = throughDaemons(rig, async (daemon) => {
    if (isOver) return 'done';
    await daemon.call('session.list', {});
    await delay(5);
    return 'again';
  });
  for (const pid of daemonsOf(rig)) kill(pid);
  for (let kills = 0; kills < 10; kills++) {
    const wanted = adopted(rig) + 1 + random(sessions.length);
    await until(() => adopted(rig) >= wanted);
    for (const pid of daemonsOf(rig)) kill(pid);
  }
  isOver = true;
  await wanting;
  await rig.connect();
  writeFileSync(stop, '');
  for (const [n, session] of sessions.entries()) {
    expect(await ended(rig, session)).toMatchObject({ status: 'exited', exitCode: n < 3 ? 7 : 3 });
    const all = readAll(rig, session);
    expect([all.gaps, all.duplicates]).toEqual([0, 0]);
    if (n < 3) expectFlood(all);
    else {
      const numbers = textOf(all).trimEnd().split('\r\n');
      expect(numbers).toEqual(numbers.map((_, i) => `number ${i + 1}`));
    }
  }
});

test('SIGTERM to everything at once: what was written is kept, nothing is left, and restore goes on', async () => {
  await using rig = await Rig.start({ config: CONFIG });
  const client = await rig.connect();
  const never = join(rig.home, 'never');
  const flood = await create(rig, client, 'flood', floodUntil(never));
  const slow = await create(rig, client, 'slow', countUntil(never));
  const { session: polite, puppet } = await rig.puppet(client, { name: 'polite' });
  const watcher = await rig.watch(client, 'polite', { readOnly: true });
  puppet.print('the last words');
  await watcher.shows('the last words');
  await until(() => journalHead(rig, flood) > 1 << 20 && journalHead(rig, slow) > 500);
  const before = readAll(rig, slow).bytes;
  const sessions = [flood, slow, polite];
  const pids = [client.daemon.pid, ...sessions.flatMap(({ pid, holderPid }) => [pid!, holderPid!])];
  for (const pid of pids) kill(pid, 'SIGTERM');
  await until(() => !pids.some(isAlive));
  const next = await rig.connect();
  for (const session of sessions) {
    const { status, exitCode, signal } = await next.call('session.get', { session: session.id });
    // Who was first of program, holder and daemon decides what is known of the end.
    expect(['lost null null', 'exited null SIGTERM', 'exited null SIGHUP']).toContain(`${status} ${exitCode} ${signal}`);
  }
  const all = readAll(rig, flood);
  expect([all.gaps, all.duplicates]).toEqual([0, 0]);
  expect(readAll(rig, slow).bytes).toBeGreaterThanOrEqual(before);
  expect(textOf(readAll(rig, polite))).toBe('the last words');
  expect((await rig.run(['restore', 'polite'])).code).toBe(0);
});

test('a holder that is killed costs its session and no other, also while no daemon lives', async () => {
  await using rig = await Rig.start({ config: CONFIG });
  const client = await rig.connect();
  const events = await rig.events();
  const stop = join(rig.home, 'stop');
  const first = await create(rig, client, 'first', floodUntil(stop));
  const second = await create(rig, client, 'second', countUntil(stop));
  const other = await create(rig, client, 'other', countUntil(stop));
  await until(() => journalHead(rig, first) > 3 << 20 && journalHead(rig, second) > 500);
  process.kill(first.holderPid!, 'SIGKILL');
  expect(await events.next(({ event }) => event === 'session.ended')).toMatchObject({ session: first.id, status: 'lost' });
  await until(() => !isAlive(first.pid!));
  await killDaemon(client);
  process.kill(second.holderPid!, 'SIGKILL');
  await until(() => !isAlive(second.pid!));
  const next = await rig.connect();
  expect(await next.call('session.get', { session: second.id })).toMatchObject({ status: 'lost' });
  expect(await next.call('session.get', { session: other.id })).toMatchObject({ status: 'running', pid: other.pid });
  for (const session of [first, second]) {
    const all = readAll(rig, session);
    expect([all.gaps, all.duplicates]).toEqual([0, 0]);
    expect(all.bytes).toBeGreaterThan(0);
  }
  writeFileSync(stop, '');
  expect(await ended(rig, other)).toMatchObject({ status: 'exited', exitCode: 3 });
  expect(await rig.run(['restore', '--all'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/first[\s\S]*second/) });
});

/** Lines, and ten more when a key is pressed. */
const PLACED = (count: number) => [
  'sh',
  '-c',
  `stty -echo; seq -f 'line %012.0f' 1 ${count}; read go; seq -f 'line %012.0f' ${count + 1} ${count + 10}`,
];
const placed = (count: number) => Array.from({ length: count + 10 }, (_, i) => `line ${String(i + 1).padStart(12, '0')}\r\n`).join('');

/** All that is there is what was written at that place, and a gap says where something is missing. Returns how much that is. */
function expectInPlace(rig: Rig, session: SessionInfo, count: number): number {
  const written = placed(count);
  let end = 0;
  let missing = 0;
  for (const entry of entriesOf(rig, session)) {
    expect(entry.offset).toBe(end);
    if (entry.is === 'gap') missing += entry.to - entry.offset;
    if (entry.is === 'output') {
      const isSame = Buffer.from(entry.bytes).toString('latin1') === written.slice(end, end + entry.bytes.length);
      expect({ offset: end, isSame }).toEqual({ offset: end, isSame: true });
    }
    end = endOf(entry);
  }
  expect(end).toBe(written.length);
  return missing;
}

const DAMAGE: Record<string, { does(file: string): void; missing: 'nothing' | 'something' }> = {
  // The holder has the last of what was acknowledged, and is asked for it again.
  'whose last bytes are cut off': { does: (file) => cut(file, statSync(file).size - 1000), missing: 'nothing' },
  'that is cut off in its header': { does: (file) => cut(file, 30), missing: 'something' },
  'that is cut to nothing': { does: (file) => cut(file, 0), missing: 'something' },
  'that is cut to its first bytes': { does: (file) => cut(file, 5000), missing: 'something' },
  'with a hole in its middle': { does: (file) => overwrite(file, 200_000, Buffer.alloc(5000)), missing: 'something' },
  'with a byte flipped': { does: (file) => flip(file, 300_000), missing: 'something' },
  'that is taken away': { does: (file) => rmSync(file), missing: 'something' },
};

function cut(file: string, bytes: number): void {
  change(file, (fd) => ftruncateSync(fd, bytes));
}

function overwrite(file: string, at: number, bytes: Buffer): void {
  change(file, (fd) => writeSync(fd, bytes, 0, bytes.length, at));
}

function flip(file: string, at: number): void {
  const byte = Buffer.alloc(1);
  change(file, (fd) => {
    readSync(fd, byte, 0, 1, at);
    byte[0]! ^= 0x20;
    writeSync(fd, byte, 0, 1, at);
  });
}

function change(file: string, does: (fd: number) => void): void {
  const fd = openSync(file, 'r+');
  try {
    does(fd);
  } finally {
    closeSync(fd);
  }
}

for (const [how, { does, missing }] of Object.entries(DAMAGE)) {
  test(`a tail ${how}: nothing is out of place, and the program is served on`, async () => {
    await using rig = await Rig.start({ config: CONFIG });
    const client = await rig.connect();
    // Segments, and a live tail of half a MiB.
    const session = await create(rig, client, 'hurt', PLACED(140_000));
    const watcher = await rig.watch(client, 'hurt', { readOnly: true });
    await watcher.shows('line 000000140000');
    await until(() => namesIn(journalFolder(rig, session)).filter((name) => name.endsWith('.tail')).length === 1);
    await killDaemon(client);
    does(tailOf(rig, session));
    const next = await rig.connect();
    expect(await next.call('session.get', { session: session.id })).toMatchObject({ status: 'running' });
    await next.call('pane.write', { session: session.id, input: ['Enter'] });
    expect(await ended(rig, session)).toMatchObject({ status: 'exited', exitCode: 0 });
    const bytes = expectInPlace(rig, session, 140_000);
    expect(bytes > 0 ? 'something' : 'nothing').toBe(missing);
    const { lines } = await next.call('pane.capture', { session: session.id });
    expect(lines.filter(Boolean).at(-1)).toBe('line 000000140010');
  });
}

test('a tail that is cut short while a daemon writes to it has a gap there and goes on', async () => {
  await using rig = await Rig.start({ config: CONFIG });
  const client = await rig.connect();
  const session = await create(rig, client, 'hurt', PLACED(10_000));
  const watcher = await rig.watch(client, 'hurt', { readOnly: true });
  await watcher.shows('line 000000010000');
  cut(tailOf(rig, session), 40_000);
  await client.call('pane.write', { session: session.id, input: ['Enter'] });
  expect(await ended(rig, session)).toMatchObject({ status: 'exited', exitCode: 0 });
  expect(expectInPlace(rig, session, 10_000)).toBeGreaterThan(0);
});

test('of many clients that start a daemon at once, all meet the same one', async () => {
  await using rig = await Rig.start();
  const ran = await Promise.all(Array.from({ length: 20 }, () => rig.run(['daemon', 'status', '--json'])));
  const started = await Promise.all(Array.from({ length: 10 }, () => rig.run(['daemon', 'start', '--json'])));
  expect(started.map(({ code }) => code)).toEqual(started.map(() => 0));
  expect(new Set(started.map(({ stdout }) => JSON.parse(stdout).pid)).size).toBe(1);
  expect(daemonsOf(rig)).toHaveLength(1);
  // Asking starts none.
  expect(ran.filter(({ code }) => code === 0)).toEqual([]);
});

test('a frozen daemon is replaced, and hears nothing when it would go on', async () => {
  await using rig = await Rig.start({ config: CONFIG });
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client, { name: 'a' });
  puppet.reads();
  const stop = join(rig.home, 'stop');
  const flood = await create(rig, client, 'flood', floodUntil(stop));
  await until(() => journalHead(rig, flood) > 1 << 20);
  process.kill(client.daemon.pid, 'SIGSTOP');
  const typed = client.call('pane.write', { session: session.id, input: ['old'], as: 'text', enter: true }).catch(() => 'lost');
  expect((await rig.run(['ls'])).code).not.toBe(0);
  expect((await rig.run(['daemon', 'restart'])).code).toBe(0);
  const next = await rig.connect();
  expect(next.daemon.pid).not.toBe(client.daemon.pid);
  expect(isAlive(client.daemon.pid)).toBe(false);
  const answer = await typed;
  await next.call('pane.write', { session: session.id, input: ['new'], as: 'text', enter: true });
  let heard = '';
  while (!heard.endsWith('new\n')) heard += (await puppet.input(1)).toString();
  // It may have been heard when the daemon was let go on to end; then it was heard once, and before.
  expect(['new\n', 'old\nnew\n']).toContain(heard);
  if (answer !== 'lost') expect(heard).toBe('old\nnew\n');
  writeFileSync(stop, '');
  expect(await ended(rig, flood)).toMatchObject({ status: 'exited', exitCode: 7 });
  const all = readAll(rig, flood);
  expect([all.gaps, all.duplicates]).toEqual([0, 0]);
  expectFlood(all);
});

/** As a lock that does not hold would let one start: on some network file systems, say. */
async function startWithoutLock(rig: Rig): Promise<number> {
  const child = spawn(process.execPath, [join(ROOT, 'bin', 'ai-session-daemon'), '--locked'], {
    env: rig.environment,
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.stdout.destroy();
  child.unref();
  return child.pid!;
}

test('two daemons in spite of the lock: holders serve the newer one, and the older one harms nothing', async () => {
  await using rig = await Rig.start({ config: CONFIG });
  rig.expectsIncidents = true;
  const old = await rig.connect();
  const { session, puppet } = await rig.puppet(old, { name: 'a' });
  puppet.reads();
  const stop = join(rig.home, 'stop');
  const flood = await create(rig, old, 'flood', floodUntil(stop));
  await until(() => journalHead(rig, flood) > 1 << 20);
  process.kill(old.daemon.pid, 'SIGSTOP');
  const typed = old.call('pane.write', { session: session.id, input: ['old'], as: 'text', enter: true }).then(
    () => 'answered',
    () => 'refused',
  );
  const pid = await startWithoutLock(rig);
  const next = await rig.connect();
  expect(next.daemon.pid).toBe(pid);
  await next.call('pane.write', { session: session.id, input: ['new'], as: 'text', enter: true });
  const head = journalHead(rig, flood);
  await until(() => journalHead(rig, flood) > head + (1 << 20));
  process.kill(old.daemon.pid, 'SIGCONT');
  const answer = await typed;
  await next.call('pane.write', { session: session.id, input: ['newer'], as: 'text', enter: true });
  let heard = '';
  while (!heard.endsWith('newer\n')) heard += (await puppet.input(1)).toString();
  console.log(`the old daemon's client was ${answer}; the program heard ${JSON.stringify(heard)}`);
  expect(heard).toBe('new\nnewer\n');
  const further = journalHead(rig, flood);
  await until(() => journalHead(rig, flood) > further + (2 << 20));
  kill(old.daemon.pid, 'SIGKILL');
  await until(() => !isAlive(old.daemon.pid));
  expect(existsSync(rig.paths.socket)).toBe(true);
  writeFileSync(stop, '');
  expect(await ended(rig, flood)).toMatchObject({ status: 'exited', exitCode: 7 });
  const all = readAll(rig, flood);
  expect([all.gaps, all.duplicates]).toEqual([0, 0]);
  expectFlood(all);
  // In the quarrel over the socket a third may have come and gone, and then nobody has what it took: the next one does.
  await rig.run(['daemon', 'restart']);
  const last = await rig.connect();
  expect(await last.call('session.get', { session: 'a' })).toMatchObject({ status: 'running', pid: puppet.pid });
});

// Without the lock alone. Red once it is not so any more.
test('the older of two daemons writes nothing over what the newer one has written', async () => {
  await using rig = await Rig.start({ config: CONFIG });
  rig.expectsIncidents = true;
  const old = await rig.connect();
  const { session, puppet } = await rig.puppet(old, { name: 'a' });
  const watcher = await rig.watch(old, 'a', { readOnly: true });
  puppet.print('before\n');
  await watcher.shows('before');
  process.kill(old.daemon.pid, 'SIGSTOP');
  // It lies in the frozen daemon's socket, and the holder gives it to the next one too.
  const words = 'said to both\n'.repeat(50);
  puppet.print(words);
  await puppet.size();
  await startWithoutLock(rig);
  const next = await rig.connect();
  const viewer = await rig.watch(next, 'a', { readOnly: true });
  for (let n = 0; n < 50; n++) {
    puppet.print(`${n} to the newer one\n`);
    await viewer.shows(`${n} to the newer one`);
  }
  process.kill(old.daemon.pid, 'SIGCONT');
  // Its holders have left it: it has worked off what it had.
  await until(async () => (await old.call('session.list', {})).sessions.length === 0);
  puppet.print('the end\n');
  await viewer.shows('the end');
  kill(old.daemon.pid, 'SIGKILL');
  await until(() => !isAlive(old.daemon.pid));
  const all = readAll(rig, session);
  const record = JSON.parse(readFileSync(join(rig.paths.sessions, session.id.slice(1), 'state.json'), 'utf8'));
  console.log(`journal: ${all.bytes} bytes, ${all.gaps} gaps; record: ${JSON.stringify(record.ended)}`);
  expect({ gaps: all.gaps, ended: record.ended }).toEqual({ gaps: 0, ended: null });
  const said = Array.from({ length: 50 }, (_, n) => `${n} to the newer one\n`).join('');
  expect(textOf(all)).toBe(`before\n${words}${said}the end\n`.replaceAll('\n', '\r\n'));
});
