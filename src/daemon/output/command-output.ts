import { LineAssembler } from '../history/lines.ts';
import type { Entry } from '../persistence/journal/entry.ts';

export interface CommandText {
  text: string;
  /** What was left out of the middle; null: nothing. `lines` is null where they were not counted. */
  truncated: { bytes: number; lines: number | null } | null;
}

/** A longer output is read at both ends only: 200 MB would take seconds. */
const WHOLE_BYTES = 8 << 20;
const END_BYTES = 1 << 20;

/**
 * The lines between two places in a pane's journal, in at most so many bytes of UTF-8: a quarter of them from the beginning, the rest from
 * the end, where what went wrong usually stands.
 */
export function commandText(journal: Read, { from, to }: { from: number; to: number }, maxBytes: number): CommandText {
  const isWhole = to - from <= Math.max(WHOLE_BYTES, 2 * maxBytes);
  const ends = Math.max(END_BYTES, maxBytes);
  const taken = new Ends(maxBytes);
  if (isWhole) taken.lines(linesOf(journal, from, to));
  else {
    taken.lines(linesOf(journal, from, from + ends).slice(0, -1));
    taken.skip(to - from - 2 * ends);
    taken.lines(linesOf(journal, to - ends, to).slice(1));
  }
  return taken.result;
}

/** The entries of a journal that overlap a range. */
export type Read = (range: { from: number; to: number }) => Iterable<Entry>;

function linesOf(journal: Read, from: number, to: number): string[] {
  const assembler = new LineAssembler();
  const lines: string[] = [];
  for (const entry of journal({ from, to })) {
    let cut = entry;
    // What a journal gives begins and ends where its records do.
    if (entry.is === 'output') {
      const start = Math.max(0, from - entry.offset);
      cut = { ...entry, offset: entry.offset + start, bytes: entry.bytes.subarray(start, Math.max(start, to - entry.offset)) };
    }
    for (const { text } of assembler.push(cut)) lines.push(text);
  }
  for (const { text } of assembler.flush()) lines.push(text);
  return lines;
}

/** Keeps the first lines and the last ones. */
class Ends {
  readonly #headLimit: number;
  readonly #tailLimit: number;
  readonly #head: string[] = [];
  #headBytes = 0;
  #tail: string[] = [];
  #tailBytes = 0;
  #leftBytes = 0;
  #leftLines = 0;
  #isCounted = true;

  constructor(maxBytes: number) {
    this.#headLimit = Math.floor(maxBytes / 4);
    this.#tailLimit = maxBytes - this.#headLimit;
  }

  lines(lines: readonly string[]): void {
    for (const line of lines) {
      const bytes = Buffer.byteLength(line) + 1;
      if (this.#tail.length === 0 && this.#leftBytes === 0 && this.#headBytes + bytes <= this.#headLimit) {
        this.#head.push(line);
        this.#headBytes += bytes;
        continue;
      }
      this.#tail.push(line);
      this.#tailBytes += bytes;
    }
    let from = 0;
    while (this.#tailBytes > this.#tailLimit && from < this.#tail.length) {
      const bytes = Buffer.byteLength(this.#tail[from]!) + 1;
      const over = this.#tailBytes - this.#tailLimit;
      // One line that is longer than everything there is room for keeps its end.
      if (from === this.#tail.length - 1 && bytes > over) {
        this.#tail[from] = Buffer.from(this.#tail[from]!)
          .subarray(over)
          .toString('utf8')
          .replace(/^\ufffd+/, '');
        this.#leftBytes += over;
        this.#tailBytes -= over;
        break;
      }
      this.#tailBytes -= bytes;
      this.#leftBytes += bytes;
      this.#leftLines++;
      from++;
    }
    if (from > 0) this.#tail = this.#tail.slice(from);
  }

  skip(bytes: number): void {
    this.#leftBytes += bytes + this.#tailBytes;
    this.#tail = [];
    this.#tailBytes = 0;
    this.#isCounted = false;
  }

  get result(): CommandText {
    const isWhole = this.#leftBytes === 0;
    const left = `[... ${this.#isCounted ? `${this.#leftLines} lines, ` : ''}${this.#leftBytes} bytes left out ...]`;
    const lines = isWhole ? [...this.#head, ...this.#tail] : [...this.#head, left, ...this.#tail];
    return {
      text: lines.map((line) => `${line}\n`).join(''),
      truncated: isWhole ? null : { bytes: this.#leftBytes, lines: this.#isCounted ? this.#leftLines : null },
    };
  }
}
