import type { Command } from 'commander';
import type { Connection } from '../client/connection.ts';
import { connect } from '../client/daemon.ts';
import { pathsFor } from '../config/paths.ts';
import type { SessionInfo } from '../wire/calls.ts';
import { UsageError } from './output.ts';
import { hintAtVersion } from './version-hint.ts';

/** Connects, does the work, and lets go, whatever happens. `isItsEnd`: then the daemon's version does not matter any more. */
export async function withDaemon<T>(
  work: (daemon: Connection) => Promise<T>,
  { isItsEnd = false, ...options }: { start?: boolean; isItsEnd?: boolean } = {},
): Promise<T> {
  const paths = pathsFor();
  const daemon = await connect(paths, { ...options, passphrase: askPassphrase });
  try {
    if (!isItsEnd) hintAtVersion(daemon.daemon, paths);
    return await work(daemon);
  } finally {
    daemon.close();
  }
}

/** For a home that is locked by one, when its daemon is started. */
export async function askPassphrase(): Promise<string> {
  return (await import('./ask.ts')).askSecret('Passphrase: ');
}

/** A session by the first operand or by -t: tmux's habit and ours. */
export function withTarget(command: Command): Command {
  return command.option('-t, --target <name>', 'the session, instead of as the first operand');
}

/** Takes the session's name off the operands, unless -t named it. */
export function takeTarget(operands: readonly string[], { target }: { target?: string }): { session: string; rest: string[] } {
  if (target !== undefined) return { session: target, rest: [...operands] };
  const [session, ...rest] = operands;
  if (session === undefined) throw new UsageError('Which session? Name it, or list them with: ai-session ls');
  return { session, rest };
}

const STATUSES: readonly SessionInfo['status'][] = ['starting', 'running', 'exited', 'failed', 'lost'];

export const STATUS_NAMES = STATUSES.join(', ');

/** Refuses a word that is no status, before it selects nothing in silence. */
export function checkStatus(status: string | undefined): void {
  if (status !== undefined && !STATUSES.some((known) => known === status))
    throw new UsageError(`"${status}" is no status: use ${STATUS_NAMES}.`);
}

export function wholeNumber(what: string, { min, max }: { min: number; max: number }): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^[+-]?\d+$/.test(text) || value < min || value > max)
      throw new UsageError(`${what} "${text}" is not a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** Milliseconds of a timeout that is given in seconds. */
export function timeoutMs({ maxSeconds }: { maxSeconds: number }): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+(\.\d+)?$/.test(text) || value > maxSeconds)
      throw new UsageError(`The timeout "${text}" is not a number of seconds from 0 to ${maxSeconds}.`);
    return Math.round(value * 1000);
  };
}

/** Bytes as a person says them. */
export function megabytes(bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

export const columns = wholeNumber('Width', { min: 1, max: 2000 });
export const rows = wholeNumber('Height', { min: 1, max: 2000 });
