import { mkdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../base/log.ts';
import type { SessionInfo } from '../../wire/calls.ts';
import { RECORD_VERSION, type SessionRecord, writeSessionRecord } from '../persistence/records.ts';
import type { Vault } from '../persistence/vault/vault.ts';
import type { Mark } from '../terminal/marks.ts';
import { processIdentity, type Tree } from '../terminal/process-tree.ts';
import { Checkpoints } from './checkpoints.ts';
import type { Pane } from './pane.ts';
import { readSavedScreen, type SavedScreen, type ScreenPlace, writeSavedScreen } from './saved-screen.ts';

/** No process has these ids. */
const NO_TREE: Tree = { program: -1, holder: null };

/** What a session is besides its pane. */
export interface SessionFacts {
  id: string;
  name: string;
  command: [string, ...string[]];
  cwd: string;
  role: string | null;
  backend: 'hold' | 'node-pty';
  createdAt: number;
  /** The process ids as last known; they stay after the end, when the record alone can tell what to look for. */
  pid: number | null;
  holderPid: number | null;
  /** Which process `pid` means. */
  pidIdentity: string | null;
  endedAt: number | null;
  /** Whether its output is kept in a journal. */
  history: boolean;
  /** What becomes of it when its program was lost with the machine. */
  restart: SessionRecord['restart'];
  conversation: SessionRecord['conversation'];
  /** Which shell it is, where it tells of its commands. */
  shell: SessionRecord['shell'];
  /** Panes it had before this one, from the first. */
  earlierPanes: string[];
  /** When it was started again, and when that ended. */
  restores: SessionRecord['restores'];
  archivedAt: number | null;
  /** Of one that a run was given: by it, who asked for the run finds it when the daemon was lost. */
  token?: string | undefined;
}

/** What you name, list and attach: for now one window with one pane. */
export class Session {
  readonly facts: SessionFacts;
  readonly pane: Pane;
  /** Where everything of it is kept. */
  readonly folder: string;
  readonly checkpoints: Checkpoints;
  readonly #vault: Vault | null;
  readonly #log: Log;
  /** The program has paused, or written much: called now and then. */
  onQuiet: () => void = () => {};
  /** Its shell says where a command begins or ends. */
  onMark: (mark: Mark) => void = () => {};
  onEnded: () => void = () => {};
  /** Its program runs and is ours: it was started, or taken back from its holder. */
  onRunning: () => void = () => {};
  /** What it is doing, where somebody knows. */
  doing: () => SessionInfo['state'] = () => undefined;
  /** Somebody has its processes ended: its holder stays until nothing is left of them. */
  isBeingKilled = false;
  /** When somebody last made or attached to it: `attach` without a name takes the latest. */
  lastUsed: number;

  constructor({ facts, pane, folder, vault, log }: { facts: SessionFacts; pane: Pane; folder: string; vault: Vault | null; log: Log }) {
    this.facts = facts;
    this.pane = pane;
    this.folder = folder;
    this.#vault = vault;
    this.#log = log;
    // While the journal is behind, the screen would be ahead of it.
    this.checkpoints = new Checkpoints(() => {
      if (!pane.journal?.trouble) this.trySaveScreen();
      this.onQuiet();
    });
    this.lastUsed = facts.createdAt;
  }

  get isEnded(): boolean {
    return this.pane.state.is === 'ended';
  }

  get info(): SessionInfo {
    const { facts, pane } = this;
    const { state, screen } = pane;
    return {
      id: facts.id,
      pane: pane.id,
      name: facts.name,
      status: state.is === 'ended' ? state.how : state.is,
      exitCode: state.is === 'ended' ? state.exit.code : null,
      signal: state.is === 'ended' ? state.exit.signal : null,
      command: facts.command,
      role: facts.role,
      cwd: currentFolder(facts, state.is === 'running') ?? facts.cwd,
      pid: facts.pid,
      holderPid: facts.holderPid,
      backend: facts.backend,
      cols: screen.cols,
      rows: screen.rows,
      attached: pane.attached,
      title: screen.title,
      createdAt: facts.createdAt,
      activeAt: pane.activeAt,
      endedAt: facts.endedAt,
      state: this.doing(),
    };
  }

  /**
   * What there is to end of it. The pid of a program that has exited may be somebody else's by now; one that was lost is still meant by its
   * pid if that process began when ours did.
   */
  get tree(): Tree {
    const { facts, pane } = this;
    const how = pane.state.is === 'ended' ? pane.state.how : null;
    const isGone =
      facts.pid === null ||
      how === 'exited' ||
      (how !== null && (facts.pidIdentity === null || processIdentity(facts.pid) !== facts.pidIdentity));
    return isGone ? NO_TREE : { program: facts.pid!, holder: how === 'lost' ? null : facts.holderPid };
  }

  /** Writes the record. Called when something changed that a later daemon must know. */
  save(): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    const { version: _, ...record } = this.record;
    writeSessionRecord(join(this.folder, 'state.json'), record);
  }

  get record(): SessionRecord {
    const { facts, pane } = this;
    const { state, screen } = pane;
    return {
      version: RECORD_VERSION,
      id: facts.id,
      pane: pane.id,
      name: facts.name,
      command: facts.command,
      cwd: facts.cwd,
      role: facts.role,
      cols: screen.cols,
      rows: screen.rows,
      backend: facts.backend,
      pid: facts.pid,
      holderPid: facts.holderPid,
      pidIdentity: facts.pidIdentity,
      createdAt: facts.createdAt,
      activeAt: pane.activeAt,
      title: screen.title,
      history: facts.history,
      restart: facts.restart,
      conversation: facts.conversation,
      shell: facts.shell,
      earlierPanes: facts.earlierPanes,
      restores: facts.restores,
      archivedAt: facts.archivedAt,
      token: facts.token,
      screenOffset: null,
      // An end whose last output the disk did not take is still to come, for whoever reads this: the holder has both.
      ended:
        state.is === 'ended' && !pane.journal?.trouble
          ? {
              how: state.how,
              exitCode: state.exit.code,
              signal: state.exit.signal,
              at: facts.endedAt ?? pane.activeAt,
              because: state.because,
            }
          : null,
    };
  }

  /** Keeps the screen for a later daemon. */
  saveScreen(): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    const { screen, shownTo } = this.pane;
    const bytes = screen.snapshot({ history: 'all', onto: 'new' });
    writeSavedScreen(this.#screenPlace, { offset: shownTo, cols: screen.cols, rows: screen.rows, bytes });
    this.checkpoints.saved();
  }

  /** For what has happened already: a full disk must not undo it, nor end the pane. Whether it was written. */
  trySave(): boolean {
    return this.#try('a session could not be written down', () => this.save());
  }

  trySaveScreen(): boolean {
    return this.#try('a screen could not be kept', () => this.saveScreen());
  }

  /** Whether all that a holder still has is written down. */
  tryKeepEnd(): boolean {
    const { journal } = this.pane;
    this.trySaveScreen();
    // Nothing is written of an end whose last output is not: the next daemon gets both from the holder.
    if (journal?.trouble) return false;
    void journal?.seal();
    return this.trySave();
  }

  #try(what: string, action: () => void): boolean {
    try {
      action();
      return true;
    } catch (error) {
      this.#log.warn(what, { session: this.facts.id, because: (error as Error).message });
      return false;
    }
  }

  /** What `saveScreen` kept, or null. */
  savedScreen({ screenOffset, cols, rows }: Pick<SessionRecord, 'screenOffset' | 'cols' | 'rows'>): SavedScreen | null {
    return readSavedScreen(this.#screenPlace, screenOffset === null ? null : { offset: screenOffset, cols, rows });
  }

  get #screenPlace(): ScreenPlace {
    return { folder: this.folder, session: this.facts.id, pane: this.pane.id, vault: this.#vault };
  }

  /** Lets go of everything in memory. */
  dispose(): void {
    this.checkpoints.stop();
    this.pane.dispose();
  }

  /** Forgets everything about it. */
  remove(): void {
    this.dispose();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The working directory of the program now, where the system tells it at once. */
function currentFolder({ pid }: SessionFacts, isRunning: boolean): string | null {
  if (!isRunning || pid === null || process.platform !== 'linux') return null;
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return null;
  }
}
