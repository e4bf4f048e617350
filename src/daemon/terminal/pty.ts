import { constants } from 'node:os';

/**
 * What the daemon asks of a pseudo-terminal. Two backends keep this promise, and one contract suite (`test/daemon/terminal/pty.test.ts`)
 * is run against both: `hold`, where a small C process owns the PTY and outlives the daemon, and `node-pty`, where the daemon owns it.
 */
export interface Pty {
  readonly backend: 'hold' | 'node-pty';
  /** The program's process id. It stays known after the program has ended. */
  readonly pid: number;
  /** The process that owns the PTY for us, or null when that is the daemon itself. */
  readonly holderPid: number | null;
  /** Bytes of input taken from us that the program has not been handed yet. */
  readonly inputWaiting: number;

  /**
   * Queues input, in order, without ever blocking. Nothing is dropped: what the program does not read waits here (`inputWaiting`), so the
   * caller decides how much is too much. Input to a program that has ended goes nowhere.
   */
  write(bytes: Uint8Array): void;
  /** Says that every byte below this absolute offset is safe with us. A holder keeps what is not acknowledged, and blocks the program when its ring is full. */
  acknowledge(offset: number): void;
  /** Stops delivering data (and the exit behind it). Soon the kernel's (or the holder's) buffer is full and the program blocks; nothing is lost. */
  pause(): void;
  resume(): void;
  /** Cells, brought into 1 to 65535 each way. The program's foreground group gets SIGWINCH. A program that has ended is left alone. */
  resize(cols: number, rows: number): void;
  /** Signals the program itself, its process group, or the terminal's foreground process group. False when there was nobody to signal. */
  signal(signal: NodeJS.Signals, to: 'program' | 'group' | 'foreground'): Promise<boolean>;
  /** The foreground process group and its working directory (null where it cannot be read); null once the program has ended. */
  foreground(): Promise<Foreground | null>;
  /** How the program has set its terminal; null where nobody can tell (node-pty, a holder of an older version), and once it has ended. */
  terminalModes(): Promise<TerminalModes | null>;
  /**
   * Says that the exit is written down, so that nobody needs to be told of it again: a holder removes its socket and leaves. Said before the
   * exit has been delivered, it counts from then on.
   */
  dismiss(): void;
  /**
   * Lets go of the program without ending it: a holder keeps it, or its exit, for the next daemon. The node-pty backend cannot, and ends it
   * with SIGHUP. The listener hears nothing more.
   */
  release(): Promise<void>;
}

export interface Foreground {
  pgid: number;
  cwd: string | null;
}

/** Whether what is typed is shown, and comes in whole lines. A program that reads a secret line has the first off and the second on. */
export interface TerminalModes {
  echo: boolean;
  canonical: boolean;
}

/** What a program is started with. `argv` is used as it is, with no shell; `env` is the whole environment. */
export interface PtySpec {
  argv: readonly [string, ...string[]];
  env: Readonly<Record<string, string>>;
  cwd: string;
  cols: number;
  rows: number;
  /** Soft RLIMIT_NOFILE for the program. Node raises its own soft limit to the hard one at start and children would inherit that. */
  openFiles?: number;
}

/** How a program ended: exactly one of the two is not null. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** What a terminal can be told: TIOCSWINSZ takes 16 bits each way, and programs divide by them. */
export function toCells(count: number): number {
  return Math.min(65_535, Math.max(1, Math.trunc(count) || 1));
}

/** From what waitpid tells: an exit code, or the number of the signal that ended the program (0: none did). */
export function exitFrom(code: number, signalNumber: number): Exit {
  if (signalNumber === 0) return { code, signal: null };
  const name = Object.entries(constants.signals).find(([, number]) => number === signalNumber)?.[0];
  // Realtime signals have no name in Node; a shell reports them as 128 + the number.
  return name ? { code: null, signal: name as NodeJS.Signals } : { code: 128 + signalNumber, signal: null };
}

/** What a PTY tells its owner, in this order: any number of `data`, then at most one of `exit` and `lost`, then nothing. */
export interface PtyListener {
  /** Output. `offset` is the absolute position of the first byte in everything the program ever wrote. `isReplay`: an earlier daemon had been sent these bytes already. */
  data(offset: number, bytes: Uint8Array, isReplay: boolean): void;
  /** The program has ended and every byte it wrote has been delivered. */
  exit(exit: Exit): void;
  /** The PTY is gone and nobody knows how the program ended, or a newer daemon has taken it over. */
  lost(because: string): void;
}

/** Why a PTY was lost to a daemon that came after us: all that is kept of it is that one's to write. */
export const TAKEN_OVER = 'A newer daemon has taken the program over';

/** A program that could not be started, in words for the person who asked. */
export class SpawnError extends Error {
  override readonly name = 'SpawnError';
  readonly reason: 'no-such-command' | 'not-executable' | 'no-such-directory' | 'failed';
  constructor(reason: SpawnError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}
