import type { CallInput, CallName, CallResult } from '../wire/calls.ts';
import { WireError } from '../wire/errors.ts';
import type { Event, StreamEnd } from '../wire/events.ts';

/** One function for each call: a missing one is a compile error where they are put together. */
export type Handlers = { [N in CallName]: (params: CallInput<N>, caller: Caller) => CallResult<N> | Promise<CallResult<N>> };

/** Calls it answers, events it hears, and an end. */
export interface Subsystem<N extends CallName = never> extends AsyncDisposable {
  readonly calls?: Pick<Handlers, N>;
  hear?(event: Event): void;
}

/** Who made a call, as far as a subsystem may know: something that streams can be opened to. */
export interface Caller {
  openStream(sink: StreamSink): Stream;
  /** The sink of a stream that this caller opened and that has not ended. */
  sink(stream: number): StreamSink | undefined;
  /** From now on the caller is sent every event. */
  hearEvents(): void;
  /** Aborted when the caller has gone: nobody waits for the answer any more. */
  readonly gone: AbortSignal;
}

/** What comes from the caller on its stream. */
export interface StreamSink {
  input(bytes: Uint8Array): void;
  viewport(cols: number, rows: number): void;
  /** The caller asked for the end, or went away. */
  closed(because: 'detached' | 'gone'): void;
}

/** The way to the caller. */
export interface Stream {
  readonly id: number;
  send(kind: 'bytes' | 'snapshot', offset: number, bytes: Uint8Array): void;
  /** Bytes sent that the caller has not taken. */
  readonly bytesWaiting: number;
  /** Calls once, when nothing waits any more. */
  whenDrained(then: () => void): void;
  /** The last thing the caller hears on it. */
  end(end: Omit<StreamEnd, 'stream'>): void;
}

/** The sink of a stream that this caller has, or a refusal. */
export function sinkOf(caller: Caller, stream: number) {
  const sink = caller.sink(stream);
  if (!sink) throw new WireError('not-found', `You follow no stream ${stream}.`);
  return sink;
}
