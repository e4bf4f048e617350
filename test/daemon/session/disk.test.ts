import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type TestContext, test } from 'vitest';
import type { Connection } from '../../../src/client/connection.ts';
import type { Entry } from '../../../src/daemon/persistence/journal/entry.ts';
import { readJournal } from '../../../src/daemon/persistence/journal/reader.ts';
import { journalPlace } from '../../../src/daemon/session/journal-place.ts';
import type { Event } from '../../../src/wire/events.ts';
import type { Inbox } from '../../support/inbox.ts';
import { Rig } from '../../support/rig.ts';

/** A limit on the size of files is a disk that is full for large files only: a write takes what fits, and the next one is refused. */
const LIMIT_BYTES = 64 << 10;
/** What the daemon keeps in memory meanwhile. */
const WAITING_BYTES = 192 << 10;
/** More than the limit, what may wait in the daemon, a holder's ring and the kernel's buffers have room for together. */
const TEXT = lines(80_000);

function lines(count: number): string {
  return Array.from({ length: count }, (_, i) => `line ${i + 1} of a long output\n`).join('');
}

/** As the terminal makes it. */
const onTerminal = (text: string) => text.replaceAll('\n', '\r\n');

function limitFiles({ daemon }: Connection, bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', `${daemon.pid}`, `--fsize=${bytes}:`]);
}

function needsPrlimit(context: TestContext): void {
  if (spawnSync('prlimit', ['--version']).error) context.skip('prlimit (util-linux) is not installed');
}

interface Kept {
  outputs: (Entry & { is: 'output' })[];
  gaps: (Entry & { is: 'gap' })[];
  text: string;
}

/** What is on the disk of a session's output; its pieces follow each other without a hole that no gap tells of. */
function kept(rig: Rig, { id, pane }: { id: string; pane: string }): Kept {
  const place = { ...journalPlace({ folder: join(rig.paths.sessions, id.slice(1)), session: id, pane }), vault: null };
  const entries = [...readJournal(place)];
  let end = 0;
  for (const entry of entries) {
    expect(entry.offset).toBe(end);
    if (entry.is === 'output') end += entry.bytes.length;
    else if (entry.is === 'gap') end = entry.to;
  }
  const outputs = entries.filter((entry) => entry.is === 'output');
  const gaps = entries.filter((entry) => entry.is === 'gap');
  return { outputs, gaps, text: Buffer.concat(outputs.map(({ bytes }) => bytes)).toString('latin1') };
}

/** Compared as one truth: a difference of megabytes is nothing that anybody reads. */
function expectWhole({ text, gaps }: Kept, written: string): void {
  expect(gaps).toEqual([]);
  expect({ bytes: text.length, isSame: text === written }).toEqual({ bytes: written.length, isSame: true });
}

function expectOneGap(found: Kept, written: string, because: string): void {
  expect(found.gaps).toHaveLength(1);
  expectGaps(found, written, because);
}

/** What is there is what was written at that place, up to the last byte. */
function expectGaps({ outputs, gaps }: Kept, written: string, because: string): void {
  expect(gaps.length).toBeGreaterThan(0);
  for (const gap of gaps) expect(gap.because).toBe(because);
  for (const { offset, bytes } of outputs) {
    const isSame = Buffer.from(bytes).toString('latin1') === written.slice(offset, offset + bytes.length);
    expect({ offset, isSame }).toEqual({ offset, isSame: true });
  }
  const last = outputs.at(-1)!;
  expect(last.offset + last.bytes.length).toBe(written.length);
}

const fails = ({ event }: Event) => event === 'history.failing';
const recovers = ({ event }: Event) => event === 'history.recovered';
const ends = ({ event }: Event) => event === 'session.ended';

/** Nothing was said twice. */
function expectNoMoreSaid(events: Inbox<Event>): void {
  expect(events.all.filter(({ event }) => event.startsWith('history.'))).toEqual([]);
}

async function start(whenFull: 'gap' | 'block') {
  const rig = await Rig.start({ config: `history:\n  when_full: ${whenFull}\n` });
  const client = await rig.connect();
  const full = await rig.puppet(client, { name: 'full' });
  const other = await rig.puppet(client, { name: 'other' });
  const events = await rig.events();
  const watcher = await rig.watch(client, 'other', { readOnly: true });
  let count = 0;
  return {
    rig,
    client,
    events,
    full,
    other,
    /** The other session is shown and kept as ever. */
    async otherWorks() {
      const word = `unharmed ${++count}`;
      other.puppet.print(`${word}\n`);
      await watcher.shows(word);
      expect(kept(rig, other.session).text).toContain(word);
    },
  };
}

