import { createRequire } from 'node:module';

/** The little that is needed of SQLite, alike whichever driver there is. */
export interface Sqlite {
  /** Of SQLite itself, such as `3.53.0`. */
  readonly version: string;
  readonly driver: 'node:sqlite' | 'better-sqlite3';
  exec(sql: string): void;
  prepare(sql: string): Statement;
  /** All of it or nothing. It takes the right to write at once, so it cannot fail for that in the middle. Not within another. */
  transaction<T>(work: () => T): T;
  /** Twice is once. */
  close(): void;
}

export interface Statement {
  run(...values: SqlValue[]): { changes: number; lastInsertRowid: number };
  get(...values: SqlValue[]): Row | undefined;
  all(...values: SqlValue[]): Row[];
}

/** Numbers must be safe integers where they go into columns of INTEGER. */
export type SqlValue = string | number | null | Uint8Array;
export type Row = Record<string, SqlValue>;

/** Somebody else's write is waited for. There is one daemon, but one that is ending and the next may meet. */
const BUSY_MS = 5000;

export type SqliteDriver = Sqlite['driver'];

/** Drivers from the best on: Node's own needs no compiler and no ABI that fits. */
const DRIVERS: readonly SqliteDriver[] = ['node:sqlite', 'better-sqlite3'];

/** Opens a file, or makes one. Null when this machine has no driver; `unavailable` says why. Throws what SQLite says of the file. */
export function openSqlite(path: string, drivers: readonly SqliteDriver[] = DRIVERS): Sqlite | null {
  for (const driver of drivers) {
    const found = load(driver);
    if ('open' in found) return found.open(path);
  }
  return null;
}

/** Why no driver could be loaded, in a sentence. */
export function unavailable(): string {
  const reasons = DRIVERS.map((driver) => {
    const found = load(driver);
    return 'why' in found ? `${driver}: ${found.why}` : driver;
  });
  return `SQLite is not there (${reasons.join('; ')}). Use Node 22.13 or newer, or: npm install better-sqlite3`;
}

/** What SQLite says of a file that is no database, or no longer one. Anything else (a full disk, a lock) passes, and the file is good. */
export function isDamage(error: unknown): boolean {
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  // Extended codes have the plain one in their low byte.
  if (typeof errcode === 'number') return [CORRUPT, NOT_A_DATABASE].includes(errcode & 0xff);
  return typeof code === 'string' && /^SQLITE_(CORRUPT|NOTADB)/.test(code);
}

const CORRUPT = 11;
const NOT_A_DATABASE = 26;

/** What both drivers have in common, nearly. */
interface Database {
  exec(sql: string): unknown;
  prepare(sql: string): Prepared;
  close(): unknown;
}

interface Prepared {
  run(...values: SqlValue[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  get(...values: SqlValue[]): unknown;
  all(...values: SqlValue[]): unknown[];
}

interface NodeSqlite {
  DatabaseSync: new (path: string) => Database;
}

type BetterSqlite3 = new (path: string) => Database;

type Loaded = { open(path: string): Sqlite } | { why: string };

const require = createRequire(import.meta.url);
const loaded = new Map<SqliteDriver, Loaded>();

function load(driver: SqliteDriver): Loaded {
  let found = loaded.get(driver);
  if (found) return found;
  try {
    const create = driver === 'node:sqlite' ? nodeSqlite() : betterSqlite3();
    found = { open: (path) => wrap(driver, create(path)) };
  } catch (error) {
    found = { why: (error as Error).message.split('\n')[0]! };
  }
  loaded.set(driver, found);
  return found;
}

function nodeSqlite(): (path: string) => Database {
  // Node 22 says on stderr that it is experimental, while it is loaded. What we use of it has not changed since.
  const { emitWarning } = process;
  const quiet = (...args: unknown[]) => {
    if (!/SQLite is an experimental feature/.test(String(args[0]))) Reflect.apply(emitWarning, process, args);
  };
  process.emitWarning = quiet as typeof process.emitWarning;
  try {
    const { DatabaseSync } = require('node:sqlite') as NodeSqlite;
    return (path) => new DatabaseSync(path);
  } finally {
    process.emitWarning = emitWarning;
  }
}

function betterSqlite3(): (path: string) => Database {
  const Better = require('better-sqlite3') as BetterSqlite3;
  // Its native part is loaded with the first database: now, so that one which does not fit this Node is known as such.
  new Better(':memory:').close();
  return (path) => new Better(path);
}

function wrap(driver: SqliteDriver, database: Database): Sqlite {
  let isOpen = true;
  const sqlite: Sqlite = {
    version: '',
    driver,
    exec: (sql) => void database.exec(sql),
    prepare: (sql) => wrapStatement(database.prepare(sql)),
    transaction(work) {
      database.exec('BEGIN IMMEDIATE');
      let result: ReturnType<typeof work>;
      try {
        result = work();
        database.exec('COMMIT');
      } catch (error) {
        // A full disk has ended it already.
        try {
          database.exec('ROLLBACK');
        } catch {}
        throw error;
      }
      return result;
    },
    close() {
      if (isOpen) database.close();
      isOpen = false;
    },
  };
  try {
    sqlite.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
    const version = String(sqlite.prepare('SELECT sqlite_version() AS version').get()!.version);
    return Object.assign(sqlite, { version });
  } catch (error) {
    sqlite.close();
    throw error;
  }
}

function wrapStatement(prepared: Prepared): Statement {
  return {
    run(...values) {
      const { changes, lastInsertRowid } = prepared.run(...values);
      return { changes: Number(changes), lastInsertRowid: Number(lastInsertRowid) };
    },
    // Copies: rows of node:sqlite have no prototype, and blobs of better-sqlite3 are Buffers, which compare differently.
    get: (...values) => rowOf(prepared.get(...values)),
    all: (...values) => prepared.all(...values).map((row) => rowOf(row)!),
  };
}

function rowOf(found: unknown): Row | undefined {
  if (found === undefined || found === null) return undefined;
  const row = { ...(found as Row) };
  for (const [name, value] of Object.entries(row)) {
    if (Buffer.isBuffer(value)) row[name] = new Uint8Array(value.buffer, value.byteOffset, value.length);
  }
  return row;
}
