import { constants } from 'node:os';
import type { Settings } from '../../config/settings.ts';
import type { Status } from '../../wire/pane-status.ts';
import type { CommandRecord } from '../output/command-file.ts';
import type { Session } from '../session/session.ts';
import type { Decision } from '../status/decide.ts';
import { TAKEN_OVER } from '../terminal/pty.ts';
import type { Notice, NoticeStatus } from './notice.ts';

/** The same word of the same session is not told more often than this, however its program flickers. */
const SAME_AGAIN_MS = 10_000;

/** Ended by a key, so somebody was there: 128 and the signal's number. */
const BY_KEYS = [constants.signals.SIGINT, constants.signals.SIGQUIT, constants.signals.SIGTSTP].map((signal) => 128 + signal);

interface Watched {
  /** When its agent's turn began. */
  turnSince: number | null;
  /** What will be told if it stays so. */
  pending: { timer: NodeJS.Timeout; isCommand: boolean } | null;
  toldAt: Partial<Record<NoticeStatus, number>>;
}

/**
 * Finds in what sessions do that which people want to be told. It has to hold for a while. `done` is what took long enough to look away
 * from: an agent's turn, a command, a program. Nobody is told of the end of a shell, of what was killed, of what a key has ended, nor of what
 * `ai-session run` ran: whoever did that knows.
 */
export class Lookout implements Disposable {
  readonly #settings: () => Settings;
  readonly #tell: (session: Session, notice: Notice) => void;
  readonly #watched = new WeakMap<Session, Watched>();
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor({ settings, tell }: { settings: () => Settings; tell(session: Session, notice: Notice): void }) {
    this.#settings = settings;
    this.#tell = tell;
  }

  changed(session: Session, now: Decision, before: Decision): void {
    const watched = this.#of(session);
    // A shell is at its prompt after a command, whichever is heard first.
    if (!(watched.pending?.isCommand && now.status === 'prompt')) this.#drop(watched);
    const status = this.#wordFor(session, watched, now, before);
    if (status) this.#tellLater(session, { status, because: now.because.text, since: now.since }, { isCommand: false });
  }

  finished(session: Session, { by, text, exitCode, startedAt, endedAt }: CommandRecord): void {
    const tookMs = (endedAt ?? startedAt) - startedAt;
    if (by === 'run' || exitCode === null || BY_KEYS.includes(exitCode) || tookMs < this.#longMs) return;
    const what = text === null ? 'a command' : `"${text.length > 80 ? `${text.slice(0, 80)}…` : text}"`;
    const because = `${what} ended with ${exitCode} after ${Math.round(tookMs / 1000)} s`;
    this.#tellLater(session, { status: exitCode === 0 ? 'done' : 'failed', because, since: endedAt! }, { isCommand: true });
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  get #longMs(): number {
    return this.#settings()['notify.long_seconds'] * 1000;
  }

  #of(session: Session): Watched {
    const known = this.#watched.get(session);
    if (known) return known;
    const watched: Watched = { turnSince: null, pending: null, toldAt: {} };
    this.#watched.set(session, watched);
    return watched;
  }

  #wordFor(session: Session, watched: Watched, now: Decision, before: Decision): NoticeStatus | null {
    const { facts } = session;
    // A question is a part of the turn. What an earlier daemon saw of it is told by the decision before.
    const turnSince = watched.turnSince ?? (IN_TURN.includes(before.status) ? before.since : null);
    watched.turnSince = IN_TURN.includes(now.status) ? (turnSince ?? now.since) : now.status === 'unknown' ? turnSince : null;
    // The end of a shell has the code of its last command.
    const isLeft = facts.shell !== null && now.because.rule !== 'signal';
    const isKnown = session.isBeingKilled || isOfRun(session);
    switch (now.status) {
      case 'waiting':
        return 'waiting';
      case 'done':
        return turnSince !== null && now.since - turnSince >= this.#longMs ? 'done' : null;
      case 'failed':
        return isLeft || isKnown ? null : 'failed';
      case 'lost':
        return isKnown || isTakenOver(session) ? null : 'failed';
      case 'exited': {
        const began = facts.restores.at(-1)?.at ?? facts.createdAt;
        return isLeft || isKnown || now.since - began < this.#longMs ? null : 'done';
      }
      default:
        return null;
    }
  }

  #tellLater(session: Session, what: Pick<Notice, 'status' | 'because' | 'since'>, { isCommand }: { isCommand: boolean }): void {
    const settings = this.#settings();
    const watched = this.#of(session);
    this.#drop(watched);
    if (!settings['notify.on'].includes(what.status)) return;
    const now = Date.now();
    const again = (watched.toldAt[what.status] ?? Number.NEGATIVE_INFINITY) + SAME_AGAIN_MS;
    const at = Math.max(now + settings['notify.hold_seconds'] * 1000, again);
    const timer = setTimeout(() => {
      this.#drop(watched);
      watched.toldAt[what.status] = Date.now();
      const { id, name } = session.facts;
      this.#tell(session, { session: id, name, ...what, isTest: false });
    }, at - now).unref();
    this.#timers.add(timer);
    watched.pending = { timer, isCommand };
  }

  #drop(watched: Watched): void {
    const { pending } = watched;
    if (!pending) return;
    clearTimeout(pending.timer);
    this.#timers.delete(pending.timer);
    watched.pending = null;
  }
}

const IN_TURN: readonly Status[] = ['working', 'waiting'];

/** Made by `ai-session run` for one command, and over with it. */
function isOfRun({ facts }: Session): boolean {
  return facts.token !== undefined || facts.role === 'run';
}

/** Its program goes on under a newer daemon, which tells what becomes of it. */
function isTakenOver({ pane: { state } }: Session): boolean {
  return state.is === 'ended' && state.because === TAKEN_OVER;
}
