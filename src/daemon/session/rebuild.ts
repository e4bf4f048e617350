import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../persistence/atomic-file.ts';
import type { Journal } from '../persistence/journal/journal.ts';
import type { Pane } from './pane.ts';
import type { SavedScreen } from './saved-screen.ts';

/** Without a saved screen so much of the end is shown to the emulator: more than any scrollback, less than anybody waits for. */
const WITHOUT_SAVED_BYTES = 1 << 20;
/** Times a daemon may end while the same bytes wait for the emulator, before they are shown to it alone. */
const TRIES = 3;

export interface Rebuilt {
  /** Output that ended the daemon again and again, and is left out of the screen. It is in the journal. */
  quarantined: { from: number; to: number } | null;
}

/**
 * Brings a pane's screen to where its journal ends: the saved screen, and what was written since. A note on the disk says so for as long as it
 * takes; should the bytes wedge or crash the emulator, and the daemon with it, the next one counts the notes. `replayed`: told when it is over.
 */
export function rebuild(
  pane: Pane,
  {
    journal,
    saved,
    folder,
    replayed,
  }: { journal: Journal; saved: SavedScreen | null; folder: string; replayed: (bytes: number, resizes: number) => void },
): Rebuilt {
  const { cols, rows } = pane.screen;
  const note = join(folder, 'replaying.json');
  const from = saved ? saved.offset : Math.max(0, journal.end - WITHOUT_SAVED_BYTES);
  const to = journal.end;
  if (saved) pane.remember(saved);
  const settleSize = () => {
    // Sizes are part of what is replayed; the record has the one that counts now.
    if (pane.screen.cols !== cols || pane.screen.rows !== rows) pane.screen.resize(cols, rows);
  };
  if (from >= to) {
    pane.continuesAt(Math.max(from, to));
    settleSize();
    return { quarantined: null };
  }
  const { tries, isAlone } = readNote(note, from);
  if (isAlone) {
    rmSync(note, { force: true });
    pane.replay([...leftOut(from, to)]);
    pane.continuesAt(to);
    settleSize();
    return { quarantined: { from, to } };
  }
  writeFileAtomic(note, JSON.stringify({ from, to, tries: tries + 1, isAlone: tries >= TRIES }));
  const resizes = pane.replay(journal.read({ from, to }));
  pane.continuesAt(to);
  // A daemon may have ended for another reason while many panes waited for their turn. Now this one has it to itself: what ends the daemon
  // here is in these bytes.
  if (tries >= TRIES) pane.screen.settle();
  settleSize();
  pane.screen.whenParsed(() => {
    rmSync(note, { force: true });
    replayed(to - from, resizes);
  });
  return { quarantined: null };
}

function readNote(note: string, from: number): { tries: number; isAlone: boolean } {
  try {
    const known = JSON.parse(readFileSync(note, 'utf8')) as { from?: unknown; tries?: unknown; isAlone?: unknown };
    if (known.from === from && Number.isSafeInteger(known.tries)) return { tries: known.tries as number, isAlone: known.isAlone === true };
  } catch {
    // None there.
  }
  return { tries: 0, isAlone: false };
}

function* leftOut(from: number, to: number) {
  const text = `\r\n[${to - from} bytes of output stopped the daemon ${TRIES + 1} times and are not shown. Read them with: ai-session logs --raw]\r\n`;
  yield { is: 'output' as const, at: 0, offset: from, bytes: Buffer.from(text) };
}
