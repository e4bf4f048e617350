import { statSync } from 'node:fs';
import type { Entry } from '../../persistence/journal/entry.ts';
import { type JournalFile, journalFiles } from '../../persistence/journal/files.ts';
import { type JournalPlace, readDropped, readJournal } from '../../persistence/journal/reader.ts';
import { readFrames } from '../../persistence/journal/segment.ts';
import { readTail } from '../../persistence/journal/tail.ts';
import type { Line } from '../lines.ts';
import { Grams } from './grams.ts';
import type { IndexPlace, IndexStore, NewBlock } from './index-store.ts';
import { BEGINNING, ResumedLines, type ResumePoint, ResumePoints } from './resume.ts';

/**
 * A block ends with this much text. Twice as much makes the index a tenth smaller, and each block that has all threes of a pattern but not
 * the pattern takes twice as long to be looked at.
 */
const BLOCK_TEXT_LENGTH = 128 << 10;
/** Or with so much output: programs that draw on the alternate screen write much and say little. */
const BLOCK_OUTPUT_BYTES = 1 << 20;
/** What is written together: more of it are faster, and are all lost to a crash. */
const BLOCKS_TOGETHER = 16;
/** What is read between two looks at what else is to be done. */
const STEP_BYTES = 512 << 10;
/** Entries may be a MiB long, and a block ends with a piece. */
const PIECE_BYTES = 64 << 10;
/** A line that a sequence ends at a block's end is finished when that has been read, and sequences are no longer. */
const SEQUENCE_BYTES = 512;

/** Whether there is anything in a journal that is not in the index. It looks at the names and sizes of its files only. */
export function isBehind(store: IndexStore, place: IndexPlace): boolean {
  return (store.find(place)?.files ?? '') !== filesOf(place.folder);
}

/**
 * Brings what a journal has more than the index into the index, from the last block's end on. It pauses (yields) after each half MiB of
 * output; whenever it is stopped, it is begun again at what was written last.
 */
export function* indexPane(store: IndexStore, place: IndexPlace): Generator<void> {
  const { folder, purpose } = place;
  // First of all: what comes while it is read makes them differ.
  const files = filesOf(folder);
  const journal: JournalPlace = { folder, purpose, vault: null };
  let state = store.find(place);
  if ((state?.files ?? '') === files) return;
  // Another journal is there now, or none.
  if (state && endOfJournal(journal) < state.done.offset) {
    store.forget([state.id]);
    state = null;
  }
  const dropped = readDropped(folder);
  if (state && dropped) store.dropBelow(state, dropped.to);

  const reading = new BlockReader(state?.done ?? BEGINNING);
  let upto = state?.upto ?? 0;
  let blocks: NewBlock[] = [];
  let bytes = 0;
  let written = reading.start.offset;
  for (const entry of pieces(readJournal(journal, { from: reading.start.offset }))) {
    const block = reading.push(entry);
    upto = Math.max(upto, Math.floor(entry.at));
    if (block && block.words !== null) blocks.push(block as NewBlock);
    if (entry.is === 'output') bytes += entry.bytes.length;
    if (bytes < STEP_BYTES) continue;
    bytes = 0;
    if (blocks.length >= BLOCKS_TOGETHER || reading.start.offset - written >= BLOCKS_TOGETHER * BLOCK_OUTPUT_BYTES) {
      store.advance(place, { blocks, tail: null, done: reading.start, isWhole: false, files, upto });
      written = reading.start.offset;
      blocks = [];
    }
    yield;
  }
  const done = reading.start;
  store.advance(place, { blocks, tail: reading.end(), done, isWhole: true, files, upto });
}

/** The lines of a block, as they were when it was made. */
export function* linesOfBlock(
  journal: JournalPlace,
  { start, until, isTail }: { start: ResumePoint; until: number; isTail: boolean },
): Generator<Line> {
  const lines = new ResumedLines(start);
  for (const entry of readJournal(journal, { from: start.offset, to: isTail ? until : until + SEQUENCE_BYTES }))
    for (const line of lines.push(entry)) if (line.offset < until) yield line;
  if (isTail) yield* lines.flush();
}

