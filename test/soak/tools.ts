import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { type Connection, ConnectionError } from '../../src/client/connection.ts';
import { connect, DaemonError } from '../../src/client/daemon.ts';
import type { Entry } from '../../src/daemon/persistence/journal/entry.ts';
import { readJournal } from '../../src/daemon/persistence/journal/reader.ts';
import type { Vault } from '../../src/daemon/persistence/vault/vault.ts';
import { journalPlace } from '../../src/daemon/session/journal-place.ts';
import { Screen } from '../../src/daemon/terminal/screen.ts';
import type { SessionInfo } from '../../src/wire/calls.ts';
import { processesOf, type Rig } from '../support/rig.ts';

type Which = Pick<SessionInfo, 'id' | 'pane'>;

/** The same numbers for the same seed: a run that failed can be had again, as far as the machine allows (mulberry32). */
export function seededRandom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** What a test was asked to repeat, or something new. It is printed, so that it can be asked for. */
export function chooseSeed(): number {
  const seed = Number(process.env.SOAK_SEED ?? Date.now() % 1_000_000);
  console.log(`seed ${seed} (again with: SOAK_SEED=${seed})`);
  return seed;
}

/** Looked for again and again: facts of which nobody tells, as how far a file has grown. */
export async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await delay(1);
}

/** Numbered lines of many lengths, at full speed, until a file is there; then how many there were, and exit code 7. */
export function floodUntil(stopFile: string): string[] {
  const program = `
    const { existsSync, writeSync } = require('node:fs');
    const write = (bytes) => { for (let at = 0; at < bytes.length;) at += writeSync(1, bytes, at); };
    let n = 0;
    while (!existsSync(process.argv[1])) {
      let text = '';
      while (text.length < 65536) text += ++n + ' ' + '.'.repeat(n % 60) + '\\n';
      write(Buffer.from(text));
    }
    write(Buffer.from('the end after ' + n + '\\n'));
    process.exit(7);`;
  return [process.execPath, '-e', program, stopFile];
}

/** What `floodUntil` writes, as its terminal makes it, a piece at a time. */
export class FloodText {
  #n = 0;
  #rest = Buffer.alloc(0);

  take(length: number): Buffer {
    while (this.#rest.length < length) {
      let text = '';
      while (text.length < Math.max(65536, length)) text += `${++this.#n} ${'.'.repeat(this.#n % 60)}\r\n`;
      this.#rest = Buffer.concat([this.#rest, Buffer.from(text)]);
    }
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return taken;
  }
}

/** A number at a time, slowly, until a file is there; then exit code 3. */
export function countUntil(stopFile: string): string[] {
  return ['sh', '-c', `i=0; while [ ! -e "$0" ]; do i=$((i+1)); echo "number $i"; sleep 0.01; done; exit 3`, stopFile];
}

export function entriesOf(rig: Rig, { id, pane }: Which, vault: Vault | null = null): Generator<Entry> {
  return readJournal({ ...journalPlace({ folder: join(rig.paths.sessions, id.slice(1)), session: id, pane }), vault });
}

export interface Found {
  bytes: number;
  gaps: number;
  /** Outputs that begin before the one before them ends. */
  duplicates: number;
  outputs: Buffer[];
}

/** All of a journal. */
export function readAll(rig: Rig, session: Which, vault: Vault | null = null): Found {
  const found: Found = { bytes: 0, gaps: 0, duplicates: 0, outputs: [] };
  let end = 0;
  for (const entry of entriesOf(rig, session, vault)) {
    if (entry.offset < end) found.duplicates++;
    if (entry.is === 'gap' || entry.offset > end) found.gaps++;
    if (entry.is !== 'output') continue;
    found.outputs.push(Buffer.from(entry.bytes));
    found.bytes += entry.bytes.length;
    end = entry.offset + entry.bytes.length;
  }
  return found;
}

export function textOf({ outputs }: Found): string {
  return Buffer.concat(outputs).toString('latin1');
}

