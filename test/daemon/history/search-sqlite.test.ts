import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { isDamage, openSqlite, type Sqlite, type SqliteDriver, unavailable } from '../../../src/daemon/history/index/sqlite.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
const newFile = () => {
  const folder = mkdtempSync(join(tmpdir(), 'ais-sqlite-'));
  folders.push(folder);
  return join(folder, 'a.db');
};
const opened = (driver: SqliteDriver): Sqlite => openSqlite(newFile(), [driver])!;

const DRIVERS: SqliteDriver[] = ['node:sqlite', 'better-sqlite3'];
const present = DRIVERS.filter((driver) => {
  const database = openSqlite(':memory:', [driver]);
  database?.close();
  return database !== null;
});

test('there is a driver, Node\u2019s own first', () => {
  const database = openSqlite(newFile());
  expect(database?.driver).toBe(present[0]);
  database?.close();
});

test('without any, one is told what to do', () => {
  expect(openSqlite(newFile(), [])).toBe(null);
  expect(unavailable()).toMatch(
    /^SQLite is not there \(node:sqlite.*better-sqlite3.*\)\. Use Node 22\.13 or newer, or: npm install better-sqlite3$/,
  );
});

test.each(present)('%s: values come back as they were', (driver) => {
  const database = opened(driver);
  database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, x REAL, s TEXT, b BLOB)');
  const insert = database.prepare('INSERT INTO t (n, x, s, b) VALUES (?, ?, ?, ?)');
  expect(insert.run(2 ** 53 - 1, 0.5, 'é漢🙂', Uint8Array.of(0, 255))).toEqual({ changes: 1, lastInsertRowid: 1 });
  expect(insert.run(null, null, null, Buffer.alloc(0))).toEqual({ changes: 1, lastInsertRowid: 2 });
  expect(database.prepare('SELECT * FROM t ORDER BY id').all()).toStrictEqual([
    { id: 1, n: 2 ** 53 - 1, x: 0.5, s: 'é漢🙂', b: Uint8Array.of(0, 255) },
    { id: 2, n: null, x: null, s: null, b: new Uint8Array(0) },
  ]);
  const byNumber = database.prepare('SELECT s FROM t WHERE n = ?');
  expect([byNumber.get(2 ** 53 - 1), byNumber.get(1)]).toStrictEqual([{ s: 'é漢🙂' }, undefined]);
  expect(database.prepare('UPDATE t SET x = 1').run().changes).toBe(2);
  database.close();
  database.close();
});

test.each(present)('%s: a transaction is whole or nothing, and returns what its work returns', (driver) => {
  const database = opened(driver);
  database.exec('CREATE TABLE t (n INTEGER UNIQUE)');
  const insert = database.prepare('INSERT INTO t VALUES (?)');
  const twice = () => [7, 7].map((n) => insert.run(n));
  expect(() => database.transaction(twice)).toThrow('UNIQUE');
  expect(database.prepare('SELECT count(*) AS n FROM t').get()).toEqual({ n: 0 });
  expect(database.transaction(() => insert.run(7).changes)).toBe(1);
  expect(database.prepare('SELECT n FROM t').all()).toEqual([{ n: 7 }]);
  database.close();
});

test.each(present)('%s: what the index needs is built in', (driver) => {
  const database = opened(driver);
  database.exec("CREATE VIRTUAL TABLE t USING fts5 (words, content='', contentless_delete=1, detail=none, tokenize='ascii')");
  const insert = database.prepare('INSERT INTO t (rowid, words) VALUES (?, ?)');
  insert.run(5, 'aa bb ');
  insert.run(9, 'bb cc ');
  const having = database.prepare('SELECT rowid FROM t WHERE t MATCH ?');
  expect(having.all('"bb"')).toEqual([{ rowid: 5 }, { rowid: 9 }]);
  expect(having.all('"bb" AND "aa"')).toEqual([{ rowid: 5 }]);
  expect(database.prepare('DELETE FROM t WHERE rowid = ?').run(5).changes).toBe(1);
  expect(having.all('"bb"')).toEqual([{ rowid: 9 }]);
  database.close();
});

test.each(present)('%s: a file that is no database is told from a statement that is wrong', (driver) => {
  const damage = (work: () => unknown) => {
    try {
      work();
    } catch (error) {
      return isDamage(error);
    }
    return null;
  };
  const file = newFile();
  writeFileSync(file, 'this is no database, however long it may be. '.repeat(100));
  expect(damage(() => openSqlite(file, [driver])!.exec('PRAGMA journal_mode = WAL'))).toBe(true);
  const database = opened(driver);
  expect(damage(() => database.exec('SELECT * FROM nothing'))).toBe(false);
  expect(damage(() => openSqlite('/nonexistent/folder/a.db', [driver]))).toBe(false);
  database.close();
});

test.each(present)('%s: nothing is said on stderr, and other warnings still are', async (driver) => {
  const module = join(import.meta.dirname, '../../../dist/daemon/history/index/sqlite.js');
  const program = `
    const { openSqlite } = await import(process.argv[1]);
    openSqlite(':memory:', [process.argv[2]]).close();
    process.emitWarning('something else');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, module, driver], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk) => (said += chunk));
  await new Promise((resolve) => child.once('close', resolve));
  expect(said).toMatch(/^\(node:\d+\) Warning: something else\n\(Use `node --trace-warnings[^\n]*\n$/);
});
