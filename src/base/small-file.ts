import { readFileSync, statSync } from 'node:fs';

/** The text of a file that somebody named; null if it has more bytes than that. A pipe would be waited for, and a device has no end. */
export function readSmallFile(path: string, limitBytes: number): string | null {
  const stat = statSync(path);
  if (!stat.isFile()) throw new Error('it is no file');
  return stat.size > limitBytes ? null : readFileSync(path, 'utf8');
}
