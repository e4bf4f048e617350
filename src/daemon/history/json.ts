import type { Entry } from '../persistence/journal/entry.ts';
import { type Line, LineAssembler } from './lines.ts';
import { inPieces } from './pieces.ts';

/**
 * `logs --json`: JSON Lines, in strings of about 64 KiB. A line of output is `{"at","offset","end","text"}` and has no `is`; resizes, gaps
 * and the marks of what was typed are objects that have. Times are ISO 8601. A line comes when it is finished: a resize or a mark in the
 * middle of it comes before.
 */
export function jsonLines(entries: Iterable<Entry>): Generator<string> {
  return inPieces(objects(entries));
}

function* objects(entries: Iterable<Entry>): Generator<string> {
  const lines = new JsonLines();
  for (const entry of entries) yield lines.push(entry);
  yield lines.end();
}

/** The same, entry by entry. */
export class JsonLines {
  readonly #assembler = new LineAssembler();
  readonly #clean: (text: string) => string;

  constructor(clean: (text: string) => string = (text) => text) {
    this.#clean = clean;
  }

  push(entry: Entry): string {
    const lines = this.#assembler.push(entry);
    // The last is the gap in words.
    if (entry.is === 'gap') lines.pop();
    const text = lines.map((line) => this.#told(line)).join('');
    return entry.is === 'output' ? text : `${text}${JSON.stringify({ ...entry, at: isoTime(entry.at) })}\n`;
  }

  end(): string {
    return this.#assembler
      .flush()
      .map((line) => this.#told(line))
      .join('');
  }

  #told(line: Line): string {
    return lineObject({ ...line, text: this.#clean(line.text) });
  }
}

function lineObject({ at, offset, end, text }: { at: number; offset: number; end: number; text: string }): string {
  return `${JSON.stringify({ at: isoTime(at), offset, end, text })}\n`;
}

/** Thousands of lines come from one entry, and writing a time takes longer than all the rest of a line. */
function isoTime(at: number): string {
  if (at !== last.at) last = { at, text: new Date(at).toISOString() };
  return last.text;
}

let last = { at: Number.NaN, text: '' };
