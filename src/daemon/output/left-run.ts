import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Paths } from '../../config/paths.ts';
import { runFile } from '../session/shell.ts';
import type { CommandRecord } from './command-file.ts';

/** A run that an earlier daemon was at work on when it was lost: its text is still there. */
export interface LeftRun {
  token: string;
  file: string;
  text: string;
  /** When the shell has begun it. */
  command: CommandRecord | null;
  /** It was taken away from the shell, which had not begun it. */
  isDropped: boolean;
}

/** What ended while no daemon lived is heard within this time, also where the time of a run was over meanwhile. */
export const HEARD_MS = 500;

/** A text has 2^20 characters of UTF-16 at most, each of which takes up to three bytes, and a newline. */
const LIMIT_BYTES = 3 * (1 << 20) + 1;

/**
 * What is left of a pane's runs: one at most, since the next is typed when the one before has ended. What has ended by the records, and had only
 * not been removed yet, is removed now.
 */
export function leftRun(paths: Paths, pane: string, known: readonly CommandRecord[]): LeftRun | null {
  const files = filesOf(paths, pane).sort((a, b) => b.at - a.at);
  let left: LeftRun | null = null;
  for (const { file, token } of files) {
    const text: string | null = left || known.some((command) => command.token === token && command.endedAt !== null) ? null : read(file);
    if (text === null) removeRunFile(file);
    else left = { token, file, text: text.replace(/\n$/, ''), command: null, isDropped: false };
  }
  return left;
}

/** Before something is typed where no shell of ours reads it: then nobody can tell later what became of it, and it must not be typed again. */
export function markInside(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.inside`, '', { mode: 0o600 });
}

/** Whether an earlier daemon was about to type it there, or had. */
export function wasInside(file: string): boolean {
  return existsSync(`${file}.inside`);
}

/** With what a shell that has to tell for itself is given. */
export function removeRunFile(file: string): void {
  for (const path of [file, `${file}.run`, `${file}.inside`]) {
    try {
      rmSync(path, { force: true });
    } catch {
      // Somebody has put something else there.
    }
  }
}

function filesOf(paths: Paths, pane: string): { file: string; token: string; at: number }[] {
  const folder = dirname(runFile(paths, pane, ''));
  const prefix = basename(runFile(paths, pane, ''));
  try {
    return readdirSync(folder).flatMap((name) => {
      const token = name.startsWith(prefix) ? name.slice(prefix.length) : '';
      const found = /^[0-9a-f]{16}$/.test(token) ? lstatSync(join(folder, name), { throwIfNoEntry: false }) : undefined;
      return found ? [{ file: join(folder, name), token, at: found.mtimeMs }] : [];
    });
  } catch {
    // No shell was ever started here.
    return [];
  }
}

/** Null for anything but a file of ours: a FIFO of that name would be waited for. */
function read(file: string): string | null {
  try {
    const found = lstatSync(file);
    return found.isFile() && found.size <= LIMIT_BYTES ? readFileSync(file, 'utf8') : null;
  } catch {
    return null;
  }
}