/** Cuts output into blocks. */
class BlockReader {
  /** Where the block begins that is being read. */
  start: ResumePoint;
  readonly #lines: ResumedLines;
  readonly #points: ResumePoints;
  /** What lies before the last resume point, and what lies behind it, which may belong to the next block. */
  #inside = new Part();
  #behind = new Part();
  #next: number;

  constructor(start: ResumePoint) {
    this.start = start;
    this.#next = start.offset;
    this.#lines = new ResumedLines(start);
    this.#points = new ResumePoints(start);
  }

  /** The block that this piece ends, if it does; without words when no line is in it. */
  push(entry: Entry): (Omit<NewBlock, 'words'> & { words: string | null }) | null {
    const before = this.#points.point;
    this.#points.push(entry);
    const { point } = this.#points;
    const lines = this.#lines.push(entry);
    if (entry.is === 'output') this.#next = entry.offset + entry.bytes.length;
    else if (entry.is === 'gap') this.#next = entry.to;
    if (point !== before) this.#inside.take(this.#behind);
    for (const line of lines) (line.offset < point.offset ? this.#inside : this.#behind).add(line);
    const isFull = this.#inside.length >= BLOCK_TEXT_LENGTH || point.offset - this.start.offset >= BLOCK_OUTPUT_BYTES;
    if (!isFull || point.offset === this.start.offset) return null;
    const block = { start: this.start, until: point.offset, newest: this.#inside.newest, words: this.#inside.words };
    this.#inside.clear();
    this.start = point;
    return block;
  }

  /** What follows the last block, with the line that is not finished. Null when there is no text in it. */
  end(): NewBlock | null {
    const until = this.#next;
    this.#inside.take(this.#behind);
    for (const line of this.#lines.flush()) this.#inside.add(line);
    const { words, newest } = this.#inside;
    return words === null ? null : { start: this.start, until, newest, words };
  }
}

/** What is known of some lines. Its size does not depend on how many they are. */
class Part {
  length = 0;
  newest = 0;
  readonly #grams = new Grams();

  add({ text, at }: Line): void {
    if (text === '') return;
    this.length += text.length;
    this.newest = Math.max(this.newest, Math.ceil(at));
    this.#grams.add(text);
  }

  /** All that the other has, and that has nothing then. */
  take(other: Part): void {
    if (other.length === 0) return;
    this.length += other.length;
    this.newest = Math.max(this.newest, other.newest);
    this.#grams.merge(other.#grams);
    other.clear();
  }

  clear(): void {
    this.length = 0;
    this.newest = 0;
    this.#grams.clear();
  }

  get words(): string | null {
    return this.length === 0 ? null : this.#grams.words;
  }
}

function* pieces(entries: Iterable<Entry>): Generator<Entry> {
  for (const entry of entries) {
    if (entry.is !== 'output' || entry.bytes.length <= PIECE_BYTES) {
      yield entry;
      continue;
    }
    for (let at = 0; at < entry.bytes.length; at += PIECE_BYTES)
      yield { ...entry, offset: entry.offset + at, bytes: entry.bytes.subarray(at, at + PIECE_BYTES) };
  }
}

/** Differs whenever there is more in a journal, or less. Never empty but for no journal. */
function filesOf(folder: string): string {
  const { segments, tails } = journalFiles(folder);
  const sized = ({ path, tail, start }: JournalFile) => `${tail}-${start}:${statSync(path, { throwIfNoEntry: false })?.size ?? 'gone'}`;
  const [oldest, latest] = [segments.at(0), segments.at(-1)];
  return [...(oldest && oldest !== latest ? [`${oldest.tail}`] : []), ...(latest ? [`s${sized(latest)}`] : []), ...tails.map(sized)].join(
    ' ',
  );
}

function endOfJournal({ folder, purpose, vault }: JournalPlace): number {
  const { segments, tails } = journalFiles(folder);
  const ends = [readDropped(folder)?.to ?? 0];
  const [segment, tail] = [segments.at(-1), tails.at(-1)];
  try {
    if (segment) ends.push(...readFrames(segment.path).frames.map(({ end }) => end));
    if (tail) ends.push(readTail(tail.path, purpose, vault).end);
  } catch {
    // Sealed or dropped in this moment, or damaged: then nobody can say that it is another.
    return Number.POSITIVE_INFINITY;
  }
  return Math.max(...ends);
}
