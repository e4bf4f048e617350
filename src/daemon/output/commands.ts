import { type FSWatcher, mkdirSync, watch } from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname } from 'node:path';
import type { Log } from '../../base/log.ts';
import type { Paths } from '../../config/paths.ts';
import type { CallInput, CallResult } from '../../wire/calls.ts';
import { WireError } from '../../wire/errors.ts';
import type { EventBody } from '../../wire/events.ts';
import { readJournal } from '../persistence/journal/reader.ts';
import type { SessionRecord } from '../persistence/records.ts';
import type { Vault } from '../persistence/vault/vault.ts';
import type { Archive, Archived } from '../session/archive.ts';
import { writeCursor } from '../session/cursor.ts';
import { journalPlace } from '../session/journal-place.ts';
import type { Session } from '../session/session.ts';
import type { Sessions } from '../session/sessions.ts';
import { shellLog } from '../session/shell.ts';
import type { Handlers, Subsystem } from '../subsystem.ts';
import { MarkFilter } from '../terminal/marks.ts';
import { CommandFile, type CommandRecord } from './command-file.ts';
import { type CommandText, commandText } from './command-output.ts';
import { type Outcome, Runner } from './runner.ts';
import { ShellLog } from './shell-log.ts';
import { Tracker } from './tracker.ts';

type Calls = 'command.list' | 'command.output' | 'command.run' | 'command.exec';
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
  #watcher: FSWatcher | null = null;
  /** A command has ended in a shell. */
  readonly onFinished = new Set<(session: Session, command: CommandRecord) => void>();

  constructor(parts: CommandsParts) {
    this.#parts = parts;
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
        commands: file.read().commands.slice(-last),
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
      return { command: record, output: text, truncated };
    },
    'command.run': (params) => this.#run(params),
    'command.exec': (params) => this.#exec(params),
  };

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
    const followed = { tracker, runner: new Runner(tracker, this.#parts.paths) };
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

  async #run({ session: target, text, timeoutMs, maxBytes, queue, interrupt }: CallInput<'command.run'>): Promise<RunResult> {
    const session = this.#parts.sessions.find(target);
    const { facts, pane } = session;
    if (session.isEnded) throw new WireError('ended', `The program of session "${facts.name}" has ended: nothing can be run in it.`);
    const followed = this.#of(session);
    if (!followed)
      throw new WireError(
        'bad-params',
        `Session "${facts.name}" runs "${facts.command.join(' ').slice(0, 100)}", which is no shell that can be told to run something. Without a session's name, ai-session run starts the program by itself.`,
      );
    const asked = Date.now();
    const outcome = await followed.runner.run({ text, timeoutMs: timeoutMs ?? null, isPatient: queue, isInterrupted: interrupt });
    const warnings: string[] = [];
    if (!facts.history) warnings.push('This session keeps no history, so what the command printed is on its screen only.');
    return this.#result(session, outcome, { maxBytes, warnings, asked, exit: pane.state.is === 'ended' ? pane.state.exit.signal : null });
  }

  #result(
    session: Session,
    { status, command, because, inside }: Outcome,
    { maxBytes, warnings, asked, exit }: { maxBytes: number; warnings: string[]; asked: number; exit: string | null },
  ): RunResult {
    const { pane, facts, folder, record } = session;
    const to = command?.to ?? inside?.to ?? pane.head;
    const from = command?.from ?? inside?.from ?? null;
    const { text, truncated } = this.#output({ record, folder, live: session }, { pane: pane.id, from, to }, maxBytes);
    const isRunning = inside?.isRunning ?? (command !== null && command.endedAt === null);
    return {
      session: { id: facts.id, name: facts.name },
      status,
      exitCode: isRunning ? null : (command?.exitCode ?? null),
      signal: status === 'shell_exited' ? exit : null,
      because,
      isRunning,
      command: command?.n ?? null,
      durationMs: (command?.endedAt ?? Date.now()) - (command?.startedAt ?? asked),
      output: text,
      truncated,
      range: from === null ? null : { pane: pane.id, from, to },
      cursor: writeCursor({ pane: pane.id, offset: to, picture: null }),
      warnings,
    };
  }

  async #exec({ command, cwd, env, cols, rows, timeoutMs, maxBytes, interrupt }: CallInput<'command.exec'>): Promise<RunResult> {
    const { sessions } = this.#parts;
    const asked = Date.now();
    const session = await sessions.create({ command, cwd, env, set: {}, cols, rows, role: 'run', history: true, restart: 'never' });
    const { facts, pane } = session;
    await pane.whenEnded(timeoutMs ?? NO_LIMIT_MS);
    const isOver = session.isEnded;
    if (!isOver && interrupt) await sessions.kill([session], false);
    const { state } = pane;
    const exit = state.is === 'ended' ? state.exit : { code: null, signal: null };
    const range = { pane: pane.id, from: 0, to: pane.head };
    const { text, truncated } = this.#output({ record: session.record, folder: session.folder, live: session }, range, maxBytes);
    // Its output is in the archive: ai-session logs, search.
    if (isOver) sessions.remove(session);
    return {
      session: { id: facts.id, name: facts.name },
      status: isOver ? 'finished' : 'timed_out',
      exitCode: exit.code ?? (exit.signal ? 128 + constants.signals[exit.signal] : null),
      signal: exit.signal,
      because: isOver ? null : interrupt ? 'The time was over, and it was ended.' : 'The time is over, and it goes on.',
      isRunning: !isOver && !interrupt,
      command: null,
      durationMs: (facts.endedAt ?? Date.now()) - asked,
      output: text,
      truncated,
      range,
      cursor: writeCursor({ pane: pane.id, offset: range.to, picture: null }),
      warnings: [],
    };
  }
}

/** A session, in the list or archived. */
interface Found {
  record: SessionRecord;
  folder: string;
  live: Session | null;
}

/** The longest a timer can be, 24 days. */
const NO_LIMIT_MS = 2 ** 31 - 1;
