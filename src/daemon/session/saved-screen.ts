import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../persistence/atomic-file.ts';
import { isSealedBlob, type Vault } from '../persistence/vault/vault.ts';

/** A screen as it was saved: it stands for every byte before `offset`, on a pane of this size. */
export interface SavedScreen {
  offset: number;
  cols: number;
  rows: number;
  bytes: Uint8Array;
}

/** One file, so that a screen and the place it belongs to are replaced together: a line of JSON, then the bytes. */
const FORMAT = 1;

/** The name of the pane is part of its key: a screen that was moved to another session does not open. */
export const screenPurpose = (session: string, pane: string): string => `screen|${session}|${pane}`;

export interface ScreenPlace {
  folder: string;
  session: string;
  pane: string;
  vault: Vault | null;
}

export function writeSavedScreen({ folder, session, pane, vault }: ScreenPlace, { offset, cols, rows, bytes }: SavedScreen): void {
  const file = Buffer.concat([Buffer.from(`${JSON.stringify({ screen: FORMAT, pane, offset, cols, rows })}\n`), bytes]);
  writeFileAtomic(join(folder, 'screen.vt'), vault?.isOn ? vault.sealBlob(screenPurpose(session, pane), file) : file);
}

/**
 * The screen that was saved last, or null: none was, it is another pane's, it cannot be opened, or it is of a newer format. `before`: what the
 * record says of a screen from before they described themselves.
 */
export function readSavedScreen(
  { folder, session, pane, vault }: ScreenPlace,
  before: Omit<SavedScreen, 'bytes'> | null,
): SavedScreen | null {
  try {
    let file: Buffer = readFileSync(join(folder, 'screen.vt'));
    if (isSealedBlob(file)) {
      if (!vault) return null;
      file = vault.openBlob(screenPurpose(session, pane), file);
    }
    if (!file.subarray(0, 10).equals(Buffer.from('{"screen":'))) return before && { ...before, bytes: file };
    const end = file.indexOf('\n');
    const head = JSON.parse(file.toString('utf8', 0, end)) as { screen: number; pane: string; offset: number; cols: number; rows: number };
    if (head.screen !== FORMAT || head.pane !== pane) return null;
    return { offset: head.offset, cols: head.cols, rows: head.rows, bytes: file.subarray(end + 1) };
  } catch {
    return null;
  }
}
