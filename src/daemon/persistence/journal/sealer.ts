import { Worker } from 'node:worker_threads';
import { PACKAGE_FOLDER } from '../../../base/package.ts';
import type { VaultSecrets } from '../vault/vault.ts';
import type { ResealJob } from './reseal.ts';
import type { SealJob } from './seal.ts';

/** The worker costs some 10 MB, and there may be nothing to compress for hours. */
const IDLE_MS = 10_000;

export interface SealerWorkerData {
  level: number;
  secrets: VaultSecrets | null;
}

/** `left`: files that a reseal could not bring up to date. */
export type SealerAnswer = { error: string | null; left: number };

/** Compresses ended tails on a thread of its own, one after the other: the daemon's loop never waits for zstd. */
export class Sealer implements AsyncDisposable {
  readonly #data: SealerWorkerData;
  readonly #jobs: { job: SealJob | ResealJob; settle(error: Error | null, left: number): void }[] = [];
  #worker: Worker | null = null;
  #idle: NodeJS.Timeout | null = null;
  #isBusy = false;
  #isEnding = false;

  constructor(data: SealerWorkerData) {
    this.#data = data;
  }

  /** Rejects when it could not; the tail is still there then. */
  async seal(job: SealJob): Promise<void> {
    await this.#do(job);
  }

  /** Resolves with how many files could not be brought up to date. */
  reseal(job: ResealJob): Promise<number> {
    return this.#do(job);
  }

  #do(job: SealJob | ResealJob): Promise<number> {
    if (this.#isEnding) return Promise.reject(new Error('the daemon is stopping; the next one compresses it'));
    return new Promise((resolve, reject) => {
      this.#jobs.push({ job, settle: (error, left) => (error ? reject(error) : resolve(left)) });
      this.#next();
    });
  }

  /** The job in hand is finished; those that wait are left for the next daemon. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    for (const { settle } of this.#jobs.splice(this.#isBusy ? 1 : 0)) settle(null, 0);
    if (this.#isBusy) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    if (this.#idle) clearTimeout(this.#idle);
    await this.#worker?.terminate();
    this.#worker = null;
  }

  #onIdle: () => void = () => {};

  #next(): void {
    if (this.#isBusy) return;
    const [first] = this.#jobs;
    if (!first) {
      this.#onIdle();
      this.#idle ??= setTimeout(() => {
        this.#idle = null;
        void this.#worker?.terminate();
        this.#worker = null;
      }, IDLE_MS).unref();
      return;
    }
    if (this.#idle) clearTimeout(this.#idle);
    this.#idle = null;
    this.#isBusy = true;
    this.#worker ??= this.#start();
    this.#worker.postMessage(first.job);
  }

  #start(): Worker {
    const worker = new Worker(`${PACKAGE_FOLDER}dist/daemon/persistence/journal/sealer-worker.js`, {
      workerData: this.#data,
      // The daemon's own flags are not for it.
      execArgv: [],
    });
    worker.unref();
    worker.on('message', ({ error, left }: SealerAnswer) => this.#finish(error === null ? null : new Error(error), left));
    worker.on('error', (error) => {
      this.#worker = null;
      this.#finish(error as Error);
    });
    worker.on('exit', () => {
      if (this.#worker !== worker) return;
      this.#worker = null;
      this.#finish(new Error('the thread that compresses journals has ended'));
    });
    return worker;
  }

  #finish(error: Error | null, left = 0): void {
    if (!this.#isBusy) return;
    this.#isBusy = false;
    this.#jobs.shift()?.settle(error, left);
    this.#next();
  }
}
