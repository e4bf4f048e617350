import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openSqlite } from '../../../src/daemon/history/index/sqlite.ts';
import { answerOf, type SearchQuery } from '../../../src/daemon/history/search.ts';
import { searchJournals } from '../../../src/daemon/history/search-journals.ts';
import { journalFiles } from '../../../src/daemon/persistence/journal/files.ts';
import { vaultFrom } from '../../../src/daemon/persistence/vault/vault.ts';
import { found, SearchRig, texts } from './search-rig.ts';
import { anyBytes, SEED } from './streams.ts';

const newVault = () => vaultFrom({ isOn: true, keys: [{ id: randomBytes(8), key: randomBytes(32) }] });
/** As long as a block, and the same each time. */
const filler = (n: number, from = 0) => Array.from({ length: n }, (_, i) => `step ${from + i} of the build was cached\r\n`).join('');

/** Where npm could not build the optional driver and Node has none, everything is read instead: that much is tested everywhere. */
const indexed = test.skipIf(openSqlite(':memory:') === null);

for (const how of ['index', 'exact'] as const) {
  const open = (rig: SearchRig) => (how === 'index' ? rig.search() : rig.searchExactly());

  (how === 'index' ? indexed : test)(`${how}: a line is found in any session, and where it is`, async () => {
    await using rig = new SearchRig();
    rig.write(1, 'first\r\n\x1b[31mError:\x1b[m connect ECONNREFUSED 127.0.0.1:5432\r\nlast\r\n', 1000);
    rig.write(2, 'nothing here\r\n', 2000);
    rig.write(3, 'prompt$ curl\r\ncurl: ECONNREFUSED 127.0.0.1', 3000);
    expect(await open(rig).search({ pattern: 'ECONNREFUSED 127.0' })).toEqual({
      ok: true,
      matches: [
        { session: '$3', name: 'name-3', pane: '%3', offset: 14, end: 42, at: 3000, text: 'curl: ECONNREFUSED 127.0.0.1' },
        { session: '$1', name: 'name-1', pane: '%1', offset: 7, end: 59, at: 1000, text: 'Error: connect ECONNREFUSED 127.0.0.1:5432' },
      ],
      hasMore: false,
      isComplete: true,
      upTo: null,
      how,
      note: how === 'index' ? null : expect.stringMatching(/^All output was read, without the index: SQLite is not there/),
    });
  });

  (how === 'index' ? indexed : test)(
    `${how}: parts of words, punctuation and short patterns are found; letter case counts when there is a capital`,
    async () => {
      await using rig = new SearchRig();
      rig.write(1, 'std::vector<int>::push_back(const T&)\r\nMyClass->Do_It();\r\n漢字 and ÄÖÜ Σίσυφος ΟΔΟΣ\r\n');
      const index = open(rig);
      const lines = ['std::vector<int>::push_back(const T&)', 'MyClass->Do_It();', '漢字 and ÄÖÜ Σίσυφος ΟΔΟΣ'];
      const of = async (pattern: string) => (await texts(index, pattern)).map((text) => lines.indexOf(text)).sort();
      expect(await of('r<int>::push_b')).toEqual([0]);
      expect(await of('->do_it()')).toEqual([1]);
      expect(await of('->Do_it()')).toEqual([]);
      expect(await of('T&')).toEqual([0]);
      expect(await of('::')).toEqual([0]);
      expect(await of('字')).toEqual([2]);
      expect(await of('äöü')).toEqual([2]);
      expect(await of('οδος')).toEqual([2]);
      expect(await of('οδοσ')).toEqual([2]);
      expect(await of('ΣΊΣΥΦΟΣ')).toEqual([]);
      expect(await of(' ')).toEqual([0, 2]);
      expect(await of('"* OR NEAR(a')).toEqual([]);
    },
  );

  (how === 'index' ? indexed : test)(`${how}: of a progress bar there is what it showed last, and of a picture nothing`, async () => {
    await using rig = new SearchRig();
    rig.write(1, '10 %\r50 %\r\x1b[K100 % done\r\n\x1b[?1049h\x1b[Hsecret picture\x1b[?1049lafter\r\n');
    const index = open(rig);
    expect(await texts(index, '%')).toEqual(['100 % done']);
    expect(await texts(index, 'picture')).toEqual([]);
    expect(await texts(index, 'after')).toEqual(['after']);
  });

  (how === 'index' ? indexed : test)(`${how}: a session by id or name, a moment, a limit`, async () => {
    await using rig = new SearchRig();
    rig.journal(1, 'build');
    rig.journal(2, 'build');
    rig.journal(3, 'other');
    for (const n of [1, 2, 3]) for (let i = 0; i < 5; i++) rig.write(n, `hit ${n}.${i}\r\n`, 1000 * i + n);
    const index = open(rig);
    const all = { pattern: 'hit', limit: 1000 };
    expect(await texts(index, { ...all, session: '$3' })).toEqual(['hit 3.4', 'hit 3.3', 'hit 3.2', 'hit 3.1', 'hit 3.0']);
    expect(await texts(index, { ...all, session: '%3', since: 4000 })).toEqual(['hit 3.4']);
    expect((await texts(index, { ...all, session: 'build' })).slice(0, 3)).toEqual(['hit 2.4', 'hit 1.4', 'hit 2.3']);
    expect(await texts(index, { ...all, since: 4002 })).toEqual(['hit 3.4', 'hit 2.4']);
    expect(await found(index, { pattern: 'hit', limit: 2 })).toMatchObject({
      matches: [{ text: 'hit 3.4' }, { text: 'hit 2.4' }],
      hasMore: true,
      isComplete: true,
    });
    expect(await found(index, { ...all, limit: 15 })).toMatchObject({ hasMore: false });
    expect(await found(index, { ...all, session: 'none' })).toMatchObject({ matches: [], note: 'No session "none" has history' });
  });

  (how === 'index' ? indexed : test)(`${how}: of a long line the part around what was found is shown`, async () => {
    await using rig = new SearchRig();
    rig.write(1, `${'x'.repeat(30_000)}needle${'🙂'.repeat(2000)}\r\n`);
    const [text] = await texts(open(rig), 'needle');
    expect(text).toMatch(/^…x{250}needle🙂+…$/u);
    expect(text!.length).toBeLessThanOrEqual(1003);
  });

  (how === 'index' ? indexed : test)(`${how}: hostile patterns are looked for as they stand, or refused in words`, async () => {
    await using rig = new SearchRig();
    const odd = [
      'a"b"c',
      "it's",
      '"*"',
      'a* OR b',
      'NEAR(x y, 2)',
      'words: ^x',
      '%_%',
      '\\',
      '{a b}',
      '--',
      "'); DROP TABLE panes;--",
      'x'.repeat(4096),
    ];
    rig.write(1, odd.map((text) => `<${text}>\r\n`).join(''));
    const index = open(rig);
    for (const text of odd) expect((await texts(index, { pattern: `<${text.slice(0, 4090)}`, limit: 5 })).length).toBe(1);
    const problem = async (pattern: string, more = {}) => {
      const answer = await index.search({ pattern, ...more });
      return answer.ok ? null : answer.problem;
    };
    expect(await problem('')).toBe('The pattern is empty: say what to search for');
    expect(await problem('a\0b')).toBe('The pattern has the control character U+0000, which no line has');
    expect(await problem('a\nb')).toBe('The pattern has a line break, and lines are searched one by one: use a part of one line');
    expect(await problem('a\tb')).toMatch(/^The pattern has a tab/);
    expect(await problem('x'.repeat(100_000))).toMatch(/^The pattern has 100000 characters: use no more than 4096/);
    expect(await problem('\ud83d')).toMatch(/lone surrogate/);
    expect(await problem('a', { limit: 0 })).toBe('The limit is 0: use 1 to 1000');
    expect(await problem('a', { limit: 1001 })).toBe('The limit is 1001: use 1 to 1000');
    expect(await problem('a(', { isRegex: true })).toMatch(/^The pattern is no regular expression: .*Unterminated group/);
  });
}

