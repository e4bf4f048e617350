import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Log } from '../../base/log.ts';
import { VERSION } from '../../base/package.ts';
import { toWire, WireError } from '../../wire/errors.ts';
import type { Event, Notification } from '../../wire/events.ts';
import { CLIENT_FRAME_LIMIT_BYTES, encodeJson, encodeStreamHeader, type Frame, FrameDecoder, FrameError } from '../../wire/frame.ts';
import { type Hello, negotiate, OLDEST_PROTOCOL, PROTOCOL, readHello } from '../../wire/version.ts';
import type { Caller, Stream, StreamSink } from '../subsystem.ts';
import type { Dispatch } from './dispatch.ts';

/** Who this daemon process is; the same for every connection. */
export const INSTANCE = randomBytes(8).toString('hex');

/** A peer that has not said hello by now, or leaves a frame unfinished for so long, is cut off. */
const PATIENCE_MS = 10_000;
/** Events wait here for a client that does not read; past this it is cut off, and can ask again. */
const EVENT_LIMIT_BYTES = 8 << 20;
/** Calls of one connection that may be at work at once. */
const CALLS_LIMIT = 1000;

/** Answers that a client has not taken; past this we take no more calls from it until it reads. */
const ANSWERS_LIMIT_BYTES = 4 << 20;
/** Frames of one client that are taken in one turn of the event loop. */
const FRAMES_PER_TURN = 16;
const NOTHING = Buffer.alloc(0);

interface OpenStream {
  sink: StreamSink;
  stream: Stream;
}

/** One client. Whatever it sends, the worst that happens is that this connection ends. */
export class Connection {
  readonly #socket: Socket;
  readonly #dispatch: Dispatch;
  readonly #log: Log;
  readonly #decoder = new FrameDecoder(CLIENT_FRAME_LIMIT_BYTES);
  readonly #streams = new Map<number, OpenStream>();
  readonly #gone = new AbortController();
  #nextStream = 1;
  #hasSaidHello = false;
  /** For a client without a protocol in common. It may end this daemon, in the oldest words for that, so that it gets another one. */
  #refusal: WireError | null = null;
  #hearsEvents = false;
  #callsAtWork = 0;
  #patience: NodeJS.Timeout | null = null;
  onClosed: () => void = () => {};
  /** Called when the last of its calls has been answered. */
  onIdle: () => void = () => {};

  constructor(socket: Socket, dispatch: Dispatch, log: Log) {
    this.#socket = socket;
    this.#dispatch = dispatch;
    this.#log = log;
    this.#waitFor('hello');
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    // 'close' follows, and cleans up.
    socket.on('error', () => {});
    socket.on('close', () => this.#closed());
  }

  /** Sends an event to a client that asked for them. */
  tell(event: Event): void {
    if (!this.#hearsEvents) return;
    this.#notify({ method: 'event', params: event });
    if (this.#socket.writableLength > EVENT_LIMIT_BYTES) this.#cut('it does not read its events');
  }

  get isAtWork(): boolean {
    return this.#callsAtWork > 0;
  }

  /**
   * Ends after what was sent has gone out. What the client still sends is read and thrown away until it ends as well: its write to a socket
   * that is closed would fail, and with it would go what it has not read of our last words.
   */
  end(): void {
    this.#socket.end();
  }

  /** Ends at once. */
  cut(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#take(this.#decoder.push(chunk));
  }

  /** Some frames, and the rest of them later: a chunk can hold thousands of calls, and each turn of the event loop belongs to everybody. */
  #take(frames: Generator<Frame>): void {
    try {
      for (let n = 0; n < FRAMES_PER_TURN; n++) {
        const { done, value } = frames.next();
        if (!done) {
          this.#hear(value);
          continue;
        }
        if (!this.#hasSaidHello || this.#refusal) return;
        // Each frame has its own time: who finishes them goes on.
        if (n > 0 || !this.#decoder.isMidFrame) this.#stopWaiting();
        if (this.#decoder.isMidFrame) this.#waitFor('the rest of a frame');
        return;
      }
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      return this.#refuse(new WireError('bad-request', `Not understood: ${error.message}.`));
    }
    this.#socket.pause();
    const goOn = () => {
      if (this.#socket.destroyed) return;
      // A client that does not take its answers is asked nothing more until it does.
      if (this.#socket.writableLength > ANSWERS_LIMIT_BYTES) return void this.#socket.write(NOTHING, () => goOn());
      this.#socket.resume();
      this.#take(frames);
    };
    setImmediate(goOn);
  }

  #hear(frame: Frame): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    if (!this.#hasSaidHello) return this.#greet(frame);
    if (frame.kind === 'json') return void this.#answer(frame.value);
    if (frame.kind === 'snapshot') return this.#refuse(new WireError('bad-request', 'Clients send no snapshots.'));
    try {
      // Input for a stream that has just ended is on its way too late, and nobody's mistake.
      this.#streams.get(frame.stream)?.sink.input(frame.bytes);
    } catch (error) {
      this.#refuse(this.#expected(error, 'input'));
    }
  }

  #greet(frame: Frame): void {
    const theirs = frame.kind === 'json' ? readHello(frame.value) : null;
    if (!theirs) return this.#refuse(new WireError('bad-request', 'The first message must be a hello.'));
    this.#hasSaidHello = true;
    const ours: Hello = { hello: { protocol: PROTOCOL, oldest: OLDEST_PROTOCOL, build: VERSION, pid: process.pid, instance: INSTANCE } };
    this.#socket.write(encodeJson(ours));
    if (negotiate({ protocol: PROTOCOL, oldest: OLDEST_PROTOCOL }, theirs) !== null) return this.#stopWaiting();
    this.#refusal = new WireError(
      'version',
      `The daemon is ${VERSION} (protocol ${PROTOCOL}), the client is ${theirs.build} (protocol ${theirs.protocol}).`,
    );
  }

  /** A call: the answer is sent before anything of the streams that it opened. */
  async #answer(message: unknown): Promise<void> {
    const { id, method, params } = (typeof message === 'object' && message !== null && !Array.isArray(message) ? message : {}) as Record<
      string,
      unknown
    >;
    if ((typeof id !== 'number' && typeof id !== 'string') || typeof method !== 'string') {
      return this.#refuse(new WireError('bad-request', 'A message must be a call with an id and a method.'));
    }
    if (this.#refusal && method !== 'daemon.stop') return this.#refuse(this.#refusal);
    if (this.#callsAtWork >= CALLS_LIMIT)
      return this.#send({
        id,
        error: toWire(new WireError('busy', `${CALLS_LIMIT} calls of this connection are at work; wait for one to end.`)),
      });
    this.#callsAtWork++;
    const opened: HeldStream[] = [];
    try {
      const result = await this.#dispatch(method, params, this.#caller(opened));
      this.#send({ id, result });
    } catch (error) {
      this.#send({ id, error: toWire(this.#expected(error, method)) });
    } finally {
      this.#callsAtWork--;
      for (const stream of opened) stream.release();
      if (!this.isAtWork) this.onIdle();
    }
  }

  #caller(opened: HeldStream[]): Caller {
    return {
      openStream: (sink) => {
        const stream = new HeldStream(this.#nextStream++, this.#socket, (id) => this.#streams.delete(id));
        opened.push(stream);
        this.#streams.set(stream.id, { sink, stream });
        return stream;
      },
      sink: (stream) => this.#streams.get(stream)?.sink,
      hearEvents: () => {
        this.#hearsEvents = true;
      },
      gone: this.#gone.signal,
    };
  }

  /** A refusal as it is; anything else is a bug, which the log has and the client gets the incident of. */
  #expected(error: unknown, what: string): WireError {
    if (error instanceof WireError) return error;
    const incident = this.#log.incident(`a call failed: ${what}`, error);
    return new WireError('internal', `Internal error in ${what}, incident ${incident}. The daemon's log has it: ai-session daemon logs`, {
      incident,
    });
  }

  #send(message: object): void {
    if (this.#socket.writable) this.#socket.write(encodeJson({ jsonrpc: '2.0', ...message }));
  }

  #notify(notification: Notification): void {
    this.#send(notification);
  }

  /** Says why and ends the connection. */
  #refuse(error: WireError): void {
    this.#log.debug('a connection was refused', { because: error.message });
    this.#send({ id: null, error: toWire(error) });
    this.#socket.destroySoon();
  }

