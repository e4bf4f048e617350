import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PACKAGE_FOLDER } from '../base/package.ts';
import { homeProblem, type Paths } from '../config/paths.ts';
import { checkSocket, makePrivateFolders, UnsafePathError } from '../config/private-folder.ts';
import { Connection, ConnectionError } from './connection.ts';

/** A daemon that cannot be reached or started, in words for the person who asked. */
export class DaemonError extends Error {
  override readonly name = 'DaemonError';
  readonly reason: 'home' | 'unsafe' | 'not-running' | 'start-failed' | 'strange';
  constructor(reason: DaemonError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Between two tries while another client starts or stops the daemon; nobody waits here otherwise. */
const RETRY_MS = 25;
/** A daemon answers within a second; a machine under heavy load gets this long. */
const START_MS = 20_000;
/** What `lock` exits with when somebody else holds it (EX_TEMPFAIL). */
const LOCK_BUSY = 75;

/** Connects to this home's daemon, starting one when nobody answers (unless `start` is false). Two clients that race start one. */
export async function connect(paths: Paths, { start = true } = {}): Promise<Connection> {
  const problem = homeProblem(paths);
  if (problem) throw new DaemonError('home', problem);
  const deadline = Date.now() + START_MS;
  for (;;) {
    const connection = await tryConnect(paths);
    if (connection) return connection;
    if (!start) throw new DaemonError('not-running', `No daemon is running for "${paths.home}". Start one with: ai-session daemon start`);
    if (Date.now() > deadline)
      throw new DaemonError('start-failed', `The daemon did not answer within ${START_MS / 1000} s. See: ${paths.log}`);
    if ((await startDaemon(paths)) === 'busy') await delay(RETRY_MS);
  }
}

async function tryConnect(paths: Paths): Promise<Connection | null> {
  try {
    return checkSocket(paths) && (await Connection.open(paths.socket));
  } catch (error) {
    if (error instanceof UnsafePathError) throw new DaemonError('unsafe', error.message);
    if (error instanceof ConnectionError && error.reason === 'refused') return null;
    // A daemon that was just going away: the socket took us and was closed.
    if (error instanceof ConnectionError && error.reason === 'lost') return null;
    if (error instanceof ConnectionError) throw new DaemonError('strange', error.message);
    throw error;
  }
}

/** Starts a daemon under the lock and waits until it listens. `busy`: another one is starting, or the old one has not quite gone. */
async function startDaemon(paths: Paths): Promise<'ready' | 'busy'> {
  try {
    makePrivateFolders(paths);
  } catch (error) {
    if (error instanceof UnsafePathError) throw new DaemonError('unsafe', error.message);
    throw new DaemonError('home', `Cannot make "${paths.run}": ${(error as Error).message}`);
  }
  const main = join(PACKAGE_FOLDER, 'bin', 'ai-session-daemon');
  const lock = join(PACKAGE_FOLDER, 'native', 'bin', 'lock');
  // The lock is on the home itself, by a descriptor that lives as long as the daemon: it cannot go stale, and a cleaner cannot take it away
  // without the home. Where it was not built the daemon takes a file of its own.
  const [command, args] = existsSync(lock)
    ? [lock, [realpathSync(paths.home), process.execPath, main, '--locked']]
    : [process.execPath, [main]];
  const startLog = openSync(paths.startLog, 'w', 0o600);
  try {
    const child = spawn(command, args, {
      detached: true,
      cwd: '/',
      stdio: ['ignore', 'pipe', startLog],
      env: daemonEnvironment(process.env, paths),
    });
    return await new Promise((resolve, reject) => {
      let said = '';
      const done = (settle: () => void) => {
        child.removeAllListeners();
        child.stdout!.destroy();
        child.unref();
        settle();
      };
      child.stdout!.on('data', (chunk) => {
        said += chunk;
        if (said.includes('ready\n')) done(() => resolve('ready'));
      });
      child.once('error', (error) => done(() => reject(new DaemonError('start-failed', `Cannot start the daemon: ${error.message}`))));
      child.once('exit', (code, signal) =>
        done(() => {
          if (code === LOCK_BUSY) resolve('busy');
          else
            reject(
              new DaemonError(
                'start-failed',
                `The daemon ended while it started (${signal ?? `exit ${code}`}): ${lastWords(paths.startLog)}`,
              ),
            );
        }),
      );
    });
  } finally {
    closeSync(startLog);
  }
}

function lastWords(file: string): string {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  return lines.find((line) => /^\w*Error\b|^ai-session/.test(line)) ?? lines.at(-1) ?? 'it said nothing';
}

/**
 * The daemon keeps only what it needs itself: each session gets the environment of the client that made it. NODE_EXTRA_CA_CERTS would
 * cost every start some 100 ms on Node 20, and the daemon speaks no TLS.
 */
function daemonEnvironment(environment: NodeJS.ProcessEnv, { home }: Paths): NodeJS.ProcessEnv {
  const keep = /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_.*|TZ|TMPDIR|XDG_.*|AI_SESSION_.*)$/;
  const kept = Object.entries(environment).filter(([name]) => keep.test(name) && name !== 'AI_SESSION_PANE');
  return { ...Object.fromEntries(kept), AI_SESSION_HOME: home };
}
