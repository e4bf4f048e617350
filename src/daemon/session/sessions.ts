import { mkdirSync, rmSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { holderSocket } from '../../config/paths.ts';
import type { CallInput, SessionInfo } from '../../wire/calls.ts';
import { WireError } from '../../wire/errors.ts';
import type { Counters } from '../persistence/counters.ts';
import type { SessionRecord } from '../persistence/records.ts';
import type { Caller, Handlers, Subsystem } from '../subsystem.ts';
import { startHold } from '../terminal/hold.ts';
import { startNodePty } from '../terminal/node-pty.ts';
import { endTrees, processIdentity } from '../terminal/process-tree.ts';
import { type Pty, type PtyListener, SpawnError, TAKEN_OVER } from '../terminal/pty.ts';
import type { Archive } from './archive.ts';
import { type AssembleParts, assemble } from './assemble.ts';
import { quote, shell, shellHint } from './command-line.ts';
import { backendFor, type Creation, newFacts, type Revival, restoredNotice } from './creation.ts';
import { type Launch, ownLaunch, writeLaunch } from './launch.ts';
import { checkName, generateName } from './names.ts';
import { rebuild } from './rebuild.ts';
import { asRefusal, notFound } from './refusals.ts';
import { endAsRecorded, Restorer } from './restorer.ts';
import type { Session, SessionFacts } from './session.ts';
import { callsOf, type SessionCalls } from './session-calls.ts';
import { launchSpec, tidyShellFolder } from './shell.ts';

/** Ended sessions that are remembered; past this the one that ended first is forgotten. */
const ENDED_LIMIT = 50;

export interface SessionsParts extends AssembleParts {
  /** Which daemon this is, for holders: a newer one takes over, an older one is refused. */
  epoch: number;
  counters: Counters;
  /** The holder program, or null where it was not built. */
  holder: string | null;
  archive: Archive;
}

/** How often a session was started again, as far as anybody asks. */
const RESTORES_KEPT = 9;

/** The table of sessions: makes them, finds them, ends them, and hands them to the next daemon. */
export class Sessions implements Subsystem<SessionCalls> {
  readonly #parts: SessionsParts;
  readonly #byId = new Map<string, Session>();
  #isLeaving = false;
  /** A session's program has paused after it wrote something. */
  readonly onQuiet = new Set<(session: Session) => void>();
  /** A session, or a new pane of one, has been made or taken back; nothing has been shown of it yet. */
  readonly onAssembled = new Set<(session: Session) => void>();
  isReplaced = false;

  constructor(parts: SessionsParts) {
    this.#parts = parts;
    mkdirSync(parts.paths.sessions, { recursive: true, mode: 0o700 });
  }

  get all(): Session[] {
    return [...this.#byId.values()];
  }

  readonly calls: Pick<Handlers, SessionCalls> = callsOf(this);

  async create({
    name,
    command,
    cwd,
    env,
    set,
    cols,
    rows,
    role,
    openFiles,
    history,
    restart,
    token,
  }: CallInput<'session.create'> & { token?: string | undefined }): Promise<Session> {
    const { settings } = this.#parts.settings.now;
    if (this.#isLeaving) throw new WireError('busy', 'The daemon is stopping. Try again: the next call starts a new one.');
    if (!isAbsolute(cwd)) throw new WireError('bad-params', `The directory "${cwd}" is not an absolute path.`);
    const argv: [string, ...string[]] = command.length > 0 ? [command[0]!, ...command.slice(1)] : shell(settings, env);
    return await this.createFrom({
      name: name ?? generateName(cwd, (name) => this.#named(name) !== undefined),
      command: argv,
      started: argv,
      cwd,
      role: role ?? null,
      size: { cols, rows },
      launch: { env, set, openFiles: openFiles ?? null, isShell: command.length === 0 },
      history: history ?? settings['history.keep'],
      restart: restart ?? settings['sessions.restart'],
      conversation: null,
      before: null,
      ...(token !== undefined && { token }),
    });
  }

  /** Makes a session and starts its program, below what is shown already. */
  async createFrom(creation: Creation): Promise<Session> {
    const { name, started, size, launch, before } = creation;
    const holder = this.#named(checkName(name));
    if (holder && !holder.isEnded) {
      throw new WireError('exists', `A session named "${name}" exists. Attach to it with: ai-session attach ${quote(name)}`, {
        session: holder.facts.id,
      });
    }
    const { settings } = this.#parts.settings.now;
    const id = `$${this.#parts.counters.next('session')}`;
    const pane = `%${this.#parts.counters.next('pane')}`;
    const now = Date.now();
    const backend = backendFor(settings['pty.backend'], this.#parts.holder);
    const facts = newFacts(creation, { id, backend, createdAt: now });
    const session = this.#assembleOrRefuse(facts, { pane, ...size, activeAt: now });
    // It has its place before the program starts, so that two calls with one name cannot both succeed, and a crash in between leaves a trace.
    this.#byId.set(id, session);
    try {
      if (before) {
        session.pane.inherit(before.screen, before.notice);
        session.saveScreen();
      }
      await this.#launch(session, started, launch);
    } catch (error) {
      this.remove(session, { isSilent: true, hasBegun: false });
      throw error;
    }
    // Only now: a slip in the new command must not cost what the old one left.
    if (holder) this.remove(holder);
    this.#parts.emit({ event: 'session.started', session: id, name, pid: facts.pid });
    return session;
  }

  /**
   * Starts an ended session's program again, in a pane of its own below the screen that the earlier one left. When it cannot be started the
   * session is what it was.
   */
  async revive(old: Session, { command, cwd, notes, launch }: Revival): Promise<Session> {
    const { facts } = old;
    const { cols, rows } = old.pane.screen;
    if (this.#byId.get(facts.id) !== old) throw new WireError('busy', `Session "${facts.name}" is being started again already.`);
    const pane = `%${this.#parts.counters.next('pane')}`;
    const now = Date.now();
    const session = this.#assembleOrRefuse(
      {
        ...facts,
        cwd,
        backend: backendFor(this.#parts.settings.now.settings['pty.backend'], this.#parts.holder),
        pid: null,
        holderPid: null,
        pidIdentity: null,
        endedAt: null,
        shell: null,
        token: undefined,
        earlierPanes: [...facts.earlierPanes, old.pane.id],
        restores: [...facts.restores.slice(-RESTORES_KEPT), { at: now, endedAt: null }],
      },
      { pane, cols, rows, activeAt: now },
    );
    session.pane.inherit(old.pane.screen.snapshot({ history: 'all', onto: 'new' }), restoredNotice(notes));
    this.#byId.set(facts.id, session);
    try {
      session.saveScreen();
      await this.#launch(session, command, launch ?? ownLaunch());
    } catch (error) {
      this.#byId.set(facts.id, old);
      this.#closeJournal(session);
      session.dispose();
      rmSync(join(old.folder, 'panes', pane.slice(1)), { recursive: true, force: true });
      old.trySaveScreen();
      old.trySave();
      throw error;
    }
    this.#closeJournal(old);
    old.dispose();
    return session;
  }

  /** This name, or one made from the folder when somebody has it. */
  freeName(wanted: string, cwd: string): string {
    return this.#named(wanted) ? generateName(cwd, (name) => this.#named(name) !== undefined) : wanted;
  }

  /** As `find`, and an archived one is brought back into the list. */
  findOrUnarchive(target: string): Session {
    const known = this.look(target);
    const archived = known ? undefined : this.#parts.archive.find(target);
    if (!archived) return known ?? this.find(target);
    const { record } = archived;
    const name = this.freeName(record.name, record.cwd);
    this.#parts.archive.forget(record.id);
    const session = this.#take({ ...record, name, archivedAt: null });
    const { journal } = session.pane;
    if (journal) rebuild(session.pane, { journal, saved: session.savedScreen(record), folder: session.folder, replayed() {} });
    endAsRecorded(session, record);
    session.trySave();
    return session;
  }

  look(target: string): Session | undefined {
    return this.#byId.get(target) ?? this.all.find(({ pane }) => pane.id === target) ?? this.#named(target);
  }

  /** By exact name or by id; never by a part of it, which is how the wrong session gets killed. */
  find(target: string): Session {
    const session = this.look(target);
    if (session) return session;
    throw notFound(
      target,
      this.all.map(({ facts }) => facts.name),
    );
  }

  rename(session: Session, name: string): SessionInfo {
    const taken = this.#named(checkName(name));
    if (taken && taken !== session) throw new WireError('exists', `A session named "${name}" exists.`, { session: taken.facts.id });
    const from = session.facts.name;
    session.facts.name = name;
    try {
      session.save();
    } catch (error) {
      session.facts.name = from;
      throw asRefusal(error);
    }
    if (name !== from) this.#parts.emit({ event: 'session.renamed', session: session.facts.id, name, from });
    return session.info;
  }

  attach({ session, cols, rows, readOnly, detachOthers, history, shown }: CallInput<'pane.attach'>, caller: Caller) {
    const found = session === undefined ? this.#mostRecent() : this.find(session);
    if (detachOthers) found.pane.detachAll('taken over');
    found.lastUsed = Date.now();
    const stream = found.pane.attach({ open: (sink) => caller.openStream(sink), cols, rows, readOnly, history, shown });
    this.#parts.emit({ event: 'client.attached', session: found.facts.id, name: found.facts.name, stream, readOnly });
    return { stream, session: found.info, prefix: this.#parts.settings.now.settings.prefix };
  }

  /** Ends the processes of these sessions, all together, and forgets the sessions. */
  async kill(sessions: readonly Session[], force: boolean) {
    for (const session of sessions) session.isBeingKilled = true;
    try {
      await Promise.allSettled(sessions.map((session) => this.#starts.get(session)));
      const trees = sessions.map(({ tree }) => tree);
      const ends = await endTrees(trees, { force });
      // A survivor of SIGKILL is not waited for.
      await Promise.all(sessions.map(({ pane }) => pane.whenEnded(1000)));
      return sessions.map((session, i) => {
        const { signals, survivors } = ends[i]!;
        this.remove(session);
        return { id: session.facts.id, name: session.facts.name, signals, survivors };
      });
    } finally {
      for (const session of sessions) session.isBeingKilled = false;
    }
  }

  /** Forgets a session. What still runs in it has been ended before, or never started. */
  remove(session: Session, { isSilent = false, hasBegun = true } = {}): void {
    if (!this.#byId.delete(session.facts.id)) return;
    const { state } = session.pane;
    this.#letHolderGo(session);
    tidyShellFolder(this.#parts.paths, (pane) => pane === session.pane.id);
    const gone = { how: state.is === 'ended' ? state.how : 'lost', exit: { code: null, signal: null }, because: 'removed' } as const;
    // What never began has no end that anybody should hear of.
    if (hasBegun) session.pane.end(gone.how, gone.exit, gone.because);
    else session.pane.endAsBefore({ is: 'ended', ...gone });
    this.#putAway(session, hasBegun);
    if (!isSilent) this.#parts.emit({ event: 'session.removed', session: session.facts.id, name: session.facts.name });
  }

  /** Takes back what an earlier daemon left: programs in their holders, and the records of ended ones. */
  restore(): Promise<void> {
    const { paths, log, counters, epoch, emit } = this.#parts;
    return new Restorer({
      paths,
      log,
      counters,
      epoch,
      emit,
      take: (record) => this.#take(record),
      takeArchived: (record) => this.#parts.archive.add(record),
      adopt: (session, pty) => this.#adopt(session, pty),
      listener: (session) => this.#listener(session),
      awaitLeaving: (left) => this.#awaitLeaving(left),
      isWanted: ({ facts }) => !this.#isLeaving && this.#byId.has(facts.id),
    }).restore();
  }

  /** The end of this daemon, not of the programs: screens are kept for the next one, holders let go. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isLeaving = true;
    await Promise.allSettled(this.#starts.values());
    // All of them first: saving takes its time, and whatever is typed meanwhile would be lost.
    for (const { pane } of this.#byId.values()) pane.detachAll(this.isReplaced ? 'daemon replaced' : 'daemon stopping');
    for (const session of this.#byId.values()) {
      session.trySaveScreen();
      session.trySave();
    }
    await Promise.all([...[...this.#ptys.values()].map((pty) => pty.release()), ...this.#leaving]);
    for (const session of this.#byId.values()) session.dispose();
  }

  readonly #ptys = new Map<Session, Pty>();
  /** Holders that have been told to leave and are on their way. */
  readonly #leaving = new Set<Promise<void>>();
  /** Sessions whose program is being started. */
  readonly #starts = new Map<Session, Promise<void>>();

  /** For a moment, while it is being replaced, an ended session shares its name with a new one. */
  #named(name: string): Session | undefined {
    const named = this.all.filter(({ facts }) => facts.name === name);
    return named.find(({ isEnded }) => !isEnded) ?? named[0];
  }

  #mostRecent(): Session {
    const sessions = this.all.filter(({ isEnded }) => !isEnded);
    const latest = sessions.reduce<Session | null>((best, one) => (best && best.lastUsed >= one.lastUsed ? best : one), null);
    if (!latest) {
      const ended = this.all.at(-1);
      const look = ended ? ` To see how one ended, name it: ai-session attach ${quote(ended.facts.name)}` : '';
      throw new WireError('not-found', `No session is running. Start one with: ai-session new${look && '.'}${look}`);
    }
    return latest;
  }

  #assemble(facts: SessionFacts, at: { pane: string; cols: number; rows: number; activeAt: number }): Session {
    const session = assemble(this.#parts, facts, at, {
      onEnded: (session, watchers) => this.#ended(session, watchers > 0),
      // What it printed last could not be written down when it ended; now it is.
      onRecovered: (session) => session.isEnded && this.#byId.has(facts.id) && session.tryKeepEnd() && this.#letHolderGo(session),
    });
    session.onQuiet = () => {
      for (const then of this.onQuiet) then(session);
    };
    if (facts.shell) session.pane.expectMarks(facts.shell.nonce);
    for (const then of this.onAssembled) then(session);
    return session;
  }

  /** A disk that takes no journal takes no session. */
  #assembleOrRefuse(facts: SessionFacts, at: { pane: string; cols: number; rows: number; activeAt: number }): Session {
    try {
      return this.#assemble(facts, at);
    } catch (error) {
      throw asRefusal(error);
    }
  }

  /** Starts the program of a session that has its place in the table. Throws WireError when it could not be. */
  async #launch(session: Session, argv: readonly [string, ...string[]], launch: Launch): Promise<void> {
    const { facts, pane } = session;
    const starting = (async () => {
      const { holder, paths, epoch } = this.#parts;
      const spec = launchSpec(session, argv, launch, { settings: this.#parts.settings.now.settings, paths });
      session.save();
      writeLaunch(session.folder, facts.id, this.#parts.journals.vault, launch);
      const listener = this.#listener(session);
      const held = () => startHold({ spec, socketPath: holderSocket(paths, pane.id), epoch, binary: holder! }, listener);
      this.#adopt(session, await (facts.backend === 'hold' ? held() : startNodePty(spec, listener)));
    })();
    this.#starts.set(session, starting);
    try {
      await starting;
    } catch (error) {
      if (error instanceof SpawnError)
        throw new WireError('spawn-failed', error.message + shellHint(argv, error), { reason: error.reason });
      throw asRefusal(error);
    } finally {
      this.#starts.delete(session);
    }
  }

  #closeJournal({ pane: { journal } }: Session): void {
    if (!journal) return;
    this.#parts.journals.forget(journal);
    void journal.close();
  }

  #listener(session: Session): PtyListener {
    return session.pane.listener((what, action) => this.#guard(session, what, action));
  }

  #adopt(session: Session, pty: Pty): void {
    this.#ptys.set(session, pty);
    session.facts.pid = pty.pid;
    session.facts.holderPid = pty.holderPid;
    session.facts.pidIdentity = processIdentity(pty.pid);
    session.pane.running(pty);
    session.trySave();
    session.onRunning();
    // It may have ended before we knew it had begun.
    if (session.isEnded) this.#letHolderGo(session);
  }

  #take(record: SessionRecord): Session {
    const { ended, command, cols, rows, activeAt, pane } = record;
    const facts: SessionFacts = { ...record, command: command as [string, ...string[]], endedAt: ended?.at ?? null };
    const session = this.#assemble(facts, { pane, cols, rows, activeAt });
    this.#byId.set(facts.id, session);
    return session;
  }

  #awaitLeaving(left: Promise<void>): void {
    const leaving = left
      .catch((error) => this.#parts.log.warn('a holder did not leave in order', { because: (error as Error).message }))
      .finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }

  #ended(session: Session, wasSeen: boolean): void {
    const keep = this.#parts.settings.now.settings['sessions.keep_ended'];
    // Who asked for a run may have to ask the next daemon for its result.
    const isKept = keep === 'always' || (keep === 'unseen' && !wasSeen) || session.facts.token !== undefined;
    if (session.isBeingKilled || !this.#byId.has(session.facts.id)) return;
    const { state } = session.pane;
    // A holder in the middle of a frame cannot say who has come, but whoever it is has counted.
    const isTaken = () => this.#parts.counters.isBeyond('epoch', this.#parts.epoch);
    if (state.is === 'ended' && (state.because === TAKEN_OVER || (state.how === 'lost' && isTaken()))) {
      this.#byId.delete(session.facts.id);
      this.#closeJournal(session);
      queueMicrotask(() => session.dispose());
      return;
    }
    if (!isKept) {
      // After the followers have been told, which happens in this turn. A pane that a bug has ended may have a living program: it stays.
      if (state.is === 'ended' && state.how !== 'failed') queueMicrotask(() => this.remove(session));
      return;
    }
    // The holder keeps the exit until it is written down: on a full disk, for the next daemon.
    if (session.tryKeepEnd()) this.#letHolderGo(session);
    const ended = this.all.filter(({ isEnded }) => isEnded).sort((a, b) => a.facts.endedAt! - b.facts.endedAt!);
    for (const oldest of ended.slice(0, Math.max(0, ended.length - ENDED_LIMIT))) this.remove(oldest);
  }

  /** It leaves the list: its history stays for logs and searches, until it is collected. */
  #putAway(session: Session, hasBegun: boolean): void {
    const { journals, archive } = this.#parts;
    const { journal } = session.pane;
    if (!hasBegun || journal === null || journal.end === 0) {
      this.#closeJournal(session);
      session.remove();
      return;
    }
    session.facts.archivedAt = Date.now();
    // A record that cannot be written brings it back into the list of the next daemon, which is better than to lose it.
    session.trySave();
    session.dispose();
    archive.add(session.record);
    void journal.seal().then(() => journal.close());
    journals.forget(journal);
  }

  /** The exit is known and written down: the holder has done its work. */
  #letHolderGo(session: Session): void {
    const pty = this.#ptys.get(session);
    if (!pty) return;
    this.#ptys.delete(session);
    pty.dismiss();
    this.#awaitLeaving(pty.release());
  }

  /** A bug in one pane ends that pane, and is written down. */
  #guard(session: Session, what: string, action: () => void): void {
    try {
      action();
    } catch (error) {
      const incident = this.#parts.log.incident(`a pane failed: ${what}`, error, { session: session.facts.id });
      try {
        session.pane.end('failed', { code: null, signal: null }, `internal error, incident ${incident}`);
      } catch (again) {
        this.#parts.log.incident('a failed pane could not be ended', again, { session: session.facts.id });
      }
    }
  }
}
