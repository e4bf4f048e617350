import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { PACKAGE_FOLDER, VERSION } from '../../base/package.ts';
import { connect, DaemonError } from '../../client/daemon.ts';
import { homeProblem, type Paths, pathsFor } from '../../config/paths.ts';
import { makePrivateFolders, UnsafePathError } from '../../config/private-folder.ts';
import type { DaemonStatus, SessionInfo } from '../../wire/calls.ts';
import { EXIT } from '../exit-codes.ts';
import { plain, print, printJson, style } from '../output.ts';
import { megabytes } from '../session.ts';

/** One thing that was looked at. `fix` is what to do about it, and null when there is nothing to do. */
interface Check {
  check: string;
  status: 'ok' | 'warn' | 'fail';
  found: string;
  fix: string | null;
}

export function define(command: Command): void {
  command
    .option('--json', 'print JSON')
    .addHelpText('after', '\nStarts no daemon, and exits with 1 when something fails.')
    .action(async ({ json }: { json?: boolean }) => {
      const checks = await examine(pathsFor());
      if (json) printJson(checks);
      else for (const check of checks) tell(check);
      if (checks.some(({ status }) => status === 'fail')) process.exitCode = EXIT.failure;
    });
}

function tell({ status, check, found, fix }: Check): void {
  const label = status === 'fail' ? style('red', 'FAIL  ') : status === 'warn' ? style('yellow', 'warn  ') : style('green', 'ok    ');
  print(`${label}${check.padEnd(12)}${plain(found)}`);
  if (fix !== null) print(`${' '.repeat(18)}fix: ${plain(fix)}`);
}

async function examine(paths: Paths): Promise<Check[]> {
  const holder = await checkHolder();
  return [
    checkNode(),
    ...holder,
    checkLock(),
    await checkNodePty(holder.every(({ status }) => status === 'ok')),
    ...checkHome(paths),
    ...(await checkSettings(paths)),
    ...(await checkDaemon(paths)),
    ...checkLimits(),
    ...checkTerminal(),
    ...checkNesting(),
    ...checkLogind(),
  ];
}

const ok = (check: string, found: string): Check => ({ check, status: 'ok', found, fix: null });
const warn = (check: string, found: string, fix: string): Check => ({ check, status: 'warn', found, fix });
const fail = (check: string, found: string, fix: string): Check => ({ check, status: 'fail', found, fix });

function checkNode(): Check {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
  const found = `Node ${process.versions.node} at ${process.execPath}`;
  const isEnough = major > 20 || (major === 20 && minor >= 19);
  return isEnough ? ok('node', found) : fail('node', `${found}: too old`, 'install Node 20.19 or later; 24 is recommended');
}

/* ---- The native programs ---- */

const REBUILD = 'install a C compiler (Debian, Ubuntu: apt install gcc libc6-dev), then run: npm rebuild ai-session';
/** Each of these takes milliseconds on a machine that is well. */
const PATIENCE_MS = 5000;

/** Starts a holder as the daemon would, reads that its program runs on a PTY, connects to its socket, and ends it. */
async function checkHolder(): Promise<Check[]> {
  const binary = process.env.AI_SESSION_HOLD ?? join(PACKAGE_FOLDER, 'native', 'bin', 'hold');
  if (!existsSync(binary)) return [warn('hold', `"${binary}" was not built: programs end with the daemon`, REBUILD)];
  const folder = mkdtempSync(join(tmpdir(), 'ai-doctor-'));
  const socket = join(folder, 's');
  const child = spawn(binary, [socket, '80', '24', '0', '/', '--', 'true'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const isGone = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
  try {
    const said = await within(PATIENCE_MS, firstLine(child.stdout));
    const [outcome, stage, errno] = said.split(' ');
    if (outcome !== 'ok') {
      const why = outcome === 'err' ? `failed at "${stage}" (errno ${errno})` : `said "${said}"`;
      if (stage === 'pty')
        return [
          ok('hold', binary),
          fail('pty', `no PTY can be made (errno ${errno})`, 'mount devpts on /dev/pts, and look whether kernel.pty.max is used up'),
        ];
      return [fail('hold', `"${binary}" ${why}`, `run it: ${binary} /tmp/s 80 24 0 / -- true; or build it again: ${REBUILD}`)];
    }
    await within(PATIENCE_MS, canConnect(socket));
    return [ok('hold', `${binary} runs: programs outlive the daemon`), ok('pty', 'a PTY was made and a program ran on it')];
  } catch (error) {
    return [fail('hold', `"${binary}": ${(error as Error).message}`, REBUILD)];
  } finally {
    child.kill('SIGTERM');
    await within(PATIENCE_MS, isGone).catch(() => child.kill('SIGKILL'));
    rmSync(folder, { recursive: true, force: true });
  }
}

async function firstLine(stream: NodeJS.ReadableStream): Promise<string> {
  let said = '';
  for await (const chunk of stream) {
    said += chunk;
    if (said.includes('\n')) break;
  }
  return said.split('\n')[0] ?? '';
}

function canConnect(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
  });
}

