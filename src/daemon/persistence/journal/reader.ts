import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Vault } from '../vault/vault.ts';
import type { Block } from './block.ts';
import type { Entry, Gap } from './entry.ts';
import { type JournalFile, journalFiles } from './files.ts';
import { type FrameInfo, readFrame, readFrames } from './segment.ts';
import { endOf, readTail, readTailHeader } from './tail.ts';

/** What was dropped to stay within a budget: everything below `to`. */
export interface Dropped {
  to: number;
  at: number;
  because: Gap['because'];
}

const DROPPED = 'dropped.json';

export interface JournalPlace {
  folder: string;
  /** What its files are, for their keys. */
  purpose: string;
  vault: Vault | null;
}

export interface Range {
  /** From this offset on (0: from the beginning). */
  from?: number;
  /** From this moment on, in milliseconds since 1970. */
  since?: number;
  /** Up to this offset, without it. */
  to?: number;
}

/** Something in a journal that could not be read. Reading goes on behind it. */
export type OnDamage = (path: string, error: Error) => void;

/**
 * Everything that is kept, in its order, one block in memory at a time. It may be read while it is written and sealed: what is asked for next
 * is looked for by its offset. A range that begins in the middle of an output begins with the rest of it.
 */
export function* readJournal(
  place: JournalPlace,
  { from = 0, since = 0, to = Number.POSITIVE_INFINITY }: Range = {},
  onDamage: OnDamage = () => {},
): Generator<Entry> {
  let at = from;
  const dropped = readDropped(place.folder);
  if (dropped && dropped.to > at && since <= dropped.at) {
    yield { is: 'gap', at: dropped.at, offset: at, to: Math.min(to, dropped.to), because: dropped.because };
    at = dropped.to;
  }
  for (const block of blocks(place, { from: at, since, to }, onDamage)) {
    for (const entry of block) {
      if (entry.offset >= to && entry.is !== 'resize') return;
      if (endOf(entry) < at || entry.at < since) continue;
      if (entry.is !== 'output') yield entry;
      else if (entry.offset + entry.bytes.length > at) yield cut(entry, at, to);
      at = Math.max(at, endOf(entry));
    }
  }
}

/** The size that the pane had when the byte at this offset came, as far as the journal can tell. */
export function sizeAt(place: JournalPlace, offset: number): { cols: number; rows: number } | null {
  let size: { cols: number; rows: number } | null = null;
  const { segments, tails } = journalFiles(place.folder);
  for (const segment of relevant(segments, offset)) {
    for (const { start, cols, rows } of readFrames(segment.path).frames) if (start <= offset || size === null) size = { cols, rows };
  }
  for (const { path } of tails) {
    const { start, cols, rows } = readTailHeader(path);
    if (start <= offset || size === null) size = { cols, rows };
  }
  return size;
}

/** The offset after its last byte, as what is on the disk has it. */
export function journalEnd({ folder, purpose, vault }: JournalPlace): number {
  const { segments, tails } = journalFiles(folder);
  const sealed = segments.slice(-1).flatMap(({ path }) => readFrames(path).frames.map(({ end }) => end));
  const live = tails.slice(-1).map(({ path }) => readTail(path, purpose, vault).end);
  return Math.max(readDropped(folder)?.to ?? 0, ...sealed, ...live);
}

export function readDropped(folder: string): Dropped | null {
  const path = join(folder, DROPPED);
  if (!existsSync(path)) return null;
  try {
    const { to, at, because } = JSON.parse(readFileSync(path, 'utf8')) as Dropped;
    return Number.isSafeInteger(to) && to >= 0 && Number.isFinite(at) ? { to, at, because } : null;
  } catch {
    return null;
  }
}

export function droppedFile(folder: string): string {
  return join(folder, DROPPED);
}

