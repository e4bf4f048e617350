import { writeSync } from 'node:fs';
import { LOCK_BUSY } from '../base/daemon-start.ts';
import { openLog } from '../base/log.ts';
import { homeProblem, pathsFor } from '../config/paths.ts';
import { makePrivateFolders } from '../config/private-folder.ts';
import { LiveSettings } from '../config/settings.ts';
import { Daemon } from './daemon.ts';
import { takeFileLock } from './lock.ts';
import type { Vault } from './persistence/vault/vault.ts';
import { unlockHome } from './unlock.ts';

/** The daemon's process: lock, log, daemon, signals, and one line on standard output when it listens. */
export async function main(argv: readonly string[]): Promise<void> {
  process.title = 'ai-session-daemon';
  const paths = pathsFor();
  const problem = homeProblem(paths);
  if (problem) return fail(problem);
  try {
    makePrivateFolders(paths);
  } catch (error) {
    return fail((error as Error).message);
  }
  // `native/lock` holds the lock by a descriptor that we were started with; else we take a file.
  const unlock = argv.includes('--locked') ? () => {} : takeFileLock(paths.lock);
  if (!unlock) process.exit(LOCK_BUSY);

  const settings = new LiveSettings(paths.config);
  const log = openLog(paths.log, settings.now.settings['log.level']);
  // The last net under everything: a bug outside of any pane or call is written down, and the programs of all sessions stay served.
  process.on('uncaughtException', (error) => void log.incident('uncaught exception', error));
  process.on('unhandledRejection', (error) => void log.incident('unhandled rejection', error));
  process.on('SIGHUP', () => {});
  // A file that may not grow (ulimit -f) is a full disk, and no reason to end.
  process.on('SIGXFSZ', () => {});

  let vault: Vault | null;
  try {
    vault = await unlockHome(paths, (text) => writeSync(1, text));
  } catch (error) {
    // What a person can mend is no incident.
    log.warn('the daemon did not start: history is locked', { because: (error as Error).message });
    unlock();
    return fail((error as Error).message);
  }
  let daemon: Daemon;
  try {
    daemon = new Daemon({ paths, settings, log, vault });
    await daemon.start();
  } catch (error) {
    log.incident('the daemon could not start', error);
    unlock();
    return fail((error as Error).message);
  }
  const stop = async (because: string) => {
    log.info('stopping', { because });
    await daemon[Symbol.asyncDispose]();
    unlock();
    log.close();
    process.exit(0);
  };
  daemon.onStopped = () => void stop('daemon.stop');
  process.once('SIGTERM', () => void stop('SIGTERM'));
  process.once('SIGINT', () => void stop('SIGINT'));
  try {
    writeSync(1, 'ready\n');
  } catch {
    // Whoever started us has gone; the next client finds us.
  }
}

function fail(message: string): never {
  writeSync(2, `ai-session: ${message}\n`);
  process.exit(1);
}
