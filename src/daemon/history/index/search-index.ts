import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../../base/log.ts';
import type { Paths } from '../../../config/paths.ts';
import { makeDataFolder } from '../../../config/private-folder.ts';
import type { Vault } from '../../persistence/vault/vault.ts';
import { type ExactLimits, searchExactly } from '../exact-search.ts';
import { answerOf, DEFAULT_LIMIT, type Found, queryProblem, type SearchAnswer, type SearchPlace, type SearchQuery } from '../search.ts';
import { indexFiles, NoIndexError } from './index-database.ts';
import type { IndexPlace } from './index-store.ts';
import { IndexThread } from './index-thread.ts';
import type { SqliteDriver } from './sqlite.ts';

export interface SearchIndexParts {
  paths: Paths;
  log: Log;
  /** With one, history is encrypted, or was: there is no index then, since it would have in plain what is sealed elsewhere. */
  vault: Vault | null;
  /** Every pane that has a journal, of live and of archived sessions. Asked at each search. */
  places(): SearchPlace[];
  /** For tests: other times, other drivers. */
  times?: Partial<SearchTimes>;
  drivers?: readonly SqliteDriver[];
}

export interface SearchTimes extends ExactLimits {
  /** How long a search waits for the index to have the last output. */
  waitMs: number;
}

const TIMES: SearchTimes = { waitMs: 2000, limitMs: 30_000, stallMs: 5000 };
/** Past its time the index's thread is taken for broken. */
const GRACE_MS = 10_000;

/** Searches the output of all sessions: with an index that is kept in the background, or by reading everything where there is none. */
export class SearchIndex implements AsyncDisposable {
  readonly #parts: SearchIndexParts;
  readonly #times: SearchTimes;
  readonly #thread: IndexThread | null;
  readonly #ending = new AbortController();
  /** One at a time: each reads at full speed. */
  #exact: Promise<unknown> = Promise.resolve();

  constructor(parts: SearchIndexParts) {
    const { paths, log, vault, places, drivers } = parts;
    this.#parts = parts;
    this.#times = { ...TIMES, ...parts.times };
    const file = join(paths.metadata, 'analytics.db');
    if (vault) {
      const old = indexFiles(file);
      for (const path of old) rmSync(path, { force: true });
      if (old.length > 0) log.info('The search index was removed: history is encrypted now, and an index is not.');
      this.#thread = null;
      return;
    }
    makeDataFolder(paths.metadata);
    this.#thread = new IndexThread({ file, places, warn: (message) => log.warn(message), ...(drivers ? { drivers } : {}) });
  }

  /** There may be more output in this journal: a pane became quiet, or a part was sealed. Cheap, and may be said often. */
  touched({ session, pane, folder, purpose }: IndexPlace): void {
    this.#thread?.touched({ session, pane, folder, purpose });
  }

  /** The session's history is being removed from the disk. Resolves when the index has nothing of it; what fails is logged. */
  async forget(session: string): Promise<void> {
    if (!this.#thread || this.#thread.unusable !== null) return;
    try {
      await this.#thread.forget(session);
    } catch (error) {
      // The next search finds its folder gone, and forgets it then.
      this.#parts.log.warn(`The search index still has session ${session}: ${(error as Error).message}`);
    }
  }

  /** The newest first. Never takes much longer than 30 seconds: what was not searched by then is said. */
  async search(query: SearchQuery): Promise<SearchAnswer> {
    const problem = queryProblem(query);
    if (problem !== null) return { ok: false, problem };
    const wanted = { ...query, limit: query.limit ?? DEFAULT_LIMIT };
    const { session } = query;
    const places = this.#parts
      .places()
      .filter(({ session: id, name, pane }) => session === undefined || [id, name, pane].includes(session));
    if (places.length === 0) return nothing(session);
    try {
      return await this.#found(wanted, places);
    } catch (error) {
      if (this.#ending.signal.aborted) return { ok: false, problem: 'The daemon is stopping: search again when it runs' };
      throw error;
    }
  }

  /** Resolves when the index has everything that it was told of. */
  async caughtUp(): Promise<void> {
    await this.#thread?.caughtUp();
  }

  /** What is being written to the index is finished. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await Promise.all([this.#thread?.[Symbol.asyncDispose](), this.#exact]);
  }

  async #found(query: SearchQuery & { limit: number }, places: SearchPlace[]): Promise<Found> {
    let why: string;
    if (query.isRegex) why = 'Regular expressions are not in the index';
    else if (!this.#thread) why = 'History is encrypted, and an index would not be';
    else {
      try {
        return await this.#byIndex(this.#thread, query, places);
      } catch (error) {
        this.#ending.signal.throwIfAborted();
        if (!(error instanceof NoIndexError)) this.#parts.log.warn(`The search index did not answer: ${(error as Error).message}`);
        why = (error as Error).message;
      }
    }
    const turn = this.#exact.then(() => this.#byReading(query, places, why));
    this.#exact = turn.catch(() => {});
    return turn;
  }

  async #byIndex(thread: IndexThread, query: SearchQuery & { limit: number }, places: SearchPlace[]): Promise<Found> {
    const { waitMs, limitMs } = this.#times;
    const overdue = setTimeout(() => void thread.stop(), waitMs + limitMs + GRACE_MS);
    try {
      const { matches, hasMore, behind, upTo, isInTime } = await thread.query({ query, places, waitMs, limitMs });
      const notes = [
        behind > 0 ? `The newest output of ${panes(behind)} is not in the index yet: try again soon` : null,
        isInTime ? null : `It took longer than ${limitMs / 1000} s, and the oldest output was not searched`,
      ].filter((note) => note !== null);
      const isComplete = notes.length === 0;
      return { ok: true, matches, hasMore, isComplete, upTo, how: 'index', note: isComplete ? null : notes.join('. ') };
    } finally {
      clearTimeout(overdue);
    }
  }

  async #byReading(query: SearchQuery & { limit: number }, places: SearchPlace[], why: string): Promise<Found> {
    const { limitMs, stallMs } = this.#times;
    const { vault, log } = this.#parts;
    const { matches, stopped, unreadable } = await searchExactly(
      { query, places, vault },
      { limitMs, stallMs, signal: this.#ending.signal },
    );
    for (const each of unreadable) log.warn(`Not searched: ${each}`);
    const notes = [
      `All output was read, without the index: ${why}`,
      stopped,
      unreadable.length > 0 ? `${unreadable.length === 1 ? 'A part' : `${unreadable.length} parts`} of history could not be read` : null,
    ].filter((note) => note !== null);
    if (stopped !== null) notes[0] = `Output was read without the index: ${why}`;
    const isComplete = stopped === null && unreadable.length === 0;
    return { ok: true, ...answerOf(matches, query.limit), isComplete, upTo: null, how: 'exact', note: notes.join('. ') };
  }
}

function nothing(session: string | undefined): Found {
  const note = session === undefined ? null : `No session "${session}" has history`;
  return { ok: true, matches: [], hasMore: false, isComplete: true, upTo: null, how: 'exact', note };
}

function panes(count: number): string {
  return count === 1 ? 'one pane' : `${count} panes`;
}