/** What lies in the range, block after block. Sealing moves a block from a tail to a frame: what is gone is looked for again. */
function* blocks(place: JournalPlace, { from, since, to }: Required<Range>, onDamage: OnDamage): Generator<Entry[]> {
  let done = -1;
  let end: number | null = null;
  let lookedAgainAt: number | null = null;
  for (;;) {
    const next = nextBlock(place, { done, from, since, to }, onDamage);
    if (next === 'again') continue;
    if (next === null) return;
    // The tail that was read has grown since, and ended; or the list of files was made while one was sealed. What is not there at a second
    // look, which begins with that tail, has gone.
    if (end !== null && next.start > end) {
      if (lookedAgainAt !== end) {
        lookedAgainAt = end;
        done--;
        continue;
      }
      yield [{ is: 'gap', at: next.entries[0]?.at ?? 0, offset: end, to: next.start, because: 'damage' }];
    }
    ({ tail: done, end } = next);
    yield next.entries;
  }
}

interface Found {
  tail: number;
  start: number;
  end: number;
  entries: Entry[];
}

/** Frames of the segment read last: its headers are needed once, not once a frame. */
const framesRead = new WeakMap<JournalPlace, { path: string; frames: FrameInfo[] }>();

function nextBlock(
  place: JournalPlace,
  { done, from, since, to }: Required<Range> & { done: number },
  onDamage: OnDamage,
): Found | null | 'again' {
  const { segments, tails } = journalFiles(place.folder);
  const wanted = (start: number, end: number, lastAt: number) => end >= from && start < to && lastAt >= since;
  for (const segment of relevant(segments, from)) {
    const last = segments[segments.indexOf(segment) + 1]?.tail;
    if (last !== undefined && last <= done + 1) continue;
    const frames = framesOf(place, segment, segment === segments.at(-1));
    if (frames === null) return 'again';
    for (const frame of frames) {
      if (frame.tail <= done || !wanted(frame.start, frame.end, frame.lastAt)) continue;
      const { start, end } = frame;
      return {
        tail: frame.tail,
        start,
        end,
        entries: orGap(() => readAgain(segment.path, frame, place), frame, segment.path, onDamage),
      };
    }
  }
  for (const tail of tails) {
    if (tail.tail <= done) continue;
    try {
      const content = readTail(tail.path, place.purpose, place.vault);
      if (wanted(content.start, content.end, Number.POSITIVE_INFINITY))
        return { tail: tail.tail, start: content.start, end: content.end, entries: content.entries };
    } catch (error) {
      // Sealed in this moment: it is a frame now.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'again';
      onDamage(tail.path, error as Error);
      return { tail: tail.tail, start: tail.start, end: tail.start, entries: [] };
    }
  }
  return null;
}

/** Segments that can have something at or behind this offset. */
function relevant(segments: readonly JournalFile[], from: number): readonly JournalFile[] {
  const first = segments.findLastIndex(({ start }) => start <= from);
  return segments.slice(Math.max(0, first));
}

function framesOf(place: JournalPlace, { path }: JournalFile, isGrowing: boolean): FrameInfo[] | null {
  const known = framesRead.get(place);
  if (known?.path === path && !isGrowing) return known.frames;
  try {
    const { frames } = readFrames(path);
    framesRead.set(place, { path, frames });
    return frames;
  } catch (error) {
    // Dropped in this moment.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** A segment may be written anew, with another key, between a look at its headers and one at its frames. */
function readAgain(path: string, frame: FrameInfo, { purpose, vault }: JournalPlace): Block {
  try {
    return readFrame(path, frame, purpose, vault);
  } catch (error) {
    const now = readFrames(path).frames.find(({ tail }) => tail === frame.tail);
    if (!now || (now.position === frame.position && now.storedCrc === frame.storedCrc)) throw error;
    return readFrame(path, now, purpose, vault);
  }
}

function orGap(read: () => Block, { start, end, firstAt }: FrameInfo, path: string, onDamage: OnDamage): Entry[] {
  try {
    return read().entries;
  } catch (error) {
    onDamage(path, error as Error);
    return [{ is: 'gap', at: firstAt, offset: start, to: end, because: 'damage' }];
  }
}

function cut(entry: Entry & { is: 'output' }, from: number, to: number): Entry {
  const first = Math.max(0, from - entry.offset);
  const last = Math.min(entry.bytes.length, to - entry.offset);
  if (first === 0 && last === entry.bytes.length) return entry;
  return { ...entry, offset: entry.offset + first, bytes: entry.bytes.subarray(first, last) };
}