/** Byte for byte what `floodUntil` wrote, up to its last word. Returns how many lines that were. */
export function expectFlood({ outputs, bytes }: Found): number {
  const last = /the end after (\d+)\r\n$/.exec(outputs.slice(-3).reduce((text, piece) => text + piece.toString('latin1'), ''));
  expect(last).not.toBeNull();
  const expected = new FloodText();
  const ending = Buffer.from(last![0]);
  let left = bytes - ending.length;
  let at = 0;
  for (const output of outputs) {
    const length = Math.min(output.length, left);
    const wanted = expected.take(length);
    if (!wanted.equals(output.subarray(0, length))) {
      const first = output.findIndex((byte, i) => byte !== wanted[i]);
      const around = (piece: Buffer) => piece.toString('latin1', Math.max(0, first - 60), first + 60);
      throw new Error(
        `not what was written, from byte ${at + first} on: ${JSON.stringify(around(output))} for ${JSON.stringify(around(wanted))}`,
      );
    }
    left -= length;
    at += length;
  }
  return Number(last![1]);
}

/** How far a session's journal is on the disk, without reading it: a little more than the bytes in it. */
export function journalHead(rig: Rig, { id, pane }: Which): number {
  const { folder } = journalPlace({ folder: join(rig.paths.sessions, id.slice(1)), session: id, pane });
  const last = namesIn(folder).sort().at(-1);
  const start = Number(/^\d+-(\d+)\./.exec(last ?? '')?.[1] ?? 0);
  return start + (last?.endsWith('.tail') ? (statSync(join(folder, last), { throwIfNoEntry: false })?.size ?? 0) : 0);
}

export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** The processes that are, or are about to be, this home's daemon. */
export function daemonsOf(rig: Rig): number[] {
  return processesOf(rig.home).flatMap(({ pid, command }) => (/^ai-session-daemon|bin\/ai-session-daemon/.test(command) ? [pid] : []));
}

export function kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    // It has gone by itself.
    return false;
  }
}

/** Does something over one connection after the other, as daemons come and go, until it says that it is done. */
export async function throughDaemons(rig: Rig, work: (client: Connection) => Promise<'done' | 'again'>): Promise<void> {
  for (;;) {
    const client = await reconnect(rig);
    const lost = new Promise<'again'>((resolve) => (client.onLost = () => resolve('again')));
    try {
      for (;;) {
        const next = await Promise.race([work(client), lost.then(() => 'lost' as const)]);
        if (next === 'done') return;
        if (next === 'lost') break;
      }
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
    } finally {
      client.close();
    }
  }
}

/** However many daemons are killed while they start. */
export async function reconnect(rig: Rig): Promise<Connection> {
  for (;;) {
    try {
      return await connect(rig.paths);
    } catch (error) {
      if (!(error instanceof DaemonError)) throw error;
    }
  }
}

/** A session's last state, whichever daemon hears of its end. */
export async function ended(rig: Rig, { id }: Which): Promise<SessionInfo> {
  let info: SessionInfo | null = null;
  await throughDaemons(rig, async (client) => {
    info = await client.call('session.get', { session: id });
    if (info.status !== 'running') return 'done';
    await delay(5);
    return 'again';
  });
  return info!;
}

/** A whole screen, with its history and colours. */
export interface Shown {
  lines: string[];
  cursor: { x: number; y: number };
}

export async function shownBy(client: Connection, { id }: Which): Promise<Shown> {
  const { lines, cursor } = await client.call('pane.capture', { session: id, start: '-', escapes: true });
  return { lines, cursor: { x: cursor.x, y: cursor.y } };
}

/** What an emulator shows that has seen all of it, in one life. */
export function shownAfter(entries: Iterable<Entry>, { cols, rows }: { cols: number; rows: number }): Shown {
  const screen = new Screen({ cols, rows, scrollbackLines: 2000, answer: () => {} });
  for (const entry of entries) {
    if (entry.is === 'output') screen.feed(Buffer.from(entry.bytes), false);
    else if (entry.is === 'resize') screen.resize(entry.cols, entry.rows);
    screen.settle();
  }
  const lines = screen.lines({ from: -screen.historyLines, to: screen.rows - 1, withEscapes: true });
  const { x, y } = screen.cursor;
  screen.dispose();
  return { lines, cursor: { x, y } };
}

/** What the daemon has written down about itself, line by line. */
export function logOf(rig: Rig): Record<string, unknown>[] {
  try {
    const lines = readFileSync(rig.paths.log, 'utf8').split('\n');
    // The last may not be whole yet.
    return lines.slice(0, -1).map((line) => JSON.parse(line) as Record<string, unknown>);
  } catch {
    return [];
  }
}
