import { fdatasync, mkdirSync, rmSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../atomic-file.ts';
import type { Vault } from '../vault/vault.ts';
import type { Entry } from './entry.ts';
import { type JournalFile, journalFileName, journalFiles, TAIL_BYTES } from './files.ts';
import { type Dropped, droppedFile, type JournalPlace, type OnDamage, type Range, readDropped, readJournal } from './reader.ts';
import type { SealJob } from './seal.ts';
import { type FrameInfo, readFrames } from './segment.ts';
import { endOf, readTail, TailWriter } from './tail.ts';

/** What a journal needs of the daemon, for all of them together. */
export interface JournalHost {
  readonly vault: Vault | null;
  /** Compresses ended tails, in the background. Rejects when it could not; the tails are still there then. */
  seal(job: SealJob): Promise<void>;
  /** Something was written and is not on the disk yet. */
  isDirty(journal: Journal): void;
  /** Files of it have become more or fewer. */
  hasGrown(journal: Journal): void;
}

export interface JournalOptions {
  /** `sessions/3/panes/7/journal`, made when it is not there. */
  folder: string;
  /** What its files are, for their keys; never the same for two panes. */
  purpose: string;
  cols: number;
  rows: number;
  host: JournalHost;
  /** What to do with output that the disk does not take: keep the program waiting, or go on and record a gap. */
  whenFull: () => 'block' | 'gap';
  /** Told once when the disk takes no more, and once (null) when it does again. */
  onTrouble(error: Error | null): void;
  /** Something on the disk that could not be read. */
  onDamage: OnDamage;
  /** Told when every byte below the offset is in the journal, or given up with a gap: it need not be kept elsewhere. */
  onSafe(offset: number): void;
}

/** Output that waits for a disk which takes none: as much as a holder's ring has. Past it the program waits, or a gap is recorded. */
const WAITING_LIMIT_BYTES = 192 << 10;
/** Between two tries to write to a disk that took nothing. */
const RETRY_MS = 1000;

/**
 * Everything one program wrote, appended before anything else sees it. What `append` was given is with the kernel when it returns, so it
 * survives the daemon; `fdatasync` follows within a second, for the case that the power goes.
 */
export class Journal {
  readonly place: JournalPlace;
  readonly #options: JournalOptions;
  #tail: TailWriter | null = null;
  #nextTail = 0;
  #size: { cols: number; rows: number };
  #end = 0;
  /** Entries that the disk has not taken yet, in order. */
  #waiting: Entry[] = [];
  #waitingBytes = 0;
  #trouble: Error | null = null;
  /** What waits begins with a gap. */
  #hasGivenUp = false;
  #retry: NodeJS.Timeout | null = null;
  /** Typed since the last record. */
  #typed = 0;
  #sealing: Promise<void> = Promise.resolve();
  #isClosed = false;

  private constructor(options: JournalOptions) {
    this.#options = options;
    this.place = { folder: options.folder, purpose: options.purpose, vault: options.host.vault };
    this.#size = { cols: options.cols, rows: options.rows };
  }

  /** Opens a pane's journal where its last good record ends, or begins one. Throws when the folder cannot be made or read. */
  static open(options: JournalOptions): Journal {
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    const journal = new Journal(options);
    journal.#find();
    return journal;
  }

  /** Absolute offset after the last byte that is kept, or was given up with a gap. A holder is asked for what comes after. */
  get end(): number {
    return this.#end;
  }

  /** The disk takes nothing, as much waits as may, and the program is to wait too. */
  get isFull(): boolean {
    return this.#waitingBytes > WAITING_LIMIT_BYTES;
  }

  /** What the disk said, while it takes nothing. */
  get trouble(): Error | null {
    return this.#trouble;
  }

  /** The program's next bytes. What was there already is left out, what is missing before them becomes a gap. Never throws. */
  append(offset: number, bytes: Uint8Array, at = Date.now()): void {
    const expected = this.#expected();
    if (offset + bytes.length <= expected) return;
    const entries: Entry[] = [];
    if (this.#typed > 0) entries.push({ is: 'input', at, offset: expected, length: this.#typed });
    this.#typed = 0;
    if (offset > expected) entries.push({ is: 'gap', at, offset: expected, to: offset, because: 'holder' });
    const fresh = offset < expected ? bytes.subarray(expected - offset) : bytes;
    entries.push({ is: 'output', at, offset: Math.max(offset, expected), bytes: fresh });
    this.#keep(entries);
  }

  /** The pane has this size from here on. */
  resized(cols: number, rows: number, at = Date.now()): void {
    this.#size = { cols, rows };
    this.#keep([{ is: 'resize', at, offset: this.#expected(), cols, rows }]);
  }

  /** Somebody typed so many bytes. Written together with the next output. */
  typed(length: number): void {
    this.#typed += length;
  }

  /** What is kept in this range, in order. It may be read while the journal grows. */
  read(range: Range = {}): Generator<Entry> {
    return readJournal(this.place, range, this.#options.onDamage);
  }

  /** Bytes of all its files, and the segments from the oldest on. */
  get stored(): { bytes: number; segments: { path: string; bytes: number; modifiedAt: number }[] } {
    const { segments, tails } = journalFiles(this.place.folder);
    const sizes = (files: JournalFile[]) =>
      files.flatMap(({ path }) => {
        const found = statSync(path, { throwIfNoEntry: false });
        return found ? [{ path, bytes: found.size, modifiedAt: found.mtimeMs }] : [];
      });
    const [kept, live] = [sizes(segments), sizes(tails)];
    return { bytes: [...kept, ...live].reduce((sum, { bytes }) => sum + bytes, 0), segments: kept };
  }

  /** Drops the oldest segment, saying so first: a reader finds a gap. Returns the bytes that became free; 0 when there is only what is live. */
  dropOldest(at = Date.now()): number {
    const { segments, tails } = journalFiles(this.place.folder);
    const [oldest] = segments;
    if (!oldest) return 0;
    const to = segments[1]?.start ?? tails[0]?.start ?? this.#end;
    const dropped: Dropped = { to: Math.max(to, readDropped(this.place.folder)?.to ?? 0), at, because: 'budget' };
    writeFileAtomic(droppedFile(this.place.folder), JSON.stringify(dropped));
    const bytes = statSync(oldest.path, { throwIfNoEntry: false })?.size ?? 0;
    rmSync(oldest.path, { force: true });
    return bytes;
  }

  /** Onto the disk itself. Errors are told as trouble: a page that could not be written back is lost to the kernel, too. */
  sync(done: () => void): void {
    const fd = this.#tail?.fd ?? -1;
    if (fd === -1) return done();
    fdatasync(fd, (error) => {
      // The file may have been ended and closed in the meantime: then its frame was synced.
      if (error && error.code !== 'EBADF') this.#troubled(error);
      done();
    });
  }

  /** Ends the live tail, and compresses it: the program has ended, and nothing more will come. Resolves when that is done, or failed. */
  async seal(): Promise<void> {
    this.#endTail();
    await this.#sealing;
  }

  /** Lets go of the file. What is sealed goes on being sealed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#retry) clearTimeout(this.#retry);
    this.#retry = null;
    this.#flush();
    this.#tail?.close();
    this.#tail = null;
    await this.#sealing;
  }

  /** Looks at what earlier daemons left. */
  #find(): void {
    const { folder, purpose, vault } = this.place;
    const { segments, tails } = journalFiles(folder);
    const frames = segments.reduceRight<FrameInfo[]>((found, { path }) => (found.length > 0 ? found : readFrames(path).frames), []);
    this.#end = Math.max(readDropped(folder)?.to ?? 0, ...frames.map(({ end }) => end));
    this.#nextTail =
      1 + Math.max(0, ...segments.map(({ tail }) => tail), ...frames.map(({ tail }) => tail), ...tails.map(({ tail }) => tail));
    const sealed = new Set(frames.map(({ tail }) => tail));
    let toSeal: number | null = null;
    for (const [i, { path, tail, start }] of tails.entries()) {
      toSeal = tail;
      if (sealed.has(tail)) continue;
      try {
        if (TailWriter.isStillborn(path)) {
          unlinkSync(path);
          continue;
        }
        const content = readTail(path, purpose, vault);
        this.#end = Math.max(this.#end, content.end);
        if (content.records === 0 && !content.isDamaged) unlinkSync(path);
        const canGoOn =
          i === tails.length - 1 && !content.isEncrypted && !content.isDamaged && !vault?.isOn && content.goodBytes < TAIL_BYTES;
        if (!canGoOn || content.records === 0) continue;
        this.#tail = TailWriter.resume(path, { start: content.start, goodBytes: content.goodBytes, records: content.records });
        toSeal = tails[i - 1]?.tail ?? null;
      } catch (error) {
        this.#options.onDamage(path, error as Error);
        this.#end = Math.max(this.#end, start);
      }
    }
    if (toSeal !== null && segments.length + tails.length > 0) this.#sealUpTo(toSeal);
  }

  #expected(): number {
    const last = this.#waiting.at(-1);
    return last ? endOf(last) : this.#end;
  }

  #keep(entries: readonly Entry[]): void {
    if (this.#isClosed) return;
    if (this.#trouble === null) {
      try {
        this.#write(entries);
        return;
      } catch (error) {
        this.#troubled(error as Error);
      }
    }
    // Copies: the bytes are somebody's buffer, and may wait long.
    for (const entry of entries) {
      this.#waiting.push(entry.is === 'output' ? { ...entry, bytes: Buffer.from(entry.bytes) } : entry);
      if (entry.is === 'output') this.#waitingBytes += entry.bytes.length;
    }
    if (this.#waitingBytes > WAITING_LIMIT_BYTES && this.#options.whenFull() === 'gap') this.#giveUp();
  }

  /** The way things go when nothing is wrong: one write. */
  #write(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    if (this.#tail === null) this.#begin(entries[0]!.offset);
    const tail = this.#tail!;
    tail.append(entries);
    this.#end = Math.max(this.#end, endOf(entries.at(-1)!));
    this.#options.host.isDirty(this);
    if (tail.size >= TAIL_BYTES) this.#endTail();
  }

  #begin(start: number): void {
    const { folder, purpose, vault } = this.place;
    const path = join(folder, journalFileName('tail', this.#nextTail, start));
    this.#tail = TailWriter.create(path, { start, ...this.#size, purpose, vault });
    this.#nextTail++;
  }

  #endTail(): void {
    const tail = this.#tail;
    if (tail === null) return;
    this.#tail = null;
    tail.close();
    this.#sealUpTo(this.#nextTail - 1);
  }

  #sealUpTo(tail: number): void {
    const { folder, purpose } = this.place;
    const { host, onDamage } = this.#options;
    this.#sealing = this.#sealing
      .then(() => host.seal({ folder, purpose, tail }))
      .catch((error) => onDamage(folder, error as Error))
      // Also when it could not be: the tail is there, and takes room.
      .then(() => host.hasGrown(this))
      .catch((error) => onDamage(folder, error as Error));
  }

  /** Said once; then tried again until the disk takes it. */
  #troubled(error: Error): void {
    if (this.#isClosed) return;
    if (this.#trouble === null) this.#options.onTrouble(error);
    this.#trouble = error;
    this.#retry ??= setTimeout(() => {
      this.#retry = null;
      this.#flush();
    }, RETRY_MS).unref();
  }

  #flush(): void {
    if (this.#trouble === null) return;
    const waiting = this.#waiting;
    try {
      // A disk without room for a line has room for the note of a gap; then there would be a gap after each line.
      if (this.#hasGivenUp) {
        if (this.#tail === null) this.#begin(waiting[0]!.offset);
        this.#tail!.probe(WAITING_LIMIT_BYTES);
      }
      this.#write(waiting);
    } catch (error) {
      this.#troubled(error as Error);
      return;
    }
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#trouble = null;
    this.#hasGivenUp = false;
    this.#options.onTrouble(null);
    this.#options.onSafe(this.#end);
  }

  /** Recorded as a gap, and no longer kept anywhere: the program goes on. */
  #giveUp(): void {
    this.#hasGivenUp = true;
    const [first] = this.#waiting;
    const to = this.#expected();
    this.#waiting = [
      { is: 'gap', at: first!.at, offset: this.#end, to, because: 'disk' },
      { is: 'resize', at: first!.at, offset: to, ...this.#size },
    ];
    this.#waitingBytes = 0;
    this.#options.onSafe(to);
  }
}