const readAll = (rig: SearchRig, query: SearchQuery) => {
  const wanted = { limit: 1000, ...query };
  const { matches } = searchJournals(wanted, { places: rig.places, vault: null, report: () => {} });
  return answerOf(matches, wanted.limit);
};

indexed('index and exact find the same, whatever programs write and however it grows', async () => {
  const writes = fc.array(fc.tuple(fc.integer({ min: 1, max: 2 }), anyBytes(), fc.integer({ min: 0, max: 3 })), {
    minLength: 1,
    maxLength: 6,
  });
  const cut = fc.tuple(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 9 }));
  let compared = 0;
  let panes = 0;
  await using rig = new SearchRig();
  const index = rig.search();
  await fc.assert(
    fc.asyncProperty(writes, fc.array(cut, { minLength: 2, maxLength: 4 }), async (all, cuts) => {
      // Others than before, of the same index.
      rig.places.length = 0;
      const before = (panes += 2);
      for (const [i, [which, bytes, what]] of all.entries()) {
        const n = before + which;
        rig.write(n, bytes, 1000 + i);
        if (what === 1) await rig.journal(n).seal();
        if (what === 2) rig.journal(n).resized(20 + i, 24, 1000 + i);
        // It goes on from what it has, in the middle of whatever was written.
        if (what === 3) await found(index, { pattern: 'x', limit: 1000 });
      }
      const everything = readAll(rig, { pattern: '.', isRegex: true }).matches;
      for (const [line, from, length] of cuts) {
        const { text } = everything[line % Math.max(1, everything.length)] ?? { text: 'x' };
        const characters = [...text];
        const pattern = characters.slice(from % characters.length, (from % characters.length) + length).join('');
        const query = { pattern, limit: 1000 };
        const { how, isComplete, matches } = await found(index, query);
        expect([how, isComplete, matches]).toEqual(['index', true, readAll(rig, query).matches]);
        compared += matches.length;
      }
    }),
    { seed: SEED, numRuns: 150 },
  );
  expect(compared).toBeGreaterThan(100);
});

