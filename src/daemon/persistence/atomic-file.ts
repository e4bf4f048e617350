import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';

/** Replaces a file so that a reader, or the next start after a crash of ours, finds the old content or the new and never a part. */
export function writeFileAtomic(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.${process.pid}.new`;
  try {
    const fd = openSync(temporary, 'w', 0o600);
    try {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content;
      for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    // A write by descriptor names no file; whoever is told that the disk is full wants to know which.
    throw Object.assign(error as NodeJS.ErrnoException, { path });
  }
}
