import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { LOCK_BUSY, LOCKED } from '../base/daemon-start.ts';
import { PACKAGE_FOLDER } from '../base/package.ts';
import { homeProblem, type Paths } from '../config/paths.ts';
import { checkSocket, makePrivateFolders, UnsafePathError } from '../config/private-folder.ts';
import { Connection, ConnectionError } from './connection.ts';

/** A daemon that cannot be reached or started, in words for the person who asked. */
export class DaemonError extends Error {
  override readonly name = 'DaemonError';
  readonly reason: 'home' | 'unsafe' | 'not-running' | 'start-failed' | 'locked' | 'strange';
  constructor(reason: DaemonError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Nobody answers, and yet a process has the home: the daemon is on its way in or out. Who waits a moment can tell which. */
export class DaemonBusyError extends DaemonError {
  constructor(pid: number | null) {
    super('not-running', `The daemon is starting or stopping${pid === null ? '' : ` (pid ${pid})`}. Try again in a moment.`);
  }
}

/** Between two tries while another client starts or stops the daemon; nobody waits here otherwise. */
const RETRY_MS = 25;
/** A daemon answers within a second; a machine under heavy load gets this long. */
const START_MS = 20_000;
/** From asking a daemon to end until it is made to. */
const END_MS = 3000;
const LOCK = join(PACKAGE_FOLDER, 'native', 'bin', 'lock');

export interface ConnectOptions {
  /** Whether to start a daemon when nobody answers. */
  start?: boolean;
  limitMs?: number;
  /** How long another one is waited for before one is started. */
  patienceMs?: number;
  toStranger?: boolean;
  /** Asked when the home is locked by one. Rejects when nobody is there to ask. */
  passphrase?: () => Promise<string>;
}

const nobody = () => Promise.reject(new Error('nobody is there to ask'));

/**
 * Connects to this home's daemon, starting one when nobody answers (unless `start` is false). Two clients that race start one. `patienceMs`:
 * how long somebody else, who is about to start one, is given for it. `toStranger`: as `Connection.open` takes it.
 */
export async function connect(
  paths: Paths,
  { start = true, limitMs = START_MS, patienceMs = 0, toStranger = false, passphrase = nobody }: ConnectOptions = {},
): Promise<Connection> {
  const problem = homeProblem(paths);
  if (problem) throw new DaemonError('home', problem);
  const begun = Date.now();
  const deadline = begun + limitMs;
  for (;;) {
    const connection = await tryConnect(paths, toStranger);
    if (connection) return connection;
    if (Date.now() < begun + patienceMs) {
      await delay(RETRY_MS);
      continue;
    }
    if (!start && isLocked(paths)) throw new DaemonBusyError(daemonPid(paths));
    if (!start) throw new DaemonError('not-running', `No daemon is running for "${paths.home}". Start one with: ai-session daemon start`);
    if (Date.now() > deadline)
      throw new DaemonError('start-failed', `The daemon did not answer within ${limitMs / 1000} s. See: ${paths.log}`);
    if ((await startDaemon(paths, { deadline, limitMs, passphrase })) === 'busy') await delay(RETRY_MS);
  }
}

/**
 * Ends a daemon that cannot be talked to, by its process: first as it would end by itself, then by force. Returns its pid once it has gone, or
 * null when it is not known which process it is. Holders keep the programs.
 */
export async function endDaemon(paths: Paths): Promise<number | null> {
  const pid = daemonPid(paths);
  if (pid === null) return null;
  // One that was stopped hears of its end only when it goes on.
  for (const signal of ['SIGTERM', 'SIGCONT'] as const) send(pid, signal);
  const deadline = Date.now() + END_MS;
  while (isAlive(pid) && Date.now() < deadline) await delay(RETRY_MS);
  // Asked again: by now the number may be another process's.
  if (isAlive(pid) && isDaemon(pid, paths)) send(pid, 'SIGKILL');
  while (isAlive(pid) && isDaemon(pid, paths)) await delay(RETRY_MS);
  return pid;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // One that nobody has buried yet is dead enough; some containers' first process takes its time.
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return process.platform !== 'linux';
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has gone by itself.
  }
}

/** The process that listens, or did: what it wrote down about itself counts only while that process is a daemon of this home. */
function daemonPid(paths: Paths): number | null {
  try {
    const { pid } = JSON.parse(readFileSync(paths.daemonJson, 'utf8')) as { pid?: unknown };
    return Number.isSafeInteger(pid) && (pid as number) > 1 && isDaemon(pid as number, paths) ? (pid as number) : null;
  } catch {
    return null;
  }
}

/** Whether this process is ours and a daemon, and not one of another home. */
function isDaemon(pid: number, { home }: Paths): boolean {
  try {
    if (process.platform !== 'linux') {
      const [, uid, command] = /^\s*(\d+)\s+(.*)/.exec(
        execFileSync('ps', ['-o', 'uid=', '-o', 'command=', '-p', `${pid}`], { encoding: 'utf8' }),
      )!;
      return Number(uid) === process.geteuid?.() && command!.includes('ai-session-daemon');
    }
    if (statSync(`/proc/${pid}`).uid !== process.geteuid?.()) return false;
    if (!readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('ai-session-daemon')) return false;
    const its = /(?:^|\0)AI_SESSION_HOME=([^\0]*)/.exec(readFileSync(`/proc/${pid}/environ`, 'utf8'))?.[1];
    return !its || realpathSync(its) === realpathSync(home);
  } catch {
    return false;
  }
}

/** Whether some process has the home, as a daemon does from before it listens until it has gone. False where that cannot be asked. */
function isLocked({ home }: Paths): boolean {
  // A home that is not there would be made, as a file.
  return existsSync(LOCK) && existsSync(home) && spawnSync(LOCK, [realpathSync(home), 'true']).status === LOCK_BUSY;
}

async function tryConnect(paths: Paths, toStranger: boolean): Promise<Connection | null> {
  try {
    return checkSocket(paths) && (await Connection.open(paths.socket, { toStranger }));
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
async function startDaemon(
  paths: Paths,
  { deadline, limitMs, passphrase }: { deadline: number; limitMs: number; passphrase: () => Promise<string> },
): Promise<'ready' | 'busy'> {
  try {
    makePrivateFolders(paths);
  } catch (error) {
    if (error instanceof UnsafePathError) throw new DaemonError('unsafe', error.message);
    throw new DaemonError('home', `Cannot make "${paths.run}": ${(error as Error).message}`);
  }
  const main = join(PACKAGE_FOLDER, 'bin', 'ai-session-daemon');
  // The lock is on the home itself, by a descriptor that lives as long as the daemon: it cannot go stale, and a cleaner cannot take it away
  // without the home. Where it was not built the daemon takes a file of its own.
  const [command, args] = existsSync(LOCK)
    ? [LOCK, [realpathSync(paths.home), process.execPath, main, '--locked']]
    : [process.execPath, [main]];
  const startLog = openSync(paths.startLog, 'w', 0o600);
  try {
    const child = spawn(command, args, {
      detached: true,
      cwd: '/',
      stdio: ['pipe', 'pipe', startLog],
      env: daemonEnvironment(process.env, paths),
    });
    return await new Promise((resolve, reject) => {
      let said = '';
      let isLocked = false;
      const done = (settle: () => void) => {
        clearTimeout(timer);
        child.removeAllListeners();
        child.stdout!.destroy();
        child.stdin!.destroy();
        child.unref();
        settle();
      };
      // It may get there yet, so it is left alone.
      const timer = setTimeout(
        () =>
          done(() =>
            reject(
              new DaemonError('start-failed', `The daemon (pid ${child.pid}) was not ready within ${limitMs / 1000} s. See: ${paths.log}`),
            ),
          ),
        Math.max(0, deadline - Date.now()),
      );
      child.stdout!.on('data', (chunk) => {
        said += chunk;
        if (said.includes('ready\n')) done(() => resolve('ready'));
        else if (said.includes(LOCKED)) {
          said = said.replace(LOCKED, '');
          isLocked = true;
          // A person takes longer than a machine; an end without a word ends the daemon, which says why.
          clearTimeout(timer);
          passphrase().then(
            (text) => child.stdin!.end(`${text}\n`),
            () => child.stdin!.end(),
          );
        }
      });
      // It may end before it has read.
      child.stdin!.on('error', () => {});
      child.once('error', (error) => done(() => reject(new DaemonError('start-failed', `Cannot start the daemon: ${error.message}`))));
      child.once('exit', (code, signal) =>
        done(() => {
          if (code === LOCK_BUSY) resolve('busy');
          else if (isLocked) reject(new DaemonError('locked', lastWords(paths.startLog).replace(/^ai-session: /, '')));
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
 * cost every start some 100 ms on Node 20; for its one use of TLS there is the setting notify.webhook_ca. The desktop's bus shows notifications.
 */
function daemonEnvironment(environment: NodeJS.ProcessEnv, { home }: Paths): NodeJS.ProcessEnv {
  const keep =
    /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_.*|TZ|TMPDIR|XDG_.*|DBUS_SESSION_BUS_ADDRESS|DISPLAY|WAYLAND_DISPLAY|AI_SESSION_.*)$/;
  const kept = Object.entries(environment).filter(([name]) => keep.test(name) && !/^AI_SESSION_(PANE|HOOK|HOOK_SOCKET)$/.test(name));
  return { ...Object.fromEntries(kept), AI_SESSION_HOME: home };
}
