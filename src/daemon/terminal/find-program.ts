import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { type PtySpec, SpawnError } from './pty.ts';

/** Where execvp looks when there is no PATH (glibc, confstr(_CS_PATH)). */
const DEFAULT_PATH = '/bin:/usr/bin';

/**
 * The file that starting this spec will execute. Throws SpawnError with the reason when it cannot work, so that a mistyped name is told in
 * the same words by every backend; node-pty would otherwise show it as a program that printed an error and ended with 1. The answer is a
 * forecast: what exec says in the end counts.
 */
export function findProgram(spec: PtySpec): string {
  const command = spec.argv[0];
  for (const text of [...spec.argv, ...Object.entries(spec.env).flat(), spec.cwd]) {
    if (text.includes('\0')) throw new SpawnError('failed', `A NUL byte cannot be passed to a program: ${JSON.stringify(text)}`);
  }
  checkDirectory(spec.cwd);
  if (command === '') throw new SpawnError('no-such-command', 'No such command: ""');
  if (command.includes('/')) {
    const file = resolve(spec.cwd, command);
    const found = look(file);
    if (found === 'missing') throw new SpawnError('no-such-command', `No such command: "${command}"`);
    if (found === 'refused') throw new SpawnError('not-executable', `Not executable: "${command}"`);
    checkInterpreter(file, command, spec.cwd);
    return file;
  }
  let isRefused = false;
  // An empty part of PATH is the current directory, as POSIX has it.
  for (const directory of (spec.env.PATH ?? DEFAULT_PATH).split(':')) {
    const file = resolve(spec.cwd, directory, command);
    const found = look(file);
    if (found === 'refused') isRefused = true;
    if (found !== 'executable') continue;
    checkInterpreter(file, command, spec.cwd);
    return file;
  }
  if (isRefused) throw new SpawnError('not-executable', `Not executable: "${command}"`);
  throw new SpawnError('no-such-command', `No such command: "${command}"`);
}

function checkDirectory(directory: string): void {
  try {
    if (!statSync(directory).isDirectory()) throw new SpawnError('no-such-directory', `Not a directory: "${directory}"`);
    accessSync(directory, constants.X_OK);
  } catch (error) {
    if (error instanceof SpawnError) throw error;
    const isDenied = (error as NodeJS.ErrnoException).code === 'EACCES';
    throw new SpawnError('no-such-directory', `${isDenied ? 'Not allowed to enter directory' : 'No such directory'}: "${directory}"`);
  }
}

function look(file: string): 'executable' | 'refused' | 'missing' {
  try {
    if (!statSync(file).isFile()) return 'refused';
    accessSync(file, constants.X_OK);
    return 'executable';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? 'refused' : 'missing';
  }
}

/** A script whose `#!` names a program that is not there fails with the ENOENT of the script itself, which would mislead. */
function checkInterpreter(file: string, command: string, cwd: string): void {
  let line: string;
  try {
    const fd = openSync(file, constants.O_RDONLY);
    try {
      // Linux reads 256 bytes of the line (BINPRM_BUF_SIZE).
      const start = Buffer.alloc(256);
      line = start.toString('utf8', 0, readSync(fd, start, 0, start.length, 0)).split('\n', 1)[0] ?? '';
    } finally {
      closeSync(fd);
    }
  } catch {
    // A program may be executable without being readable.
    return;
  }
  const interpreter = /^#![ \t]*([^ \t\0]+)/.exec(line)?.[1];
  if (interpreter === undefined || look(resolve(cwd, interpreter)) === 'executable') return;
  throw new SpawnError('not-executable', `Not executable: "${command}" (its first line asks for "${interpreter}", which is not there)`);
}
