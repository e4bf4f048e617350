import { randomBytes } from 'node:crypto';
import { existsSync, type FSWatcher, mkdirSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Log } from '../../base/log.ts';
import { holderSocket, type Paths } from '../../config/paths.ts';
import type { CallInput, CallResult } from '../../wire/calls.ts';
import { WireError } from '../../wire/errors.ts';
import type { EventBody } from '../../wire/events.ts';
import { readJournal } from '../persistence/journal/reader.ts';
import type { SessionRecord } from '../persistence/records.ts';
import type { Vault } from '../persistence/vault/vault.ts';
import type { Archive, Archived } from '../session/archive.ts';
import { writeCursor } from '../session/cursor.ts';
import { journalPlace } from '../session/journal-place.ts';
import { leaving } from '../session/refusals.ts';
import type { Session } from '../session/session.ts';
import type { Sessions } from '../session/sessions.ts';
import { runFile, shellLog, tidyShellFolder } from '../session/shell.ts';
import type { Handlers, Subsystem } from '../subsystem.ts';
import { MarkFilter } from '../terminal/marks.ts';
import { CommandFile, type CommandRecord } from './command-file.ts';
import { type CommandText, commandText } from './command-output.ts';
import { Executions } from './executions.ts';
import { wasInside } from './left-run.ts';
import { type Outcome, Runner, TYPED_INSIDE } from './runner.ts';
import { ShellLog } from './shell-log.ts';
import { Tracker } from './tracker.ts';

type Calls = 'command.list' | 'command.output' | 'command.run' | 'command.exec' | 'command.resumes';
type RunResult = CallResult<'command.run'>;

export interface CommandsParts {
  sessions: Sessions;
  archive: Archive;
  paths: Paths;
  vault: Vault | null;
  log: Log;
  emit(event: EventBody): void;
}

/** So much of a journal is looked through for marks that came while no daemon lived. */
const LOOKED_THROUGH_BYTES = 4 << 20;

/** Knows the commands of every shell, and runs some. */
export class Commands implements Subsystem<Calls> {
  readonly #parts: CommandsParts;
  /** By pane. */
  readonly #followed = new Map<string, { tracker: Tracker; runner: Runner }>();
  readonly #executions: Executions;
  /** How each who waits for a result is told that it will not come from here. */
  readonly #asking = new Set<(because: WireError) => void>();
  #leaving: WireError | null = null;
  readonly #isLeaving = () => this.#leaving !== null;
  #watcher: FSWatcher | null = null;
  /** A command has ended in a shell. */
  readonly onFinished = new Set<(session: Session, command: CommandRecord) => void>();