test('gap: while the disk is full a program goes on, and one gap says what is missing', async (context) => {
  needsPrlimit(context);
  const { rig, client, events, full, otherWorks } = await start('gap');
  await using _ = rig;
  limitFiles(client, LIMIT_BYTES);
  full.puppet.print(TEXT);
  expect(await events.next(fails)).toMatchObject({ session: full.session.id, because: expect.stringContaining('EFBIG') });
  // It has written everything, and hears us again.
  expect(await full.puppet.size()).toEqual([80, 24]);
  await otherWorks();
  limitFiles(client, 'unlimited');
  expect(await events.next(recovers)).toMatchObject({ session: full.session.id, because: null });
  full.puppet.print('the end\n');
  full.puppet.exit(7);
  expect(await events.next(ends)).toMatchObject({ session: full.session.id, status: 'exited', exitCode: 7 });
  expectOneGap(kept(rig, full.session), onTerminal(`${TEXT}the end\n`), 'disk');
  expectNoMoreSaid(events);
  await otherWorks();
  // What could not be kept was shown all the same.
  const { lines } = await client.call('pane.capture', { session: 'full' });
  expect(lines.filter(Boolean).slice(-2)).toEqual(['line 80000 of a long output', 'the end']);
});

test('block: while the disk is full a program waits, and nothing is missing afterwards', async (context) => {
  needsPrlimit(context);
  const { rig, client, events, full, otherWorks } = await start('block');
  await using _ = rig;
  const watcher = await rig.watch(client, 'full', { readOnly: true });
  limitFiles(client, LIMIT_BYTES);
  full.puppet.print(TEXT);
  expect(await events.next(fails)).toMatchObject({ session: full.session.id });
  const seen = () => watcher.frames.at(-1)!.offset;
  await watcher.shows(() => seen() > WAITING_BYTES);
  let isHeard = false;
  const isDone = full.puppet.size().then(() => (isHeard = true));
  for (let n = 0; n < 20; n++) await otherWorks();
  expect(isHeard).toBe(false);
  expect(seen()).toBeLessThan(LIMIT_BYTES + WAITING_BYTES + (256 << 10));
  limitFiles(client, 'unlimited');
  expect(await events.next(recovers)).toMatchObject({ session: full.session.id });
  await isDone;
  full.puppet.print('the end\n');
  full.puppet.exit(7);
  expect(await events.next(ends)).toMatchObject({ session: full.session.id, status: 'exited', exitCode: 7 });
  expectWhole(kept(rig, full.session), onTerminal(`${TEXT}the end\n`));
  expectNoMoreSaid(events);
});

for (const whenFull of ['gap', 'block'] as const) {
  test(`${whenFull}: a daemon that is killed while the disk is full leaves nothing missing that no gap tells of`, async (context) => {
    needsPrlimit(context);
    const { rig, client, events, full } = await start(whenFull);
    await using _ = rig;
    const watcher = await rig.watch(client, 'full', { readOnly: true });
    limitFiles(client, LIMIT_BYTES);
    full.puppet.print(TEXT);
    await events.next(fails);
    await watcher.shows(() => watcher.frames.at(-1)!.offset > WAITING_BYTES);
    if (whenFull === 'gap') await full.puppet.size();
    process.kill(client.daemon.pid, 'SIGKILL');
    // The next daemon has no limit.
    await rig.connect();
    const later = await rig.events();
    await full.puppet.size();
    full.puppet.print('the end\n');
    full.puppet.exit(7);
    expect(await later.next(ends)).toMatchObject({ session: full.session.id, status: 'exited', exitCode: 7 });
    const written = onTerminal(`${TEXT}the end\n`);
    if (whenFull === 'block') expectWhole(kept(rig, full.session), written);
    else expectOneGap(kept(rig, full.session), written, 'holder');
  });

  const way = whenFull === 'gap' ? 'a crash' : 'a stop';
  test(`${whenFull}: what a program wrote before its end on a full disk is there after ${way}`, async (context) => {
    needsPrlimit(context);
    const { rig, client, events, full } = await start(whenFull);
    await using _ = rig;
    limitFiles(client, LIMIT_BYTES);
    // Less than makes it wait: its end is heard.
    const text = lines(6000);
    full.puppet.print(text);
    full.puppet.exit(7);
    await events.next(fails);
    expect(await events.next(ends)).toMatchObject({ status: 'exited', exitCode: 7 });
    // What is done about the end has been done before the next call is answered.
    expect(await client.call('session.get', { session: 'full' })).toMatchObject({ status: 'exited', exitCode: 7 });
    if (way === 'a crash') process.kill(client.daemon.pid, 'SIGKILL');
    else expect((await rig.run(['daemon', 'stop'])).code).toBe(0);
    const next = await rig.connect();
    const later = await rig.events();
    const { status } = await next.call('session.get', { session: 'full' });
    if (status === 'running') await later.next(ends);
    expect(await next.call('session.get', { session: 'full' })).toMatchObject({ status: 'exited', exitCode: 7 });
    expectWhole(kept(rig, full.session), onTerminal(text));
  });
}

