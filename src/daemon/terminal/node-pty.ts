import {
  closeSync,
  constants as fsConstants,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import type { OnReadOpts, SocketConstructorOpts } from 'node:net';
import { dirname, resolve as resolvePath } from 'node:path';
import { ReadStream } from 'node:tty';
import { findProgram } from './find-program.ts';
import { type Exit, exitFrom, type Foreground, type Pty, type PtyListener, type PtySpec, SpawnError, toCells } from './pty.ts';

/**
 * The portable backend: the daemon owns the PTY, and the program ends with it. Of node-pty only the native `fork` and `resize` are used
 * (1.2.0-beta.15, where `native` is exported but not promised: the version is pinned). Its own classes lose output at exit (libuv takes
 * POLLHUP with a partial read for the end), write to descriptors that have been closed and used again, and spin on EAGAIN while a program
 * does not read. What cannot be repaired from here: a master is not close-on-exec, so programs that the daemon starts by other ways than
 * these two backends inherit it.
 */
export async function startNodePty(spec: PtySpec, listener: PtyListener): Promise<Pty> {
  findProgram(spec);
  const { native, helper } = load();
  const [file, ...args] = withOpenFiles(spec);
  const env = Object.entries(spec.env).map(([name, value]) => `${name}=${value}`);
  const fillers = fillGaps();
  let pty: NodePty | null = null;
  const ended = (code: number, signal: number) => pty?.ended(exitFrom(code, signal));
  try {
    // -1: user and group stay. `true` keeps IUTF8, without which erasing in a line takes bytes for characters.
    const {
      fd,
      pid,
      pty: name,
    } = native.fork(file, args, env, spec.cwd, toCells(spec.cols), toCells(spec.rows), -1, -1, true, helper, ended);
    pty = new NodePty({ native, fd, pid, name, listener });
    return pty;
  } catch (error) {
    throw new SpawnError('failed', `The program "${spec.argv[0]}" could not be started: ${(error as Error).message}`);
  } finally {
    for (const fd of fillers) closeSync(fd);
  }
}

/**
 * The Linux builds that node-pty brings are compiled without close_range: the child marks its descriptors close-on-exec one by one, and
 * stops at the first number above 15 that is not open (seen with strace). A master beyond such a gap would be inherited, and one program
 * could type into another's terminal. So there must be no gap while it forks.
 */
function fillGaps(): number[] {
  if (process.platform !== 'linux') return [];
  const highest = Math.max(...readdirSync('/proc/self/fd').map(Number));
  const fillers: number[] = [];
  do fillers.push(openSync('/dev/null', 'r'));
  while (fillers.at(-1)! < highest);
  return fillers;
}

interface Native {
  fork(
    file: string,
    args: string[],
    env: string[],
    cwd: string,
    cols: number,
    rows: number,
    uid: number,
    gid: number,
    isUtf8: boolean,
    helper: string,
    ended: (code: number, signal: number) => void,
  ): { fd: number; pid: number; pty: string };
  resize(fd: number, cols: number, rows: number, xPixel: number, yPixel: number): void;
}

/** Loaded when the first program needs it, so that a daemon on a machine without it starts, and says this when it is asked for one. */
function load(): { native: Native; helper: string } {
  try {
    const require = createRequire(import.meta.url);
    const { loadNativeModule } = require('node-pty/lib/utils.js') as { loadNativeModule(name: string): { dir: string; module: Native } };
    const { dir, module } = loadNativeModule('pty');
    return { native: module, helper: resolvePath(dirname(require.resolve('node-pty/lib/utils.js')), dir, 'spawn-helper') };
  } catch (error) {
    throw new SpawnError(
      'failed',
      `Programs cannot be started: node-pty could not be loaded, and native/hold was not built. Install a C compiler and run: npm rebuild ai-session (${(error as Error).message})`,
    );
  }
}

/** node-pty cannot set limits, and prlimit becomes the program without touching its environment. Where there is none the limit stays. */
function withOpenFiles({ argv, openFiles }: PtySpec): [string, ...string[]] {
  const prlimit = '/usr/bin/prlimit';
  if (!openFiles || !statSync(prlimit, { throwIfNoEntry: false })) return [...argv];
  return [prlimit, `--nofile=${openFiles}:`, '--', ...argv];
}

const READ_BYTES = 65_536;
/** A program that does not read is tried again this often: long enough to cost nothing, short enough not to be felt. */
const WRITE_AGAIN_MS = { first: 1, longest: 50 };
/** After the program has ended, how long processes it left behind may go on writing to its terminal. As in native/hold.c. */
const LINGER_MS = 200;
/** More than the kernel keeps for one terminal. As in native/hold.c. */
const KERNEL_BUFFER_BYTES = 65_536;

type State =
  | { is: 'running' }
  /** Reaped; output may still be on its way. */
  | { is: 'draining'; exit: Exit; until: number; readBytes: number }
  | { is: 'gone' };

class NodePty implements Pty {
  readonly backend = 'node-pty';
  readonly pid: number;
  readonly holderPid = null;
  readonly #native: Native;
  readonly #listener: PtyListener;
  readonly #reader: ReadStream;
  /** -1 once it is closed or about to be: the number may belong to another file by then. */
  #fd: number;
  /** Our own handle on the program's side. While it is open the kernel reports no hang-up, for which libuv would drop what is unread. */
  #slave: number;
  #state: State = { is: 'running' };
  #offset = 0;
  #isPaused = false;
  #isHungUp = false;
  #linger: NodeJS.Timeout | null = null;

  #input: Buffer[] = [];
  #inputWaiting = 0;
  #writeAgain: NodeJS.Timeout | null = null;
  #writeAgainMs = WRITE_AGAIN_MS.first;

  constructor({ native, fd, pid, name, listener }: { native: Native; fd: number; pid: number; name: string; listener: PtyListener }) {
    this.#native = native;
    this.#listener = listener;
    this.pid = pid;
    this.#fd = fd;
    this.#slave = openSync(name, fsConstants.O_RDWR | fsConstants.O_NOCTTY);
    // `onread` hands bytes over as they are read: with the stream's own buffer they could not be told apart from what is still in the
    // kernel. ReadStream passes it on to net.Socket, which its types do not say.
    const onread: OnReadOpts = {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback: (count, buffer) => {
        this.#deliver(Buffer.from(buffer.subarray(0, count)));
        return true;
      },
    };
    // Half open: at the end of the reading the stream would otherwise close the descriptor while there may be more to read from it.
    this.#reader = new ReadStream(fd, { onread, allowHalfOpen: true } as SocketConstructorOpts);
    // Both come only after our slave is closed and nobody else has the terminal. At an end some bytes may be unread even so; at an error
    // (EIO) none are, and the stream closes the descriptor.
    this.#reader.on('end', () => {
      this.#isHungUp = true;
      this.#drain();
    });
    this.#reader.on('error', () => {
      this.#isHungUp = true;
      this.#fd = -1;
      this.#drain();
    });
    this.#reader.resume();
  }

  get inputWaiting(): number {
    return this.#inputWaiting;
  }

  write(bytes: Uint8Array): void {
    if (this.#state.is !== 'running' || bytes.length === 0) return;
    this.#input.push(Buffer.from(bytes));
    this.#inputWaiting += bytes.length;
    if (!this.#writeAgain) this.#writeInput();
  }

  /** Nobody keeps bytes for us. */
  acknowledge(): void {}

  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#reader.pause();
  }

  resume(): void {
    if (!this.#isPaused || this.#state.is === 'gone') return;
    this.#isPaused = false;
    this.#reader.resume();
    if (this.#state.is === 'draining') this.#drain();
  }

  resize(cols: number, rows: number): void {
    if (this.#state.is === 'running') this.#native.resize(this.#fd, toCells(cols), toCells(rows), 0, 0);
  }

  async signal(signal: NodeJS.Signals, to: 'program' | 'group' | 'foreground'): Promise<boolean> {
    // Once the program has been reaped its number may belong to a stranger.
    if (this.#state.is !== 'running') return false;
    const target = to === 'program' ? this.pid : to === 'group' ? -this.pid : -(this.#foregroundGroup() ?? 0);
    // Zero is our own group.
    if (target === 0) return false;
    try {
      return process.kill(target, signal);
    } catch {
      return false;
    }
  }

  async foreground(): Promise<Foreground | null> {
    if (this.#state.is !== 'running') return null;
    const pgid = this.#foregroundGroup();
    // A pipeline whose leader has ended still is a group; then the program's own directory is the best answer.
    return pgid === null ? null : { pgid, cwd: readCwd(pgid) ?? readCwd(this.pid) };
  }

  /** Node cannot ask a terminal for them. */
  async terminalModes(): Promise<null> {
    return null;
  }

  /** Nobody keeps the exit for us. */
  dismiss(): void {}

  async release(): Promise<void> {
    if (this.#reader.closed) return;
    const closed = new Promise<void>((resolve) => this.#reader.once('close', () => resolve()));
    // With the last handle on the master the kernel hangs the terminal up, which is the SIGHUP. The stream closes it in a later turn.
    this.#close();
    await closed;
  }

  /** Called once the native side has reaped the program. */
  ended(exit: Exit): void {
    if (this.#state.is !== 'running') return;
    this.#state = { is: 'draining', exit, until: performance.now() + LINGER_MS, readBytes: 0 };
    this.#forgetInput();
    closeSync(this.#slave);
    this.#slave = -1;
    this.#drain();
  }

  /**
   * Reads what the kernel still has and finishes. EIO says that nobody has the terminal open any more. EAGAIN says that all there is was
   * read while something left in the background has it open, which gets a moment for its last words, as in native/hold.c.
   */
  #drain(): void {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    while (this.#state.is === 'draining' && !this.#isPaused) {
      const { exit, until, readBytes } = this.#state;
      const isLate = performance.now() >= until;
      const count = readBytes < KERNEL_BUFFER_BYTES || this.#isHungUp ? this.#readNow(buffer) : 'waits';
      if (count === 'end' || (count === 'waits' && isLate)) {
        this.#finish(exit);
      } else if (count === 'waits') {
        // The reader goes on meanwhile.
        this.#linger ??= setTimeout(() => {
          this.#linger = null;
          this.#drain();
        }, until - performance.now());
        return;
      } else {
        this.#deliver(Buffer.from(buffer.subarray(0, count)));
      }
    }
  }

  #readNow(buffer: Buffer): number | 'waits' | 'end' {
    try {
      return readSync(this.#fd, buffer, 0, buffer.length, null) || 'end';
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EAGAIN' ? 'waits' : 'end';
    }
  }

  #deliver(bytes: Buffer): void {
    if (this.#state.is === 'gone') return;
    if (this.#state.is === 'draining') this.#state.readBytes += bytes.length;
    const offset = this.#offset;
    this.#offset += bytes.length;
    this.#listener.data(offset, bytes, false);
  }

  #finish(exit: Exit): void {
    this.#close();
    this.#listener.exit(exit);
  }

  #writeInput(): void {
    this.#writeAgain = null;
    while (this.#input.length > 0) {
      const next = this.#input[0]!;
      let count: number;
      try {
        count = writeSync(this.#fd, next);
      } catch (error) {
        // Anything else means that the terminal is going; the exit will tell.
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') {
          this.#forgetInput();
          return;
        }
        // libuv's own waiting is not to be had: it makes the descriptor blocking for writes. So this is a timer, not a wake-up.
        this.#writeAgain = setTimeout(() => this.#writeInput(), this.#writeAgainMs);
        this.#writeAgainMs = Math.min(this.#writeAgainMs * 2, WRITE_AGAIN_MS.longest);
        return;
      }
      this.#writeAgainMs = WRITE_AGAIN_MS.first;
      this.#inputWaiting -= count;
      if (count === next.length) this.#input.shift();
      else this.#input[0] = next.subarray(count);
    }
  }

  #forgetInput(): void {
    if (this.#writeAgain) clearTimeout(this.#writeAgain);
    this.#writeAgain = null;
    this.#input = [];
    this.#inputWaiting = 0;
  }

  /** tcgetpgrp is not to be had from Node; Linux tells it of the program, whose controlling terminal this is (proc(5), field 8 of stat). */
  #foregroundGroup(): number | null {
    try {
      // The name in field 2 may hold spaces and brackets, but no field behind it does.
      const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8');
      const group = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[5]);
      return group > 1 ? group : null;
    } catch {
      return null;
    }
  }

  #close(): void {
    if (this.#state.is === 'gone') return;
    this.#state = { is: 'gone' };
    this.#fd = -1;
    this.#forgetInput();
    if (this.#linger) clearTimeout(this.#linger);
    if (this.#slave >= 0) closeSync(this.#slave);
    this.#slave = -1;
    this.#reader.destroy();
  }
}

/** Null where it cannot be read, and where the directory was removed: the kernel then appends " (deleted)" to a path that lies. */
function readCwd(pid: number): string | null {
  try {
    const link = `/proc/${pid}/cwd`;
    return statSync(link).nlink === 0 ? null : readlinkSync(link);
  } catch {
    return null;
  }
}