indexed('over many blocks too, with a cut, sealed and growing history', async () => {
  await using rig = new SearchRig();
  const index = rig.search();
  for (let part = 0; part < 4; part++) {
    rig.write(1, filler(30_000, part * 30_000), 1000 + part);
    rig.write(1, `unfinished ${part}`, 1000 + part);
    await found(index, 'unfinished');
  }
  rig.journal(1).dropOldest();
  for (const pattern of ['step 119999', 'step 7', 'cached', 'Step', '77', 'unfinished', 'were not kept']) {
    const { how, hasMore, matches } = await found(index, { pattern, limit: 1000 });
    expect([pattern, how, { hasMore, matches }]).toEqual([pattern, 'index', readAll(rig, { pattern })]);
  }
  expect(await texts(index, 'step 119999')).toHaveLength(1);
  expect(await texts(index, 'step 100 ')).toHaveLength(journalFiles(rig.places[0]!.folder).segments.length > 0 ? 1 : 0);
});

indexed('of programs that move the cursor instead of ending lines, every line is found, with its own time', async () => {
  await using rig = new SearchRig();
  const index = rig.search();
  for (let i = 0; i < 400; i++) rig.write(1, `\x1b[${1 + (i % 24)};3Hrow ${i} ${'of a picture '.repeat(150)}`, 1000 + i);
  const { how, matches } = await found(index, { pattern: 'row', limit: 1000 });
  expect([how, matches.length, matches]).toEqual(['index', 400, readAll(rig, { pattern: 'row' }).matches]);
  await index.caughtUp();
  expect(rows(rig, 'SELECT count(*) AS n FROM blocks')[0]!.n).toBeGreaterThan(4);
});