  #cut(because: string): void {
    this.#log.debug('a connection was cut', { because });
    this.#socket.destroy();
  }

  #waitFor(what: string): void {
    this.#patience ??= setTimeout(() => this.#cut(`${what} did not come`), PATIENCE_MS).unref();
  }

  #stopWaiting(): void {
    if (this.#patience) clearTimeout(this.#patience);
    this.#patience = null;
  }

  #closed(): void {
    this.#stopWaiting();
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const { sink } of streams) {
      try {
        sink.closed('gone');
      } catch (error) {
        this.#log.incident('a stream could not be closed', error);
      }
    }
    this.#gone.abort();
    this.onClosed();
  }
}

/** A stream to this client, which keeps what is sent until the call that opened it has been answered. */
class HeldStream implements Stream {
  readonly id: number;
  readonly #socket: Socket;
  readonly #forget: (id: number) => void;
  #held: (() => void)[] | null = [];
  #heldBytes = 0;

  constructor(id: number, socket: Socket, forget: (id: number) => void) {
    this.id = id;
    this.#socket = socket;
    this.#forget = forget;
  }

  get bytesWaiting(): number {
    return this.#socket.writableLength + this.#heldBytes;
  }

  send(kind: 'bytes' | 'snapshot', offset: number, bytes: Uint8Array): void {
    if (!this.#socket.writable) return;
    if (this.#held) {
      this.#heldBytes += bytes.length;
      this.#held.push(() => this.send(kind, offset, bytes));
      return;
    }
    // Header and payload leave in one writev; the payload is not copied.
    this.#socket.cork();
    this.#socket.write(encodeStreamHeader(kind, this.id, offset, bytes.length));
    this.#socket.write(bytes);
    this.#socket.uncork();
  }

  whenDrained(then: () => void): void {
    if (this.bytesWaiting === 0) setImmediate(then);
    else if (this.#held) this.#held.push(() => this.whenDrained(then));
    // The callback of an empty write comes when everything before it has gone; 'drain' would not come for less than the high water mark.
    else this.#socket.write(NOTHING, () => this.#socket.destroyed || then());
  }

  end(end: Parameters<Stream['end']>[0]): void {
    if (this.#held) {
      this.#held.push(() => this.end(end));
      return;
    }
    this.#forget(this.id);
    if (this.#socket.writable)
      this.#socket.write(encodeJson({ jsonrpc: '2.0', method: 'stream.ended', params: { stream: this.id, ...end } }));
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    this.#heldBytes = 0;
    for (const act of held) act();
  }
}
