import { mkdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { SessionInfo } from '../../wire/calls.ts';
import { writeFileAtomic } from '../persistence/atomic-file.ts';
import { type SessionRecord, writeSessionRecord } from '../persistence/records.ts';
import { processIdentity, type Tree } from '../terminal/process-tree.ts';
import type { Pane } from './pane.ts';

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
}

/** What you name, list and attach: for now one window with one pane. */
export class Session {
  readonly facts: SessionFacts;
  readonly pane: Pane;
  readonly #folder: string;
  #screenOffset: number | null;
  /** When somebody last made or attached to it: `attach` without a name takes the latest. */
  lastUsed: number;

  constructor({
    facts,
    pane,
    folder,
    screenOffset = null,
  }: { facts: SessionFacts; pane: Pane; folder: string; screenOffset?: number | null }) {
    this.facts = facts;
    this.pane = pane;
    this.#folder = folder;
    this.#screenOffset = screenOffset;
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
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const { facts, pane } = this;
    const { state, screen } = pane;
    const record: Omit<SessionRecord, 'version'> = {
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
      screenOffset: this.#screenOffset,
      ended:
        state.is === 'ended'
          ? {
              how: state.how,
              exitCode: state.exit.code,
              signal: state.exit.signal,
              at: facts.endedAt ?? pane.activeAt,
              because: state.because,
            }
          : null,
    };
    writeSessionRecord(join(this.#folder, 'state.json'), record);
  }

  /** Keeps the screen for a later daemon, and the record with it. The screen goes first: a record must not promise what is not there. */
  saveScreen(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    writeFileAtomic(join(this.#folder, 'screen.vt'), this.pane.screen.snapshot({ history: 'all', onto: 'new' }));
    this.#screenOffset = this.pane.head;
    this.save();
  }

  /** Forgets everything about it. */
  remove(): void {
    this.pane.dispose();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The screen that was saved with a record, or null. */
export function readSavedScreen(folder: string): Uint8Array | null {
  try {
    return readFileSync(join(folder, 'screen.vt'));
  } catch {
    return null;
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