indexed('what was dropped for a budget is found no more', async () => {
  await using rig = new SearchRig();
  const index = rig.search();
  rig.write(1, `the oldest of all\r\n${'x'.repeat(700)}\r\n`);
  // Not compressible, so that there is more than one segment.
  for (let i = 0; i < 14; i++) rig.write(1, `${randomBytes(450_000).toString('hex')}\r\n`.replaceAll(/(.{200})/g, '$1\r\n'));
  await rig.journal(1).seal();
  expect(await texts(index, 'the oldest')).toEqual(['the oldest of all']);
  expect(rig.journal(1).dropOldest()).toBeGreaterThan(0);
  rig.write(1, 'the newest\r\n');
  expect(await texts(index, 'the oldest')).toEqual([]);
  expect(await texts(index, 'the newest')).toEqual(['the newest']);
});

indexed('in the background the index is built of what was touched, and a search finds it ready', async () => {
  await using rig = new SearchRig();
  rig.write(1, filler(20_000));
  const index = rig.search();
  index.touched(rig.places[0]!);
  await index.caughtUp();
  const [pane] = rows(rig, 'SELECT * FROM panes');
  expect(pane).toMatchObject({ session: '$1', pane: '%1', files: expect.stringMatching(/./) });
  expect(await texts(index, 'step 19999')).toEqual(['step 19999 of the build was cached']);
  expect(['', '-wal', '-shm'].map((ending) => statSync(rig.database + ending).mode & 0o777)).toEqual([0o600, 0o600, 0o600]);
  expect(rows(rig, 'PRAGMA auto_vacuum')).toEqual([{ auto_vacuum: 2 }]);
});

const rows = (rig: SearchRig, sql: string) => {
  const database = openSqlite(rig.database)!;
  try {
    return database.prepare(sql).all();
  } finally {
    database.close();
  }
};

indexed('when the daemon stops, what is being written is finished, and the next one goes on', async () => {
  await using rig = new SearchRig();
  rig.write(1, filler(100_000));
  const first = rig.search();
  first.touched(rig.places[0]!);
  const asked = first.search({ pattern: 'step' });
  await first[Symbol.asyncDispose]();
  const stopping = { ok: false, problem: 'The daemon is stopping: search again when it runs' };
  expect([await asked, await first.search({ pattern: 'step' })]).toEqual([stopping, stopping]);
  const next = rig.search();
  expect(await texts(next, 'step 99999')).toEqual(['step 99999 of the build was cached']);
  expect(await texts(next, 'step 7 ')).toHaveLength(1);
  expect(rig.warnings.filter((warning) => /damaged|broke/.test(warning))).toEqual([]);
});

indexed('a session that is forgotten, or is gone from the disk, leaves nothing in the index', async () => {
  await using rig = new SearchRig();
  const index = rig.search();
  for (const n of [1, 2, 3]) rig.write(n, filler(5000, n * 10_000));
  expect(await texts(index, 'step 10007 ')).toHaveLength(1);
  const [gone] = rig.places.splice(0, 1);
  await index.forget('$1');
  expect(rows(rig, 'SELECT session FROM panes ORDER BY id')).toEqual([{ session: '$2' }, { session: '$3' }]);
  expect(rows(rig, 'SELECT count(*) AS n FROM blocks WHERE pane = 1')).toEqual([{ n: 0 }]);
  expect(existsSync(gone!.folder)).toBe(true);
  // Nobody told of this one.
  const [removed] = rig.places.splice(0, 1);
  rmSync(removed!.folder, { recursive: true });
  expect(await texts(index, 'step 20007 ')).toEqual([]);
  expect(await texts(index, 'step 30007 ')).toHaveLength(1);
  await index[Symbol.asyncDispose]();
  expect(rows(rig, 'SELECT session FROM panes')).toEqual([{ session: '$3' }]);
});

indexed('another journal in the place of one is read from its beginning', async () => {
  await using rig = new SearchRig();
  const index = rig.search();
  rig.write(1, filler(20_000));
  expect(await texts(index, 'step 7 ')).toHaveLength(1);
  const [{ folder } = { folder: '' }] = rig.places;
  await rig.journal(1).close();
  rmSync(folder, { recursive: true });
  expect(await texts(index, 'step 7 ')).toEqual([]);
  await using other = new SearchRig();
  other.write(1, 'quite new\r\n');
  other.places[0] = { ...rig.places[0]!, folder: other.places[0]!.folder };
  const moved = rig.search({ places: () => other.places });
  expect(await texts(moved, 'new')).toEqual(['quite new']);
  expect(await texts(moved, 'step')).toEqual([]);
});

