import { existsSync, readlinkSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_FOLDER } from '../../base/package.ts';

const NATIVE = join(PACKAGE_FOLDER, 'native', 'bin', 'report');
const PORTABLE = join(PACKAGE_FOLDER, 'bin', 'ai-session-report');

/**
 * Puts the program that hooks run in its place. Programs know it by that path, and outlive the package that they were started by: an upgrade
 * may move it.
 */
export function placeReporter(path: string): void {
  const program = existsSync(NATIVE) ? NATIVE : PORTABLE;
  if (targetOf(path) === program) return;
  const next = `${path}.${process.pid}`;
  symlinkSync(program, next);
  renameSync(next, path);
}

function targetOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}
