import { WireError } from '../../wire/errors.ts';

/** A place in everything that a pane's program ever wrote, and what the screen showed there, if somebody looked. */
export interface Cursor {
  pane: string;
  /** Of the next byte. */
  offset: number;
  /** The hash of the screen's picture. */
  picture: string | null;
}

/** `%3:12345`, or `%3:12345:9f3ab2c417d0e655` with a picture. What it says is ours alone: others hand it back as it is. */
export function writeCursor({ pane, offset, picture }: Cursor): string {
  return `${pane}:${offset}${picture === null ? '' : `:${picture}`}`;
}

/** Throws WireError for what is no cursor. */
export function readCursor(text: string): Cursor {
  const [, pane, offset, picture = null] = /^(%\d{1,15}):(\d{1,15})(?::([0-9a-f]{16}))?$/.exec(text) ?? [];
  if (pane === undefined)
    throw new WireError(
      'bad-params',
      `${JSON.stringify(text.slice(0, 80))} is no cursor. They look like %3:12345, and come from read, screen --json and wait --json.`,
    );
  return { pane, offset: Number(offset), picture };
}

/** Refuses a cursor of another pane, or one beyond the end of this one. */
export function checkCursor(cursor: Cursor, { pane, name, end }: { pane: string; name: string; end: number }): void {
  const text = JSON.stringify(writeCursor(cursor));
  if (cursor.pane !== pane)
    throw new WireError('bad-params', `Cursor ${text} is of pane ${cursor.pane}, and session "${name}" has pane ${pane}.`);
  if (cursor.offset > end)
    throw new WireError('bad-params', `Cursor ${text} is beyond the end: pane ${pane} has printed ${end} bytes so far.`);
}
