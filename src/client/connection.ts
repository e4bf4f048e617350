import { createConnection, type Socket } from 'node:net';
import { VERSION } from '../base/package.ts';
import type { CallName, CallParams, CallResult } from '../wire/calls.ts';
import { type ErrorBody, fromWire, WireError } from '../wire/errors.ts';
import type { Event, Notification, StreamEnd } from '../wire/events.ts';
import { DAEMON_FRAME_LIMIT_BYTES, encodeJson, encodeStream, type Frame, FrameDecoder } from '../wire/frame.ts';
import { type Hello, negotiate, OLDEST_PROTOCOL, PROTOCOL, readHello } from '../wire/version.ts';

/** What happens here rather than in the daemon. These never cross the wire. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  /** `refused`: nobody listens. `lost`: it was there and went away. `strange`: it is no daemon of ours, or one we cannot talk to. */
  readonly reason: 'refused' | 'lost' | 'strange';
  constructor(reason: ConnectionError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** What a follower of a pane hears. */
export interface StreamListener {
  /** Paint this: it replaces what was shown. */
  snapshot(bytes: Uint8Array, offset: number): void;
  bytes(bytes: Uint8Array, offset: number): void;
  ended(end: StreamEnd): void;
}

/** Who this process is. Not a secret, so not worth `node:crypto`, which takes 2 ms to load. */
const INSTANCE = `${process.pid.toString(16)}-${Date.now().toString(16)}-${Math.random().toString(16).slice(2, 10)}`;
/** Who waits for the answer to a call. */
interface Waiting {
  resolve(result: never): void;
  reject(error: Error): void;
  listener?: StreamListener;
}

/** How long a daemon may take to say hello. It answers in microseconds unless it is stopped or wedged. */
const HELLO_MS = 5000;

/** One connection to a daemon, after hello. */
export class Connection {
  readonly daemon: Hello['hello'];
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #streams = new Map<number, StreamListener>();
  #nextId = 1;
  #lost: ConnectionError | null = null;
  onEvent: (event: Event) => void = () => {};
  /** Called once, when the daemon has gone away without our asking. */
  onLost: (error: ConnectionError) => void = () => {};

  /** Connects and says hello. Throws ConnectionError. `toStranger`: also where there is no protocol in common, to end that daemon. */
  static async open(path: string, { toStranger = false } = {}): Promise<Connection> {
    const socket = createConnection(path);
    const decoder = new FrameDecoder(DAEMON_FRAME_LIMIT_BYTES);
    return await new Promise<Connection>((resolve, reject) => {
      let connection: Connection | null = null;
      const fail = (error: ConnectionError) => {
        clearTimeout(timer);
        socket.destroy();
        if (connection) connection.#lose(error);
        else reject(error);
      };
      const unanswered = () =>
        new ConnectionError('strange', `The daemon at "${path}" does not answer. Replace it with: ai-session daemon restart`);
      const timer = setTimeout(() => fail(unanswered()), HELLO_MS);
      const hello: Hello = { hello: { protocol: PROTOCOL, oldest: OLDEST_PROTOCOL, build: VERSION, pid: process.pid, instance: INSTANCE } };
      // It goes out as soon as we are connected.
      socket.write(encodeJson(hello));
      socket.on('error', (error: NodeJS.ErrnoException) => {
        // So many wait for it already that the system lets no more queue up.
        if (connection === null && error.code === 'EAGAIN') return fail(unanswered());
        const isRefused = connection === null && (error.code === 'ENOENT' || error.code === 'ECONNREFUSED');
        fail(
          new ConnectionError(
            isRefused ? 'refused' : 'lost',
            isRefused ? `No daemon listens at "${path}".` : `Lost the daemon: ${error.message}`,
          ),
        );
      });
      socket.on('close', () => fail(new ConnectionError('lost', 'Lost the daemon: it closed the connection.')));
      socket.on('data', (chunk: Buffer) => {
        try {
          for (const frame of decoder.push(chunk)) {
            if (connection) {
              connection.#hear(frame);
              continue;
            }
            const hello = frame.kind === 'json' ? readHello(frame.value) : null;
            if (!hello) return fail(new ConnectionError('strange', `What listens at "${path}" is not an ai-session daemon.`));
            if (!toStranger && negotiate({ protocol: PROTOCOL, oldest: OLDEST_PROTOCOL }, hello) === null)
              return fail(new ConnectionError('strange', noCommonProtocol(hello)));
            clearTimeout(timer);
            connection = new Connection(socket, hello);
            resolve(connection);
          }
        } catch (error) {
          fail(new ConnectionError('strange', `The daemon at "${path}" sent what we cannot read: ${(error as Error).message}`));
        }
      });
    });
  }

  private constructor(socket: Socket, daemon: Hello['hello']) {
    this.#socket = socket;
    this.daemon = daemon;
  }

  /** Throws WireError when the daemon refuses, ConnectionError when it goes away before it answers. */
  call<N extends CallName>(method: N, params: CallParams<N>): Promise<CallResult<N>> {
    return this.#call(method, params);
  }

  /** `pane.attach`: the listener is in place before the first frame of the stream can arrive. */
  follow(params: CallParams<'pane.attach'>, listener: StreamListener): Promise<CallResult<'pane.attach'>> {
    return this.#call('pane.attach', params, listener);
  }

  /** `history.read`, likewise. */
  read(params: CallParams<'history.read'>, listener: StreamListener): Promise<CallResult<'history.read'>> {
    return this.#call('history.read', params, listener);
  }

  /** Input for a pane that this connection follows. `isRead` is called when the daemon has read it, in its place among all that is heard. */
  type(stream: number, bytes: Uint8Array, isRead?: () => void): void {
    if (this.#lost) return;
    // In one write with what asks for it, so that a daemon that ends has read both or neither.
    this.#socket.cork();
    this.#socket.write(encodeStream({ kind: 'bytes', stream, offset: 0, bytes }));
    // A daemon that does not know the call has read it too.
    if (isRead) this.#ask('daemon.ping', {}, { resolve: isRead, reject: (error) => error instanceof WireError && isRead() });
    this.#socket.uncork();
  }

  close(): void {
    this.#lost ??= new ConnectionError('lost', 'The connection was closed.');
    this.#socket.destroySoon();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const isClosed = this.#socket.closed ? Promise.resolve() : new Promise<void>((resolve) => this.#socket.once('close', () => resolve()));
    this.close();
    this.#socket.resume();
    await isClosed;
  }

  #call<N extends CallName>(method: N, params: CallParams<N>, listener?: StreamListener): Promise<CallResult<N>> {
    if (this.#lost) return Promise.reject(this.#lost);
    return new Promise((resolve, reject) => this.#ask(method, params, { resolve, reject, ...(listener && { listener }) }));
  }

  #ask<N extends CallName>(method: N, params: CallParams<N>, caller: Waiting): void {
    const id = this.#nextId++;
    this.#waiting.set(id, caller);
    this.#socket.write(encodeJson({ jsonrpc: '2.0', id, method, params }));
  }

  #hear(frame: Frame): void {
    if (frame.kind !== 'json') {
      this.#streams.get(frame.stream)?.[frame.kind](frame.bytes, frame.offset);
      return;
    }
    const message = frame.value as { id?: number; result?: unknown; error?: ErrorBody } & Partial<Notification>;
    if (message.method === 'event') this.onEvent(message.params as Event);
    else if (message.method === 'stream.ended') {
      const end = message.params as StreamEnd;
      const listener = this.#streams.get(end.stream);
      this.#streams.delete(end.stream);
      listener?.ended(end);
    } else if (typeof message.id === 'number') {
      const caller = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.error) caller?.reject(fromWire(message.error));
      else {
        if (caller?.listener) this.#streams.set((message.result as { stream: number }).stream, caller.listener);
        caller?.resolve(message.result as never);
      }
    } else if (message.error) this.#lose(new ConnectionError('strange', `The daemon refused the connection: ${message.error.message}`));
  }

  #lose(error: ConnectionError): void {
    if (this.#lost) return;
    this.#lost = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.onLost(error);
  }
}

/** The way out is the last sentence. */
function noCommonProtocol({ build, protocol }: Hello['hello']): string {
  const both = `This is ai-session ${VERSION} (protocol ${PROTOCOL}), and the daemon is`;
  return protocol > PROTOCOL
    ? `${both} the newer ${build} (protocol ${protocol}): use that version here too. Or go back to this one with: ai-session daemon upgrade --force`
    : `${both} ${build} (protocol ${protocol}). Replace it without ending programs with: ai-session daemon upgrade`;
}
