import type { Vault } from '../vault/vault.ts';
import { Journal, type JournalHost, type JournalOptions } from './journal.ts';
import type { ResealJob } from './reseal.ts';
import type { SealJob } from './seal.ts';
import { Sealer } from './sealer.ts';

/** From a write until it is asked onto the disk itself: what a power cut can take. A crash of the daemon takes nothing. */
const SYNC_MS = 1000;

export interface JournalsOptions {
  vault: Vault | null;
  /** Of zstd, 1 to 19. */
  level: number;
  /** Stored bytes: for one pane, and for all of them. Asked again at each check, so that a change counts at once. */
  limits: () => { paneBytes: number; totalBytes: number };
  /** Kept beside the journals that are open: it counts, and goes first. */
  elsewhere: { readonly bytes: number; free(bytes: number): number };
  /** Oldest output was dropped to stay within a limit. */
  onDropped(bytes: number): void;
}

/** All journals of this daemon: the thread that compresses, the disk's clock, and the budgets. */
export class Journals implements JournalHost, AsyncDisposable {
  readonly vault: Vault | null;
  readonly #options: JournalsOptions;
  readonly #sealer: Sealer;
  /** What each has on disk, as of its last growth: asking all of them each time would cost a thousand looks a second in a flood. */
  readonly #open = new Map<Journal, Journal['stored']>();
  readonly #dirty = new Set<Journal>();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: JournalsOptions) {
    this.vault = options.vault;
    this.#options = options;
    this.#sealer = new Sealer({ level: options.level, secrets: options.vault?.secrets() ?? null });
  }

  open(options: Omit<JournalOptions, 'host'>): Journal {
    const journal = Journal.open({ ...options, host: this });
    this.#open.set(journal, journal.stored);
    return journal;
  }

  /** On the disk, as of the last time that any of them grew. */
  get bytes(): number {
    return [...this.#open.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** No longer counted, nor dropped from. */
  forget(journal: Journal): void {
    this.#open.delete(journal);
    this.#dirty.delete(journal);
  }

  seal(job: SealJob): Promise<void> {
    return this.#sealer.seal(job);
  }

  /** Brings a journal's sealed files to how they would be sealed today. Resolves with how many could not be. */
  reseal(job: ResealJob): Promise<number> {
    return this.#sealer.reseal(job);
  }

  isDirty(journal: Journal): void {
    this.#dirty.add(journal);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      for (const each of this.#dirty) each.sync(() => {});
      this.#dirty.clear();
    }, SYNC_MS).unref();
  }

  hasGrown(journal: Journal): void {
    if (!this.#open.has(journal)) return;
    const { paneBytes, totalBytes } = this.#options.limits();
    this.#open.set(journal, journal.stored);
    this.#shrink(journal, this.#open.get(journal)!.bytes - paneBytes);
    const { elsewhere } = this.#options;
    let over = this.bytes + elsewhere.bytes - totalBytes;
    if (over <= 0) return;
    const freed = elsewhere.free(over);
    if (freed > 0) this.#options.onDropped(freed);
    over -= freed;
    const oldest = [...this.#open].flatMap(([each, { segments }]) => segments.map(({ modifiedAt }) => ({ each, modifiedAt })));
    oldest.sort((a, b) => a.modifiedAt - b.modifiedAt);
    for (const { each } of oldest) {
      if (over <= 0) return;
      over -= this.#shrink(each, 1);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const dirty = [...this.#dirty];
    await Promise.all(dirty.map((journal) => new Promise<void>((resolve) => journal.sync(resolve))));
    await Promise.all([this.#sealer[Symbol.asyncDispose](), ...[...this.#open.keys()].map((journal) => journal.close())]);
    this.#open.clear();
  }

  /** Drops segments until so many bytes are free, or nothing is left to drop. */
  #shrink(journal: Journal, over: number): number {
    let freed = 0;
    while (freed < over) {
      const bytes = journal.dropOldest();
      if (bytes === 0) break;
      freed += bytes;
    }
    if (freed === 0) return 0;
    this.#open.set(journal, journal.stored);
    this.#options.onDropped(freed);
    return freed;
  }
}
