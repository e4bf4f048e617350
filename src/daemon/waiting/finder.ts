import type { LineWatch } from '../history/line-watch.ts';
import { LineAssembler } from '../history/lines.ts';
import type { Row } from '../history/row.ts';
import { clip } from '../history/search.ts';
import type { Entry } from '../persistence/journal/entry.ts';

/** Where something stands in a text, from a place in it on, or null. */
export interface Pattern {
  find(text: string, from: number): { index: number; length: number } | null;
  /** How many columns before what is new may have a part in a match. */
  reach: number;
}

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
 * stands for the end of what has come so far. Memory is bounded by a line's 65,536 columns, and each look reads what is new and what the
 * pattern can reach before it: a line that is changed a million times is not read whole as often.
 */
export class Finder {
  readonly #pattern: Pattern;
  readonly #lines: LineAssembler;
  /** For each column, where the bytes end that wrote what is in it now. */
  readonly #ends: number[] = [];
  #lastEnd = 0;
  /** The first column that was written to since the last look. */
  #newFrom = NOTHING_NEW;
  #isReading = false;
  #found: Found | null = null;

  constructor(pattern: Pattern) {
    this.#pattern = pattern;
    const watch: LineWatch = {
      wroteAscii: (column, count, offset) => {
        for (let i = 0; i < count; i++) this.#ends[column + i] = offset + i + 1;
        this.#lastEnd = offset + count;
        this.#newFrom = Math.min(this.#newFrom, column);
      },
      wrote: (column, end) => {
        this.#ends[Math.max(0, column - 1)] = end;
        this.#lastEnd = end;
        // It may be two columns wide.
        this.#newFrom = Math.min(this.#newFrom, Math.max(0, column - 2));
      },
      look: (row, start, isFinished) => this.#look(row, start, isFinished),
      line: (text, place) => this.#line(text, place),
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
    this.#newFrom = NOTHING_NEW;
  }

  /** Null until it is found, and the same from then on. */
  push(entry: Entry): Found | null {
    if (!this.#found) this.#lines.push(entry);
    return this.#found;
  }

  #look(row: Row, start: number, isFinished: boolean): void {
    const newFrom = this.#newFrom;
    this.#newFrom = NOTHING_NEW;
    if (this.#found || !this.#isReading) return;
    if (newFrom !== NOTHING_NEW) {
      // One more than it reaches, where no match begins: `^` must not take the middle of a line for its beginning.
      const from = Math.max(0, newFrom - this.#pattern.reach - 1);
      this.#search(row, { from, to: row.column, start });
    }
    if (!isFinished || this.#found) return;
    const whole = row.textBetween(0, row.length);
    if (row.column < row.length) this.#search(row, { from: 0, to: row.length, start });
    const trimmed = whole.trimEnd();
    if (!this.#found && trimmed.length < whole.length) this.#search(row, { from: 0, to: row.columnAfter(trimmed.length, 0), start });
  }

  #search(row: Row, { from, to, start }: { from: number; to: number; start: number }): void {
    const match = this.#pattern.find(row.textBetween(from, to), from > 0 ? 1 : 0);
    if (!match) return;
    const { index, length } = match;
    const last = row.columnAfter(index + length, from);
    let end = start;
    // It may begin within a cell.
    for (let x = Math.min(row.columnAfter(index, from), last - 1); x < last; x++) {
      const written = this.#ends[x] ?? 0;
      // A cell that was shifted has what another line left.
      if (written > end && written <= this.#lastEnd) end = written;
    }
    const line = row.textBetween(0, Math.max(to, row.column));
    const before = row.textBetween(0, from).length;
    this.#foundIn(line, { index: before + index, length, start, end: end > start ? end : this.#lastEnd });
  }

  #line(text: string, { start, from, to }: { start: number; from: number; to: number }): void {
    if (this.#found || !this.#isReading) return;
    const match = this.#pattern.find(text, 0) ?? (text.endsWith(' ') ? this.#pattern.find(text.trimEnd(), 0) : null);
    if (!match) return;
    const { index, length } = match;
    this.#foundIn(text, { index, length, start, end: Math.min(to, from + Buffer.byteLength(text.slice(0, index + length))) });
  }

  #foundIn(line: string, { index, length, start, end }: { index: number; length: number; start: number; end: number }): void {
    const text = line.slice(index, index + Math.min(length, SHOWN_LIMIT));
    this.#found = { text, line: clip(line.trimEnd(), index), offset: start, end };
  }
}

const NOTHING_NEW = Number.POSITIVE_INFINITY;

/** Of a match, in code units; the rest is read with `read` and `logs`. */
const SHOWN_LIMIT = 1000;
