import { constants } from 'node:os';
import { ReadStream, WriteStream } from 'node:tty';
import { RESET_TERMINAL } from '../../wire/terminal-reset.ts';

/** XTWINOPS 22 and 23: the terminal's own stack of titles, so that the title from before comes back. */
const PUSH_TITLE = '\x1b[22;0t';
const POP_TITLE = '\x1b[23;0t';
const LEAVE_ALTERNATE = '\x1b[?1049l';

/** Signals that end a client. SIGKILL cannot be caught: then the shell has to reset its terminal itself. */
const FATAL: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT'];

/** The terminal this process runs on: raw while a session is shown on it, and as it was before on every way out. */
export class UserTerminal {
  readonly #in: ReadStream;
  readonly #out: WriteStream;
  #isOpen = false;
  #isAlternate = false;
  onInput: (bytes: Uint8Array) => void = () => {};
  onResize: () => void = () => {};
  /** The process was stopped and goes on: the screen is whatever the shell left. */
  onContinued: () => void = () => {};
  /** The terminal has gone. */
  onClosed: () => void = () => {};

  constructor() {
    if (!(process.stdin instanceof ReadStream) || !(process.stdout instanceof WriteStream)) throw new Error('not a terminal');
    this.#in = process.stdin;
    this.#out = process.stdout;
  }

  get size(): { cols: number; rows: number } {
    // A terminal that does not know its size says 0, as a serial line does.
    return { cols: this.#out.columns || 80, rows: this.#out.rows || 24 };
  }

  open(): void {
    this.#isOpen = true;
    this.#in.setRawMode(true);
    this.#out.write(PUSH_TITLE);
    this.#in.on('end', this.#gone);
    this.#in.on('error', this.#gone);
    this.#out.on('resize', this.#resized);
    process.on('SIGCONT', this.#continued);
    process.on('exit', this.#restore);
    process.on('uncaughtExceptionMonitor', this.#restore);
    for (const signal of FATAL) process.on(signal, this.#killed);
  }

  /** Begins to read what is typed. */
  listen(): void {
    this.#in.on('data', this.#hear);
  }

  write(bytes: Uint8Array): void {
    if (!this.#isOpen) return;
    this.#watchAlternate(bytes);
    this.#out.write(bytes);
  }

  /**
   * One line over the bottom of whatever is shown, until the screen is painted anew. Not above the picture: a line of its own would scroll
   * the screen, and what scrolls away stays in the terminal for good. Not in the title either, which many terminals do not show. The bytes
   * before may have been cut anywhere, so strings are ended, and modes that would bend the line are unset: the painting sets its own.
   */
  notice(text: string, { rings = false } = {}): void {
    if (!this.#isOpen) return;
    const { cols, rows } = this.size;
    const bare = '\x1b\\\x1b[?2026l\x1b[?6l\x1b[r\x1b[4l\x1b[?7l\x1b(B\x0f';
    this.#out.write(`${bare}\x1b[${rows};1H\x1b[0;7m\x1b[2K${text.slice(0, cols - 1)}\x1b[m${rings ? '\x07' : ''}`);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#restore();
    this.#in.off('data', this.#hear).off('end', this.#gone).off('error', this.#gone);
    this.#in.pause();
    this.#out.off('resize', this.#resized);
    process.off('SIGCONT', this.#continued).off('exit', this.#restore).off('uncaughtExceptionMonitor', this.#restore);
    for (const signal of FATAL) process.off(signal, this.#killed);
  }

  readonly #hear = (bytes: Uint8Array) => this.onInput(bytes);
  readonly #gone = () => this.onClosed();
  readonly #resized = () => this.onResize();

  readonly #continued = () => {
    if (!this.#isOpen) return;
    // Node believes that it is raw still, while the shell has set its own mode in between.
    this.#in.setRawMode(false);
    this.#in.setRawMode(true);
    this.onContinued();
  };

  readonly #killed = (signal: NodeJS.Signals) => {
    this.#restore();
    process.exit(128 + constants.signals[signal]);
  };

  /** Everything a program may have set is unset, before the line discipline gets its old mode back. */
  readonly #restore = () => {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    try {
      this.#out.write(`${this.#isAlternate ? LEAVE_ALTERNATE : ''}${RESET_TERMINAL}${POP_TITLE}\r\n`);
      this.#in.setRawMode(false);
    } catch {
      // The terminal has gone: nothing is left to restore.
    }
  };

  /**
   * Whether the alternate screen is shown, as far as one can tell from whole sequences: leaving it also brings the cursor back, which must
   * not be done when it is not shown.
   */
  #watchAlternate(bytes: Uint8Array): void {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    // Forward from one private sequence to the next: a search for each from the end takes 3 ms of 2,000 lines.
    for (let at = chunk.indexOf(PRIVATE); at !== -1; at = chunk.indexOf(PRIVATE, at + PRIVATE.length)) {
      const sequence = /^(?:1049|1047|47)([hl])/.exec(chunk.toString('latin1', at + PRIVATE.length, at + PRIVATE.length + 5));
      if (sequence) this.#isAlternate = sequence[1] === 'h';
    }
  }
}

const PRIVATE = '\x1b[?';
