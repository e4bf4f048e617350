import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { FSWatcher } from 'chokidar';

/** An editor writes a file in several steps: what comes within this time is one change. */
const SETTLE_MS = 50;

/**
 * Tells when a file of rules has changed, was made or has gone, also where their folder is made only later, or is a link. chokidar does
 * it, since `fs.watch` alone loses a file that is put in the place of another, as most editors save. It is loaded when it is needed.
 */
export class RuleWatch implements Disposable {
  #watcher: FSWatcher | null = null;
  #soon: NodeJS.Timeout | null = null;
  #isClosed = false;

  /** Rejects when nothing can be watched. `failed`: from now on changes may be missed. */
  async begin(agents: string, { changed, failed }: { changed(): void; failed(error: Error): void }): Promise<void> {
    const { watch } = await import('chokidar');
    if (this.#isClosed) return;
    const home = dirname(agents);
    const isOurs = (path: string) => path === home || path === agents || (path === join(agents, basename(path)) && /\.ya?ml$/.test(path));
    this.#watcher = watch(home, { ignoreInitial: true, atomic: false, depth: 1, ignored: (path) => !isOurs(path) });
    this.#watcher.on('error', (error) => failed(error as Error));
    const hear = () => {
      this.#soon ??= setTimeout(() => {
        this.#soon = null;
        changed();
      }, SETTLE_MS).unref();
    };
    // Something that came and went is no change to chokidar, and we may have seen it.
    this.#watcher.on('all', hear).on('raw', hear);
    this.#watcher.once('ready', () => {
      if (this.#isClosed) return;
      // A folder that was made between its look at the home and its watching is unknown to it (chokidar 5.0.0).
      if (existsSync(agents) && !Object.hasOwn(this.#watcher!.getWatched(), agents)) this.#watcher!.add(agents);
      changed();
    });
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    if (this.#soon) clearTimeout(this.#soon);
    void this.#watcher?.close();
  }
}
