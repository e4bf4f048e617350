import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readJournal } from '../../../src/daemon/persistence/journal/reader.ts';
import { journalPlace } from '../../../src/daemon/session/journal-place.ts';
import { Rig } from '../../support/rig.ts';

/** What is on the disk of a session's output. */
function kept(rig: Rig, { id, pane }: { id: string; pane: string }) {
  const place = { ...journalPlace({ folder: join(rig.paths.sessions, id.slice(1)), session: id, pane }), vault: null };
  const entries = [...readJournal(place)];
  const text = Buffer.concat(entries.flatMap((entry) => (entry.is === 'output' ? [entry.bytes] : []))).toString('latin1');
  return { entries, text };
}

/** Numbered lines, at full speed, and then an exit code. */
const FLOOD = (lines: number, code: number) => ['sh', '-c', `seq -f 'line %.0f of the flood' 1 ${lines}; exit ${code}`];
const flooded = (lines: number) => Array.from({ length: lines }, (_, i) => `line ${i + 1} of the flood\r\n`).join('');

test('a flood over which the daemon is killed again and again is whole, and so is its exit code', async () => {
  await using rig = await Rig.start();
  const LINES = 200_000;
  let client = await rig.connect();
  const session = await client.call('session.create', { command: FLOOD(LINES, 7), cwd: rig.home, env: rig.environment, cols: 200 });
  for (let kills = 0; kills < 5; kills++) {
    const before = kept(rig, session).text.length;
    process.kill(client.daemon.pid, 'SIGKILL');
    client = await rig.connect();
    const { status } = await client.call('session.get', { session: session.id });
    expect(kept(rig, session).text.length).toBeGreaterThanOrEqual(before);
    if (status !== 'running') break;
  }
  const events = await rig.events();
  if ((await client.call('session.get', { session: session.id })).status === 'running')
    await events.next(({ event }) => event === 'session.ended');
  expect(await client.call('session.get', { session: session.id })).toMatchObject({ status: 'exited', exitCode: 7 });
  const { text, entries } = kept(rig, session);
  expect(text === flooded(LINES)).toBe(true);
  expect(entries.filter(({ is }) => is === 'gap')).toEqual([]);
  // And the screen that was made again ends as the program did.
  const { lines } = await client.call('pane.capture', { session: session.id });
  expect(lines.filter(Boolean).at(-1)).toBe(`line ${LINES} of the flood`);
});

test('after a crash the screen is what it was, with modes that were set long before', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client, { name: 'full' });
  const watcher = await rig.watch(client, 'full');
  puppet.print('\x1b[?1049h\x1b[?2004h\x1b[2J\x1b[5;5Hdeep inside');
  await watcher.shows('deep inside');
  process.kill(client.daemon.pid, 'SIGKILL');
  const next = await rig.connect();
  const captured = await next.call('pane.capture', { session: session.id });
  expect(captured).toMatchObject({ alternate: true, cursor: { x: 15, y: 4 } });
  expect(captured.lines[4]).toBe('    deep inside');
  const again = await rig.watch(next, 'full');
  puppet.print(', still');
  await again.shows('deep inside, still');
});

test('resizes come back at the places where they happened', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client, { name: 'sized', cols: 40, rows: 10 });
  const watcher = await rig.watch(client, 'sized', { cols: 40, rows: 10 });
  puppet.print(`${'a'.repeat(60)}\r\n`);
  await watcher.shows('a'.repeat(40));
  await client.call('pane.resize', { session: session.id, cols: 30, rows: 8 });
  puppet.print('done');
  const text = async (from: typeof client) => (await from.call('pane.capture', { session: session.id, start: '-' })).lines.join('\n');
  await watcher.shows('done');
  const before = await text(client);
  process.kill(client.daemon.pid, 'SIGKILL');
  const next = await rig.connect();
  expect(await text(next)).toBe(before);
  expect(kept(rig, session).entries.filter(({ is }) => is === 'resize')).toMatchObject([{ cols: 30, rows: 8 }]);
});

