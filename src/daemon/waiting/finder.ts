import type { LineWatch } from '../history/line-watch.ts';
import { LineAssembler } from '../history/lines.ts';
import type { Row } from '../history/row.ts';
import { clip } from '../history/search.ts';
import type { Entry } from '../persistence/journal/entry.ts';

/** Where something stands in a text, or null. */
export type Pattern = (text: string) => { index: number; length: number } | null;

export interface Found {
  /** What matched. */
  text: string;
  /** The line that it stands in, as far as it had been written: of a long one the part around it, with `…` where it was cut. */
  line: string;
  /** Of the line's first byte. */
  offset: number;
  /** After the last byte of what matched. */
  end: number;
}

/**
 * Looks for a pattern in what a program writes, as `LineAssembler` reads it: sequences are gone, a line is one however often a terminal wrapped
 * it. Each line is looked at from its beginning to the cursor,
 *
 * - when all has been read that came: a prompt has no LF;
 * - before the cursor goes back or the text before it is erased: each "42%" of a progress bar has stood there, if CR replaced it at once;
 * - when it is finished. Then also as a whole, with what stands right of the cursor, and without the blanks at its end.
 *
 * So text is found or not whatever pieces it came in. Of a regular expression that is only true if more text cannot undo its match: `$` also
 * stands for the end of what has come so far. Memory is bounded by a line's 65,536 columns.
 */
export class Finder {
  readonly #pattern: Pattern;
  readonly #lines: LineAssembler;
  /** For each column, where the bytes end that wrote what is in it now. */
  readonly #ends: number[] = [];
  #lastEnd = 0;
  #isFresh = true;
  #isReading = false;
  #found: Found | null = null;

  constructor(pattern: Pattern) {
    this.#pattern = pattern;
    const watch: LineWatch = {
      wroteAscii: (column, count, offset) => {
        for (let i = 0; i < count; i++) this.#ends[column + i] = offset + i + 1;
        this.#lastEnd = offset + count;
        this.#isFresh = false;
      },
      wrote: (column, end) => {
        this.#ends[Math.max(0, column - 1)] = end;
        this.#lastEnd = end;
        this.#isFresh = false;
      },
      look: (row, start, isFinished) => this.#look(row, start, isFinished),
    };
    this.#lines = new LineAssembler({ watch });
  }

  /** What came before the mark: whether it ends inside a sequence is known from it, and nothing is looked for in it. */
  before(entry: Entry): void {
    this.#lines.push(entry);
  }

  /** From here on. */
  begin(): void {
    this.#lines.begin();
    this.#isReading = true;
    this.#isFresh = true;
  }

  /** Null until it is found, and the same from then on. */
  push(entry: Entry): Found | null {
    if (!this.#found) this.#lines.push(entry);
    return this.#found;
  }

  #look(row: Row, start: number, isFinished: boolean): void {
    if (this.#found || !this.#isReading) return;
    if (!this.#isFresh) this.#search(row, row.textTo(row.column), start);
    this.#isFresh = true;
    if (!isFinished || this.#found) return;
    const whole = row.textTo(row.length);
    if (row.column < row.length) this.#search(row, whole, start);
    if (!this.#found && whole.endsWith(' ')) this.#search(row, whole.trimEnd(), start);
  }

  #search(row: Row, line: string, start: number): void {
    const match = this.#pattern(line);
    if (!match) return;
    const { index, length } = match;
    let end = start;
    for (let x = row.columnAfter(index); x < row.columnAfter(index + length); x++) {
      const written = this.#ends[x] ?? 0;
      // A cell that was shifted has what another line left.
      if (written > end && written <= this.#lastEnd) end = written;
    }
    this.#found = {
      text: line.slice(index, index + length).slice(0, SHOWN_LIMIT),
      line: clip(line.trimEnd(), index),
      offset: start,
      end: end > start ? end : this.#lastEnd,
    };
  }
}

/** Of a match, in code units; the rest is read with `read` and `logs`. */
const SHOWN_LIMIT = 1000;
