import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { bestCodec } from '../../../../src/daemon/persistence/journal/codec.ts';
import type { Entry } from '../../../../src/daemon/persistence/journal/entry.ts';
import { journalFiles } from '../../../../src/daemon/persistence/journal/files.ts';
import { Journal, type JournalHost } from '../../../../src/daemon/persistence/journal/journal.ts';
import { sizeAt } from '../../../../src/daemon/persistence/journal/reader.ts';
import { resealSegments } from '../../../../src/daemon/persistence/journal/reseal.ts';
import { type SealJob, sealTails } from '../../../../src/daemon/persistence/journal/seal.ts';
import { readFrames } from '../../../../src/daemon/persistence/journal/segment.ts';
import { type Vault, vaultFrom } from '../../../../src/daemon/persistence/vault/vault.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const newFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), 'ais-journal-'));
  folders.push(folder);
  return join(folder, 'journal');
};
const newVault = () => vaultFrom({ isOn: true, keys: [{ id: randomBytes(8), key: randomBytes(32) }] });
const codec = bestCodec(3);

/** Seals at once, where the daemon does it on a thread; `isIdle` leaves the tails lying. */
class Bench implements JournalHost {
  readonly vault: Vault | null;
  isIdle = false;
  readonly jobs: SealJob[] = [];
  readonly trouble: (string | null)[] = [];
  readonly damage: string[] = [];
  readonly safe: number[] = [];
  constructor(vault: Vault | null = null) {
    this.vault = vault;
  }
  async seal(job: SealJob): Promise<void> {
    this.jobs.push(job);
    if (!this.isIdle) sealTails(job, { codec, vault: this.vault });
  }
  isDirty(): void {}
  hasGrown(): void {}
  open(folder: string, { whenFull = 'block' }: { whenFull?: 'block' | 'gap' } = {}): Journal {
    return Journal.open({
      folder,
      purpose: 'journal|$1|%1',
      cols: 80,
      rows: 24,
      host: this,
      whenFull: () => whenFull,
      onTrouble: (error) => this.trouble.push(error?.message ?? null),
      onDamage: (path, error) => this.damage.push(`${path}: ${error.message}`),
      onSafe: (offset) => this.safe.push(offset),
    });
  }
}

const bytesOf = (entries: Iterable<Entry>) => Buffer.concat([...entries].flatMap((entry) => (entry.is === 'output' ? [entry.bytes] : [])));
const gapsOf = (entries: Iterable<Entry>) =>
  [...entries].flatMap((entry) => (entry.is === 'gap' ? [{ from: entry.offset, to: entry.to, because: entry.because }] : []));
