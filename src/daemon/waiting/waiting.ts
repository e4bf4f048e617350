import type { Log } from '../../base/log.ts';
import type { CallInput, CallResult } from '../../wire/calls.ts';
import { WireError } from '../../wire/errors.ts';
import type { History } from '../history/history.ts';
import type { Commands } from '../output/commands.ts';
import { type Cursor, checkCursor, readCursor, writeCursor } from '../session/cursor.ts';
import { leaving } from '../session/refusals.ts';
import type { Session } from '../session/session.ts';
import type { Sessions } from '../session/sessions.ts';
import type { Statuses } from '../status/statuses.ts';
import type { Caller, Handlers, Subsystem } from '../subsystem.ts';
import { highlightedSpans, picture } from '../terminal/picture.ts';
import { conditionOf } from './conditions.ts';
import { PaneWait } from './pane-wait.ts';
import { readLines } from './read-lines.ts';
import { submit } from './submit.ts';

type WaitCalls = 'pane.wait' | 'pane.mark' | 'pane.submit' | 'pane.read' | 'pane.screen';
type WaitResult = CallResult<'pane.wait'>;

export interface WaitingParts {
  sessions: Sessions;
  history: History;
  commands: Commands;
  statuses: Statuses;
  log: Log;
}

/** Waiting for what programs do. Nothing polls: a wait hears of bytes and ends, and has a timer only for what it was asked to time. */
export class Waiting implements Subsystem<WaitCalls> {
  readonly #parts: WaitingParts;
  /** How each wait at work is ended before it is answered. */
  readonly #atWork = new Set<(because: WireError) => void>();
  #leaving: WireError | null = null;

  constructor(parts: WaitingParts) {
    this.#parts = parts;
  }

