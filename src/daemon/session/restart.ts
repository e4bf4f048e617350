import { basename } from 'node:path';
import { type Agent, agentOf, resumeCommand } from './conversations.ts';

/** What becomes of a session whose program was lost with the machine: it stays to be read, waits for `restore`, or comes back by itself. */
export type RestartPolicy = 'never' | 'ask' | 'always';

/** A time that the session was started again, and when that ended; null while it runs. */
export interface Restore {
  at: number;
  endedAt: number | null;
}

/** What is to be known of a session to start it again. */
export interface RestoreRecord {
  name: string;
  /** As it was asked for: a command that resumes is made from it each time anew. */
  command: readonly [string, ...string[]];
  cwd: string;
  ended: { how: 'exited' | 'failed' | 'lost'; exitCode: number | null; signal: string | null } | null;
  policy: RestartPolicy;
  conversation: { agent: Agent; id: string } | null;
  /** Oldest first; the last few are enough. */
  restores: readonly Restore[];
}

export type RestorePlan = { command: [string, ...string[]]; cwd: string; notes: string[] } | { refused: string };

/** What `ai-session restore NAME` starts. `cwd` is the folder that was asked for instead (-c). */
export function planRestore(
  record: RestoreRecord,
  { isCwdThere, cwd: asked }: { isCwdThere: (cwd: string) => boolean; cwd?: string | undefined },
): RestorePlan {
  const { name, command, conversation } = record;
  const quoted = JSON.stringify(name);
  if (record.ended === null) return { refused: `Session ${quoted} is running: there is nothing to restore.` };
  if (record.policy === 'never') return { refused: `Session ${quoted} is kept to be read only. Start its program with: ai-session new` };
  const cwd = asked ?? record.cwd;
  if (!isCwdThere(cwd)) {
    const elsewhere = asked === undefined ? ' Name another one with: -c DIR' : '';
    return { refused: `The directory "${cwd}" of session ${quoted} is not there.${elsewhere}` };
  }
  const agent = agentOf(command);
  const moved = cwd === record.cwd ? [] : [`starts in "${cwd}" instead of "${record.cwd}"`];
  const anew = (why: string): RestorePlan => ({ command: [...command], cwd, notes: [...moved, why] });
  if (agent === null) return anew(`starts "${basename(command[0])}" from the beginning`);
  const title = TITLES[agent];
  if (conversation?.agent !== agent) return anew(`starts ${title} anew: no conversation of it is known`);
  // Codex finds a conversation by its id alone; the others look among those of the folder they are in.
  if (moved.length > 0 && agent !== 'codex')
    return anew(`starts ${title} anew: its conversation ${conversation.id} belongs to "${record.cwd}"`);
  const resumed = resumeCommand(command, agent, conversation.id);
  if (!resumed) return anew(`starts ${title} anew: this command holds no conversation that could be resumed`);
  return { command: resumed, cwd, notes: [...moved, `resumes ${title} conversation ${conversation.id}`] };
}

/** What the daemon does about a session that it finds ended as it starts: `start` it, `wait` to be asked, or `leave` it and say why. */
export type Comeback = { do: 'start' } | { do: 'wait' } | { do: 'leave'; because: string };

export function comeback({ policy, ended, restores }: RestoreRecord): Comeback {
  if (ended === null) return { do: 'leave', because: 'it is running' };
  if (policy === 'never') return { do: 'leave', because: 'it is kept to be read only' };
  const own = endedByItself(ended);
  if (own) return { do: 'leave', because: own };
  if (policy === 'ask') return { do: 'wait' };
  const loop = crashLoop(restores);
  return loop ? { do: 'leave', because: loop } : { do: 'start' };
}

/** Why a session that comes back always is left alone all the same; null when nothing speaks against another try. */
export function crashLoop(restores: readonly Restore[]): string | null {
  const last = restores.slice(-LOOP_TIMES);
  const isLoop = last.length === LOOP_TIMES && last.every(({ at, endedAt }) => endedAt !== null && endedAt - at < LOOP_MS);
  return isLoop ? `it ended within ${LOOP_MS / 1000} s of its start ${LOOP_TIMES} times in a row` : null;
}

const LOOP_TIMES = 3;
const LOOP_MS = 10_000;

const TITLES: Record<Agent, string> = { claude: 'Claude', codex: 'Codex', gemini: 'Gemini' };

/** What a machine sends on its way down; a program that heeds it exits with 128 and the number. */
const FAREWELLS: Record<string, number> = { SIGHUP: 129, SIGKILL: 137, SIGTERM: 143 };

/**
 * Why the end of a program was its own; null when it was the machine's. A shutdown is seen as a signal as often as it is not seen at all:
 * the daemon may still be there when everybody is told to end.
 */
function endedByItself({ how, exitCode, signal }: NonNullable<RestoreRecord['ended']>): string | null {
  if (how === 'lost') return null;
  if (how === 'failed') return 'it could not be shown any more';
  if (signal !== null) return Object.hasOwn(FAREWELLS, signal) ? null : `it ended by itself (${signal})`;
  return Object.values(FAREWELLS).includes(exitCode ?? 0) ? null : `it ended by itself (exit ${exitCode ?? 'unknown'})`;
}
