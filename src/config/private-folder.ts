import { chmodSync, existsSync, lstatSync, mkdirSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import type { Paths } from './paths.ts';

/** A folder or socket that somebody else could have put there, or could reach. The message says which and what to do. */
export class UnsafePathError extends Error {
  override readonly name = 'UnsafePathError';
}

/**
 * Makes the home and its run folder, or refuses. `mkdir` with a mode does nothing to a folder that exists, which is how sockets are squatted,
 * so what is there is looked at: ours, no symlink, and nobody else's bits. The daemon asks before it listens and the client before it connects.
 */
export function makePrivateFolders({ home, run }: Paths): void {
  makeFolder(home);
  makeFolder(run);
  checkHome(home);
  checkPrivate(run, 'folder');
}

/** With its parents. Not by mkdir's own recursion, which never ends under /proc (Node 20, 22). */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || existsSync(dirname(folder))) throw error;
    makeFolder(dirname(folder));
    mkdirSync(folder, { mode: 0o700 });
  }
}

/** Whether a socket can be trusted; null when there is none. */
export function checkSocket({ run, socket, home }: Paths): 'present' | null {
  checkHome(home);
  // Either may vanish between two looks, while a daemon stops.
  return checkPrivate(run, 'folder') && checkPrivate(socket, 'socket') ? 'present' : null;
}

function checkHome(home: string): void {
  // The home itself may be a symlink (to a bigger disk), but nobody else may be able to swap what is in it.
  const found = look(home);
  if (!found) return;
  const mode = found.isSymbolicLink() ? null : found.mode;
  if (found.uid !== uid())
    throw new UnsafePathError(
      `Folder "${home}" belongs to user ${found.uid}, not to you (${uid()}). Set AI_SESSION_HOME to a folder of your own.`,
    );
  if (mode !== null && mode & 0o022)
    throw new UnsafePathError(`Folder "${home}" can be written by others. Fix it with: chmod go-w "${home}"`);
}

/** False when there is nothing of that name. */
function checkPrivate(path: string, what: 'folder' | 'socket'): boolean {
  const found = look(path);
  if (!found) return false;
  const isRight = what === 'folder' ? found.isDirectory() : found.isSocket();
  if (found.isSymbolicLink())
    throw new UnsafePathError(`"${path}" is a symbolic link, which somebody else may control. Remove it and try again.`);
  if (!isRight) throw new UnsafePathError(`"${path}" is not a ${what}. Remove it and try again.`);
  if (found.uid !== uid())
    throw new UnsafePathError(
      `The ${what} "${path}" belongs to user ${found.uid}, not to you (${uid()}). Remove it, or set AI_SESSION_HOME to a folder of your own.`,
    );
  if (found.mode & 0o077)
    throw new UnsafePathError(
      `The ${what} "${path}" is open to others (mode ${(found.mode & 0o777).toString(8)}). Fix it with: chmod go= "${path}"`,
    );
  return true;
}

function look(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch (error) {
    // ENOTDIR: a file stands where a folder above should be, so there is nothing here either.
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

function uid(): number {
  return process.geteuid?.() ?? 0;
}

/** A folder for data in the home, made private on each use. */
export function makeDataFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
}