  readonly calls: Pick<Handlers, WaitCalls> = {
    'pane.wait': (params, caller) => this.#wait(params, caller),
    'pane.mark': ({ sessions, after, picture }) => {
      const marks = marksOf(this.#named(sessions), after.map(readCursor), {});
      return { marks: [...marks].map(([session, mark]) => markOf(session, mark, picture)) };
    },
    'pane.submit': (params) => submit(this.#parts.sessions.find(params.session), params),
    'pane.read': (params) => readLines(params, this.#parts),
    'pane.screen': ({ session }) => screenOf(this.#parts.sessions.find(session)),
  };

  /** The daemon leaves: who waits is told from where to go on, and so is who comes now. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#leaving = leaving(this.#parts.sessions.isReplaced);
    for (const end of [...this.#atWork]) end(this.#leaving);
  }

  #named(names: readonly string[]): Session[] {
    return [...new Set(names.map((name) => this.#parts.sessions.find(name)))];
  }

  async #wait(params: CallInput<'pane.wait'>, { gone }: Caller): Promise<WaitResult> {
    const { all, timeoutMs, waitedMs } = params;
    const { commands, statuses } = this.#parts;
    const sources = { shellOf: (pane: string) => commands.shellOf(pane), doingOf: (pane: string) => statuses.of(pane) };
    const conditions = params.conditions.map((asked) => conditionOf(asked, sources));
    const sessions = this.#named(params.sessions);
    const readsOutput = params.conditions.some(({ is }) => is === 'text' || is === 'regex');
    const marks = marksOf(sessions, params.after.map(readCursor), { readsOutput, isAgain: waitedMs !== undefined });
    const began = performance.now();
    let timer: NodeJS.Timeout | null = null;
    let waits: PaneWait[] = [];
    let interrupt = (_: WireError) => {};
    let leave = () => {};
    try {
      return await new Promise<WaitResult>((resolve, reject) => {
        const answer = (outcome: WaitResult['outcome'], decider: PaneWait | null) =>
          resolve(resultOf({ outcome, decider, waits, elapsedMs: performance.now() - began }));
        const judge = (settled: PaneWait) => {
          const count = (is: string) => waits.filter(({ outcome }) => outcome.is === is).length;
          if (settled.outcome.is === 'matched' && (!all || count('matched') === waits.length)) answer('matched', settled);
          else if (settled.outcome.is === 'ended' && (all || count('ended') === waits.length)) answer('ended', settled);
        };
        const caughtUp = () => {
          if (timeoutMs === undefined || timer || waits.some(({ hasCaughtUp, outcome }) => !hasCaughtUp && outcome.is === 'waiting'))
            return;
          timer = setTimeout(() => answer('timeout', waits.length === 1 ? waits[0]! : null), timeoutMs);
        };
        waits = sessions.map((session) => {
          const wait: PaneWait = new PaneWait({
            session,
            mark: marks.get(session)!,
            conditions,
            waitedMs: waitedMs ?? 0,
            place: session.pane.journal?.place ?? null,
            onCaughtUp: caughtUp,
            onSettled: () => {
              judge(wait);
              caughtUp();
            },
            onFailed: reject,
          });
          return wait;
        });
        interrupt = ({ code, message, data }) =>
          reject(
            new WireError(code, `${message} Wait on with: --after ${afterOf(waits).join(' --after ')}`, { ...data, after: afterOf(waits) }),
          );
        this.#atWork.add(interrupt);
        if (this.#leaving) interrupt(this.#leaving);
        leave = () => reject(new WireError('busy', 'The client has gone.'));
        gone.addEventListener('abort', leave);
        for (const wait of waits) wait.begin();
      });
    } finally {
      gone.removeEventListener('abort', leave);
      this.#atWork.delete(interrupt);
      if (timer) clearTimeout(timer);
      for (const wait of waits) wait[Symbol.dispose]();
    }
  }
}

function screenOf({ facts, pane }: Session): CallResult<'pane.screen'> {
  const { screen } = pane;
  const { rows: lines, hash } = picture(screen);
  const highlighted = highlightedSpans(screen);
  return {
    session: facts.id,
    name: facts.name,
    pane: pane.id,
    lines,
    cols: screen.cols,
    rows: screen.rows,
    cursor: screen.cursor,
    title: screen.title,
    alternate: screen.isAlternate,
    highlighted: highlighted.length > 0 ? highlighted : null,
    hash,
    after: writeCursor({ pane: pane.id, offset: pane.head, picture: hash }),
  };
}

/** Where each session is to be watched from: its cursor, or here and now. */
function marksOf(
  sessions: readonly Session[],
  cursors: readonly Cursor[],
  { readsOutput = true, isAgain = false }: { readsOutput?: boolean; isAgain?: boolean },
): Map<Session, Cursor> {
  const marks = new Map(sessions.map((session) => [session, markNow(session)]));
  for (const cursor of cursors) {
    const session = sessions.find(({ pane }) => pane.id === cursor.pane) ?? (sessions.length === 1 ? sessions[0]! : null);
    if (!session)
      throw new WireError('bad-params', `Cursor "${writeCursor(cursor)}" is of pane ${cursor.pane}, which none of these sessions has.`);
    const { facts, pane } = session;
    if (isAgain && facts.earlierPanes.includes(cursor.pane))
      throw new WireError('ended', `The program of session "${facts.name}" has ended, and another was started since in its place.`);
    // Without a journal the holder may still have to say again what was printed before.
    const end = isAgain && !pane.journal ? Number.POSITIVE_INFINITY : pane.head;
    checkCursor(cursor, { pane: pane.id, name: facts.name, end });
    if (!pane.journal && readsOutput && cursor.offset < pane.head)
      throw new WireError(
        'bad-params',
        isAgain
          ? `Session "${facts.name}" keeps no history: what it printed while the daemon was away cannot be read. Wait for what comes from now on.`
          : `Session "${facts.name}" keeps no history: what came after cursor "${writeCursor(cursor)}" cannot be read. Leave --after out to wait for what comes from now on.`,
      );
    marks.set(session, cursor);
  }
  return marks;
}

function markNow({ pane }: Session): Cursor {
  return { pane: pane.id, offset: pane.head, picture: null };
}

/** The picture is that of now: who asks for the one at an earlier mark has to bring it. */
function markOf({ facts, pane }: Session, mark: Cursor, withPicture: boolean): CallResult<'pane.mark'>['marks'][number] {
  const shown = withPicture && mark.offset === pane.head ? (mark.picture ?? picture(pane.screen).hash) : mark.picture;
  return { session: facts.id, name: facts.name, cursor: writeCursor({ ...mark, picture: shown }) };
}

function afterOf(waits: readonly PaneWait[]): string[] {
  return waits.map(({ cursor }) => cursor);
}

function resultOf({
  outcome,
  decider,
  waits,
  elapsedMs,
}: {
  outcome: WaitResult['outcome'];
  decider: PaneWait | null;
  waits: readonly PaneWait[];
  elapsedMs: number;
}): WaitResult {
  const all = waits.map(tell);
  const one = decider && all[waits.indexOf(decider)]!;
  return {
    outcome,
    session: one?.session ?? null,
    name: one?.name ?? null,
    pane: one?.pane ?? null,
    condition: one?.condition ?? null,
    matched: one?.matched ?? null,
    cursor: one?.cursor ?? null,
    elapsedMs: Math.round(elapsedMs * 100) / 100,
    ...(one && 'exitCode' in one && { exitCode: one.exitCode }),
    all,
  };
}

function tell({ session: { facts, pane }, outcome, cursor }: PaneWait): WaitResult['all'][number] {
  const found = outcome.is === 'matched' ? outcome.found : null;
  return {
    session: facts.id,
    name: facts.name,
    pane: pane.id,
    outcome: outcome.is,
    condition: outcome.is === 'matched' ? outcome.condition : null,
    matched: found && { text: found.text, line: found.line, offset: found.offset },
    cursor,
    ...(pane.state.is === 'ended' && { exitCode: pane.state.exit.code }),
  };
}
