import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../output.ts';

/** Somebody else's settings, as they are on the disk. */
export interface SettingsFile {
  /** As it is called. */
  path: string;
  /** Where it is: settings that are kept elsewhere are linked to, and the link stays. */
  place: string;
  /** Null: there is none. */
  text: string | null;
  /** Null: as new files are. */
  mode: number | null;
}

/** Nobody's settings are this big, and they are read whole. */
const LIMIT_BYTES = 8 << 20;

export function readSettings(path: string): SettingsFile {
  try {
    const place = placeOf(path);
    const found = place === null ? null : read(path, place);
    return { path, place: place ?? path, text: found?.text ?? null, mode: found?.mode ?? null };
  } catch (error) {
    throw sentence(error, `"${path}" cannot be read`);
  }
}

/** Writes it whole or not at all, or removes it. Refuses when it has changed since it was read: agents write their settings, too. */
export function writeSettings({ path, place, text: before, mode }: SettingsFile, text: string | null): void {
  const temporary = `${place}.${process.pid}.new`;
  try {
    mkdirSync(dirname(place), { recursive: true });
    if (text !== null) {
      const fd = openSync(temporary, 'wx', mode === null ? 0o666 : 0o600);
      try {
        if (mode !== null) fchmodSync(fd, mode);
        writeFileSync(fd, text);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
    }
    if (readSettings(path).text !== before)
      throw new UsageError(`"${path}" was changed meanwhile. Nothing was changed; try again.`, EXIT.failure);
    if (text === null) rmSync(place);
    else renameSync(temporary, place);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw sentence(error, `"${path}" cannot be written`);
  }
}

/** Through symbolic links, also one whose file is not there yet. Null: there is nothing. */
function placeOf(path: string): string | null {
  try {
    return realpathSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const link = lstatSync(path, { throwIfNoEntry: false });
  return link?.isSymbolicLink() ? resolve(dirname(path), readlinkSync(path)) : null;
}

function read(path: string, place: string): { text: string; mode: number } | null {
  let fd: number;
  try {
    // A pipe would be waited for.
    fd = openSync(place, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    const about = fstatSync(fd);
    if (!about.isFile()) throw new UsageError(`"${path}" is no file. Move what is there out of the way, and try again.`);
    if (about.size > LIMIT_BYTES) throw new UsageError(`"${path}" has ${about.size} bytes, more than settings have. Nothing was changed.`);
    const bytes = readFileSync(fd);
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), mode: about.mode & 0o7777 };
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(`"${path}" is not UTF-8 text. Write it anew as UTF-8, and try again.`);
    throw error;
  } finally {
    closeSync(fd);
  }
}

function sentence(error: unknown, what: string): Error {
  if (error instanceof UsageError || !(error instanceof Error) || !('code' in error)) return error as Error;
  const isDenied = error.code === 'EACCES' || error.code === 'EPERM' || error.code === 'EROFS';
  const advice = isDenied ? 'Make it yours, or ask whoever keeps it.' : 'Nothing was changed.';
  return new UsageError(`${what} (${error.code}). ${advice}`, isDenied ? EXIT.denied : EXIT.failure);
}
