import { Worker } from 'node:worker_threads';
import { PACKAGE_FOLDER } from '../../../base/package.ts';
import type { Match, SearchPlace, SearchQuery } from '../search.ts';
import { NoIndexError } from './index-database.ts';
import type { IndexPlace } from './index-store.ts';
import type { SqliteDriver } from './sqlite.ts';

export interface IndexWorkerData {
  file: string;
  drivers?: readonly SqliteDriver[];
}

export interface IndexQuery {
  query: SearchQuery & { limit: number };
  /** The panes to search. */
  places: SearchPlace[];
  /** How long it may take to bring the index up to date, and to answer. */
  waitMs: number;
  limitMs: number;
}

export type IndexRequest =
  | { is: 'touched'; places: IndexPlace[] }
  | ({ is: 'query'; id: number } & IndexQuery)
  | { is: 'forget'; id: number; session: string }
  | { is: 'close' };

export interface IndexAnswer {
  matches: Match[];
  hasMore: boolean;
  /** Panes that have more output than the index, and up to when all of it is there. */
  behind: number;
  upTo: number | null;
  /** Everything that could have a match was looked at. */
  isInTime: boolean;
}

export type IndexMessage =
  | { is: 'answer'; id: number; answer: IndexAnswer }
  | { is: 'done'; id: number }
  | { is: 'failed'; id: number; message: string }
  | { is: 'warn'; message: string }
  /** It cannot be used on this machine, or with this file. */
  | { is: 'unusable'; why: string }
  /** Nothing is behind, after so many requests. */
  | { is: 'idle'; heard: number };

export interface IndexThreadOptions extends IndexWorkerData {
  /** Every pane that has a journal: a new thread looks at all of them. */
  places(): readonly IndexPlace[];
  warn(message: string): void;
}

/** Output comes in floods, and each is read from the last block's end. */
const GATHER_MS = 1000;
/** The worker costs some 20 MB, and there may be no output for hours. */
const IDLE_MS = 30_000;
/** A file that ends the thread so often does it each time. */
const MOST_CRASHES = 3;
/** What is in hand is finished in less; a disk that hangs is not waited for. */
const CLOSE_MS = 5000;
/** It needs a tenth of it. What needs more should end the thread, not the daemon. */
const HEAP_MB = 256;

type Answerer = { resolve(answer: IndexAnswer | null): void; reject(error: Error): void };

/** The thread that has the index. The daemon's loop never waits for it, and it may end at any moment. */
export class IndexThread implements AsyncDisposable {
  readonly #options: IndexThreadOptions;
  #worker: Worker | null = null;
  /** Those that were told to close, and have not yet. */
  readonly #closing = new Set<Promise<void>>();
  readonly #touched = new Map<string, IndexPlace>();
  readonly #asked = new Map<number, Answerer>();
  #nextId = 1;
  #gather: NodeJS.Timeout | null = null;
  #idle: NodeJS.Timeout | null = null;
  #isIdle = false;
  /** Requests to this thread. */
  #sent = 0;
  #onIdle: (() => void)[] = [];
  #crashes = 0;
  #unusable: string | null = null;
  #isEnding = false;

  constructor(options: IndexThreadOptions) {
    this.#options = options;
  }

  /** Why there will be no answers, or null. */
  get unusable(): string | null {
    return this.#unusable;
  }

