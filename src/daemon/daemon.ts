import { existsSync, readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../base/log.ts';
import { PACKAGE_FOLDER, VERSION } from '../base/package.ts';
import type { Paths } from '../config/paths.ts';
import { makeDataFolder } from '../config/private-folder.ts';
import type { LiveSettings } from '../config/settings.ts';
import type { DaemonStatus } from '../wire/calls.ts';
import type { Event, EventBody } from '../wire/events.ts';
import { PROTOCOL } from '../wire/version.ts';
import { History } from './history/history.ts';
import { Notifications } from './observability/notifications.ts';
import { Commands } from './output/commands.ts';
import { writeFileAtomic } from './persistence/atomic-file.ts';
import { Counters } from './persistence/counters.ts';
import { bestCodec, type Codec } from './persistence/journal/codec.ts';
import { Journals } from './persistence/journal/journals.ts';
import type { Vault } from './persistence/vault/vault.ts';
import { RunFolder } from './run-folder.ts';
import { Encryption } from './security/encryption.ts';
import { INSTANCE } from './server/connection.ts';
import { dispatcher } from './server/dispatch.ts';
import { UnixSocketServer } from './server/unix-socket.ts';
import { Archive } from './session/archive.ts';
import { journalPlace } from './session/journal-place.ts';
import { launchPurpose } from './session/launch.ts';
import { remakeSockets } from './session/left-over.ts';
import { Restoring } from './session/restoring.ts';
import { screenPurpose } from './session/saved-screen.ts';
import { Sessions } from './session/sessions.ts';
import { Snapshots } from './session/snapshots.ts';
import { placeReporter } from './status/reporter.ts';
import { Statuses } from './status/statuses.ts';
import type { Handlers } from './subsystem.ts';
import { Waiting } from './waiting/waiting.ts';

const MEGABYTE = 1 << 20;
const DAY_MS = 86_400_000;

/** What calls at work get to be answered before the daemon ends. */
const DRAIN_MS = 2000;

/** The daemon: its subsystems in order, their calls in one table, and their end in reverse. */
export class Daemon implements AsyncDisposable {
  readonly #paths: Paths;
  readonly #log: Log;
  readonly #settings: LiveSettings;
  readonly #sessions: Sessions;
  readonly #server: UnixSocketServer;
  readonly #journals: Journals;
  readonly #archive: Archive;
  readonly #codec: Codec;
  readonly #restoring: Restoring;
  readonly #commands: Commands;
  readonly #statuses: Statuses;
  readonly #notifications: Notifications;
  readonly #history: History;
  readonly #encryption: Encryption;
  readonly #waiting: Waiting;
  readonly #startedAt = Date.now();
  readonly #holder = builtHolder();
  #runFolder: RunFolder | null = null;
  #seq = 0;
  #ending: Promise<void> | null = null;
  #collecting: NodeJS.Timeout | null = null;
  /** Called when it has ended by a call, not by a signal. */
  onStopped: () => void = () => {};

  constructor({ paths, settings, log, vault }: { paths: Paths; settings: LiveSettings; log: Log; vault: Vault | null }) {
    this.#paths = paths;
    this.#log = log;
    this.#settings = settings;
    makeDataFolder(paths.sessions);
    makeDataFolder(paths.metadata);
    const counters = new Counters(join(paths.metadata, 'counters.json'));
    // Time as well as the count, so that a daemon whose counters were lost is still newer than the one its holders knew.
    const epoch = counters.next('epoch', Date.now());
    const emit = (body: EventBody) => this.#emit(body);
    this.#codec = bestCodec(settings.now.settings['history.level']);
    const archive = new Archive(paths);
    this.#archive = archive;
    this.#journals = new Journals({
      vault,
      level: settings.now.settings['history.level'],
      limits: () => {
        const { settings: now } = settings.now;
        return { paneBytes: now['history.pane_mb'] * MEGABYTE, totalBytes: now['history.total_mb'] * MEGABYTE };
      },
      elsewhere: {
        get bytes() {
          return archive.bytes;
        },
        free: (bytes) => archive.collect({ bytes }).reduce((sum, one) => sum + one.bytes, 0),
      },
      onDropped: (bytes) => {
        log.info('the oldest output was dropped', { bytes });
        emit({ event: 'history.dropped', bytes });
      },
    });
    this.#sessions = new Sessions({
      paths,
      settings,
      log,
      emit,
      epoch,
      counters,
      holder: this.#holder,
      journals: this.#journals,
      archive,
    });
    const snapshots = new Snapshots({
      sessions: this.#sessions,
      paths,
      counters,
      vault,
      log,
      codec: this.#codec,
    });
    this.#restoring = new Restoring({ sessions: this.#sessions, log, vault, emit, snapshots, settings });
    this.#commands = new Commands({ sessions: this.#sessions, archive, paths, vault, log, emit });
    this.#statuses = new Statuses({ sessions: this.#sessions, commands: this.#commands, paths, log, emit });
    this.#notifications = new Notifications({
      sessions: this.#sessions,
      statuses: this.#statuses,
      commands: this.#commands,
      settings,
      log,
    });
    this.#history = new History({ sessions: this.#sessions, archive, paths, settings, vault, log });
    this.#encryption = new Encryption({
      paths,
      log,
      vault,
      journals: this.#journals,
      blobsOf: (session, pane) => ({ 'screen.vt': screenPurpose(session, pane), 'launch.json': launchPurpose(session) }),
      purposeOf: (session, pane) => journalPlace({ folder: '', session, pane }).purpose,
    });
    this.#waiting = new Waiting({
      sessions: this.#sessions,
      history: this.#history,
      commands: this.#commands,
      statuses: this.#statuses,
      log,
    });
    const handlers: Handlers = {
      ...this.#sessions.calls,
      ...this.#restoring.calls,
      ...snapshots.calls,
      ...this.#history.calls,
      ...this.#commands.calls,
      ...this.#encryption.calls,
      ...this.#waiting.calls,
      ...this.#statuses.calls,
      ...this.#notifications.calls,
      'daemon.status': () => this.#status(),
      'daemon.ping': () => ({}),
      'daemon.stop': ({ killSessions, replace }) => this.#stop(killSessions, replace),
      'event.follow': (_, caller) => {
        caller.hearEvents();
        return { seq: this.#seq };
      },
    };
    this.#server = new UnixSocketServer({ path: paths.socket, dispatch: dispatcher(handlers), log });
  }

  /** Takes back what runs, then listens: the first client finds everything in its place. */
  async start(): Promise<void> {
    for (const problem of this.#settings.now.problems) this.#log.warn('a setting was not taken', { problem });
    this.#placeReporter();
    await this.#sessions.restore();
    this.#commands.tidy();
    this.#statuses.tidy();
    this.#collect();
    await this.#server.listen();
    this.#runFolder = new RunFolder(this.#paths, () => void this.#mend());
    const who = { pid: process.pid, instance: INSTANCE, socket: this.#paths.socket, protocol: PROTOCOL, build: VERSION };
    writeFileAtomic(this.#paths.daemonJson, `${JSON.stringify(who)}\n`);
    this.#log.info('listening', { socket: this.#paths.socket, sessions: this.#sessions.all.length, build: VERSION, node: process.version });
    await this.#restoring.comeBack();
    this.#statuses.start();
    void this.#encryption.bringUpToDate().catch((error) => this.#log.incident('encryption could not be brought up to date', error));
  }

  /** In order: no new clients, screens saved, holders let go. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending ??= this.#end();
    await this.#ending;
  }

  /** Without it agents have no hooks, and everything else works. */
  #placeReporter(): void {
    try {
      placeReporter(this.#paths.reporter);
    } catch (error) {
      this.#log.warn('hooks cannot report', { path: this.#paths.reporter, because: (error as Error).message });
    }
  }

  /** Makes again what vanished from the run folder. */
  async #mend(): Promise<void> {
    try {
      remakeSockets(this.#sessions.all, { paths: this.#paths, log: this.#log });
      this.#placeReporter();
      this.#statuses.remakeSockets();
      await this.#server.remake();
    } catch (error) {
      // The folder is still being taken away, say: the next change brings the next try.
      this.#log.warn('a socket could not be made again yet', { because: (error as Error).message });
    }
  }

  async #end(): Promise<void> {
    this.#runFolder?.[Symbol.dispose]();
    this.#emit({ event: 'daemon.stopping', because: 'asked to' });
    // They would not be answered in the time that there is.
    await this.#waiting[Symbol.asyncDispose]();
    await this.#notifications[Symbol.asyncDispose]();
    this.#commands.leave();
    await this.#statuses[Symbol.asyncDispose]();
    await this.#server.drain(DRAIN_MS);
    this.#server.closeDoor();
    if (this.#collecting) clearInterval(this.#collecting);
    await this.#sessions[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
    await this.#commands[Symbol.asyncDispose]();
    await this.#history[Symbol.asyncDispose]();
    // What is being compressed is finished while nobody can meet us any more.
    await this.#journals[Symbol.asyncDispose]();
    try {
      // Only ours: a daemon that came after us wrote its own.
      if (JSON.parse(readFileSync(this.#paths.daemonJson, 'utf8')).instance === INSTANCE) unlinkSync(this.#paths.daemonJson);
    } catch {
      // Gone already.
    }
    this.#log.info('stopped');
  }

  /** Once a day, for a daemon that stays for months. */
  #collect(): void {
    this.#collecting ??= setInterval(() => this.#collect(), DAY_MS).unref();
    const keepDays = this.#settings.now.settings['history.keep_days'];
    const gone = this.#archive.collect({ before: Date.now() - keepDays * DAY_MS });
    if (gone.length > 0) this.#log.info('old history was collected', { sessions: gone.map(({ record }) => record.id) });
  }

  #emit(body: EventBody): void {
    const event: Event = { seq: ++this.#seq, at: Date.now(), ...body };
    this.#log.debug('event', event);
    this.#server.tell(event);
  }

  #status(): DaemonStatus {
    const holders = this.#sessions.all.flatMap(({ isEnded, facts }) => (isEnded || facts.holderPid === null ? [] : [facts.holderPid]));
    const wanted = this.#settings.now.settings['pty.backend'];
    return {
      pid: process.pid,
      pids: [process.pid, ...holders],
      version: VERSION,
      protocol: PROTOCOL,
      instance: INSTANCE,
      home: this.#paths.home,
      socket: this.#paths.socket,
      log: this.#paths.log,
      backend: wanted === 'auto' ? (this.#holder ? 'hold' : 'node-pty') : wanted,
      node: process.version,
      startedAt: this.#startedAt,
      sessions: this.#sessions.all.length,
      connections: this.#server.connections,
      problems: [...this.#settings.now.problems, ...this.#statuses.problems],
      history: {
        codec: this.#codec.name,
        isEncrypted: this.#journals.vault?.isOn ?? false,
        bytes: this.#journals.bytes + this.#archive.bytes,
        failing: this.#sessions.all.flatMap(({ facts: { id, name }, pane: { journal } }) =>
          journal?.trouble ? [{ id, name, because: journal.trouble.message }] : [],
        ),
      },
    };
  }

  async #stop(killSessions: boolean, replace: boolean) {
    this.#sessions.isReplaced = replace;
    const running = this.#sessions.all.filter(({ isEnded }) => !isEnded);
    const ends = killSessions ? await this.#sessions.kill(this.#sessions.all, false) : [];
    // The answer goes out first; ending closes the connection that asked.
    setImmediate(() => this.onStopped());
    return {
      pid: process.pid,
      ended: ends.map(({ name }) => name),
      left: killSessions ? [] : running.map(({ facts }) => facts.name),
      survivors: ends.flatMap(({ survivors }) => survivors),
    };
  }
}

/** The holder program as `npm install` built it, or null where there was no compiler. */
function builtHolder(): string | null {
  const path = process.env.AI_SESSION_HOLD ?? join(PACKAGE_FOLDER, 'native', 'bin', 'hold');
  return existsSync(path) ? path : null;
}
