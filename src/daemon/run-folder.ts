import { type FSWatcher, lstatSync, watch } from 'node:fs';
import type { Paths } from '../config/paths.ts';
import { makePrivateFolders } from '../config/private-folder.ts';

/**
 * Watches the folder of the sockets. Cleaners delete sockets by age (systemd-tmpfiles cut tmux servers off from everybody for years, tmux
 * #4640), and the daemon, or a holder, would live on where nobody can reach it. `mend` is called when something in it may have gone.
 */
export class RunFolder implements Disposable {
  readonly #paths: Paths;
  readonly #mend: () => void;
  #watcher: FSWatcher | null = null;
  #soon: NodeJS.Immediate | null = null;
  #isClosed = false;

  constructor(paths: Paths, mend: () => void) {
    this.#paths = paths;
    this.#mend = mend;
    this.#watch();
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#watcher?.close();
    if (this.#soon) clearImmediate(this.#soon);
  }

  #watch(): void {
    try {
      this.#watcher = watch(this.#paths.run, () => this.#changed()).on('error', () => {});
      this.#watcher.unref();
    } catch {
      // Out of inotify instances, as beside some editors: then nothing is mended, and everything else works.
      this.#watcher = null;
    }
  }

  /** Many changes make one look. */
  #changed(): void {
    if (this.#isClosed) return;
    this.#soon ??= setImmediate(() => {
      this.#soon = null;
      this.#look();
    });
  }

  #look(): void {
    // With the folder itself gone, its watcher hears nothing more. What stands in its place is not trusted, unless it is ours.
    const found = lstatSync(this.#paths.run, { throwIfNoEntry: false });
    if (!found) {
      makePrivateFolders(this.#paths);
      this.#watcher?.close();
      this.#watch();
    } else if (!found.isDirectory() || found.uid !== process.geteuid?.()) return;
    this.#mend();
  }
}
