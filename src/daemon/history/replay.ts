import type { Entry } from '../persistence/journal/entry.ts';
import { Screen } from '../terminal/screen.ts';
import { gapNotice } from './gap-notice.ts';

/**
 * The screen as it was after these entries. What it takes is bounded by `scrollbackLines`: about 12 bytes a cell, so 2,000 lines of 200
 * columns are 5 MB. It takes its time, though, about a second for 20 MB, so it pauses after each entry. The caller disposes the screen.
 */
export function* replay(entries: Iterable<Entry>, { cols, rows, scrollbackLines }: ReplayOptions): Generator<void, Screen> {
  const screen = new Screen({ cols, rows, scrollbackLines, answer: () => {} });
  for (const entry of entries) {
    showEntry(screen, entry);
    yield;
  }
  return screen;
}

export interface ReplayOptions {
  /** The size that counts until an entry says otherwise. */
  cols: number;
  rows: number;
  scrollbackLines: number;
}

/** One step of a replay. Where bytes are missing a normal screen says so; an alternate one is a picture and has no place for it. */
function showEntry(screen: Screen, entry: Entry): void {
  switch (entry.is) {
    case 'output':
      screen.feed(entry.bytes, false);
      break;
    case 'resize':
      screen.resize(entry.cols, entry.rows);
      break;
    case 'gap': {
      // CAN ends a sequence that lost its end.
      screen.feed(CAN, false);
      screen.settle();
      if (!screen.isAlternate)
        screen.feed(Buffer.from(`${screen.cursor.x > 0 ? '\r\n' : ''}\x1b[m[... ${gapNotice(entry)} ...]\r\n`), false);
      break;
    }
    case 'input':
      break;
    default: {
      const never: never = entry;
      throw new Error(`What is ${JSON.stringify(never)}?`);
    }
  }
  // Its own pump would parse later, and keep everything until then.
  screen.settle();
}

const CAN = Buffer.from('\x18');