indexed('a search that cannot wait says what it has not seen', async () => {
  await using rig = new SearchRig();
  rig.write(1, 'early\r\n', 5000);
  const index = rig.search({ times: { waitMs: -1 } });
  index.touched(rig.places[0]!);
  await index.caughtUp();
  expect(await found(index, 'a')).toMatchObject({ matches: [{ text: 'early' }], isComplete: true, upTo: null });
  rig.write(1, 'late\r\n', 6000);
  expect(await found(index, 'a')).toMatchObject({
    ...{ matches: [{ text: 'early' }], how: 'index', isComplete: false, upTo: 5000 },
    note: 'The newest output of one pane is not in the index yet: try again soon',
  });
  await index.caughtUp();
  expect(await found(index, 'a')).toMatchObject({ matches: [{ text: 'late' }, { text: 'early' }], isComplete: true });
});

indexed('a damaged index is set aside, said, and built anew', async () => {
  for (const harm of ['header', 'middle', 'foreign', 'cut'] as const) {
    await using rig = new SearchRig();
    rig.write(1, filler(15_000));
    const first = rig.search();
    await texts(first, 'step 7 ');
    await first[Symbol.asyncDispose]();
    const { size } = statSync(rig.database);
    const bytes = readFileSync(rig.database);
    if (harm === 'header') writeFileSync(rig.database, bytes.fill(7, 0, 20));
    else if (harm === 'middle') writeFileSync(rig.database, bytes.fill(7, 4096));
    else if (harm === 'cut') truncateSync(rig.database, Math.floor(size / 3));
    else {
      rmSync(rig.database);
      const database = openSqlite(rig.database)!;
      database.exec('CREATE TABLE theirs (n INTEGER)');
      database.close();
    }
    const index = rig.search();
    expect([harm, await texts(index, 'step 14999')]).toEqual([harm, ['step 14999 of the build was cached']]);
    expect(await found(index, 'step 7 ')).toMatchObject({ how: 'index', isComplete: true, matches: [{}] });
    expect(rig.warnings).toEqual([
      expect.stringMatching(/^The search index ".*" is damaged \(.*\)\. It is ".*\.damaged" now, and is built anew\.$/),
    ]);
    expect(existsSync(`${rig.database}.damaged`)).toBe(true);
  }
});

indexed('an index of a newer version is left as it is, and everything is read', async () => {
  await using rig = new SearchRig();
  rig.write(1, 'a line\r\n');
  const first = rig.search();
  await texts(first, 'line');
  await first[Symbol.asyncDispose]();
  const database = openSqlite(rig.database)!;
  database.exec('PRAGMA journal_mode = DELETE; PRAGMA user_version = 99');
  database.close();
  const before = readFileSync(rig.database);
  const index = rig.search();
  const answer = await found(index, 'line');
  expect(answer).toMatchObject({ how: 'exact', isComplete: true, matches: [{ text: 'a line' }] });
  expect(answer.note).toMatch(/has version 99 of a newer ai-session, and is left as it is$/);
  expect(Buffer.compare(readFileSync(rig.database), before)).toBe(0);
});

test('with encryption there is no index, an old one goes away, and everything is read', async () => {
  await using plain = new SearchRig();
  plain.write(1, 'in plain\r\n');
  await texts(plain.search(), 'plain');
  expect(existsSync(plain.database)).toBe(true);
  await using rig = new SearchRig({ vault: newVault() });
  rig.write(1, 'sealed line\r\n');
  const index = rig.search({ paths: plain.paths });
  expect(existsSync(plain.database) || existsSync(`${plain.database}-wal`)).toBe(false);
  expect(rig.said).toEqual(['The search index was removed: history is encrypted now, and an index is not.']);
  index.touched(rig.places[0]!);
  expect(await found(index, 'sealed')).toMatchObject({
    ...{ how: 'exact', isComplete: true, matches: [{ text: 'sealed line' }] },
    note: 'All output was read, without the index: History is encrypted, and an index would not be',
  });
  await index.forget('$1');
  expect(existsSync(plain.database)).toBe(false);
});

