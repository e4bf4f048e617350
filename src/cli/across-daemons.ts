import { type Connection, ConnectionError } from '../client/connection.ts';
import { connect, DaemonError } from '../client/daemon.ts';
import { pathsFor } from '../config/paths.ts';
import { WireError } from '../wire/errors.ts';
import { Losses, REPLACER_MS } from './losses.ts';
import { say } from './output.ts';
import { askPassphrase } from './session.ts';
import { hintAtVersion } from './version-hint.ts';

export interface Asking<T> {
  /** Asks this daemon. `waitedMs` is 0 the first time, and how long ago that was when an earlier daemon was lost or replaced since. */
  ask(daemon: Connection, waitedMs: number): Promise<T>;
  /** Said once, when a daemon was lost; null: nothing is. */
  notice: string | null;
  /** What to say when somebody has stopped the daemon, and nobody takes its place. */
  stopped(error: WireError): string;
}

/** Asks until a daemon has answered, however many go away before they have. One that somebody stopped is not started again. */
export async function acrossDaemons<T>({ ask, notice, stopped }: Asking<T>): Promise<T> {
  const began = performance.now();
  const losses = new Losses();
  for (let patienceMs: number | null = null; ; ) {
    const isAgain: boolean = patienceMs !== null;
    let daemon: Connection | null = null;
    try {
      daemon = await connect(pathsFor(), { patienceMs: patienceMs ?? 0, passphrase: askPassphrase });
      if (!isAgain) hintAtVersion(daemon.daemon, pathsFor());
      return await ask(daemon, isAgain ? Math.max(1, Math.round(performance.now() - began)) : 0);
    } catch (error) {
      // While another is started it may be killed as well.
      const isLost: boolean = daemon
        ? error instanceof ConnectionError
        : isAgain && error instanceof DaemonError && error.reason === 'start-failed';
      const isReplaced = error instanceof WireError && error.data.isReplaced === true;
      if (error instanceof WireError && error.data.isReplaced === false) throw new DaemonError('not-running', stopped(error));
      if (!isLost && !isReplaced) throw error;
      losses.count();
      if (isReplaced) await leaving(daemon!);
      else if (notice !== null) say(notice);
      if (isLost) notice = null;
      patienceMs = isReplaced ? REPLACER_MS : 0;
    } finally {
      daemon?.close();
    }
  }
}

/** A daemon that is being replaced takes calls until the end, and could not answer them. */
async function leaving(daemon: Connection): Promise<void> {
  await new Promise<void>((resolve) => {
    daemon.onLost = () => resolve();
    // It may have gone in the meantime.
    daemon.call('daemon.ping', {}).catch(() => resolve());
  });
}
