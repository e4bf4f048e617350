import { rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { holderSocket, type Paths } from '../../config/paths.ts';
import type { CallInput, CallResult } from '../../wire/calls.ts';
import { WireError } from '../../wire/errors.ts';
import type { Archive } from '../session/archive.ts';
import { writeCursor } from '../session/cursor.ts';
import type { Session } from '../session/session.ts';
import type { Sessions } from '../session/sessions.ts';
import type { CommandText } from './command-output.ts';
import { HEARD_MS } from './left-run.ts';

export interface ExecutionsParts {
  sessions: Sessions;
  archive: Archive;
  paths: Paths;
  /** The daemon ends: what is asked for here is answered, interrupted and put away by the next one. */
  isLeaving(): boolean;
  /** What a session has printed so far, in so many bytes. */
  textOf(session: Session, range: { pane: string; from: number; to: number }, maxBytes: number): CommandText;
}

/** The longest a timer can be, 24 days. */
const NO_LIMIT_MS = 2 ** 31 - 1;

/** Runs programs in sessions of their own, with no shell around them. */
export class Executions {
  readonly #parts: ExecutionsParts;
  /** Names of sockets that no holder is to make any more. */
  readonly #taken: string[] = [];

  constructor(parts: ExecutionsParts) {
    this.#parts = parts;
  }

  async run(params: CallInput<'command.exec'>): Promise<CallResult<'command.run'>> {
    const { sessions, isLeaving, textOf } = this.#parts;
    const { timeoutMs, maxBytes, interrupt, resume } = params;
    const session = (resume && this.#known(params)) || (await this.#create(params));
    const { facts, pane } = session;
    await pane.whenEnded(timeoutMs === undefined ? NO_LIMIT_MS : resume ? Math.max(HEARD_MS, timeoutMs) : timeoutMs);
    const isOver = session.isEnded;
    if (!isOver && interrupt && !isLeaving()) await sessions.kill([session], false);
    const { state } = pane;
    const exit = state.is === 'ended' ? state.exit : { code: null, signal: null };
    const range = { pane: pane.id, from: 0, to: pane.head };
    const { text, truncated } = textOf(session, range, maxBytes);
    // When the answer has gone out: until then the next daemon can give it. Its output is in the archive: ai-session logs, search.
    if (isOver) setImmediate(() => isLeaving() || sessions.remove(session));
    for (const path of this.#taken.splice(0)) rmSync(path, { force: true });
    const isLost = state.is === 'ended' && state.how === 'lost';
    return {
      session: { id: facts.id, name: facts.name },
      status: isOver ? 'finished' : 'timed_out',
      exitCode: exit.code ?? (exit.signal ? 128 + constants.signals[exit.signal] : null),
      signal: exit.signal,
      because: isOver ? (isLost ? 'It was lost: nobody knows how it ended.' : null) : late(interrupt),
      isRunning: !isOver && !interrupt,
      command: null,
      durationMs: (facts.endedAt ?? Date.now()) - facts.createdAt,
      output: text,
      truncated,
      range,
      cursor: writeCursor({ pane: pane.id, offset: range.to, picture: null }),
      warnings: [],
    };
  }

  #create({ command, cwd, env, cols, rows, token }: CallInput<'command.exec'>): Promise<Session> {
    return this.#parts.sessions.create({
      command,
      cwd,
      env,
      set: {},
      cols,
      rows,
      role: 'run',
      history: true,
      restart: 'never',
      token,
    });
  }

  /** The session that an earlier daemon made for it; null where none was made, or its program was never started. */
  #known({ token, timeoutMs }: CallInput<'command.exec'>): Session | null {
    const { sessions, archive } = this.#parts;
    if (token === undefined) throw new WireError('bad-params', 'A run is resumed by its token: give the one that it was asked for with.');
    const archived = archive.all.find(({ record }) => record.token === token);
    const session = archived ? sessions.findOrUnarchive(archived.record.id) : sessions.all.find(({ facts }) => facts.token === token);
    if (session && !this.#isNeverStarted(session)) return session;
    if (session) sessions.remove(session, { isSilent: true, hasBegun: false });
    if (timeoutMs === 0)
      throw new WireError('not-found', 'The time was over when the daemon was asked again, and nothing is known of the run.');
    return null;
  }

  /**
   * Whether a daemon was lost between the record of a session and its program, which now cannot be started any more: a holder makes its socket
   * before the program, and we have taken the name.
   */
  #isNeverStarted({ facts, pane }: Session): boolean {
    const isOpen = facts.backend === 'hold' && facts.pid === null && pane.state.is === 'ended' && pane.state.how === 'lost';
    if (!isOpen) return false;
    const path = holderSocket(this.#parts.paths, pane.id);
    try {
      writeFileSync(path, '', { flag: 'wx', mode: 0o600 });
      this.#taken.push(path);
      return true;
    } catch {
      // It is there: nobody knows what it has done by now.
      return false;
    }
  }
}

function late(isInterrupted: boolean): string {
  return isInterrupted ? 'The time was over, and it was ended.' : 'The time is over, and it goes on.';
}