test('a regular expression is searched in all lines, with the same rule for letter case', async () => {
  await using rig = new SearchRig();
  rig.write(1, 'GET /api/users/17 200\r\nPOST /api/users 500\r\nget /other 404\r\n');
  const index = rig.search();
  const of = (pattern: string) => texts(index, { pattern, isRegex: true });
  expect(await of('^get')).toEqual(['get /other 404', 'GET /api/users/17 200']);
  expect(await of('^GET')).toEqual(['GET /api/users/17 200']);
  expect(await of('\\S+ /api\\/users\\S* \\d+$')).toEqual(['POST /api/users 500', 'GET /api/users/17 200']);
  expect(await of('\\-x|[4-5]0\\d')).toEqual(['get /other 404', 'POST /api/users 500']);
});

test('a pattern that never ends is stopped, and what was found before is there', async () => {
  await using rig = new SearchRig();
  rig.write(1, `${'b'.repeat(10)}\r\n`, 1000);
  rig.write(2, `aaa\r\n${'a'.repeat(60)}!\r\n`, 2000);
  const index = rig.search({ times: { stallMs: 1500 } });
  const answer = await found(index, { pattern: '^(a+)+$|^b', isRegex: true });
  expect(answer).toMatchObject({ how: 'exact', isComplete: false });
  expect(answer.note).toMatch(/A line of pane %\d took longer than 1\.5 s: use a simpler pattern/);
  // The next one is not held up.
  expect(await texts(index, { pattern: '^b', isRegex: true })).toEqual(['b'.repeat(10)]);
});

indexed('a pane that cannot be read is said, and all others are searched', async () => {
  await using rig = new SearchRig();
  rig.write(1, filler(2000));
  const folder = join(rig.paths.home, 'not-a-folder');
  writeFileSync(folder, '');
  rig.places.push({ ...rig.places[0]!, session: '$9', pane: '%9', folder });
  const index = rig.search();
  const answer = await found(index, 'step 77 ');
  expect(answer).toMatchObject({ how: 'exact', isComplete: false, matches: [{ text: 'step 77 of the build was cached' }] });
  expect(answer.note).toMatch(/ENOTDIR.*A part of history could not be read$/);
  rig.places.pop();
  expect(await found(index, 'step 77 ')).toMatchObject({ how: 'index', isComplete: true });
});

indexed('a thread that breaks is begun again, and what it did not answer is read; after three times it is given up', async () => {
  await using rig = new SearchRig();
  rig.write(1, filler(2000));
  const index = rig.search();
  /** The next thread ends before it has done anything. */
  const breakNext = () => process.once('worker', (worker) => void worker.terminate());
  breakNext();
  expect(await found(index, 'step 77 ')).toMatchObject({ how: 'exact', isComplete: true, matches: [{ at: 1000 }] });
  expect(await found(index, 'step 77 ')).toMatchObject({ how: 'index', isComplete: true, matches: [{ at: 1000 }] });
  const other = rig.search();
  for (let times = 0; times < 3; times++) {
    breakNext();
    expect(await found(other, 'step 77 ')).toMatchObject({ how: 'exact', matches: [{ at: 1000 }] });
  }
  const answer = await found(other, 'step 77 ');
  expect(answer).toMatchObject({ how: 'exact', isComplete: true, matches: [{ at: 1000 }] });
  expect(answer.note).toMatch(/The search index's thread broke 3 times/);
});

test('a folder that cannot be written to has no index, and is searched all the same', async () => {
  if (process.getuid?.() === 0) return;
  await using rig = new SearchRig();
  rig.write(1, 'a line\r\n');
  const index = rig.search();
  chmodSync(rig.paths.metadata, 0o500);
  expect(await found(index, 'line')).toMatchObject({ how: 'exact', matches: [{ text: 'a line' }] });
  chmodSync(rig.paths.metadata, 0o700);
});
