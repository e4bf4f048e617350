import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Log } from '../../base/log.ts';
import { holderSocket, type Paths } from '../../config/paths.ts';
import type { LiveSettings } from '../../config/settings.ts';
import type { CallInput, SessionInfo } from '../../wire/calls.ts';
import { WireError } from '../../wire/errors.ts';
import type { EventBody } from '../../wire/events.ts';
import type { Counters } from '../persistence/counters.ts';
import { readSessionRecord, type SessionRecord } from '../persistence/records.ts';
import { type Caller, type Handlers, type Subsystem, sinkOf } from '../subsystem.ts';
import { adoptHold, HolderError, startHold } from '../terminal/hold.ts';
import { encodeInput } from '../terminal/keys.ts';
import { startNodePty } from '../terminal/node-pty.ts';
import { endTrees, processIdentity } from '../terminal/process-tree.ts';
import { type Pty, type PtyListener, type PtySpec, SpawnError } from '../terminal/pty.ts';
import { signalNamed } from '../terminal/signals.ts';
import { capture } from './capture.ts';
import { loginName, quote, shell, shellHint } from './command-line.ts';
import { paneEnvironment } from './environment.ts';
import { dismissLeftOver } from './left-over.ts';
import { checkName, generateName } from './names.ts';
import { Pane } from './pane.ts';
import { asRefusal, notFound } from './refusals.ts';
import { readSavedScreen, Session, type SessionFacts } from './session.ts';

/** Ended sessions that are remembered; past this the one that ended first is forgotten. */
const ENDED_LIMIT = 50;
/** Between two tries to reach a holder that does not answer. */
const SILENT_HOLDER_MS = 5000;

type Calls =
  | 'session.create'
  | 'session.list'
  | 'session.get'
  | 'session.rename'
  | 'session.kill'
  | 'pane.write'
  | 'pane.capture'
  | 'pane.resize'
  | 'pane.signal'
  | 'pane.attach'
  | 'pane.detach'
  | 'pane.viewport';

export interface SessionsParts {
  paths: Paths;
  settings: LiveSettings;
  log: Log;
  emit(event: EventBody): void;
  /** Which daemon this is, for holders: a newer one takes over, an older one is refused. */
  epoch: number;
  counters: Counters;
  /** The holder program, or null where it was not built. */
  holder: string | null;
}

/** The table of sessions: makes them, finds them, ends them, and hands them to the next daemon. */
export class Sessions implements Subsystem<Calls> {
  readonly #parts: SessionsParts;
  readonly #byId = new Map<string, Session>();
  /** Sessions whose processes are being ended: their holders stay until nothing is left of them. */
  readonly #beingKilled = new Set<Session>();
  #isLeaving = false;

  constructor(parts: SessionsParts) {
    this.#parts = parts;
    mkdirSync(parts.paths.sessions, { recursive: true, mode: 0o700 });
  }

