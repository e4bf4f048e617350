import type { Entry } from '../persistence/journal/entry.ts';
import { LineAssembler } from './lines.ts';
import { inPieces } from './pieces.ts';

/** `logs --text`: the lines as `LineAssembler` has them, each with a newline, in strings of about 64 KiB. */
export function plainText(entries: Iterable<Entry>): Generator<string> {
  return inPieces(withNewlines(entries, false));
}

/**
 * `logs --ansi`: the same lines with their colors, attributes and links. Safe on any terminal, whatever the program wrote: nothing of its
 * sequences is passed on. What is there has been made anew from what each character looked like, and is SGR, OSC 8 (of which the address
 * has printable ASCII only) and text without control characters. A line's looks end with the line.
 */
export function ansiText(entries: Iterable<Entry>): Generator<string> {
  return inPieces(withNewlines(entries, true));
}

function* withNewlines(entries: Iterable<Entry>, keepsLooks: boolean): Generator<string> {
  const assembler = new LineAssembler({ keepsLooks });
  for (const entry of entries) for (const { text } of assembler.push(entry)) yield `${text}\n`;
  for (const { text } of assembler.flush()) yield `${text}\n`;
}
