import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../base/log.ts';
import { hookSocket, type Paths } from '../../config/paths.ts';
import type { EventBody } from '../../wire/events.ts';
import type { Commands } from '../output/commands.ts';
import type { Session } from '../session/session.ts';
import type { Sessions } from '../session/sessions.ts';
import type { Handlers, Subsystem } from '../subsystem.ts';
import type { Decision } from './decide.ts';
import { PaneStatus } from './pane-status.ts';
import { RuleBook } from './rule-book.ts';

export interface StatusesParts {
  sessions: Sessions;
  commands: Commands;
  paths: Paths;
  log: Log;
  emit(event: EventBody): void;
}

/** Knows what every pane is doing, and tells when it changes. */
export class Statuses implements Subsystem<'pane.explain'> {
  readonly #parts: StatusesParts;
  readonly #bySession = new WeakMap<Session, PaneStatus>();
  readonly #book: RuleBook;
  /** A session does something else. What is found first is no change. */
  readonly onChange = new Set<(session: Session, decision: Decision, before: Decision) => void>();
  /** The daemon listens: what takes time can be done. */
  #isStarted = false;

  constructor(parts: StatusesParts) {
    const { sessions, commands, paths, log, emit } = parts;
    this.#parts = parts;
    this.#book = new RuleBook({
      userFolder: paths.agents,
      log,
      changed: (isFirst) => {
        for (const session of sessions.all) this.#bySession.get(session)?.rulesChanged();
        if (!isFirst) emit({ event: 'agents.reloaded', problems: this.#book.problems });
      },
    });
    sessions.onAssembled.add((session) => {
      const status = new PaneStatus({
        session,
        rules: () => this.#book.rules,
        rulesNow: () => this.#book.rulesNow,
        hookSocket: hookSocket(paths, session.pane.id),
        shellOf: () => commands.shellOf(session.pane.id),
        log,
        changed: (decision, before) => this.#tell(session, decision, before),
      });
      this.#bySession.set(session, status);
      session.onRunning = () => {
        status.begin();
        if (this.#isStarted) this.#book.begin();
      };
      session.doing = () => {
        const { status: word, because, since } = status.decision;
        return { status: word, because: because.text, since };
      };
    });
  }

  readonly calls: Pick<Handlers, 'pane.explain'> = {
    'pane.explain': ({ session: target }) => {
      const session = this.#parts.sessions.find(target);
      this.#book.readNow();
      const { decision, agent, considered } = this.#bySession.get(session)!.explain();
      const { status, because, since, recheckAt } = decision;
      return {
        session: session.facts.id,
        name: session.facts.name,
        pane: session.pane.id,
        status,
        because,
        since,
        recheckAt,
        agent,
        considered,
      };
    },
  };

  /** What is wrong with the files of rules, in sentences. */
  get problems(): string[] {
    return this.#book.problems;
  }

  /** The daemon listens. Until a program runs nobody needs the rules. */
  start(): void {
    this.#isStarted = true;
    if (this.#parts.sessions.all.some(({ isEnded }) => !isEnded)) this.#book.begin();
  }

  /** What a pane is doing; null for one that is in no list any more. */
  of(pane: string): PaneStatus | null {
    const session = this.#parts.sessions.all.find((each) => each.pane.id === pane);
    return (session && this.#bySession.get(session)) ?? null;
  }

  /** Removes the sockets of panes that are gone: a daemon that was killed has left them. */
  tidy(): void {
    const { sessions, paths } = this.#parts;
    const ours = new Set(sessions.all.filter(({ isEnded }) => !isEnded).map(({ pane }) => hookSocket(paths, pane.id)));
    for (const name of readdirSync(paths.run)) {
      const path = join(paths.run, name);
      if (/^h\d+\.sock$/.test(name) && !ours.has(path)) rmSync(path, { force: true, recursive: true });
    }
  }

  /** Makes again what vanished from the run folder. */
  remakeSockets(): void {
    for (const session of this.#parts.sessions.all) this.#bySession.get(session)?.remakeSocket();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#book[Symbol.dispose]();
    for (const session of this.#parts.sessions.all) this.#bySession.get(session)?.[Symbol.dispose]();
  }

  #tell(session: Session, decision: Decision, before: Decision): void {
    const { facts } = session;
    const {
      status,
      because: { text: because },
      since,
    } = decision;
    const about = { session: facts.id, name: facts.name, because, since };
    this.#parts.emit({ event: 'pane.status', ...about, status });
    if (status === 'waiting') this.#parts.emit({ event: 'agent.waiting', ...about });
    for (const then of this.onChange) then(session, decision, before);
  }
}
