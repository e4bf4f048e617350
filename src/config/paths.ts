import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where everything of one daemon lives. Every path can be moved with AI_SESSION_HOME, so tests and experiments never meet a real home. */
export interface Paths {
  home: string;
  run: string;
  socket: string;
  /** The program that an agent's hook runs to report: a link to that of the daemon which runs. */
  reporter: string;
  /** Who the daemon is: written after it listens, removed only by its owner. */
  daemonJson: string;
  /** The daemon's lock where `native/lock`, which locks the home itself, could not be built. */
  lock: string;
  /** What the daemon said before it had a log: a crash at start is read from here. */
  startLog: string;
  log: string;
  sessions: string;
  snapshots: string;
  metadata: string;
  config: string;
  /** The user's own rules for agents. */
  agents: string;
}

export function pathsFor(environment: NodeJS.ProcessEnv = process.env): Paths {
  const home = environment.AI_SESSION_HOME || join(homedir(), '.ai-session');
  const run = join(home, 'run');
  return {
    home,
    run,
    socket: join(run, 'daemon.sock'),
    reporter: join(run, 'report'),
    daemonJson: join(run, 'daemon.json'),
    lock: join(home, 'daemon.lock'),
    startLog: join(run, 'start.log'),
    log: join(home, 'logs', 'daemon.log'),
    sessions: join(home, 'sessions'),
    snapshots: join(home, 'snapshots'),
    metadata: join(home, 'metadata'),
    config: join(home, 'config.yaml'),
    agents: join(home, 'agents'),
  };
}

/** A holder's socket. */
export function holderSocket(paths: Paths, pane: string): string {
  return join(paths.run, `p${pane.slice(1)}.sock`);
}

/** Where a pane's agent reports by its hooks. */
export function hookSocket(paths: Paths, pane: string): string {
  return join(paths.run, `h${pane.slice(1)}.sock`);
}

/** Bytes that fit into sockaddr_un.sun_path besides its final NUL: 107 on Linux, 103 on macOS and the BSDs. */
const SOCKET_PATH_LIMIT_BYTES = process.platform === 'linux' ? 107 : 103;

/** A sentence when this home is unusable for sockets, else null. */
export function homeProblem({ home, run }: Paths): string | null {
  if (!home.startsWith('/')) return `AI_SESSION_HOME "${home}" is not an absolute path. Set it to one that begins with "/".`;
  if (home.includes('\0')) return 'AI_SESSION_HOME contains a NUL byte.';
  const longest = Buffer.byteLength(join(run, 'p9999999.sock'));
  if (longest <= SOCKET_PATH_LIMIT_BYTES) return null;
  const over = longest - SOCKET_PATH_LIMIT_BYTES;
  return `AI_SESSION_HOME "${home}" is ${over} bytes too long: a Unix socket's path may have ${SOCKET_PATH_LIMIT_BYTES}. Set AI_SESSION_HOME to a shorter path.`;
}
