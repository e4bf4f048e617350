import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../../../src/base/log.ts';
import { type Paths, pathsFor } from '../../../src/config/paths.ts';
import { SearchIndex, type SearchIndexParts } from '../../../src/daemon/history/index/search-index.ts';
import type { Found, SearchPlace, SearchQuery } from '../../../src/daemon/history/search.ts';
import { bestCodec } from '../../../src/daemon/persistence/journal/codec.ts';
import { Journal, type JournalHost } from '../../../src/daemon/persistence/journal/journal.ts';
import { sealTails } from '../../../src/daemon/persistence/journal/seal.ts';
import type { Vault } from '../../../src/daemon/persistence/vault/vault.ts';
import { journalPlace } from '../../../src/daemon/session/journal-place.ts';

const codec = bestCodec(3);

/** A home with journals of some panes, one a session, and searches over them. */
export class SearchRig implements AsyncDisposable {
  readonly paths: Paths;
  readonly warnings: string[] = [];
  readonly said: string[] = [];
  readonly places: SearchPlace[] = [];
  readonly #vault: Vault | null;
  readonly #journals = new Map<string, Journal>();
  readonly #open = new Set<SearchIndex>();

  constructor({ vault = null }: { vault?: Vault | null } = {}) {
    this.#vault = vault;
    this.paths = pathsFor({ AI_SESSION_HOME: mkdtempSync(join(tmpdir(), 'ais-search-')) });
  }

  /** The journal of `%n` in the session `$n`, made when it is not there. */
  journal(n: number, name = `name-${n}`): Journal {
    const [session, pane] = [`$${n}`, `%${n}`];
    let journal = this.#journals.get(pane);
    if (journal) return journal;
    const { folder, purpose } = journalPlace({ folder: join(this.paths.sessions, String(n)), session, pane });
    const host: JournalHost = {
      vault: this.#vault,
      seal: async (job) => sealTails(job, { codec, vault: this.#vault }),
      isDirty: () => {},
      hasGrown: () => {},
    };
    journal = Journal.open({
      ...{ folder, purpose, cols: 80, rows: 24, host, whenFull: () => 'block' },
      onTrouble: () => {},
      onDamage: () => {},
      onSafe: () => {},
    });
    this.#journals.set(pane, journal);
    this.places.push({ session, name, pane, folder, purpose });
    return journal;
  }

  /** A program's output, at a moment. */
  write(n: number, text: string | Uint8Array, at = 1000): void {
    const journal = this.journal(n);
    const bytes = Buffer.from(text as string);
    // As it comes from a holder.
    for (let from = 0; from < bytes.length; from += 60_000) journal.append(journal.end, bytes.subarray(from, from + 60_000), at);
  }

  search(options: Partial<SearchIndexParts> = {}): SearchIndex {
    const log: Log = {
      debug: () => {},
      info: (message) => this.said.push(message),
      warn: (message) => this.warnings.push(message),
      incident: () => '',
      close: () => {},
    };
    const index = new SearchIndex({ paths: this.paths, log, vault: this.#vault, places: () => this.places, ...options });
    this.#open.add(index);
    return index;
  }

  /** No index, as on a machine without SQLite. */
  searchExactly(): SearchIndex {
    return this.search({ drivers: [] });
  }

  get database(): string {
    return join(this.paths.metadata, 'analytics.db');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const index of this.#open) await index[Symbol.asyncDispose]();
    for (const journal of this.#journals.values()) await journal.close();
    rmSync(this.paths.home, { recursive: true, force: true });
  }
}

/** Of a query that has no problem. */
export async function found(index: SearchIndex, query: string | SearchQuery): Promise<Found> {
  const answer = await index.search(typeof query === 'string' ? { pattern: query } : query);
  if (!answer.ok) throw new Error(answer.problem);
  return answer;
}

export async function texts(index: SearchIndex, query: string | SearchQuery): Promise<string[]> {
  return (await found(index, query)).matches.map(({ text }) => text);
}
