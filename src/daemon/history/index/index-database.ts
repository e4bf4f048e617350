import { closeSync, existsSync, openSync, readSync, renameSync, rmSync } from 'node:fs';
import { isDamage, openSqlite, type Sqlite, type SqliteDriver, unavailable } from './sqlite.ts';

/** The index cannot be used, and why. The file is as it was. */
export class NoIndexError extends Error {
  override readonly name = 'NoIndexError';
}

/**
 * Each brings the file from the version of its number to the next. A version that was released is never changed.
 *
 * The index does not have the lines, it says where they may be: `blocks` are pieces of a pane's output that begin at a resume point, and
 * `grams` has, for each of them, every three bytes that stand together in its lines. What is found there is read in the journal. Rows with
 * the lines' text took 1.8 times the raw output with unicode61, which finds no parts of words, and 3.9 times with trigram; this takes 0.1.
 */
const MIGRATIONS = [
  `CREATE TABLE panes (
     id INTEGER PRIMARY KEY,
     session TEXT NOT NULL,
     pane TEXT NOT NULL,
     folder TEXT NOT NULL,
     done TEXT NOT NULL,        -- JSON, the resume point up to which blocks are whole
     tail INTEGER,              -- the block behind it, which is made anew when there is more output
     files TEXT NOT NULL,       -- the journal's files when the tail was made, '' when there is more to read
     upto INTEGER NOT NULL,     -- the time of what was read last
     UNIQUE (session, pane)
   );
   CREATE TABLE blocks (
     id INTEGER PRIMARY KEY,
     pane INTEGER NOT NULL,
     start TEXT NOT NULL,       -- JSON, a resume point
     until INTEGER NOT NULL,    -- the offset of the next; of a tail, where output ended
     newest INTEGER NOT NULL    -- the time of its newest line
   );
   CREATE INDEX blocks_of_pane ON blocks (pane, until);
   CREATE VIRTUAL TABLE grams USING fts5 (words, content='', contentless_delete=1, detail=none, tokenize='ascii');`,
];

/** The database, of this version. Throws NoIndexError when it cannot be used; one that is damaged is set aside, and `warn` is told. */
export function openIndex(file: string, warn: (message: string) => void, drivers?: readonly SqliteDriver[]): Sqlite {
  try {
    return open(file, drivers);
  } catch (error) {
    if (!isIndexDamage(error)) throw error instanceof NoIndexError ? error : new NoIndexError((error as Error).message);
    setAside(file, error as Error, warn);
    return open(file, drivers);
  }
}

/** What is in the file is not what was written to it. */
export function isIndexDamage(error: unknown): boolean {
  return error instanceof OtherContentError || isDamage(error);
}

/** The file gets another name. Nothing in it is needed, but it may be somebody's whom we do not know. */
export function setAside(file: string, error: Error, warn: (message: string) => void): void {
  const aside = `${file}.damaged`;
  renameSync(file, aside);
  // What was not in the file yet belongs to it, and would be taken for the new one's.
  for (const ending of ['-wal', '-shm']) rmSync(`${file}${ending}`, { force: true });
  warn(`The search index "${file}" is damaged (${error.message}). It is "${aside}" now, and is built anew.`);
}

/** All that there is of it. */
export function indexFiles(file: string): string[] {
  return [file, `${file}-wal`, `${file}-shm`, `${file}-journal`, `${file}.damaged`].filter((path) => existsSync(path));
}

/** It is a database, and not one of ours. */
class OtherContentError extends Error {}

function open(file: string, drivers: readonly SqliteDriver[] | undefined): Sqlite {
  const version = versionInHeader(file);
  if (version > MIGRATIONS.length) throw newer(file, version);
  // SQLite makes its files with the mode that this one has.
  closeSync(openSync(file, 'a', 0o600));
  const sqlite = openSqlite(file, drivers);
  if (sqlite === null) throw new NoIndexError(unavailable());
  try {
    const { user_version } = sqlite.prepare('PRAGMA user_version').get()!;
    // Written, but not yet in the file itself.
    if (Number(user_version) > MIGRATIONS.length) throw newer(file, Number(user_version));
    // Before the first table: what is removed gives its room back.
    if (user_version === 0) sqlite.exec('PRAGMA auto_vacuum = INCREMENTAL');
    sqlite.exec(`PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;
      PRAGMA journal_size_limit = ${WAL_LIMIT_BYTES};
      PRAGMA cache_size = -${CACHE_KIB};
      PRAGMA secure_delete = ON;`);
    migrate(sqlite, Number(user_version));
    check(sqlite);
    return sqlite;
  } catch (error) {
    sqlite.close();
    throw error;
  }
}

function migrate(sqlite: Sqlite, from: number): void {
  if (from === 0 && sqlite.prepare('SELECT 1 FROM sqlite_master').get() !== undefined)
    throw new OtherContentError('it has tables of somebody else');
  for (let version = from; version < MIGRATIONS.length; version++) {
    sqlite.transaction(() => {
      sqlite.exec(MIGRATIONS[version]!);
      sqlite.exec(`PRAGMA user_version = ${version + 1}`);
    });
  }
}

/** A file of the right version that has not what it should. */
function check(sqlite: Sqlite): void {
  const names = sqlite.prepare("SELECT name FROM sqlite_master WHERE name IN ('panes', 'blocks', 'grams')").all();
  if (names.length !== 3) throw new OtherContentError('a table is missing');
}

/** Before SQLite touches it. 0 when there is no file, or when it is too short to have one. */
function versionInHeader(file: string): number {
  if (!existsSync(file)) return 0;
  const fd = openSync(file, 'r');
  try {
    const header = Buffer.alloc(100);
    if (readSync(fd, header, 0, 100, 0) < 100 || !header.subarray(0, 16).equals(MAGIC)) return 0;
    return header.readUInt32BE(60);
  } finally {
    closeSync(fd);
  }
}

function newer(file: string, version: number): NoIndexError {
  return new NoIndexError(`The search index "${file}" has version ${version} of a newer ai-session, and is left as it is`);
}

const MAGIC = Buffer.from('SQLite format 3\0');
const WAL_LIMIT_BYTES = 16 << 20;
const CACHE_KIB = 8 << 10;
