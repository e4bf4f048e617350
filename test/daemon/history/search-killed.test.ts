import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openSqlite } from '../../../src/daemon/history/index/sqlite.ts';
import { found, SearchRig } from './search-rig.ts';

const folder = join(import.meta.dirname, '../../../dist/daemon/history/index');

/** Indexes a pane, and is killed before the n-th statement that writes. Prints how many there were when there are fewer. */
const PROGRAM = `
const { folder, file, place, n } = JSON.parse(process.argv[1]);
const { openIndex } = await import(folder + '/index-database.js');
const { IndexStore } = await import(folder + '/index-store.js');
const { indexPane } = await import(folder + '/index-pane.js');
const sqlite = openIndex(file, (message) => { throw new Error(message); });
let writes = 0;
const step = () => { if (++writes === n) process.kill(process.pid, 'SIGKILL'); };
const { prepare, exec } = sqlite;
sqlite.exec = (sql) => { if (/COMMIT/.test(sql)) step(); exec(sql); };
sqlite.prepare = (sql) => {
  const statement = prepare(sql);
  return { ...statement, run: (...values) => { step(); return statement.run(...values); } };
};
for (const _ of indexPane(new IndexStore(sqlite), place)) {}
console.log(writes);
`;

/** Null when it was killed, else how many writes there were. */
async function indexKilled(rig: SearchRig, n: number): Promise<number | null> {
  const argument = JSON.stringify({ folder, file: rig.database, place: rig.places[0], n });
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, argument], { stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.on('data', (chunk) => (printed += chunk));
  const [code, signal] = await new Promise<[number | null, string | null]>((done) => child.once('close', (...how) => done(how)));
  if (signal === 'SIGKILL') return null;
  expect([code, signal]).toEqual([0, null]);
  return Number(printed);
}

test.skipIf(openSqlite(':memory:') === null)(
  'killed at any write, and again and again, the index goes on from there: nothing is missing, and nothing is there twice',
  async () => {
    await using rig = new SearchRig();
    const lines = 150_000;
    for (let i = 0; i < lines; i += 5000)
      rig.write(1, Array.from({ length: 5000 }, (_, j) => `line ${i + j} of many, with ${(i + j) * 7919} in it\r\n`).join(''), 1000 + i);
    rig.search();
    let [kills, writes] = [0, null as number | null];
    for (const n of [1, 2, 3, 20, 34, 35, 36, 37, 38, 50, 60, 1_000_000]) {
      writes = await indexKilled(rig, n);
      if (writes !== null) break;
      kills++;
      // What is in the file is good at some of these moments; at the others nobody looks before the next.
      if (kills % 3 === 0) expect(blocksOf(rig).filter(({ start, previous }) => start !== previous)).toEqual([]);
    }
    expect([kills > 5, writes !== null]).toEqual([true, true]);
    const blocks = blocksOf(rig);
    expect(blocks.length).toBeGreaterThan(30);
    expect(blocks.filter(({ start, previous }) => start !== previous)).toEqual([]);
    const index = rig.search();
    for (const i of [0, 1, 49_999, 77_777, lines - 1]) {
      const { matches, how, isComplete } = await found(index, `line ${i} of many, with`);
      expect([i, how, isComplete, matches.map(({ text }) => text)]).toEqual([
        i,
        'index',
        true,
        [`line ${i} of many, with ${i * 7919} in it`],
      ]);
    }
    expect(rig.warnings).toEqual([]);
  },
);

/** Each begins where the one before has ended. */
function blocksOf(rig: SearchRig): { start: number; previous: number; until: number }[] {
  const database = openSqlite(rig.database)!;
  try {
    let previous = 0;
    return database
      .prepare('SELECT start, until FROM blocks ORDER BY until')
      .all()
      .map(({ start, until }) => {
        const block = { start: Number(JSON.parse(String(start)).offset), previous, until: Number(until) };
        previous = block.until;
        return block;
      });
  } finally {
    database.close();
  }
}
