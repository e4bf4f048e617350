import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A program and everything it started. The holder is a subreaper, so what double-forks out of the program's sight is still below it. */
export interface Tree {
  program: number;
  holder: number | null;
}

/** What was sent to a tree, and who is left in spite of it. */
export interface Ended {
  signals: NodeJS.Signals[];
  survivors: number[];
}

interface Process {
  pid: number;
  parent: number;
  session: number;
  /** When it started, in the system's own unit: with the pid, its identity. */
  started: string;
  isZombie: boolean;
}

/**
 * Ends whole process trees: SIGHUP as a closed terminal would, then SIGTERM, then SIGKILL, each to everything that is still there. After the
 * first look a process stays on the list wherever it is reparented to, and each round looks again, because agents' servers fork while dying
 * and Node programs ignore SIGHUP. All trees share each look, so that ending 500 sessions reads the process table no more often than ending one.
 */
export async function endTrees(trees: readonly Tree[], { force = false } = {}): Promise<Ended[]> {
  const watched = trees.map((tree) => ({ tree, known: new Map<number, string>(), signals: [] as NodeJS.Signals[], alive: [] as number[] }));
  const lookOnce = () => {
    const table = readProcesses();
    for (const one of watched) one.alive = members(one.tree, one.known, table);
    return watched.filter(({ alive }) => alive.length > 0);
  };
  // A list of processes is no picture of one moment: what was forked while it was made, by a parent that then ended, is not on it. A second
  // list has it.
  const look = () => {
    const found = lookOnce();
    return found.length > 0 ? found : lookOnce();
  };
  let left = look();
  for (const { signal, patienceMs } of force ? STAGES.slice(-1) : STAGES) {
    const until = Date.now() + patienceMs;
    let pauseMs = 2;
    const told = new Set<string>();
    while (left.length > 0 && (pauseMs === 2 || Date.now() < until)) {
      for (const { alive, signals, known } of left) {
        for (const pid of alive) {
          const identity = `${pid} ${known.get(pid)}`;
          // SIGKILL is repeated at every look; the polite signals are said once to each process, so that a handler is not run over.
          if (told.has(identity) && signal !== 'SIGKILL') continue;
          told.add(identity);
          send(pid, signal);
          // A stopped process acts on nothing else until it is continued.
          if (signal !== 'SIGKILL') send(pid, 'SIGCONT');
        }
        if (signals.at(-1) !== signal) signals.push(signal);
      }
      await delay(pauseMs);
      pauseMs = Math.min(pauseMs * 2, 60);
      left = look();
    }
  }
  return watched.map(({ signals, alive }) => ({ signals, survivors: alive }));
}

/** How long each signal may take. A coding agent writes its transcript on SIGTERM; nothing outlives SIGKILL but a process stuck in the kernel. */
const STAGES: readonly { signal: NodeJS.Signals; patienceMs: number }[] = [
  { signal: 'SIGHUP', patienceMs: 700 },
  { signal: 'SIGTERM', patienceMs: 2000 },
  { signal: 'SIGKILL', patienceMs: 3000 },
];

/** Which process a pid means now: the boot, and when it started. Null when there is none, or the system does not tell. */
export function processIdentity(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()} ${started}`;
  } catch {
    return null;
  }
}

/** The living processes of a tree now; `known` remembers them for the next look. */
function members({ program, holder }: Tree, known: Map<number, string>, table: readonly Process[]): number[] {
  const children = new Map<number, Process[]>();
  for (const process of table) {
    const siblings = children.get(process.parent);
    if (siblings) siblings.push(process);
    else children.set(process.parent, [process]);
  }
  const found = new Map<number, Process>();
  const add = (process: Process) => {
    if (found.has(process.pid) || process.pid === holder) return;
    found.set(process.pid, process);
    for (const child of children.get(process.pid) ?? []) add(child);
  };
  for (const process of table) {
    const isRoot = process.pid === program ? holder === null || process.parent === holder : process.parent === holder && holder !== null;
    // A PTY's program leads the session of its terminal, so whatever kept that session is its own even after the parent has gone.
    if (isRoot || process.session === program || known.get(process.pid) === process.started) add(process);
  }
  for (const { pid, started } of found.values()) known.set(pid, started);
  return [...found.values()].filter(({ isZombie }) => !isZombie).map(({ pid }) => pid);
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone already, or not ours to signal: then it is reported as a survivor.
  }
}

function readProcesses(): Process[] {
  return process.platform === 'linux' ? readProc() : readPs();
}

function readProc(): Process[] {
  const processes: Process[] = [];
  for (const name of readdirSync('/proc')) {
    if (name.charCodeAt(0) > 57) continue;
    let stat: string;
    try {
      stat = readFileSync(`/proc/${name}/stat`, 'latin1');
    } catch {
      continue;
    }
    // The command is in parentheses and may hold any character, so fields are counted from the last one (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    processes.push({
      pid: Number(name),
      parent: Number(fields[1]),
      session: Number(fields[3]),
      started: fields[19]!,
      isZombie: fields[0] === 'Z' || fields[0] === 'X',
    });
  }
  return processes;
}

function readPs(): Process[] {
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,sess=,stat=,lstart='], { encoding: 'utf8' });
  return table.split('\n').flatMap((line) => {
    const [pid, parent, session, stat, ...started] = line.trim().split(/\s+/);
    return pid
      ? [
          {
            pid: Number(pid),
            parent: Number(parent),
            session: Number(session),
            started: started.join(' '),
            isZombie: stat!.startsWith('Z'),
          },
        ]
      : [];
  });
}