test('the holder of a program that ended on a full disk leaves once everything is kept', async (context) => {
  needsPrlimit(context);
  const { rig, client, events, full } = await start('gap');
  await using _ = rig;
  limitFiles(client, LIMIT_BYTES);
  const text = lines(6000);
  full.puppet.print(text);
  full.puppet.exit(7);
  await events.next(fails);
  await events.next(ends);
  limitFiles(client, 'unlimited');
  await events.next(recovers);
  expectWhole(kept(rig, full.session), onTerminal(text));
  while ((await client.call('daemon.status', {})).pids.includes(full.session.holderPid!));
  while (isThere(full.session.holderPid!)) await client.call('session.list', {});
});

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('a session whose very first output meets a full disk is kept whole once there is room', async (context) => {
  needsPrlimit(context);
  const { rig, client, events, full, otherWorks } = await start('gap');
  await using _ = rig;
  await otherWorks();
  limitFiles(client, 0);
  full.puppet.print('the first words\n');
  expect(await events.next(fails)).toMatchObject({ session: full.session.id });
  limitFiles(client, 'unlimited');
  expect(await events.next(recovers)).toMatchObject({ session: full.session.id });
  expectWhole(kept(rig, full.session), onTerminal('the first words\n'));
  await otherWorks();
});

test('a journal whose folder is out of reach goes on when it is back', async () => {
  const { rig, client, events, full, otherWorks } = await start('block');
  await using _ = rig;
  const watcher = await rig.watch(client, 'full', { readOnly: true });
  full.puppet.print('before\n');
  await watcher.shows('before');
  const { folder } = journalPlace({ folder: join(rig.paths.sessions, full.session.id.slice(1)), session: '', pane: full.session.pane });
  // Nothing is refused to root by permissions: a file where the folder was refuses everybody.
  renameSync(folder, `${folder}.aside`);
  writeFileSync(folder, '');
  full.puppet.print(TEXT);
  expect(await events.next(fails)).toMatchObject({ session: full.session.id, because: expect.stringContaining('ENOTDIR') });
  await otherWorks();
  rmSync(folder);
  renameSync(`${folder}.aside`, folder);
  await events.next(recovers);
  full.puppet.exit(7);
  await events.next(ends);
  expectWhole(kept(rig, full.session), onTerminal(`before\n${TEXT}`));
  expectNoMoreSaid(events);
});

for (const whenFull of ['gap', 'block'] as const) {
  test(`${whenFull}: a disk without a byte left, and with room again`, async (context) => {
    const rig = await Rig.start({ config: `history:\n  when_full: ${whenFull}\n` });
    await using _ = rig;
    await using disk = await TinyDisk.mount(context, rig.paths.sessions);
    const client = await rig.connect();
    const { session, puppet } = await rig.puppet(client, { name: 'full' });
    const silent = await rig.puppet(client, { name: 'silent' });
    const events = await rig.events();
    const watcher = await rig.watch(client, 'full', { readOnly: true });
    puppet.print('before\n');
    await watcher.shows('before');
    disk.fill();
    puppet.print(TEXT);
    silent.puppet.print('the first words\n');
    const failed = [await events.next(fails), await events.next(fails)];
    expect(failed.map((event) => 'session' in event && event.session).sort()).toEqual([session.id, silent.session.id]);
    // Refused, and nobody is harmed.
    const { command } = rig.cast();
    await expect(client.call('session.create', { command, cwd: rig.home, env: rig.environment })).rejects.toMatchObject({
      code: 'spawn-failed',
    });
    if (whenFull === 'gap') await puppet.size();
    disk.resize('64m');
    await puppet.size();
    puppet.print('the end\n');
    await watcher.shows('the end');
    // A record of a gap may find room where output does not: then it recovers more than once.
    const areKept = () => kept(rig, session).text.endsWith('the end\r\n') && kept(rig, silent.session).text !== '';
    while (!areKept()) await events.next(recovers);
    puppet.exit(7);
    const isItsEnd = (event: Event) => event.event === 'session.ended' && event.session === session.id;
    expect(await events.next(isItsEnd)).toMatchObject({ status: 'exited', exitCode: 7 });
    expectWhole(kept(rig, silent.session), onTerminal('the first words\n'));
    const all = kept(rig, session);
    const written = `before\n${TEXT}the end\n`;
    if (whenFull === 'block') expectWhole(all, onTerminal(written));
    else expectGaps(all, onTerminal(written), 'disk');
    await rig.run(['daemon', 'stop', '--kill-sessions']);
  });
}

/** A file system of a MiB, where there is the right to mount one. */
class TinyDisk implements AsyncDisposable {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  static async mount(context: TestContext, path: string): Promise<TinyDisk> {
    mkdirSync(path, { mode: 0o700 });
    const { status, error } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0700', 'none', path]);
    if (error || status !== 0) context.skip('no right to mount a file system here');
    return new TinyDisk(path);
  }

  /** Takes what is left, to the last page. */
  fill(): void {
    const { bavail, bsize } = statfsSync(this.#path);
    writeFileSync(join(this.#path, 'filler'), Buffer.alloc(bavail * bsize));
    expect(statfsSync(this.#path).bavail).toBe(0);
  }

  resize(size: string): void {
    execFileSync('mount', ['-o', `remount,size=${size}`, this.#path]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    execFileSync('umount', ['--lazy', this.#path]);
  }
}