  get all(): Session[] {
    return [...this.#byId.values()];
  }

  readonly calls: Pick<Handlers, Calls> = {
    'session.create': async (params) => (await this.create(params)).info,
    'session.list': () => ({ sessions: this.all.map(({ info }) => info) }),
    'session.get': ({ session }) => this.find(session).info,
    'session.rename': ({ session, name }) => this.rename(this.find(session), name),
    'session.kill': async ({ sessions, force }) => ({
      killed: await this.kill([...new Set(sessions.map((name) => this.find(name)))], force),
    }),
    'pane.write': ({ session, input, as, enter }) => {
      const { pane } = this.find(session);
      const bytes = encodeInput(input, { as, enter, modes: pane.screen.keyModes });
      pane.write(bytes);
      return { bytes: bytes.length };
    },
    'pane.capture': (params) => capture(this.find(params.session).pane.screen, params),
    'pane.resize': ({ session, cols, rows }) => {
      const found = this.find(session);
      found.pane.resize(cols, rows);
      return found.info;
    },
    'pane.signal': async ({ session, signal, to }) => {
      const found = this.find(session);
      const name = signalNamed(signal);
      if (!name)
        throw new WireError('bad-params', `No signal "${signal.slice(0, 40)}". Use a name such as INT, TERM or WINCH, or a number.`);
      const { state } = found.pane;
      if (state.is !== 'running') throw new WireError('ended', `Session "${found.facts.name}" has ended: there is nothing to signal.`);
      return { signal: name, delivered: await state.pty.signal(name, to) };
    },
    'pane.attach': (params, caller) => this.attach(params, caller),
    'pane.detach': ({ stream }, caller) => {
      sinkOf(caller, stream).closed('detached');
      return {};
    },
    'pane.viewport': ({ stream, cols, rows }, caller) => {
      sinkOf(caller, stream).viewport(cols, rows);
      return {};
    },
  };

  async create({ name, command, cwd, env, set, cols, rows, role, openFiles }: CallInput<'session.create'>): Promise<Session> {
    const { settings } = this.#parts.settings.now;
    if (this.#isLeaving) throw new WireError('busy', 'The daemon is stopping. Try again: the next call starts a new one.');
    if (!isAbsolute(cwd)) throw new WireError('bad-params', `The directory "${cwd}" is not an absolute path.`);
    const chosen = name === undefined ? generateName(cwd, (name) => this.#named(name) !== undefined) : checkName(name);
    const holder = this.#named(chosen);
    if (holder && !holder.isEnded) {
      throw new WireError('exists', `A session named "${chosen}" exists. Attach to it with: ai-session attach ${quote(chosen)}`, {
        session: holder.facts.id,
      });
    }
    const argv: [string, ...string[]] = command.length > 0 ? [command[0]!, ...command.slice(1)] : shell(settings, env);
    const n = this.#parts.counters.next('session');
    const [id, paneId] = [`$${n}`, `%${this.#parts.counters.next('pane')}`];
    const backend = this.#backend(settings['pty.backend']);
    const now = Date.now();
    const facts: SessionFacts = {
      id,
      name: chosen,
      command: argv,
      cwd,
      role: role ?? null,
      backend,
      createdAt: now,
      pid: null,
      holderPid: null,
      pidIdentity: null,
      endedAt: null,
    };
    const session = this.#assemble(facts, { pane: paneId, cols, rows, activeAt: now });
    // It has its place before the program starts, so that two calls with one name cannot both succeed, and a crash in between leaves a trace.
    this.#byId.set(id, session);
    const started: PtySpec = {
      argv: loginName(argv, command.length === 0 && settings['shell.login']),
      env: paneEnvironment({ ...env, ...(set.SHELL && { SHELL: set.SHELL }) }, { session: id, pane: paneId, cwd, set }),
      cwd,
      cols,
      rows,
      ...(openFiles && { openFiles }),
    };
    const starting = (async () => {
      session.save();
      this.#adopt(session, await this.#start(backend, started, session));
    })();
    this.#starts.set(session, starting);
    try {
      await starting;
    } catch (error) {
      this.remove(session, { isSilent: true });
      if (error instanceof SpawnError)
        throw new WireError('spawn-failed', error.message + shellHint(argv, error), { reason: error.reason });
      throw asRefusal(error);
    } finally {
      this.#starts.delete(session);
    }
    // Only now: a slip in the new command must not cost what the old one left.
    if (holder) this.remove(holder);
    this.#parts.emit({ event: 'session.started', session: id, name: chosen, pid: facts.pid });
    return session;
  }

  /** By exact name or by id; never by a part of it, which is how the wrong session gets killed. */
  find(target: string): Session {
    const session = this.#byId.get(target) ?? this.all.find(({ pane }) => pane.id === target) ?? this.#named(target);
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

  attach({ session, cols, rows, readOnly, detachOthers, history }: CallInput<'pane.attach'>, caller: Caller) {
    const found = session === undefined ? this.#mostRecent() : this.find(session);
    if (detachOthers) found.pane.detachAll('taken over');
    found.lastUsed = Date.now();
    const stream = found.pane.attach({ open: (sink) => caller.openStream(sink), cols, rows, readOnly, history });
    this.#parts.emit({ event: 'client.attached', session: found.facts.id, name: found.facts.name, stream, readOnly });
    return { stream, session: found.info, prefix: this.#parts.settings.now.settings.prefix };
  }

  /** Ends the processes of these sessions, all together, and forgets the sessions. */
  async kill(sessions: readonly Session[], force: boolean) {
    for (const session of sessions) this.#beingKilled.add(session);
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
      for (const session of sessions) this.#beingKilled.delete(session);
    }
  }

  /** Forgets a session. What still runs in it has been ended before, or never started. */
  remove(session: Session, { isSilent = false } = {}): void {
    if (!this.#byId.delete(session.facts.id)) return;
    const { state } = session.pane;
    this.#letHolderGo(session);
    session.pane.end(state.is === 'ended' ? state.how : 'lost', { code: null, signal: null }, 'removed');
    session.remove();
    if (!isSilent) this.#parts.emit({ event: 'session.removed', session: session.facts.id, name: session.facts.name });
  }

  /** Asks holders whose socket has vanished to make it again: the next daemon could not find them. */
  remakeSockets(): void {
    for (const { facts, pane, isEnded } of this.#byId.values()) {
      if (isEnded || facts.holderPid === null || existsSync(holderSocket(this.#parts.paths, pane.id))) continue;
      this.#parts.log.warn('a holder is asked to make its socket again', { session: facts.id });
      process.kill(facts.holderPid, 'SIGUSR1');
    }
  }

  /** Takes back what an earlier daemon left: programs in their holders, and the records of ended ones. */
  async restore(): Promise<void> {
    const { log, paths } = this.#parts;
    const records: SessionRecord[] = [];
    const { counters } = this.#parts;
    // The counters' file may have been lost; what is in use is not given again.
    for (const name of readdirSync(paths.run)) counters.raise('pane', Number(/^p(\d+)\.sock$/.exec(name)?.[1] ?? 0));
    for (const name of readdirSync(paths.sessions)) {
      if (!/^\d+$/.test(name)) continue;
      counters.raise('session', Number(name));
      try {
        const record = readSessionRecord(join(paths.sessions, name, 'state.json'));
        counters.raise('pane', Number(record.pane.slice(1)));
        records.push(record);
      } catch (error) {
        log.warn('a session record cannot be read and is left alone', { folder: name, because: (error as Error).message });
      }
    }
    records.sort((a, b) => a.createdAt - b.createdAt);
    await Promise.all(
      records.map((record) =>
        this.#restoreOne(record).catch((error) => void log.incident('a session could not be restored', error, { session: record.id })),
      ),
    );
  }

  /** The end of this daemon, not of the programs: screens are kept for the next one, holders let go. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isLeaving = true;
    await Promise.allSettled(this.#starts.values());
    for (const session of this.#byId.values()) {
      session.pane.detachAll('daemon stopping');
      this.#saveScreenOrWarn(session);
    }
    await Promise.all([...[...this.#ptys.values()].map((pty) => pty.release()), ...this.#leaving]);
    for (const session of this.#byId.values()) session.pane.screen.dispose();
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

  #backend(wanted: 'auto' | 'hold' | 'node-pty'): 'hold' | 'node-pty' {
    if (wanted === 'hold' && this.#parts.holder === null)
      throw new WireError('spawn-failed', 'pty.backend is "hold", which was not built. See why with: ai-session doctor');
    return wanted === 'auto' ? (this.#parts.holder ? 'hold' : 'node-pty') : wanted;
  }

  #assemble(
    facts: SessionFacts,
    {
      pane: paneId,
      cols,
      rows,
      activeAt,
      screenOffset = null,
    }: { pane: string; cols: number; rows: number; activeAt: number; screenOffset?: number | null },
  ): Session {
    const { emit, log, settings, paths } = this.#parts;
    const named = () => ({ session: facts.id, name: facts.name });
    const pane = new Pane({
      id: paneId,
      cols,
      rows,
      activeAt,
      scrollbackLines: settings.now.settings['scrollback.lines'],
      news: {
        resized: (cols, rows) => {
          this.#saveOrWarn(session);
          emit({ event: 'session.resized', ...named(), cols, rows });
        },
        titled: (title) => emit({ event: 'session.titled', ...named(), title }),
        rang: () => emit({ event: 'session.rang', ...named() }),
        detached: (stream, because) => emit({ event: 'client.detached', ...named(), stream, because }),
        poisoned: (error) => void log.incident('the emulator failed on some output and was replaced', error, named()),
        ended: (state, watchers) => {
          facts.endedAt = Date.now();
          emit({ event: 'session.ended', ...named(), status: state.how, exitCode: state.exit.code, signal: state.exit.signal });
          this.#ended(session, watchers > 0);
        },
      },
    });
    const session = new Session({ facts, pane, folder: join(paths.sessions, facts.id.slice(1)), screenOffset });
    return session;
  }

  #listener(session: Session): PtyListener {
    return session.pane.listener((what, action) => this.#guard(session, what, action));
  }

  #start(backend: 'hold' | 'node-pty', spec: PtySpec, session: Session): Promise<Pty> {
    const { holder, paths, epoch } = this.#parts;
    if (backend === 'node-pty') return startNodePty(spec, this.#listener(session));
    return startHold({ spec, socketPath: holderSocket(paths, session.pane.id), epoch, binary: holder! }, this.#listener(session));
  }

  #adopt(session: Session, pty: Pty): void {
    this.#ptys.set(session, pty);
    session.facts.pid = pty.pid;
    session.facts.holderPid = pty.holderPid;
    session.facts.pidIdentity = processIdentity(pty.pid);
    session.pane.running(pty);
    this.#saveOrWarn(session);
    // It may have ended before we knew it had begun.
    if (session.isEnded) this.#letHolderGo(session);
  }

  async #restoreOne(record: SessionRecord): Promise<void> {
    const { epoch, paths } = this.#parts;
    const { id, name, command, cwd, role, backend, createdAt, pid, holderPid, pidIdentity, ended } = record;
    const facts: SessionFacts = {
      id,
      name,
      command: command as [string, ...string[]],
      cwd,
      role,
      backend,
      createdAt,
      pid,
      holderPid,
      pidIdentity,
      endedAt: ended?.at ?? null,
    };
    const session = this.#assemble(facts, record);
    const saved = record.screenOffset === null ? null : readSavedScreen(join(paths.sessions, id.slice(1)));
    this.#byId.set(id, session);
    const offset = saved ? record.screenOffset! : 0;
    const socketPath = holderSocket(paths, record.pane);
    if (ended) {
      if (saved) session.pane.remember(saved, offset);
      session.pane.endAsBefore({
        is: 'ended',
        how: ended.how,
        exit: { code: ended.exitCode, signal: ended.signal as NodeJS.Signals | null },
        because: ended.because,
      });
      if (existsSync(socketPath)) this.#awaitLeaving(dismissLeftOver(socketPath, epoch));
      return;
    }
    await this.#takeBack(session, { socketPath, offset, saved });
  }

  async #takeBack(session: Session, from: { socketPath: string; offset: number; saved: Uint8Array | null }): Promise<void> {
    const { epoch, log, emit } = this.#parts;
    const { socketPath, offset, saved } = from;
    const { id, name, backend } = session.facts;
    if (this.#isLeaving || !this.#byId.has(id)) return;
    try {
      if (backend === 'node-pty') throw new Error('its program was owned by the daemon that ended (pty.backend node-pty)');
      const starts = (at: number) => {
        // The saved screen counts only when the stream goes on where it ends.
        if (saved && at === offset) session.pane.remember(saved, offset);
      };
      const pty = await adoptHold({ socketPath, epoch, offset, starts }, this.#listener(session));
      this.#adopt(session, pty);
      emit({ event: 'session.adopted', session: id, name, pid: pty.pid });
    } catch (error) {
      log.warn('a session could not be taken back', { session: id, name, because: (error as Error).message });
      if (error instanceof HolderError && error.reason === 'silent') {
        // Stopped, say: its program may be alive, so it is not given up.
        setTimeout(() => void this.#takeBack(session, from), SILENT_HOLDER_MS).unref();
        return;
      }
      if (saved) session.pane.remember(saved, offset);
      session.pane.end('lost', { code: null, signal: null }, (error as Error).message);
    }
  }

  #awaitLeaving(left: Promise<void>): void {
    const leaving = left
      .catch((error) => this.#parts.log.warn('a holder did not leave in order', { because: (error as Error).message }))
      .finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }

  #ended(session: Session, wasSeen: boolean): void {
    const keep = this.#parts.settings.now.settings['sessions.keep_ended'];
    const isKept = keep === 'always' || (keep === 'unseen' && !wasSeen);
    if (this.#beingKilled.has(session) || !this.#byId.has(session.facts.id)) return;
    if (!isKept) {
      // After the followers have been told, which happens in this turn. A pane that a bug has ended may have a living program: it stays.
      if (session.pane.state.is === 'ended' && session.pane.state.how !== 'failed') queueMicrotask(() => this.remove(session));
      return;
    }
    // The holder keeps the exit until it is written down: on a full disk, for the next daemon.
    if (this.#saveScreenOrWarn(session)) this.#letHolderGo(session);
    const ended = this.all.filter(({ isEnded }) => isEnded).sort((a, b) => a.facts.endedAt! - b.facts.endedAt!);
    for (const oldest of ended.slice(0, Math.max(0, ended.length - ENDED_LIMIT))) this.remove(oldest);
  }

  /** For what has happened already: a full disk must not undo it, nor end the pane. */
  #saveOrWarn(session: Session): boolean {
    try {
      session.save();
      return true;
    } catch (error) {
      this.#parts.log.warn('a session could not be written down', { session: session.facts.id, because: (error as Error).message });
      return false;
    }
  }

  #saveScreenOrWarn(session: Session): boolean {
    try {
      session.saveScreen();
      return true;
    } catch (error) {
      this.#parts.log.warn('a screen could not be kept', { session: session.facts.id, because: (error as Error).message });
      return this.#saveOrWarn(session);
    }
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