  constructor(parts: CommandsParts) {
    this.#parts = parts;
    const { sessions, archive, paths } = parts;
    this.#executions = new Executions({
      sessions,
      archive,
      paths,
      isLeaving: this.#isLeaving,
      textOf: (session, range, maxBytes) => this.#output(foundOf(session), range, maxBytes),
    });
    parts.sessions.onAssembled.add((session) => {
      session.onMark = (mark) => this.#guard(session, () => this.#of(session)?.tracker.hearMark(mark));
      session.onEnded = () => this.#guard(session, () => this.#forget(session));
      if (session.facts.shell) this.#guard(session, () => this.#catchUp(session));
    });
  }

  readonly calls: Pick<Handlers, Calls> = {
    'command.list': ({ session, last }) => {
      const { record, file, live } = this.#find(session);
      const tracker = live && this.#of(live)?.tracker;
      return {
        shell: record.shell?.kind ?? null,
        is: tracker?.is ?? (live && live.pane.state.is !== 'ended' ? 'starting' : 'gone'),
        commands: file.read().commands.slice(-last).map(told),
      };
    },
    'command.output': ({ session, command, maxBytes }) => {
      const found = this.#find(session);
      const { commands } = found.file.read();
      const record = command === undefined ? commands.at(-1) : commands.find(({ n }) => n === command);
      if (!record)
        throw new WireError(
          'not-found',
          command === undefined
            ? `No command is known of session "${found.record.name}". Its shell has to be bash, zsh, fish, or one that ai-session run was used in.`
            : `Session "${found.record.name}" has no command ${command}. See them with: ai-session history NAME`,
          { session },
        );
      const { text, truncated } = this.#output(found, record, maxBytes);
      return { command: told(record), output: text, truncated };
    },
    'command.run': (params) => this.#unlessLeaving(() => (params.resume ? this.#resume(params) : this.#run(params))),
    'command.exec': (params) => this.#unlessLeaving(() => this.#executions.run(params)),
    'command.resumes': ({ session }) => ({ session: session === undefined ? null : this.#find(session).record.id }),
  };

  /** The daemon ends: whoever waits for a result is told, and asks the next one for it. */
  leave(): void {
    this.#leaving = leaving(this.#parts.sessions.isReplaced);
    for (const reject of this.#asking) reject(this.#leaving);
  }

  /**
   * All sessions are known, and their programs ours: what an earlier daemon's runs have left is theirs, or of no use to anybody. A holder may live
   * whose session's record cannot be read.
   */
  tidy(): void {
    const { sessions, paths } = this.#parts;
    const panes = new Set(sessions.all.map(({ pane }) => pane.id));
    tidyShellFolder(paths, (pane) => !panes.has(pane) && !existsSync(holderSocket(paths, pane)));
    for (const { runner } of this.#followed.values()) runner.settle();
  }

  /** The shell in a pane, or null where the program is none that tells of its commands. */
  shellOf(pane: string): { tracker: Tracker; commands(): CommandRecord[] } | null {
    const session = this.#parts.sessions.all.find((each) => each.pane.id === pane);
    const followed = session && this.#of(session);
    return followed ? { tracker: followed.tracker, commands: () => this.#file(session).read().commands } : null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watcher?.close();
    for (const { tracker } of this.#followed.values()) tracker.stop();
    this.#followed.clear();
  }

  /** Null for a program that is no shell. */
  #of(session: Session): { tracker: Tracker; runner: Runner } | null {
    const { facts, pane } = session;
    const known = this.#followed.get(pane.id);
    if (known || !facts.shell || pane.state.is === 'ended') return known ?? null;
    const file = this.#file(session);
    const stored = file.read();
    const position = stored.pane === pane.id ? stored.position : 0;
    const tracker = new Tracker({
      session,
      log: new ShellLog(shellLog(this.#parts.paths, pane.id), { nonce: facts.shell.nonce, position }),
      file,
      known: stored,
      news: (what, command) => this.#tell(session, what, command),
    });
    const followed = {
      tracker,
      runner: new Runner(tracker, { paths: this.#parts.paths, known: stored.commands, isLeaving: this.#isLeaving }),
    };
    this.#followed.set(pane.id, followed);
    this.#watch();
    return followed;
  }

  /** What its shell did since the last command that was written down, an earlier daemon's time included. */
  #catchUp(session: Session): void {
    const { journal } = session.pane;
    const tracker = this.#of(session)?.tracker;
    if (!journal || !tracker) return;
    const from = Math.max(tracker.offset, journal.end - LOOKED_THROUGH_BYTES);
    const filter = new MarkFilter(session.facts.shell!.nonce);
    for (const entry of journal.read({ from, to: journal.end })) {
      if (entry.is !== 'output') continue;
      for (const mark of filter.push(entry.offset, entry.bytes).marks) if (mark.offset >= from) tracker.hearMark(mark);
    }
    tracker.nudge();
  }

  #forget(session: Session): void {
    const followed = this.#of(session);
    this.#followed.delete(session.pane.id);
    followed?.tracker.ended();
  }

  /** What goes wrong here costs a record, and neither the pane nor the daemon. */
  #guard({ facts }: Session, action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#parts.log.incident('the commands of a shell could not be followed', error, { session: facts.id });
    }
  }

  #tell(session: Session, what: 'started' | 'finished', record: CommandRecord): void {
    const { facts } = session;
    const { n, text, cwd, startedAt, endedAt, exitCode } = record;
    const about = { session: facts.id, name: facts.name, command: n, text };
    if (what === 'started') this.#parts.emit({ event: 'command.started', ...about, cwd });
    else this.#parts.emit({ event: 'command.finished', ...about, exitCode, durationMs: endedAt! - startedAt });
    if (what === 'finished') for (const then of this.onFinished) then(session, record);
  }

  /** Shells write to files of this folder. Where it cannot be watched, or was taken away, their marks say when to look. */
  #watch(): void {
    if (this.#watcher) return;
    const folder = dirname(shellLog(this.#parts.paths, '%0'));
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      this.#watcher = watch(folder, { persistent: false }, (_, name) => {
        const followed = name?.endsWith('.log') && this.#followed.get(`%${basename(name, '.log')}`);
        if (followed) this.#guard(followed.tracker.session, () => followed.tracker.nudge());
      });
      this.#watcher.on('error', () => {});
    } catch (error) {
      this.#parts.log.warn('the folder of the shells cannot be watched', { path: folder, because: (error as Error).message });
    }
  }

  #find(target: string): Found & { file: CommandFile } {
    const { sessions, archive } = this.#parts;
    const live = sessions.look(target) ?? null;
    const found: Archived | Session = live ?? archive.find(target) ?? sessions.find(target);
    return { live, record: found.record, folder: found.folder, file: this.#file(found) };
  }

  #file({ folder, record }: { folder: string; record: { id: string } }): CommandFile {
    return new CommandFile({ folder, session: record.id, vault: this.#parts.vault });
  }

  #output({ record, folder, live }: Found, { pane, from, to }: Pick<CommandRecord, 'pane' | 'from' | 'to'>, maxBytes: number): CommandText {
    if (!record.history || from === null) return { text: '', truncated: null };
    const end = to ?? (live?.pane.id === pane ? live.pane.head : from);
    const place = { ...journalPlace({ folder, session: record.id, pane }), vault: this.#parts.vault };
    const onDamage = (path: string, error: Error) =>
      this.#parts.log.warn('a part of a journal cannot be read', { path, because: error.message });
    return commandText((range) => readJournal(place, range, onDamage), { from, to: end }, maxBytes);
  }

  async #run({ session: target, text, timeoutMs, maxBytes, queue, interrupt, token }: CallInput<'command.run'>): Promise<RunResult> {
    const session = this.#parts.sessions.find(target);
    const { facts } = session;
    if (session.isEnded) throw new WireError('ended', `The program of session "${facts.name}" has ended: nothing can be run in it.`);
    const { runner } = this.#shellIn(session);
    const asked = Date.now();
    const outcome = await runner.run({
      token: token ?? randomBytes(8).toString('hex'),
      text,
      timeoutMs: timeoutMs ?? null,
      isPatient: queue,
      isInterrupted: interrupt,
    });
    return this.#result(foundOf(session), outcome, { maxBytes, asked });
  }

  /** A run that was asked for before: what has become of it. Its shell may have ended in the meantime, and its session left the list. */
  async #resume({ session: target, text, timeoutMs, maxBytes, queue, interrupt, token }: CallInput<'command.run'>): Promise<RunResult> {
    if (token === undefined) throw new WireError('bad-params', 'A run is resumed by its token: give the one that it was asked for with.');
    const { live, ...found } = this.#find(target);
    const asked = Date.now();
    // A daemon may have been lost between the end of a shell and the record of what it ran.
    if (live?.isEnded) this.#guard(live, () => this.#forget(live));
    const { commands } = found.file.read();
    const command = commands.find((each) => each.token === token);
    if (live && !live.isEnded && (!command || command.endedAt === null)) {
      const { runner } = this.#shellIn(live);
      const how = { token, text, timeoutMs: timeoutMs ?? null, isPatient: queue, isInterrupted: interrupt };
      return this.#result(foundOf(live), await runner.resume(how), { maxBytes, asked });
    }
    const isOver = !live || live.isEnded;
    if (!live && !command)
      throw new WireError('not-found', `Session "${found.record.name}" has ended, and nothing is known of the run.`, { session: target });
    let outcome: Outcome = { status: 'not_started', command: null, because: 'The shell has ended.' };
    if (live && wasInside(runFile(this.#parts.paths, live.pane.id, token))) outcome = TYPED_INSIDE;
    if (command && isOver && command === commands.at(-1))
      outcome = { status: 'shell_exited', command, because: 'The shell has ended with this command.' };
    else if (command) outcome = { status: 'finished', command, because: command.because };
    return this.#result({ ...found, live }, outcome, { maxBytes, asked });
  }

  #shellIn(session: Session): { tracker: Tracker; runner: Runner } {
    const { facts } = session;
    const followed = this.#of(session);
    if (followed) return followed;
    throw new WireError(
      'bad-params',
      `Session "${facts.name}" runs "${facts.command.join(' ').slice(0, 100)}", which is no shell that can be told to run something. Without a session's name, ai-session run starts the program by itself.`,
    );
  }

  /** The answer, or word that this daemon leaves before there is one. */
  async #unlessLeaving(work: () => Promise<RunResult>): Promise<RunResult> {
    if (this.#leaving) throw this.#leaving;
    return await new Promise((resolve, reject) => {
      this.#asking.add(reject);
      work()
        .then(resolve, reject)
        .finally(() => this.#asking.delete(reject));
    });
  }

  #result(
    found: Found,
    { status, command, because, inside }: Outcome,
    { maxBytes, asked }: { maxBytes: number; asked: number },
  ): RunResult {
    const { live, record } = found;
    const pane = command?.pane ?? record.pane;
    const to = command?.to ?? inside?.to ?? (live?.pane.id === pane ? live.pane.head : (command?.from ?? 0));
    const from = command?.from ?? inside?.from ?? null;
    const { text, truncated } = this.#output(found, { pane, from, to }, maxBytes);
    const isRunning = inside?.isRunning ?? (command !== null && command.endedAt === null);
    const ended = live ? (live.pane.state.is === 'ended' ? live.pane.state.exit : null) : record.ended;
    return {
      session: { id: record.id, name: record.name },
      status,
      exitCode: isRunning ? null : (command?.exitCode ?? null),
      signal: status === 'shell_exited' ? (ended?.signal ?? null) : null,
      because,
      isRunning,
      command: command?.n ?? null,
      durationMs: (command?.endedAt ?? Date.now()) - (command?.startedAt ?? asked),
      output: text,
      truncated,
      range: from === null ? null : { pane, from, to },
      cursor: writeCursor({ pane, offset: to, picture: null }),
      warnings: record.history ? [] : ['This session keeps no history, so what the command printed is on its screen only.'],
    };
  }
}

/** A session, in the list or archived. */
interface Found {
  record: SessionRecord;
  folder: string;
  live: Session | null;
}

function foundOf(session: Session): Found {
  return { live: session, record: session.record, folder: session.folder };
}

/** Its token is between us and who asked for it. */
function told({ token: _, ...command }: CommandRecord): Omit<CommandRecord, 'token'> {
  return command;
}