/** Neither compressible nor alike anywhere. */
const POOL = Buffer.from(Uint32Array.from({ length: 26 << 20 }, (_, i) => i * 2_654_435_761).map((n) => n >>> 24));
const output = (length: number, from = 0) => POOL.subarray(from, from + length);
/** `toEqual` walks a Buffer key by key. */
const same = (got: Uint8Array, wanted: Uint8Array) => {
  expect(got.length).toBe(wanted.length);
  expect(Buffer.compare(got, wanted)).toBe(0);
};

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('append' as const), length: fc.integer({ min: 1, max: 3000 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('append' as const), length: fc.constant(400_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('resize' as const), length: fc.integer({ min: 1, max: 500 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('type' as const), length: fc.integer({ min: 1, max: 500 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('crash' as const), length: fc.integer({ min: 0, max: 300 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('seal' as const), length: fc.constant(0) }) },
);

for (const kind of ['plain', 'encrypted'] as const) {
  test(`${kind}: whatever happens to the daemon, every byte is there once and in order`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.infiniteStream(fc.nat()), async (steps, picks) => {
        const folder = newFolder();
        const bench = new Bench(kind === 'encrypted' ? newVault() : null);
        let journal = bench.open(folder);
        let written = 0;
        for (const { do: what, length } of steps) {
          if (what === 'append') {
            journal.append(written, output(length, written), 1000 + written);
            written += length;
          } else if (what === 'resize') journal.resized(length, 24);
          else if (what === 'type') journal.typed(length);
          else if (what === 'seal') await journal.seal();
          else {
            await journal.close();
            // Torn in the middle of what was written last; the holder has all that was not acknowledged.
            const live = journalFiles(folder).tails.at(-1);
            if (live) truncateSync(live.path, Math.max(72, statSync(live.path).size - length));
            journal = bench.open(folder);
            expect(journal.end).toBeLessThanOrEqual(written);
            const lost = journal.end;
            if (lost < written) journal.append(lost, output(written - lost, lost));
            expect(journal.end).toBe(written);
          }
        }
        same(bytesOf(journal.read()), output(written));
        expect(gapsOf(journal.read())).toEqual([]);
        expect(bench.damage).toEqual([]);
        // Any part of it, as it is asked for.
        const [a, b] = [picks.next().value % (written + 1), picks.next().value % (written + 1)].sort((x, y) => x - y) as [number, number];
        same(bytesOf(journal.read({ from: a, to: b })), output(b - a, a));
        await journal.close();
      }),
      { numRuns: 40 },
    );
  });

  test(`${kind}: a tail cut at any byte is good up to its last whole record`, async () => {
    const folder = newFolder();
    const bench = new Bench(kind === 'encrypted' ? newVault() : null);
    const journal = bench.open(folder);
    for (let at = 0; at < 60; at += 20) journal.append(at, output(20, at));
    await journal.close();
    const [tail] = journalFiles(folder).tails;
    const whole = readFileSync(tail!.path);
    const ends = new Set<number>();
    for (let size = whole.length; size >= 72; size--) {
      rmSync(folder, { recursive: true });
      mkdirSync(folder);
      writeFileSync(tail!.path, whole.subarray(0, size));
      const again = bench.open(folder);
      ends.add(again.end);
      expect(again.end % 20).toBe(0);
      again.append(again.end, output(100 - again.end, again.end));
      same(bytesOf(again.read()), output(100));
      await again.close();
    }
    expect([...ends]).toEqual([60, 40, 20, 0]);
    expect(bench.damage).toEqual([]);
  });

  test(`${kind}: one byte changed anywhere in a tail is never taken for output`, async () => {
    const bench = new Bench(kind === 'encrypted' ? newVault() : null);
    const folder = newFolder();
    bench.isIdle = true;
    const journal = bench.open(folder);
    for (let at = 0; at < 60; at += 20) journal.append(at, output(20, at));
    await journal.close();
    const { path } = journalFiles(folder).tails[0]!;
    const whole = readFileSync(path);
    for (let at = 72; at < whole.length; at++) {
      const changed = Buffer.from(whole);
      changed[at]! ^= 1 << (at % 8);
      writeFileSync(path, changed);
      const again = bench.open(folder);
      // What is missing is said, or is asked of the holder again.
      const kept = [...again.read()];
      for (const entry of kept) if (entry.is === 'output') same(entry.bytes, output(entry.bytes.length, entry.offset));
      const told = bytesOf(kept).length + gapsOf(kept).reduce((sum, { from, to }) => sum + to - from, 0);
      expect(told).toBe(again.end);
      await again.close();
      for (const { path } of journalFiles(folder).tails.slice(1)) rmSync(path);
    }
  });
}

test('a damaged frame becomes a gap, and what is around it is read', async () => {
  const folder = newFolder();
  const bench = new Bench();
  const journal = bench.open(folder);
  for (let at = 0; at < 3000; at += 1000) {
    journal.append(at, output(1000, at), 5000);
    await journal.seal();
  }
  const [segment] = journalFiles(folder).segments;
  const whole = readFileSync(segment!.path);
  for (const [part, at] of [
    ['header', Math.floor(whole.length / 3) + 30],
    ['content', Math.floor(whole.length / 3) + 200],
  ] as const) {
    const changed = Buffer.from(whole);
    changed[at]! ^= 4;
    writeFileSync(segment!.path, changed);
    const entries = [...bench.open(folder).read()];
    expect(gapsOf(entries), part).toEqual([{ from: 1000, to: 2000, because: 'damage' }]);
    same(bytesOf(entries), Buffer.concat([output(1000), output(1000, 2000)]));
  }
  // What comes next goes into another file: nothing of this one is overwritten.
  const next = bench.open(folder);
  next.append(3000, output(10, 3000));
  await next.seal();
  expect(journalFiles(folder).segments).toHaveLength(1);
  writeFileSync(segment!.path, Buffer.concat([whole, Buffer.from('torn')]));
  const after = bench.open(folder);
  after.append(after.end, output(10, after.end));
  await after.seal();
  same(readFileSync(segment!.path), Buffer.concat([whole, Buffer.from('torn')]));
  await journal.close();
});

test('a crash at each step of sealing leaves every byte once', async () => {
  const folder = newFolder();
  const bench = new Bench();
  bench.isIdle = true;
  const journal = bench.open(folder);
  journal.append(0, output(500));
  await journal.seal();
  journal.append(500, output(500, 500));
  await journal.close();
  const [first] = journalFiles(folder).tails;
  const kept = readFileSync(first!.path);
  sealTails({ folder, purpose: 'journal|$1|%1', tail: first!.tail }, { codec, vault: null });
  const sealed = readFileSync(journalFiles(folder).segments[0]!.path);
  // After the frame, before the tail was removed.
  writeFileSync(first!.path, kept);
  same(bytesOf(bench.open(folder).read()), output(1000));
  // In the middle of the frame.
  for (let size = 0; size < sealed.length; size += 7) {
    writeFileSync(journalFiles(folder).segments[0]!.path, sealed.subarray(0, size));
    writeFileSync(first!.path, kept);
    const again = bench.open(folder);
    expect(again.end).toBe(1000);
    same(bytesOf(again.read()), output(1000));
  }
});

test('a tail that was sealed and not removed is not gone on with', async () => {
  const folder = newFolder();
  const bench = new Bench();
  bench.isIdle = true;
  const journal = bench.open(folder);
  journal.append(0, output(500));
  await journal.close();
  const [tail] = journalFiles(folder).tails;
  const kept = readFileSync(tail!.path);
  const job = { folder, purpose: 'journal|$1|%1', tail: tail!.tail };
  sealTails(job, { codec, vault: null });
  writeFileSync(tail!.path, kept);
  const after = bench.open(folder);
  after.append(500, output(500, 500));
  same(bytesOf(after.read()), output(1000));
  await after.close();
  sealTails({ ...job, tail: job.tail + 1 }, { codec, vault: null });
  expect(readFrames(journalFiles(folder).segments[0]!.path).frames).toHaveLength(2);
  same(bytesOf(bench.open(folder).read()), output(1000));
});

test('it is read while it is written and sealed', async () => {
  const folder = newFolder();
  const bench = new Bench();
  const journal = bench.open(folder);
  journal.append(0, output(1000));
  const reading = journal.read();
  const got: Entry[] = [reading.next().value!];
  await journal.seal();
  journal.append(1000, output(1000, 1000));
  got.push(reading.next().value!);
  await journal.seal();
  journal.append(2000, output(1000, 2000));
  got.push(...reading);
  same(bytesOf(got), output(3000));
  await journal.close();
});

test('a tail that grows and ends while it is read is read to its end', async () => {
  const bench = new Bench();
  bench.isIdle = true;
  const journal = bench.open(newFolder());
  journal.append(0, output(100_000));
  const reading = journal.read();
  const got: Entry[] = [reading.next().value!];
  for (let at = 100_000; at < 2_500_000; at += 60_000) journal.append(at, output(60_000, at));
  got.push(...reading);
  same(bytesOf(got), output(2_500_000));
  await journal.close();
});

test('budgets drop the oldest, and a reader is told', async () => {
  const folder = newFolder();
  const bench = new Bench();
  const journal = bench.open(folder);
  const noise = randomBytes(24 << 20);
  for (let at = 0; at < noise.length; at += 65_536) journal.append(at, noise.subarray(at, at + 65_536), at);
  await journal.seal();
  expect(journalFiles(folder).segments.length).toBeGreaterThan(2);
  const before = journal.stored.bytes;
  const freed = journal.dropOldest(99);
  expect(journal.stored.bytes).toBe(before - freed);
  const entries = [...journal.read()];
  const [gap] = gapsOf(entries);
  expect(gap).toMatchObject({ from: 0, because: 'budget' });
  same(bytesOf(entries), noise.subarray(gap!.to));
  await journal.close();
  // The next daemon knows it too, and where the journal ends, even when nothing else is left.
  const again = bench.open(folder);
  while (again.dropOldest() > 0);
  expect(bench.open(folder).end).toBe(noise.length);
});

test('sizes and moments are found again', async () => {
  const folder = newFolder();
  const bench = new Bench();
  const journal = bench.open(folder);
  journal.append(0, output(10), 1000);
  journal.resized(100, 30, 1500);
  await journal.seal();
  journal.append(10, output(10, 10), 2000);
  journal.typed(3);
  journal.append(20, output(10, 20), 3000);
  expect([...journal.read({ since: 1500 })].map(({ is, at }) => `${is} ${at}`)).toEqual([
    'resize 1500',
    'output 2000',
    'input 3000',
    'output 3000',
  ]);
  expect(sizeAt(journal.place, 5)).toEqual({ cols: 80, rows: 24 });
  expect(sizeAt(journal.place, 25)).toEqual({ cols: 100, rows: 30 });
  await journal.close();
});

/** Nothing can be made in the folder until it is undone. */
function breakFolder(folder: string): () => void {
  const aside = `${folder}.aside`;
  renameSync(folder, aside);
  writeFileSync(folder, '');
  return () => {
    rmSync(folder);
    renameSync(aside, folder);
  };
}

test('a disk that takes nothing is told once; what waits is written when it does again', async () => {
  const folder = newFolder();
  const bench = new Bench();
  const journal = bench.open(folder);
  journal.append(0, output(100));
  await journal.seal();
  const mend = breakFolder(folder);
  for (let at = 100; at < 500; at += 100) journal.append(at, output(100, at));
  expect(bench.trouble).toHaveLength(1);
  expect(journal.end).toBe(100);
  mend();
  // The next try is a second away; letting go tries at once.
  await journal.close();
  expect(bench.trouble).toEqual([expect.any(String), null]);
  expect(bench.safe).toEqual([500]);
  same(bytesOf(bench.open(folder).read()), output(500));
});

test('when the program is to go on, what did not fit becomes a gap', async () => {
  const folder = newFolder();
  const bench = new Bench();
  const journal = bench.open(folder, { whenFull: 'gap' });
  journal.append(0, output(100));
  await journal.seal();
  const mend = breakFolder(folder);
  for (let at = 100; at < 500_100; at += 10_000) journal.append(at, output(10_000, at));
  expect(bench.safe.at(-1)).toBeGreaterThan(100_000);
  mend();
  await journal.close();
  const entries = [...bench.open(folder).read()];
  const [gap] = gapsOf(entries);
  expect(gap).toMatchObject({ from: 100, because: 'disk' });
  same(bytesOf(entries), Buffer.concat([output(100), output(500_100 - gap!.to, gap!.to)]));
});

test('a holder that has less than was asked for leaves a gap', async () => {
  const bench = new Bench();
  const journal = bench.open(newFolder());
  journal.append(0, output(10));
  journal.append(50, output(10, 50));
  journal.append(40, output(25, 40));
  expect(gapsOf(journal.read())).toEqual([{ from: 10, to: 50, because: 'holder' }]);
  same(bytesOf(journal.read()), Buffer.concat([output(10), output(15, 50)]));
  await journal.close();
});

test('files that are not ours in the folder are left alone', async () => {
  const folder = newFolder();
  mkdirSync(folder);
  for (const name of ['notes.txt', '00000001-0000000000000000.tail', '00000002-0000000000000000.seg'])
    writeFileSync(join(folder, name), 'hello');
  const bench = new Bench();
  const journal = bench.open(folder);
  journal.append(0, output(10));
  same(bytesOf(journal.read()), output(10));
  await journal.close();
  for (const name of readdirSync(folder).slice(0, 1)) expect(readFileSync(join(folder, name), 'utf8')).toBe('hello');
  expect(readFileSync(join(folder, 'notes.txt'), 'utf8')).toBe('hello');
});

test('what is there is brought to today’s key, and back to plain, and read all the while', async () => {
  const folder = newFolder();
  const plain = new Bench();
  const journal = plain.open(folder);
  for (let at = 0; at < 3000; at += 1000) {
    journal.append(at, output(1000, at));
    await journal.seal();
  }
  await journal.close();
  const [segment] = journalFiles(folder).segments;
  const read = (vault: Vault | null) => bytesOf(new Bench(vault).open(folder).read());
  const job = { reseal: folder, purpose: 'journal|$1|%1' };
  const vault = newVault();
  // Somebody who reads meanwhile has seen the headers as they were.
  const reading = new Bench(vault).open(folder).read();
  const got: Entry[] = [reading.next().value!];
  expect(resealSegments(job, { codec, vault })).toBe(0);
  got.push(...reading);
  same(bytesOf(got), output(3000));
  same(read(vault), output(3000));
  expect(readFrames(segment!.path).frames.every(({ isEncrypted }) => isEncrypted)).toBe(true);
  const [old] = vault.secrets().keys;
  const rotated = vaultFrom({ isOn: true, keys: [{ id: randomBytes(8), key: randomBytes(32) }, old!] });
  expect(resealSegments(job, { codec, vault: rotated })).toBe(0);
  expect(readFrames(segment!.path).frames.some(({ keyId }) => keyId.equals(old!.id))).toBe(false);
  same(read(rotated), output(3000));
  // A key that is not ours changes nothing.
  const before = readFileSync(segment!.path);
  expect(resealSegments(job, { codec, vault: newVault() })).toBe(1);
  same(readFileSync(segment!.path), before);
  expect(resealSegments(job, { codec, vault: vaultFrom({ ...rotated.secrets(), isOn: false }) })).toBe(0);
  same(read(null), output(3000));
  expect(readdirSync(folder)).toHaveLength(1);
});
