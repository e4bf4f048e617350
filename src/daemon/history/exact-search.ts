import { Worker } from 'node:worker_threads';
import { PACKAGE_FOLDER } from '../../base/package.ts';
import type { Vault, VaultSecrets } from '../persistence/vault/vault.ts';
import type { Match, SearchPlace, SearchQuery } from './search.ts';
import type { Reading } from './search-journals.ts';

export interface ExactWorkerData {
  query: SearchQuery & { limit: number };
  places: SearchPlace[];
  secrets: VaultSecrets | null;
}

export type ExactMessage = ({ is: 'reading' } & Reading) | { is: 'done'; matches: Match[]; unreadable: string[] };

export interface ExactLimits {
  /** For all of it. */
  limitMs: number;
  /** Without a sign of life: a pattern that tries everything a line can be cut into does so for years. */
  stallMs: number;
}

export interface ExactAnswer {
  /** No more than one above the limit. */
  matches: Match[];
  /** What stopped it, in a sentence, or null when everything was read. */
  stopped: string | null;
  /** What could not be read. */
  unreadable: string[];
}

/**
 * Reads everything there is, on a thread of its own which is ended when it takes too long: a regular expression cannot be told to stop.
 * Rejects when the thread breaks.
 */
export async function searchExactly(
  { query, places, vault }: { query: SearchQuery & { limit: number }; places: SearchPlace[]; vault: Vault | null },
  { limitMs, stallMs, signal }: ExactLimits & { signal: AbortSignal },
): Promise<ExactAnswer> {
  signal.throwIfAborted();
  const worker = new Worker(`${PACKAGE_FOLDER}dist/daemon/history/exact-worker.js`, {
    workerData: { query, places, secrets: vault?.secrets() ?? null } satisfies ExactWorkerData,
    // The daemon's own flags are not for it.
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
  let matches: Match[] = [];
  let reading: Reading | null = null;
  const timers = new Set<NodeJS.Timeout>();
  const { promise, resolve, reject } = deferred<ExactAnswer>();
  const stop = (why: string) => resolve({ matches, stopped: why, unreadable: [] });
  const after = (ms: number, why: () => string) => {
    const timer = setTimeout(() => stop(why()), ms);
    timers.add(timer);
    return timer;
  };
  after(limitMs, () => `It took longer than ${seconds(limitMs)}, and ${left(reading)} not searched to the end`);
  const stalled = after(
    stallMs,
    () => `A line of pane ${reading?.pane ?? '?'} took longer than ${seconds(stallMs)}: use a simpler pattern`,
  );
  const onAbort = () => reject(new Error('the search was ended'));
  signal.addEventListener('abort', onAbort, { once: true });
  worker.on('message', (message: ExactMessage) => {
    stalled.refresh();
    matches = message.matches ?? matches;
    if (message.is === 'reading') reading = message;
    else resolve({ matches, stopped: null, unreadable: message.unreadable });
  });
  worker.on('error', (error) => reject(error as Error));
  worker.on('exit', () => reject(new Error('the thread that searches has ended')));
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
    for (const timer of timers) clearTimeout(timer);
    await worker.terminate();
  }
}

/** It has one block of output, and the matches: a line or a block that needs more should end the thread, not the daemon. */
const HEAP_MB = 256;

function left(reading: Reading | null): string {
  const count = reading?.left ?? 0;
  return count === 1 ? '1 pane was' : `${count} panes were`;
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}

function deferred<T>(): { promise: Promise<T>; resolve(value: T): void; reject(error: Error): void } {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
