import { closeSync, constants, fstatSync, fsyncSync, openSync, readdirSync, readFileSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { writeFileAtomic } from '../atomic-file.ts';
import { VaultError } from './cipher.ts';

/** More than any keyring or key file has. */
const LIMIT_BYTES = 1 << 20;

/** A file that only we can read, whole; null when there is none. Throws VaultError `unsafe`, `unusable` or `unavailable`. */
export function readPrivate(path: string, what: 'keyring' | 'key file'): Buffer | null {
  let fd: number;
  try {
    // A pipe of that name must not stop us.
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    if (code === 'ELOOP' || code === 'EMLINK')
      throw new VaultError(
        'unsafe',
        `The ${what} "${path}" is a symbolic link, which somebody else may control. Put the file itself there.`,
      );
    throw new VaultError('unavailable', `The ${what} "${path}" cannot be read: ${message}.`);
  }
  try {
    // The open file is looked at, so that nobody swaps it between the look and the reading.
    const found = fstatSync(fd);
    const us = process.geteuid?.() ?? 0;
    if (!found.isFile()) throw new VaultError('unsafe', `The ${what} "${path}" is not a file. Move it away and try again.`);
    if (found.uid !== us)
      throw new VaultError(
        'unsafe',
        `The ${what} "${path}" belongs to user ${found.uid}, not to you (${us}). If you trust it, fix it with: chown ${us} "${path}"`,
      );
    if (found.mode & 0o077)
      throw new VaultError(
        'unsafe',
        `The ${what} "${path}" is open to others (mode ${(found.mode & 0o777).toString(8)}). Fix it with: chmod 600 "${path}"`,
      );
    if (found.size > LIMIT_BYTES) throw new VaultError('unusable', `The ${what} "${path}" is too large (${found.size} bytes).`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Where a file waits for its place while the one that it replaces is still needed. */
export function staged(path: string): string {
  return `${path}.next`;
}

/** On disk, content and name, when this returns: a rename alone can be there before what was written. */
export function writeDurably(path: string, content: string | Uint8Array): void {
  writeFileAtomic(path, content);
  syncToDisk(path);
  syncToDisk(dirname(path));
}

/** Puts a staged file in its place in one step. */
export function settle(path: string): void {
  renameSync(staged(path), path);
  syncToDisk(dirname(path));
}

/** Removes what changes that were killed left beside a file: staged ones and parts of them. */
export function sweep(path: string): void {
  const isLeftOver = (name: string) =>
    name.startsWith(basename(path)) && /^(\.next)?(\.\d+\.new)?$/.test(name.slice(basename(path).length));
  let names: string[] = [];
  try {
    names = readdirSync(dirname(path)).filter((name) => name !== basename(path) && isLeftOver(name));
  } catch {
    // A key file's folder may be on a disk that was taken out.
  }
  for (const name of names) removeIfPossible(join(dirname(path), name));
}

/** For what does no harm where it is. */
export function removeIfPossible(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Not there, or a folder, or on a disk that is read only by now.
  }
}

/** Also by two paths, over a link. */
export function isSameFile(path: string, other: string): boolean {
  const [one, two] = [path, other].map((each) => statSync(each, { throwIfNoEntry: false }));
  return path === other || (one !== undefined && two !== undefined && one.dev === two.dev && one.ino === two.ino);
}

export function syncToDisk(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
