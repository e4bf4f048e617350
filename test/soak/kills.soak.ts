import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, type TestContext, test } from 'vitest';
import type { Entry } from '../../src/daemon/persistence/journal/entry.ts';
import { openKeyring } from '../../src/daemon/persistence/vault/keys.ts';
import type { Vault } from '../../src/daemon/persistence/vault/vault.ts';
import type { SessionInfo } from '../../src/wire/calls.ts';
import type { Puppet } from '../support/puppet.ts';
import { Rig } from '../support/rig.ts';
import {
  chooseSeed,
  countUntil,
  daemonsOf,
  ended,
  entriesOf,
  expectFlood,
  floodUntil,
  journalHead,
  kill,
  readAll,
  seededRandom,
  shownAfter,
  shownBy,
  textOf,
  throughDaemons,
  until,
} from './tools.ts';

const KILLS = Number(process.env.SOAK_KILLS ?? 100);
/** What is killed next to: so much more in the flood's journal, or so many more inputs that were acknowledged. */
const MOST_BYTES = 1 << 20;
const MOST_INPUTS = 8;

type Kind = 'plain' | 'encrypted';

/** Makes the home what it is to be, and returns what reads its journals. */
async function prepare(context: TestContext, rig: Rig, kind: Kind): Promise<Vault | null> {
  if (kind === 'plain') return null;
  const { code, stderr } = await rig.run(['encryption', 'enable']);
  if (code !== 0) context.skip(`"ai-session encryption enable" does not work here: ${stderr.split('\n')[0]}`);
  return (await openKeyring(rig.home, {}))!.vault;
}

for (const kind of ['plain', 'encrypted'] as const) {
  test(`${kind}: ${KILLS} daemons are killed, and nobody misses a byte`, async (context) => {
    // An end that somebody saw would be taken out of the list.
    await using rig = await Rig.start({ config: 'sessions:\n  keep_ended: always\n' });
    const vault = await prepare(context, rig, kind);
    const random = seededRandom(chooseSeed());
    const first = await rig.connect();
    const stop = join(rig.home, 'stop');
    const create = (name: string, command: string[]) =>
      first.call('session.create', { name, command, cwd: rig.home, env: rig.environment, cols: 90, rows: 30 });
    const flood = await create('flood', floodUntil(stop));
    const slow = await create('slow', countUntil(stop));
    const sized = await create('sized', countUntil(stop));
    const { session: echo, puppet } = await rig.puppet(first, { name: 'echo', cols: 90, rows: 30 });
    puppet.reads();
    first.close();

    let isOver = false;
    const typist = new Typist(rig, echo, () => isOver);
    // People come and go at the pace of one who types, so that the daemon has time for the flood.
    const pace = async () => {
      const next = typist.acknowledged.length + 4;
      await until(() => isOver || typist.acknowledged.length >= next);
    };
    const watchers = watchAll(rig, { flood, slow, sized }, { random, pace, isOver: () => isOver });
    const heard = collectLines(puppet);
    let kills = 0;
    while (kills < KILLS) {
      const isByOutput = random(3) > 0;
      const head = journalHead(rig, flood) + random(MOST_BYTES);
      const acknowledged = typist.acknowledged.length + random(MOST_INPUTS);
      await until(() => (isByOutput ? journalHead(rig, flood) >= head : typist.acknowledged.length >= acknowledged));
      for (const pid of daemonsOf(rig)) if (kill(pid)) kills++;
    }
    isOver = true;
    await Promise.all([typist.done, watchers]);
    // The end of what was typed, so that everything before it has been heard.
    await throughDaemons(rig, async (client) => {
      await client.call('pane.write', { session: echo.id, input: ['over'], as: 'text', enter: true });
      return 'done';
    });
    const lines = await heard;
    puppet.exit(5);
    writeFileSync(stop, '');

    const ends = [];
    for (const session of [flood, slow, sized, echo]) ends.push(await ended(rig, session));
    expect(ends.map(({ status, exitCode }) => `${status} ${exitCode}`)).toEqual(['exited 7', 'exited 3', 'exited 3', 'exited 5']);

    const all = readAll(rig, flood, vault);
    const counted = readAll(rig, slow, vault);
    console.log(
      `${kind}: ${kills} kills, ${all.bytes} bytes of flood, ${counted.bytes} of the slow one, ` +
        `${all.gaps + counted.gaps} gaps, ${all.duplicates + counted.duplicates} duplicates`,
    );
    // Without the keys nothing of it is to be read.
    if (vault) expect(readAll(rig, slow).bytes).toBe(0);
    expect({ gaps: all.gaps, duplicates: all.duplicates }).toEqual({ gaps: 0, duplicates: 0 });
    const floodLines = expectFlood(all);
    const numbers = textOf(counted).trimEnd().split('\r\n');
    expect(numbers).toEqual(numbers.map((_, i) => `number ${i + 1}`));
    expect([counted.gaps, counted.duplicates]).toEqual([0, 0]);

    const sent = typist.report(lines);
    console.log(
      `${kind}: ${floodLines} lines of flood, ${numbers.length} slow ones, ` +
        `${sent.acknowledged} inputs acknowledged, ${sent.heard} heard, ${sent.twice} twice, ${sent.lost} lost`,
    );
    expect(sent).toMatchObject({ twice: 0, isInOrder: true, lost: 0 });

    const client = await rig.connect();
    expect(await shownBy(client, slow)).toEqual(shownAfter(entriesOf(rig, slow, vault), slow));
    expect(await shownBy(client, flood)).toEqual(shownAfter(entriesOf(rig, flood, vault), flood));
    // Its sizes are in its journal too.
    const { cols, rows } = await client.call('session.get', { session: sized.id });
    expect(lastSize(entriesOf(rig, sized, vault))).toEqual({ cols, rows });
    expect(await shownBy(client, sized)).toEqual(shownAfter(entriesOf(rig, sized, vault), { cols: 90, rows: 30 }));
  });
}

