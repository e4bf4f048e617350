import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Log } from '../../../src/base/log.ts';
import { RuleBook } from '../../../src/daemon/status/rule-book.ts';
import { RuleWatch } from '../../../src/daemon/status/rule-watch.ts';
import { Inbox } from '../../support/inbox.ts';

let home: string;
let agents: string;
let changes: Inbox<{ isFirst: boolean }>;
let warnings: string[];
let book: RuleBook;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'rules-'));
  agents = join(home, 'agents');
  changes = new Inbox();
  warnings = [];
  const log = { warn: (message: string) => warnings.push(message) } as unknown as Log;
  book = new RuleBook({ userFolder: agents, log, changed: (isFirst) => changes.put({ isFirst }) });
});

afterEach(() => {
  vi.restoreAllMocks();
  book[Symbol.dispose]();
  rmSync(home, { recursive: true, force: true });
});

const text = (name: string, id = 'mine') => `id: ${id}\nagent: ${name}\nprograms: [my-agent]\n`;
const names = () => book.rules!.agents.filter(({ origin }) => origin === 'user').map(({ agent }) => agent);

/** Reads what there is, and goes on when a change is noticed. */
async function begin() {
  book.begin();
  expect(await changes.next()).toEqual({ isFirst: true });
}

async function write(file: string, words: string) {
  writeFileSync(join(agents, file), words);
  expect(await changes.next()).toEqual({ isFirst: false });
}

test('rules are read when they are needed, and once more when a file changes', async () => {
  mkdirSync(agents);
  writeFileSync(join(agents, 'mine.yaml'), text('One'));
  expect([book.rules, changes.all]).toEqual([null, []]);
  await begin();
  expect([names(), book.rules!.agents.map(({ id }) => id).includes('claude'), book.problems]).toEqual([['One'], true, []]);
  await write('mine.yaml', text('Two'));
  expect(names()).toEqual(['Two']);
  // As editors save.
  writeFileSync(join(agents, 'mine.yaml~'), text('Three'));
  renameSync(join(agents, 'mine.yaml~'), join(agents, 'mine.yaml'));
  expect(await changes.next()).toEqual({ isFirst: false });
  expect(names()).toEqual(['Three']);
  rmSync(join(agents, 'mine.yaml'));
  expect(await changes.next()).toEqual({ isFirst: false });
  expect(names()).toEqual([]);
});

test('a folder that is made later is noticed, and one that was taken away and made again', async () => {
  await begin();
  expect(names()).toEqual([]);
  for (const name of ['One', 'Two']) {
    mkdirSync(agents);
    await write('mine.yml', text(name));
    expect(names()).toEqual([name]);
    rmSync(agents, { recursive: true });
    expect(await changes.next()).toEqual({ isFirst: false });
    expect(names()).toEqual([]);
  }
});

test('a change that is heard while the rules are read counts, also when somebody cannot wait for them', async () => {
  mkdirSync(agents);
  writeFileSync(join(agents, 'mine.yaml'), text('One'));
  // The moment at which a change is heard has to be ours.
  let hear = () => {};
  vi.spyOn(RuleWatch.prototype, 'begin').mockImplementation(async (_, { changed }) => {
    hear = changed;
  });
  book.begin();
  await turn();
  expect(book.rules).toBe(null);
  writeFileSync(join(agents, 'mine.yaml'), text('Two'));
  hear();
  book.readNow();
  expect([names(), changes.all]).toEqual([['One'], [{ isFirst: true }]]);
  await changes.next();
  expect(await changes.next()).toEqual({ isFirst: false });
  expect(names()).toEqual(['Two']);
});

test('a file that is wrong keeps its last good rules, and takes the place of none that were built in', async () => {
  mkdirSync(agents);
  await begin();
  await write('claude.yaml', 'id: claude\nagent: ???\nprograms: [x]\nprogram: [x]\n');
  const wrong = 'agents/claude.yaml: the file: no key "program"; did you mean "programs"?';
  expect([book.problems, names()]).toEqual([[expect.stringContaining(`${wrong}; the built-in rules stay`)], []]);
  await write('claude.yaml', text('My Claude', 'claude'));
  expect([book.problems, names()]).toEqual([[], ['My Claude']]);
  await write('claude.yaml', '{{{');
  expect([book.problems, names()]).toEqual([
    [expect.stringMatching(/^agents\/claude\.yaml: not YAML: .*; the last good rules of this file stay$/)],
    ['My Claude'],
  ]);
  await write('claude.yaml', '}}}');
  expect(names()).toEqual(['My Claude']);
  // What is wrong is written to the log once.
  expect(warnings.length).toBe(3);
});

test('what is no file, or far too long, is told and never waited for', () => {
  mkdirSync(join(agents, 'folder.yaml'), { recursive: true });
  execFileSync('mkfifo', [join(agents, 'pipe.yaml')]);
  writeFileSync(join(agents, 'long.yaml'), '#'.repeat(1 << 20));
  writeFileSync(join(agents, 'mine.yaml'), text('One'));
  expect(book.problems).toEqual([
    'agents/folder.yaml: it cannot be read (it is no file)',
    'agents/pipe.yaml: it cannot be read (it is no file)',
    'agents/long.yaml: it has more than 65536 characters; make it shorter',
  ]);
  expect(names()).toEqual(['One']);
});