/** What `promise` says, or an error when it takes too long. */
async function within<T>(limitMs: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${limitMs / 1000} s`)), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The lock has to be taken once and refused while it is held: lock runs itself, and the inner one must find it busy. */
function checkLock(): Check {
  const binary = join(PACKAGE_FOLDER, 'native', 'bin', 'lock');
  if (!existsSync(binary)) return warn('lock', `"${binary}" was not built: a lock file stands in for it`, REBUILD);
  const folder = mkdtempSync(join(tmpdir(), 'ai-doctor-'));
  try {
    const file = join(folder, 'lock');
    const free = spawnSync(binary, [file, 'true'], { timeout: PATIENCE_MS });
    const held = spawnSync(binary, [file, binary, file, 'true'], { timeout: PATIENCE_MS });
    if (free.status === 0 && held.status === 75) return ok('lock', `${binary} runs: two clients start one daemon`);
    return fail('lock', `"${binary}" exits with ${free.status} when free and ${held.status} when held, instead of 0 and 75`, REBUILD);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The other way to a PTY. It is needed only where the holder cannot run. */
async function checkNodePty(isHolderWell: boolean): Promise<Check> {
  try {
    const { spawn } = await import('node-pty');
    if (isHolderWell) return ok('node-pty', 'loads; not needed while hold runs');
    const pty = spawn('true', [], {});
    await within(PATIENCE_MS, new Promise<void>((resolve) => pty.onExit(() => resolve())));
    return ok('node-pty', 'stands in for hold: a PTY was made and a program ran on it');
  } catch (error) {
    const found = `cannot be used: ${(error as Error).message.split('\n')[0]}`;
    const fix = 'npm rebuild node-pty';
    return isHolderWell
      ? warn('node-pty', `${found}; not needed while hold runs`, fix)
      : fail('node-pty', `${found}, and hold cannot run either`, fix);
  }
}

/* ---- The home ---- */

function checkHome(paths: Paths): Check[] {
  const problem = homeProblem(paths);
  if (problem) return [fail('home', problem, 'export AI_SESSION_HOME=/a/shorter/path')];
  if (!existsSync(paths.home)) {
    let parent = dirname(paths.home);
    while (!existsSync(parent)) parent = dirname(parent);
    return [
      isWritable(parent)
        ? ok('home', `${paths.home} will be made on first use`)
        : fail('home', `"${paths.home}" cannot be made: "${parent}" is not yours to write`, 'set AI_SESSION_HOME to a folder of your own'),
    ];
  }
  try {
    makePrivateFolders(paths);
  } catch (error) {
    const { message } = error as Error;
    // Its sentences end with what to do.
    const [, found = message, fix = 'set AI_SESSION_HOME to a folder of your own'] =
      /^(.*?)\. ((?:Fix|Set|Remove).*)$/s.exec(message) ?? [];
    return [
      fail('home', error instanceof UnsafePathError ? found : `Cannot use "${paths.home}": ${message}`, fix.replace(/^Fix it with: /, '')),
    ];
  }
  if (!isWritable(paths.run)) return [fail('home', `"${paths.run}" cannot be written`, `chmod u+rwx "${paths.run}"`)];
  return [ok('home', `${paths.home} is yours alone, and short enough for sockets`)];
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return statSync(folder).isDirectory();
  } catch {
    return false;
  }
}

async function checkSettings({ config }: Paths): Promise<Check[]> {
  const { loadSettings } = await import('../../config/settings.ts');
  const { problems } = loadSettings(config);
  if (problems.length > 0) return problems.map((problem) => warn('settings', problem, `edit ${config}`));
  return [ok('settings', existsSync(config) ? `${config}: all of it is taken` : `no ${config}: the defaults hold`)];
}

/* ---- The daemon and its holders ---- */

async function checkDaemon(paths: Paths): Promise<Check[]> {
  const sockets = holderSockets(paths);
  let connection: Awaited<ReturnType<typeof connect>>;
  try {
    connection = await connect(paths, { start: false });
  } catch (error) {
    if (!(error instanceof DaemonError))
      return [fail('daemon', `cannot be looked for: ${(error as Error).message}`, 'set AI_SESSION_HOME to a folder of your own')];
    // Homes and sockets that are not ours have been told of above, and the socket itself is told of here.
    if (error.reason === 'home') return [];
    if (error.reason !== 'not-running')
      return [fail('daemon', error.message, 'ai-session daemon restart; if it does not end, kill the process that has the socket')];
    const waiting = sockets.length === 0 ? [] : [ok('holders', `${sockets.length} hold programs for the next daemon`)];
    return [ok('daemon', 'not running; the first command that needs it starts it'), ...waiting];
  }
  try {
    const [status, { sessions }] = await within(
      PATIENCE_MS,
      Promise.all([connection.call('daemon.status', {}), connection.call('session.list', {})]),
    );
    const about = `pid ${status.pid} answers (version ${status.version}, ${status.sessions} sessions on ${status.backend})`;
    const version =
      status.version === VERSION
        ? ok('daemon', about)
        : warn('daemon', `${about}, and this is ${VERSION}`, 'ai-session daemon restart (programs run on)');
    return [version, ...checkHistory(status), ...checkSessions(paths, sockets, sessions)];
  } catch (error) {
    return [
      fail(
        'daemon',
        `pid ${connection.daemon.pid} does not answer: ${(error as Error).message}`,
        `see ${paths.log}, then: kill ${connection.daemon.pid} (programs run on)`,
      ),
    ];
  } finally {
    connection.close();
  }
}

function checkHistory({ history }: DaemonStatus): Check[] {
  if (!history) return [];
  const { codec, isEncrypted, bytes, failing } = history;
  const about = `${megabytes(bytes)}, compressed with ${codec}, ${isEncrypted ? 'encrypted' : 'not encrypted'}`;
  const fast = codec === 'zstd-napi' || codec.startsWith('node:zlib');
  return [
    fast
      ? ok('history', about)
      : warn('history', `${about}: zstd is three times as fast`, 'npm rebuild zstd-napi, or use Node 22.15 or newer'),
    ...failing.map(({ name, because }) =>
      fail('history', `the disk takes no output of "${name}": ${because}`, 'free some space; what waits is written then'),
    ),
  ];
}

function checkSessions(paths: Paths, sockets: readonly string[], sessions: readonly SessionInfo[]): Check[] {
  const claimed = new Set(sessions.map(({ pane }) => `p${pane.slice(1)}.sock`));
  // The sockets were listed before the sessions were, so one that is new has its session here; one that is going is looked at again.
  const orphans = sockets.filter((name) => !claimed.has(name) && existsSync(join(paths.run, name)));
  const lost = sessions.filter(({ status }) => status === 'lost');
  return [
    ...(orphans.length === 0
      ? [ok('holders', `${sockets.length}, each with its session`)]
      : orphans.map((name) => tellOrphan(join(paths.run, name)))),
    ...(lost.length === 0
      ? []
      : [warn('sessions', `lost with their holders: ${lost.map(({ name }) => `"${name}"`).join(', ')}`, 'ai-session restore --all')]),
  ];
}

function tellOrphan(socket: string): Check {
  const pid = holderOf(socket);
  if (pid !== null) return warn('holders', `pid ${pid} holds a program of no session at "${socket}"`, `kill ${pid}`);
  return warn('holders', `"${socket}" is of no session`, `end the process that listens there, or, when there is none: rm "${socket}"`);
}

function holderSockets({ run }: Paths): string[] {
  try {
    return readdirSync(run).filter((name) => /^p\d+\.sock$/.test(name));
  } catch {
    return [];
  }
}

/** The process that was started with this socket as its first argument, where /proc can tell. */
function holderOf(socket: string): number | null {
  for (const pid of existsSync('/proc') ? readdirSync('/proc') : []) {
    if (/^\d+$/.test(pid) && readText(`/proc/${pid}/cmdline`)?.split('\0')[1] === socket) return Number(pid);
  }
  return null;
}

/* ---- The system ---- */

/** Descriptors that a daemon without sessions has open, rounded up. Each session costs it two more: its holder's socket and its journal. */
const DAEMON_FILES = 40;
/** Fewer sessions than this are within reach of somebody who has agents start them. */
const MANY_SESSIONS = 200;

function checkLimits(): Check[] {
  const limits = readText('/proc/self/limits');
  if (limits === null) return [];
  const limit = (name: string) => {
    const [, soft, hard] = new RegExp(`^${name}\\s+(\\S+)\\s+(\\S+)`, 'm').exec(limits) ?? [];
    return {
      soft: soft ?? 'unlimited',
      hard: hard ?? 'unlimited',
      count: soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft),
    };
  };
  const files = limit('Max open files');
  const sessions = Math.max(0, Math.floor((files.count - DAEMON_FILES) / 2));
  const openFiles = `open files: ${files.soft} of at most ${files.hard}, enough for ${Number.isFinite(sessions) ? `some ${sessions} sessions` : 'any number of sessions'}`;
  const processes = limit('Max processes');
  const ofUser = `processes: ${processes.soft} for this user, two or more a session`;
  return [
    sessions >= MANY_SESSIONS
      ? ok('files', openFiles)
      : warn('files', openFiles, 'raise the hard limit: ulimit -Hn, or LimitNOFILE= and /etc/security/limits.conf'),
    processes.count >= 2 * MANY_SESSIONS
      ? ok('processes', ofUser)
      : warn('processes', ofUser, 'raise it: ulimit -u, or /etc/security/limits.conf'),
    ...checkPtyCount(),
  ];
}

function checkPtyCount(): Check[] {
  const [used, most] = ['nr', 'max'].map((name) => Number(readText(`/proc/sys/kernel/pty/${name}`) ?? Number.NaN)) as [number, number];
  if (Number.isNaN(used) || Number.isNaN(most)) return [];
  const found = `PTYs: ${used} of ${most} in use on this machine`;
  const fix = `sudo sysctl kernel.pty.max=${most * 2}`;
  if (used >= most) return [fail('ptys', found, fix)];
  return [used > most * 0.9 ? warn('ptys', found, fix) : ok('ptys', found)];
}

/* ---- Where we are ---- */

function checkTerminal(): Check[] {
  const { TERM, COLORTERM, LC_ALL, LC_CTYPE, LANG } = process.env;
  const locale = LC_ALL || LC_CTYPE || LANG || '';
  const checks = [
    /utf-?8/i.test(locale)
      ? ok('locale', locale)
      : warn('locale', locale === '' ? 'none is set: programs may not write UTF-8' : `"${locale}" is not UTF-8`, 'export LANG=C.UTF-8'),
  ];
  if (!process.stdout.isTTY) return [...checks, ok('terminal', 'standard output is none, so it was not looked at')];
  checks.push(
    !TERM || TERM === 'dumb'
      ? warn('terminal', `TERM is "${TERM ?? ''}": what is attached to cannot be drawn`, 'export TERM=xterm-256color')
      : ok('terminal', `TERM=${TERM}`),
  );
  const hasColours = COLORTERM === 'truecolor' || COLORTERM === '24bit';
  checks.push(
    hasColours
      ? ok('colours', `COLORTERM=${COLORTERM}`)
      : warn(
          'colours',
          'COLORTERM does not say "truecolor": programs in sessions use 24-bit colours all the same',
          'when colours look right: export COLORTERM=truecolor; else use a terminal that has them',
        ),
  );
  return checks;
}

function checkNesting(): Check[] {
  const { AI_SESSION, TMUX, STY, ZELLIJ } = process.env;
  const outer = TMUX ? 'tmux' : STY ? 'screen' : ZELLIJ !== undefined ? 'zellij' : null;
  return [
    ...(AI_SESSION
      ? [
          warn(
            'nesting',
            `inside session ${AI_SESSION}: attach and new refuse to show a session here`,
            'leave it first (C-b d), or use: new -d',
          ),
        ]
      : []),
    ...(outer
      ? [
          warn(
            'nesting',
            `inside ${outer}: it may take the prefix key before a session does`,
            'press the prefix twice, or choose another one: "prefix: C-a" in config.yaml',
          ),
        ]
      : []),
    ...(AI_SESSION || outer ? [] : [ok('nesting', 'inside no session and no other multiplexer')]),
  ];
}

/** With KillUserProcesses logind ends everything of a user who logs out, daemon and programs included, unless the user lingers. */
function checkLogind(): Check[] {
  const folder = '/etc/systemd/logind.conf.d';
  const dropIns = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith('.conf'))
        .sort()
    : [];
  const text = ['/etc/systemd/logind.conf', ...dropIns.map((name) => join(folder, name))].map((file) => readText(file) ?? '').join('\n');
  const last = [...text.matchAll(/^\s*KillUserProcesses\s*=\s*(\S+)/gim)].at(-1)?.[1]?.toLowerCase();
  if (last === undefined || !['yes', 'true', 'on', '1'].includes(last)) return [];
  const { username } = userInfo();
  if (statSync(`/var/lib/systemd/linger/${username}`, { throwIfNoEntry: false }))
    return [ok('logout', `KillUserProcesses is on, and "${username}" lingers: sessions outlive a logout`)];
  return [warn('logout', 'KillUserProcesses is on: a logout ends the daemon and every program', 'loginctl enable-linger')];
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
