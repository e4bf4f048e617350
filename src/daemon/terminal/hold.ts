import { spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { findProgram } from './find-program.ts';
import {
  encodeToHolder,
  type FromHolder,
  HOLD_VERSION,
  HoldProtocolError,
  HoldReader,
  INPUT_WINDOW_BYTES,
  inputHeader,
  MODES_VERSION,
  type RefusedReason,
  type ToHolder,
  type Welcome,
} from './hold-protocol.ts';
import {
  exitFrom,
  type Foreground,
  type Pty,
  type PtyListener,
  type PtySpec,
  SpawnError,
  TAKEN_OVER,
  type TerminalModes,
  toCells,
} from './pty.ts';

interface HoldStart {
  spec: PtySpec;
  /** Where the holder makes its socket. Absolute, and nothing may be there. */
  socketPath: string;
  /** Which daemon this is: a holder refuses one that is older than any it has seen. */
  epoch: number;
  /** The holder program, `native/bin/hold`. */
  binary: string;
}

interface HoldAdoption {
  socketPath: string;
  epoch: number;
  /** The absolute offset from which bytes are wanted, all below being safe; or the oldest byte that the holder still has. */
  offset: number | 'oldest';
  /** Told the offset of the first byte that will come, before any does. */
  starts?: (offset: number) => void;
}

/** `gap`: the bytes that were asked for and are no longer there. */
export type AdoptedPty = Pty & { readonly gap: { from: number; to: number } | null };

/** A holder that could not be attached to. */
export class HolderError extends Error {
  override readonly name = 'HolderError';
  /**
   * `gone`: nobody listens, so the program has ended with its holder. `silent`: it is there and does not answer, as when it is stopped, and the
   * program may be alive. `refused`: it said no. `strange`: what it said, or that it hung up, means nothing to us.
   */
  readonly reason: 'gone' | 'silent' | 'refused' | 'strange';
  constructor(reason: HolderError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Starts a program in a holder of its own. Rejects with SpawnError; then nothing is left of it. The listener may hear output before this resolves. */
export async function startHold({ spec, socketPath, epoch, binary }: HoldStart, listener: PtyListener): Promise<Pty> {
  findProgram(spec);
  const holderPid = await spawnHolder(binary, socketPath, spec);
  try {
    return await attach({ socketPath, epoch, offset: 0 }, listener);
  } catch (error) {
    // It removes its socket, and the program is hung up with its terminal.
    try {
      process.kill(holderPid, 'SIGTERM');
      // One that was stopped hears of it only when it goes on.
      process.kill(holderPid, 'SIGCONT');
    } catch {
      // The holder has died, which may be why it could not be reached.
    }
    throw new SpawnError(
      'failed',
      `The program "${spec.argv[0]}" was started but its holder could not be reached: ${(error as Error).message}`,
    );
  }
}

/** Takes over a program that an earlier daemon started. Rejects with HolderError, which says why it could not. */
export function adoptHold(adoption: HoldAdoption, listener: PtyListener): Promise<AdoptedPty> {
  return attach(adoption, listener);
}

/** Resolves with the holder's process id once the program runs. */
function spawnHolder(binary: string, socketPath: string, spec: PtySpec): Promise<number> {
  const args = [socketPath, `${toCells(spec.cols)}`, `${toCells(spec.rows)}`, `${spec.openFiles ?? 0}`, spec.cwd, '--', ...spec.argv];
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => {
      // The holder is given the program's arguments and environment, so only this one is about the program.
      if (error.code === 'E2BIG') reject(execFailure(spec, error.code, error.message));
      else reject(new SpawnError('failed', `The holder "${binary}" could not be started: ${error.message}`));
    };
    let child: ReturnType<typeof spawn>;
    try {
      // The environment is the program's: execvp in the holder looks argv[0] up in the program's PATH.
      child = spawn(binary, args, { cwd: '/', env: spec.env, detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
    } catch (error) {
      // Some errors of spawn are thrown (E2BIG), others are emitted (ENOENT).
      failed(error as Error);
      return;
    }
    child.on('error', failed);
    child.unref();
    let said = '';
    // Without descriptors left there are no pipes, only the error.
    if (!child.stdout) return;
    const { stdout } = child;
    stdout.setEncoding('utf8');
    stdout.on('data', (text: string) => {
      said += text;
    });
    // The holder points its standard output elsewhere when it is ready, so this comes whether the start went well or not.
    stdout.on('close', () => {
      const [outcome, stage, errno] = said.trimEnd().split(' ');
      if (outcome === 'ok' && said.endsWith('\n')) resolve(child.pid!);
      else if (outcome === 'err') reject(stageFailure(spec, stage!, Number(errno)));
      else reject(new SpawnError('failed', `The holder "${binary}" ended without a word while starting "${spec.argv[0]}"`));
    });
  });
}

function stageFailure(spec: PtySpec, stage: string, errno: number): SpawnError {
  const [code, meaning] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error'];
  if (stage === 'chdir') return new SpawnError('no-such-directory', `Cannot enter directory "${spec.cwd}": ${meaning}`);
  if (stage === 'exec') return execFailure(spec, code, meaning);
  return new SpawnError('failed', `The program "${spec.argv[0]}" could not be started (${stage}): ${meaning}`);
}

/** What exec said, after our own look had found nothing wrong. */
function execFailure(spec: PtySpec, code: string, meaning: string): SpawnError {
  const command = `"${spec.argv[0]}"`;
  switch (code) {
    case 'ENOENT':
      return new SpawnError('not-executable', `Not executable: ${command} (the interpreter or loader that it names is not there)`);
    case 'EACCES':
    case 'EPERM':
    case 'ENOEXEC':
    case 'ELOOP':
      return new SpawnError('not-executable', `Not executable: ${command} (${meaning})`);
    case 'E2BIG':
      return new SpawnError('failed', `The arguments and environment of ${command} are longer than the system allows`);
    default:
      return new SpawnError('failed', `The program ${command} could not be started: ${meaning}`);
  }
}

/** A holder answers in microseconds. One that is stopped must not keep the daemon from starting, nor a person waiting. */
const WELCOME_MS = 3000;

function attach(adoption: HoldAdoption, listener: PtyListener): Promise<AdoptedPty> {
  const { socketPath, epoch, offset } = adoption;
  return new Promise((resolve, reject) => {
    const socket = connect({ path: socketPath });
    const fail = (reason: HolderError['reason'], because: string) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new HolderError(reason, because));
    };
    let pty: HoldPty | null = null;
    // When it was we who were busy, the answer is there to be read: one turn of the event loop does so.
    const timer = setTimeout(() => setImmediate(() => !pty && fail('silent', `The holder at "${socketPath}" does not answer`)), WELCOME_MS);
    const reader = new HoldReader((message) => {
      if (pty) pty.hear(message);
      else if (message.is === 'welcome' && message.version >= 1 && message.version <= HOLD_VERSION) {
        clearTimeout(timer);
        adoption.starts?.(message.start);
        pty = new HoldPty(socket, message, adoption, listener);
        resolve(pty);
      } else if (message.is === 'welcome')
        fail('strange', `The holder speaks version ${message.version}, this daemon up to ${HOLD_VERSION}`);
      else if (message.is === 'refused') fail('refused', refusal(message, adoption));
      else fail('strange', 'The holder answered with something else than a welcome');
    });
    socket.on('data', (chunk) => {
      try {
        reader.push(chunk);
      } catch (error) {
        if (!(error instanceof HoldProtocolError)) throw error;
        const because = `The holder does not speak our protocol: ${error.message}`;
        if (pty) pty.lose(because);
        else fail('strange', because);
      }
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (pty) return;
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') fail('gone', `No holder is listening at "${socketPath}"`);
      // EAGAIN: so many wait for it already that the system lets no more queue up.
      else fail(error.code === 'EAGAIN' ? 'silent' : 'strange', `The holder at "${socketPath}" cannot be reached: ${error.message}`);
    });
    socket.on('close', () => {
      if (pty) pty.lose('The connection to the holder was lost');
      else fail('strange', `The holder at "${socketPath}" closed the connection`);
    });
    socket.write(encodeToHolder({ is: 'attach', epoch, offset }));
  });
}

function refusal({ reason, epoch }: { reason: RefusedReason; epoch: number }, adoption: HoldAdoption): string {
  switch (reason) {
    case 'older-epoch':
      return `A newer daemon has this program (its epoch is ${epoch}, ours is ${adoption.epoch})`;
    case 'offset-ahead':
      return `The program has not written ${adoption.offset} bytes yet: the offset belongs to another program`;
    case 'version':
      return `The holder does not speak version ${HOLD_VERSION}`;
    case 'taken-over':
    case 'unknown':
      return 'The holder refused the connection';
    default: {
      const never: never = reason;
      return never;
    }
  }
}

/** Acknowledgements closer together than this wait for the end of the event loop's turn, to be one frame. */
const ACK_EVERY_BYTES = 32 << 10;
/** The most that one INPUT frame can carry. */
const INPUT_FRAME_BYTES = 65_535;
/** Input that waits lies in pieces of at least this size: a key is one byte, and a Buffer for each would cost a hundred times that. */
const INPUT_PIECE_BYTES = 16 << 10;
/** How long a holder may take to read what it was sent before we let go of it. */
const RELEASE_MS = 1000;

/**
 * attached ──EXIT──▶ exited ──dismiss──▶ gone
 *     └──── release, connection lost ─────▲
 */
type State = 'attached' | 'exited' | 'gone';

type Answer = FromHolder & { id: number };

class HoldPty implements AdoptedPty {
  readonly backend = 'hold';
  readonly pid: number;
  readonly holderPid: number;
  readonly gap: AdoptedPty['gap'];
  readonly #socket: Socket;
  readonly #listener: PtyListener;
  #state: State = 'attached';
  #isDismissed = false;

  /** Bytes below this offset were sent to some daemon before us. */
  readonly #seen: number;
  #acknowledged: number;
  #acknowledgedToHolder: number;
  #ackTurn: NodeJS.Immediate | null = null;

  #isPaused = false;
  /** Data and the exit that came while paused: at most the ring, since the holder sends no more than is not acknowledged. */
  #held: (FromHolder & { is: 'data' | 'exit' })[] = [];

  /** Input that does not fit in the window yet: as many pieces as it takes, of which only the last has room left. */
  #input: Buffer[] = [];
  /** Bytes in use at the start of the last piece. */
  #inputFilled = 0;
  #inputQueued = 0;
  #inputSent: number;
  #inputTaken = 0;

  #lastId = 0;
  readonly #awaiting = new Map<number, (answer: Answer | null) => void>();
  readonly #version: number;

  constructor(socket: Socket, welcome: Welcome, { offset }: HoldAdoption, listener: PtyListener) {
    this.#socket = socket;
    this.#listener = listener;
    this.pid = welcome.pid;
    this.holderPid = welcome.holderPid;
    this.#version = welcome.version;
    this.gap = offset !== 'oldest' && welcome.start > offset ? { from: offset, to: welcome.start } : null;
    this.#seen = welcome.seen;
    this.#acknowledged = this.#acknowledgedToHolder = welcome.start;
    this.#inputSent = welcome.inputWaiting;
  }

  get inputWaiting(): number {
    return this.#state === 'attached' ? this.#inputQueued + this.#inputSent - this.#inputTaken : 0;
  }

  write(bytes: Uint8Array): void {
    if (this.#state !== 'attached' || bytes.length === 0) return;
    // A copy: the caller may use its buffer again, and this may wait for as long as the program does not read.
    const sent = this.#inputQueued === 0 ? this.#sendPiece(Buffer.from(bytes)) : 0;
    if (sent < bytes.length) this.#queueInput(bytes.subarray(sent));
  }

  acknowledge(offset: number): void {
    if (offset <= this.#acknowledged) return;
    this.#acknowledged = offset;
    if (offset - this.#acknowledgedToHolder >= ACK_EVERY_BYTES) this.#sendAck();
    else this.#ackTurn ??= setImmediate(() => this.#sendAck());
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    // The listener may pause again at any piece.
    while (this.#held.length > 0 && !this.#isPaused) this.#deliver(this.#held.shift()!);
  }

  resize(cols: number, rows: number): void {
    this.#say({ is: 'resize', cols: toCells(cols), rows: toCells(rows) });
  }

  async signal(signal: NodeJS.Signals, to: 'program' | 'group' | 'foreground'): Promise<boolean> {
    const answer = await this.#ask((id) => ({ is: 'signal', id, signal: constants.signals[signal], to }));
    return answer?.is === 'signalled' && answer.errno === 0;
  }

  async foreground(): Promise<Foreground | null> {
    const status = await this.#ask((id) => ({ is: 'status', id }));
    if (status?.is !== 'status' || status.hasExited || status.foreground === 0) return null;
    return { pgid: status.foreground, cwd: status.cwd || null };
  }

  async terminalModes(): Promise<TerminalModes | null> {
    const answer = this.#version < MODES_VERSION ? null : await this.#ask((id) => ({ is: 'modes', id }));
    return answer?.is === 'modes' ? answer.modes : null;
  }

  dismiss(): void {
    this.#isDismissed = true;
    if (this.#state !== 'exited') return;
    this.#leave();
    this.#socket.end(encodeToHolder({ is: 'done' }));
  }

  async release(): Promise<void> {
    if (this.#socket.closed) return;
    const closed = new Promise<void>((resolve) => this.#socket.once('close', () => resolve()));
    if (this.#state !== 'gone') {
      this.#sendAck();
      this.#leave();
      // What was written reaches the holder although we do not wait for it: it reads to the end of the connection.
      this.#socket.destroySoon();
    }
    // After a dismissal it is the holder that closes, by leaving.
    const timer = setTimeout(() => this.#socket.destroy(), RELEASE_MS);
    await closed;
    clearTimeout(timer);
  }

  hear(message: FromHolder): void {
    if (this.#state === 'gone') return;
    switch (message.is) {
      case 'data':
      case 'exit':
        if (this.#isPaused || this.#held.length > 0) this.#held.push(message);
        else this.#deliver(message);
        return;
      case 'taken':
        this.#inputTaken = message.total;
        this.#sendInput();
        return;
      case 'signalled':
      case 'status':
      case 'modes':
        this.#awaiting.get(message.id)?.(message);
        this.#awaiting.delete(message.id);
        return;
      case 'refused':
        this.lose(TAKEN_OVER);
        return;
      case 'welcome':
        this.lose('The holder does not speak our protocol: a second welcome');
        return;
      default:
        message satisfies never;
    }
  }

  /** The connection is no more. After the exit, nobody needs to know. */
  lose(because: string): void {
    const wasAttached = this.#state === 'attached';
    this.#leave();
    this.#socket.destroy();
    if (wasAttached) this.#listener.lost(because);
  }

  #deliver(message: FromHolder & { is: 'data' | 'exit' }): void {
    if (this.#state !== 'attached') return;
    if (message.is === 'exit') {
      this.#state = 'exited';
      this.#listener.exit(exitFrom((message.status >> 8) & 0xff, message.status & 0x7f));
      if (this.#isDismissed) this.dismiss();
      return;
    }
    const { offset, bytes } = message;
    const replayed = Math.min(bytes.length, Math.max(0, this.#seen - offset));
    if (replayed > 0) this.#listener.data(offset, bytes.subarray(0, replayed), true);
    if (replayed < bytes.length) this.#listener.data(offset + replayed, bytes.subarray(replayed), false);
  }

  #queueInput(bytes: Uint8Array): void {
    const last = this.#input.at(-1);
    const room = last ? Math.min(bytes.length, last.length - this.#inputFilled) : 0;
    if (last) last.set(bytes.subarray(0, room), this.#inputFilled);
    this.#inputFilled += room;
    this.#inputQueued += bytes.length;
    if (room === bytes.length) return;
    const rest = bytes.subarray(room);
    const piece = Buffer.allocUnsafeSlow(Math.max(rest.length, INPUT_PIECE_BYTES));
    piece.set(rest);
    this.#input.push(piece);
    this.#inputFilled = rest.length;
  }

  #sendInput(): void {
    while (this.#input.length > 0) {
      const piece = this.#input[0]!;
      const isLast = this.#input.length === 1;
      const waiting = isLast ? piece.subarray(0, this.#inputFilled) : piece;
      const sent = this.#sendPiece(waiting);
      this.#inputQueued -= sent;
      if (sent === waiting.length) {
        this.#input.shift();
        if (isLast) this.#inputFilled = 0;
        continue;
      }
      this.#input[0] = piece.subarray(sent);
      if (isLast) this.#inputFilled -= sent;
      // Without a word of what was taken there is no more room.
      if (sent === 0) return;
    }
  }

  /** As much of it as the window and a frame take; says how much that was. The buffer must not change any more. */
  #sendPiece(bytes: Buffer): number {
    const room = INPUT_WINDOW_BYTES - (this.#inputSent - this.#inputTaken);
    const length = Math.min(bytes.length, room, INPUT_FRAME_BYTES);
    if (length <= 0) return 0;
    this.#socket.cork();
    this.#socket.write(inputHeader(length));
    this.#socket.write(bytes.subarray(0, length));
    this.#socket.uncork();
    this.#inputSent += length;
    return length;
  }

  #sendAck(): void {
    if (this.#ackTurn) clearImmediate(this.#ackTurn);
    this.#ackTurn = null;
    if (this.#acknowledged === this.#acknowledgedToHolder) return;
    this.#acknowledgedToHolder = this.#acknowledged;
    this.#say({ is: 'ack', offset: this.#acknowledged });
  }

  #say(message: ToHolder): void {
    if (this.#state !== 'gone' && this.#socket.writable) this.#socket.write(encodeToHolder(message));
  }

  /** Null when nobody answers any more. */
  async #ask(question: (id: number) => ToHolder): Promise<Answer | null> {
    if (this.#state !== 'attached') return null;
    const id = (this.#lastId + 1) >>> 0;
    this.#lastId = id;
    const answer = new Promise<Answer | null>((resolve) => this.#awaiting.set(id, resolve));
    this.#say(question(id));
    return await answer;
  }

  /** Nothing is asked, answered or told from here on. */
  #leave(): void {
    this.#state = 'gone';
    if (this.#ackTurn) clearImmediate(this.#ackTurn);
    this.#ackTurn = null;
    this.#held = [];
    this.#input = [];
    for (const answer of this.#awaiting.values()) answer(null);
    this.#awaiting.clear();
  }
}
