import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Log } from '../../base/log.ts';
import type { CallInput, CallResult } from '../../wire/calls.ts';
import type { History } from '../history/history.ts';
import { type Line, LineAssembler } from '../history/lines.ts';
import { type JournalPlace, journalEnd, readJournal } from '../persistence/journal/reader.ts';
import { quote } from '../session/command-line.ts';
import { checkCursor, readCursor, writeCursor } from '../session/cursor.ts';

type Result = CallResult<'pane.read'>;

/** Of one turn of the event loop. */
const TURN_MS = 4;
const DEFAULT_LINES = 200;
/** Before the place where reading begins, to know whether it is inside a sequence. */
const BEFORE_BYTES = 4096;
/** For the last lines so much is read, and eight times as much while there are too few in it, up to the most. */
const TAIL_BYTES = 256 << 10;
const TAIL_MOST_BYTES = 64 << 20;

/** What was printed after a cursor, from there on; or the last of it. */
export async function readLines(
  { session, since, lines, maxBytes }: CallInput<'pane.read'>,
  { history, log }: { history: History; log: Log },
): Promise<Result> {
  const { record, chapters, pane } = history.chaptersOf(session);
  const { place } = chapters.at(-1)!;
  const cursor = since === undefined ? null : readCursor(since);
  const end = pane?.head ?? journalEnd(place);
  if (cursor) checkCursor(cursor, { pane: record.pane, name: record.name, end });
  const onDamage = (path: string, error: Error) => log.warn('a part of a journal cannot be read', { path, because: error.message });
  const reading: Reading = { place, cols: pane?.screen.cols ?? record.cols, end, maxBytes, onDamage };
  const { kept, readTo, isOpen, leftOut } = cursor
    ? await readOn({ ...reading, from: cursor.offset, most: lines ?? Number.POSITIVE_INFINITY })
    : await readTail({ ...reading, most: lines ?? DEFAULT_LINES });
  const written = writeCursor({ pane: record.pane, offset: readTo, picture: null });
  return {
    session: record.id,
    name: record.name,
    pane: record.pane,
    lines: kept,
    isOpen,
    cursor: written,
    leftOut,
    note: noteOf(leftOut, { name: quote(record.name), cursor: written }),
  };
}

function noteOf(leftOut: Result['leftOut'], { name, cursor }: { name: string; cursor: string }): string | null {
  switch (leftOut) {
    case 'after':
      return `There is more. Read on with: ai-session read ${name} --since ${cursor}`;
    case 'before':
      return `Earlier lines were left out. See more with --lines and --max-bytes, and everything with: ai-session logs ${name}`;
    case 'end of line':
      return `The end of a long line was left out. See more with --max-bytes, and everything with: ai-session logs ${name}`;
    default:
      return null;
  }
}

interface Reading {
  place: JournalPlace;
  cols: number;
  end: number;
  maxBytes: number;
  onDamage(path: string, error: Error): void;
}

interface Read {
  kept: string[];
  readTo: number;
  isOpen: boolean;
  leftOut: Result['leftOut'];
}

/** Stops where there is enough; what comes then is read from there. */
async function readOn({ from, most, ...reading }: Reading & { from: number; most: number }): Promise<Read> {
  const kept: string[] = [];
  let bytes = 0;
  let readTo = from;
  const lines = linesFrom({ ...reading, from });
  for await (const line of lines) {
    const size = Buffer.byteLength(line.text) + (kept.length > 0 ? 1 : 0);
    if (kept.length === 0 && size > reading.maxBytes)
      return { kept: [clip(line.text, reading.maxBytes)], readTo: line.end, isOpen: false, leftOut: 'end of line' };
    if (kept.length === most || bytes + size > reading.maxBytes) return { kept, readTo, isOpen: false, leftOut: 'after' };
    kept.push(line.text);
    bytes += size;
    readTo = line.end;
    if (line.isOpen) return { kept, readTo, isOpen: true, leftOut: null };
  }
  return { kept, readTo: Math.max(readTo, lines.readTo), isOpen: false, leftOut: null };
}

async function readTail({ most, ...reading }: Reading & { most: number }): Promise<Read> {
  for (let size = TAIL_BYTES; ; size *= 8) {
    const from = Math.max(0, reading.end - size);
    let kept: Told[] = [];
    const lines = linesFrom({ ...reading, from });
    for await (const line of lines) {
      kept.push(line);
      if (kept.length > 2 * most + 1000) kept = kept.slice(-most - 1);
    }
    let bytes = 0;
    const first = kept.findLastIndex(
      ({ text }, i) => kept.length - i > most || (bytes += Buffer.byteLength(text) + (bytes > 0 ? 1 : 0)) > reading.maxBytes,
    );
    const isEnough = first >= 0 || from === 0 || size >= TAIL_MOST_BYTES;
    if (!isEnough) continue;
    const isOpen = kept.at(-1)?.isOpen ?? false;
    const readTo = lines.readTo;
    if (first === kept.length - 1 && first >= 0)
      return { kept: [clip(kept[first]!.text, reading.maxBytes)], readTo, isOpen, leftOut: 'end of line' };
    const leftOut = first >= 0 || from > 0 ? 'before' : null;
    return { kept: kept.slice(first + 1).map(({ text }) => text), readTo, isOpen, leftOut };
  }
}

interface Told extends Line {
  isOpen: boolean;
}

/** The lines in a range, and after them the one that has no end. Others get their turn in between. */
function linesFrom({ place, cols, from, end, onDamage }: Reading & { from: number }): AsyncIterable<Told> & { readonly readTo: number } {
  const assembler = new LineAssembler();
  let readTo = from;
  return {
    get readTo() {
      return readTo;
    },
    async *[Symbol.asyncIterator]() {
      assembler.push({ is: 'resize', at: 0, offset: from, cols, rows: 1 });
      for (const entry of readJournal(place, { from: Math.max(0, from - BEFORE_BYTES), to: from }, onDamage)) assembler.push(entry);
      assembler.begin();
      let until = performance.now() + TURN_MS;
      for (const entry of readJournal(place, { from, to: end }, onDamage)) {
        for (const line of assembler.push(entry)) yield { ...line, isOpen: false };
        if (performance.now() < until) continue;
        await nextTurn();
        until = performance.now() + TURN_MS;
      }
      const open = assembler.open;
      readTo = Math.max(from, open.readTo);
      if (open.line) yield { ...open.line, end: readTo, isOpen: true };
    },
  };
}

function clip(text: string, bytes: number): string {
  return new TextDecoder().decode(Buffer.from(text).subarray(0, bytes), { stream: true });
}