function lastSize(entries: Iterable<Entry>): { cols: number; rows: number } | null {
  let size = null;
  for (const entry of entries) if (entry.is === 'resize') size = { cols: entry.cols, rows: entry.rows };
  return size;
}

/** Types numbered lines, one after the other, each once: a call that was not answered may have been heard or not. */
class Typist {
  readonly acknowledged: string[] = [];
  readonly done: Promise<void>;
  #typed = 0;

  constructor(rig: Rig, { id }: SessionInfo, isOver: () => boolean) {
    this.done = throughDaemons(rig, async (client) => {
      if (isOver()) return 'done';
      const line = `typed ${++this.#typed}`;
      await client.call('pane.write', { session: id, input: [line], as: 'text', enter: true });
      this.acknowledged.push(line);
      // A person at the keyboard, not a flood: what waits for a daemon is a call or two.
      await delay(2);
      return 'again';
    });
  }

  report(lines: readonly string[]) {
    const numbers = lines.filter((line) => line.startsWith('typed ')).map((line) => Number(line.slice(6)));
    const heard = new Set(lines);
    return {
      acknowledged: this.acknowledged.length,
      heard: numbers.length,
      twice: numbers.length - new Set(numbers).size,
      isInOrder: numbers.every((number, i) => i === 0 || number > numbers[i - 1]!),
      lost: this.acknowledged.filter((line) => !heard.has(line)).length,
    };
  }
}

/** Everything that the program reads, up to the last line. */
async function collectLines(puppet: Puppet): Promise<string[]> {
  let text = '';
  while (!text.endsWith('over\n')) text += (await puppet.input(1)).toString('latin1');
  return text.split('\n').slice(0, -1);
}

/** People come and go: some only look, some bring a terminal of another size and change that too. */
async function watchAll(
  rig: Rig,
  { flood, slow, sized }: Record<'flood' | 'slow' | 'sized', SessionInfo>,
  { random, pace, isOver }: { random: (below: number) => number; pace: () => Promise<void>; isOver: () => boolean },
): Promise<void> {
  const size = () => ({ cols: 40 + random(100), rows: 10 + random(40) });
  const look = (session: SessionInfo) =>
    throughDaemons(rig, async (client) => {
      if (isOver()) return 'done';
      const watcher = await rig.watch(client, session.id, { readOnly: true, ...size() });
      const frames = 1 + random(10);
      await watcher.shows(() => watcher.frames.length >= frames);
      await watcher.detach();
      watcher.screen.dispose();
      await pace();
      return 'again';
    });
  const change = throughDaemons(rig, async (client) => {
    if (isOver()) return 'done';
    const watcher = await rig.watch(client, sized.id, size());
    for (let n = random(4); n > 0; n--) {
      const { cols, rows } = size();
      await watcher.resize(cols, rows);
      const seen = watcher.frames.length;
      await watcher.shows(() => watcher.frames.length > seen);
    }
    await client.call('pane.resize', { session: sized.id, ...size() });
    await watcher.detach();
    watcher.screen.dispose();
    await pace();
    return 'again';
  });
  await Promise.all([look(flood), look(slow), change]);
}