  /** There may be more in this journal. It costs next to nothing to say so often. */
  touched(place: IndexPlace): void {
    if (this.#unusable !== null || this.#isEnding) return;
    this.#touched.set(place.pane, place);
    this.#isIdle = false;
    this.#gather ??= setTimeout(() => this.#sendTouched(), GATHER_MS).unref();
  }

  /** Rejects with NoIndexError when there is no index, and with another error when the thread broke. */
  async query(query: IndexQuery): Promise<IndexAnswer> {
    return (await this.#ask((id) => ({ is: 'query', id, ...query })))!;
  }

  /** Resolves when nothing of the session is in the index. */
  async forget(session: string): Promise<void> {
    for (const [pane, place] of this.#touched) if (place.session === session) this.#touched.delete(pane);
    await this.#ask((id) => ({ is: 'forget', id, session }));
  }

  /** Resolves when everything that was told is in the index. */
  async caughtUp(): Promise<void> {
    if (this.#gather) this.#sendTouched();
    if (this.#worker && !this.#isIdle) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  /** Ends the thread in the middle of what it does. What it wrote last stays. */
  async stop(): Promise<void> {
    await this.#worker?.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    if (this.#gather) clearTimeout(this.#gather);
    this.#gather = null;
    this.#close();
    await Promise.all(this.#closing);
  }

  #sendTouched(): void {
    if (this.#gather) clearTimeout(this.#gather);
    this.#gather = null;
    const places = [...this.#touched.values()];
    this.#touched.clear();
    if (places.length > 0 && this.#unusable === null) this.#send({ is: 'touched', places });
  }

  async #ask(request: (id: number) => IndexRequest): Promise<IndexAnswer | null> {
    if (this.#isEnding) throw new Error('the daemon is stopping');
    if (this.#unusable !== null) throw new NoIndexError(this.#unusable);
    const id = this.#nextId++;
    return new Promise<IndexAnswer | null>((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#send(request(id));
    });
  }

  #send(request: IndexRequest): void {
    if (this.#idle) clearTimeout(this.#idle);
    this.#idle = null;
    this.#isIdle = false;
    this.#worker ??= this.#start();
    this.#sent++;
    this.#worker.postMessage(request);
  }

  #start(): Worker {
    const { file, drivers, places } = this.#options;
    const worker = new Worker(`${PACKAGE_FOLDER}dist/daemon/history/index/index-worker.js`, {
      workerData: { file, ...(drivers ? { drivers } : {}) } satisfies IndexWorkerData,
      // The daemon's own flags are not for it.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    });
    worker.unref();
    worker.on('message', (message: IndexMessage) => this.#heard(message));
    worker.on('error', (error) => this.#crashed(worker, error as Error));
    worker.on('exit', () => this.#crashed(worker, new Error('the thread of the search index has ended')));
    // Whatever happened while there was no thread.
    this.#sent = 1;
    worker.postMessage({
      is: 'touched',
      places: places().map(({ session, pane, folder, purpose }) => ({ session, pane, folder, purpose })),
    } satisfies IndexRequest);
    return worker;
  }

  #heard(message: IndexMessage): void {
    switch (message.is) {
      case 'answer':
        this.#crashes = 0;
        this.#take(message.id)?.resolve(message.answer);
        return;
      case 'done':
        this.#take(message.id)?.resolve(null);
        return;
      case 'failed':
        this.#take(message.id)?.reject(this.#unusable === null ? new Error(message.message) : new NoIndexError(message.message));
        return;
      case 'warn':
        this.#options.warn(message.message);
        return;
      case 'unusable':
        this.#giveUp(message.why);
        return;
      case 'idle':
        // It may have become so before it heard the last one.
        if (message.heard === this.#sent) this.#becameIdle();
        return;
      default: {
        const never: never = message;
        throw new Error(`What is ${JSON.stringify(never)}?`);
      }
    }
  }

  #take(id: number): Answerer | undefined {
    const answerer = this.#asked.get(id);
    this.#asked.delete(id);
    return answerer;
  }

  #becameIdle(): void {
    if (this.#asked.size > 0 || this.#gather) return;
    this.#isIdle = true;
    for (const resolve of this.#onIdle.splice(0)) resolve();
    this.#idle ??= setTimeout(() => this.#close(), IDLE_MS).unref();
  }

  #crashed(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    this.#crashes++;
    this.#options.warn(`The search index's thread broke: ${error.message}`);
    if (this.#crashes >= MOST_CRASHES) this.#giveUp(`The search index's thread broke ${this.#crashes} times: ${error.message}`);
    for (const [id] of this.#asked) this.#take(id)!.reject(error);
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  #giveUp(why: string): void {
    if (this.#unusable === null) this.#options.warn(why);
    this.#unusable = why;
    this.#touched.clear();
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  /** Its transaction is finished first. */
  #close(): void {
    if (this.#idle) clearTimeout(this.#idle);
    this.#idle = null;
    const worker = this.#worker;
    if (!worker) return;
    this.#worker = null;
    for (const [id] of this.#asked) this.#take(id)!.reject(new Error('the daemon is stopping'));
    for (const resolve of this.#onIdle.splice(0)) resolve();
    const closed = new Promise<void>((resolve) => {
      const timer = setTimeout(() => void worker.terminate(), CLOSE_MS);
      worker.once('exit', () => {
        clearTimeout(timer);
        this.#closing.delete(closed);
        resolve();
      });
      worker.postMessage({ is: 'close' } satisfies IndexRequest);
    });
    this.#closing.add(closed);
  }
}
