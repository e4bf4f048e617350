import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A program in the foreground of a terminal. */
export interface Member {
  pid: number;
  argv: string[];
  /** Milliseconds since 1970, to the hundredth of a second. */
  startedAt: number;
}

/** So many of what a program started are looked through: a build may have thousands. */
const LOOKED_AT = 300;

/**
 * The members of a process group among a program and what it started, the group's leader first. The process table as a whole is not read,
 * it can be long. Nothing where the system has no /proc.
 */
export function groupMembers(program: number, group: number): Member[] {
  const found: Member[] = [];
  const queue = [program];
  for (let i = 0; i < queue.length && i < LOOKED_AT; i++) {
    const pid = queue[i]!;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      // The command is in parentheses and may hold any character, so fields are counted from the last one (proc(5)).
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(fields[2]) === group) found.push({ pid, argv: argvOf(pid), startedAt: startOf(Number(fields[19])) });
      queue.push(...childrenOf(pid));
    } catch {
      // It has ended meanwhile.
    }
  }
  return found.sort((a, b) => Number(b.pid === group) - Number(a.pid === group));
}

function argvOf(pid: number): string[] {
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  return words.slice(0, -1);
}

/** Whether a process reads from a terminal. */
export function isAtTerminal(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/fd/0`).startsWith('/dev/');
  } catch {
    return false;
  }
}

/** By thread: a program may start another one from any. */
function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    try {
      return readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  });
}

/** Linux tells programs of a hundred ticks a second, whatever its own clock does. */
const TICK_MS = 10;

function startOf(ticks: number): number {
  const upMs = Number.parseFloat(readFileSync('/proc/uptime', 'latin1')) * 1000;
  return Math.round(Date.now() - upMs + ticks * TICK_MS);
}