test('output that ends the daemon each time it is shown is left out, and said; what only happened to wait is not', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client, { name: 'poison' });
  const watcher = await rig.watch(client, 'poison');
  puppet.print('deadly bytes');
  await watcher.shows('deadly bytes');
  const isLost = new Promise((resolve) => (client.onLost = resolve));
  process.kill(client.daemon.pid, 'SIGKILL');
  await isLost;
  const folder = join(rig.paths.sessions, session.id.slice(1));
  const note = join(folder, 'replaying.json');
  // As three daemons leave it that ended while these bytes waited, whatever the reason: they are shown, alone.
  writeFileSync(note, JSON.stringify({ from: 0, to: 12, tries: 3 }));
  const patient = await rig.connect();
  expect((await patient.call('pane.capture', { session: session.id })).lines[0]).toBe('deadly bytes');
  expect(existsSync(note)).toBe(false);
  const isLostAgain = new Promise((resolve) => (patient.onLost = resolve));
  process.kill(patient.daemon.pid, 'SIGKILL');
  await isLostAgain;
  // And as one that ended just then.
  writeFileSync(note, JSON.stringify({ from: 0, to: 12, tries: 4, isAlone: true }));
  const next = await rig.connect();
  const { lines } = await next.call('pane.capture', { session: session.id });
  expect(lines.join(' ')).toContain('12 bytes of output stopped the daemon 4 times');
  expect(lines.join(' ')).not.toContain('deadly');
  expect(kept(rig, session).text).toBe('deadly bytes');
  expect(existsSync(note)).toBe(false);
  // The program goes on, and the next daemon is not troubled again.
  const again = await rig.watch(next, 'poison');
  puppet.print('harmless');
  await again.shows('harmless');
  process.kill(next.daemon.pid, 'SIGKILL');
  const third = await rig.connect();
  expect((await third.call('pane.capture', { session: session.id })).lines.join(' ')).toContain('harmless');
});

test('a note of a replay that went well is taken away', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client, { name: 'well' });
  const watcher = await rig.watch(client, 'well');
  puppet.print('fine');
  await watcher.shows('fine');
  process.kill(client.daemon.pid, 'SIGKILL');
  const next = await rig.connect();
  expect((await next.call('pane.capture', { session: session.id })).lines[0]).toBe('fine');
  expect(existsSync(join(rig.paths.sessions, session.id.slice(1), 'replaying.json'))).toBe(false);
});

test('a session without history leaves nothing of its output on the disk', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client, { name: 'secret', history: false });
  const watcher = await rig.watch(client, 'secret');
  puppet.print('the password is swordfish');
  await watcher.shows('swordfish');
  expect(existsSync(join(rig.paths.sessions, session.id.slice(1), 'panes'))).toBe(false);
  process.kill(client.daemon.pid, 'SIGKILL');
  // The holder has it still.
  const next = await rig.connect();
  expect((await next.call('pane.capture', { session: session.id })).lines[0]).toBe('the password is swordfish');
  await next.call('session.kill', { sessions: [session.id] });
  expect(readdirSync(rig.paths.sessions)).toEqual([]);
});

test('what was killed leaves its history behind', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client, { name: 'gone' });
  const watcher = await rig.watch(client, 'gone');
  puppet.print('last words');
  await watcher.shows('last words');
  await client.call('session.kill', { sessions: ['gone'] });
  expect((await client.call('session.list', {})).sessions).toEqual([]);
  expect(kept(rig, session).text).toContain('last words');
  // Its name is free, and the next daemon does not bring it back.
  await rig.puppet(client, { name: 'gone' });
  process.kill(client.daemon.pid, 'SIGKILL');
  const next = await rig.connect();
  expect((await next.call('session.list', {})).sessions.map(({ name }) => name)).toEqual(['gone']);
});

test('a home of the version before has its sessions taken over', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client, { name: 'old' });
  const watcher = await rig.watch(client, 'old');
  puppet.print('from before');
  await watcher.shows('from before');
  await rig.run(['daemon', 'stop']);
  // As that version left it: no journal, and a screen that does not describe itself.
  const folder = join(rig.paths.sessions, session.id.slice(1));
  const record = JSON.parse(readFileSync(join(folder, 'state.json'), 'utf8'));
  const screen = readFileSync(join(folder, 'screen.vt'));
  const { offset } = JSON.parse(screen.toString('utf8').split('\n')[0]!);
  const { history: _, restart: __, conversation: ___, earlierPanes: ____, archivedAt: _____, ...v1 } = record;
  writeFileSync(join(folder, 'state.json'), JSON.stringify({ ...v1, version: 1, screenOffset: offset }));
  writeFileSync(join(folder, 'screen.vt'), screen.subarray(screen.indexOf('\n') + 1));
  rmSync(join(folder, 'panes'), { recursive: true });
  mkdirSync(folder, { recursive: true });
  const next = await rig.connect();
  const again = await rig.watch(next, 'old');
  puppet.print(', and now');
  await again.shows('from before, and now');
});
