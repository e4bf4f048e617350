/**
 * Frames on the Unix socket: `[length u32 big-endian][kind u8][body]`, where length counts the kind and the body.
 *
 * | kind | body |
 * |---|---|
 * | 1 json | one JSON text in UTF-8: a call, an answer, an event, a hello |
 * | 2 bytes | `[stream u32][offset u64][bytes]`: output of a pane to a client, or input from a client to a pane |
 * | 3 snapshot | the same layout: bytes that paint the screen as it was at `offset`; what the client showed before no longer counts |
 */
export type Frame = { kind: 'json'; value: unknown } | StreamFrame;

export interface StreamFrame {
  kind: 'bytes' | 'snapshot';
  /** The number `pane.attach` answered with. */
  stream: number;
  /** Where this brings the reader to: the position after these bytes in everything the pane's program ever wrote. Input frames carry 0. */
  offset: number;
  bytes: Uint8Array;
}

/** What a daemon takes from a client. A 1 MB paste is one `pane.write`; nobody has a reason to say more than this at once. */
export const CLIENT_FRAME_LIMIT_BYTES = 8 << 20;
/** What a client takes from its daemon: a capture of a long scrollback is one answer. */
export const DAEMON_FRAME_LIMIT_BYTES = 256 << 20;

const JSON_KIND = 1;
const STREAM_KINDS = { bytes: 2, snapshot: 3 } as const;
const HEADER_BYTES = 5;
const STREAM_HEADER_BYTES = 12;

export function encodeJson(value: unknown): Buffer {
  const text = JSON.stringify(value);
  const bytes = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + bytes);
  frame.writeUInt32BE(bytes + 1, 0);
  frame[4] = JSON_KIND;
  frame.write(text, HEADER_BYTES);
  return frame;
}

/** The bytes that go before a stream frame's payload, so that a large payload is never copied. */
export function encodeStreamHeader(kind: StreamFrame['kind'], stream: number, offset: number, payloadBytes: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES + STREAM_HEADER_BYTES);
  header.writeUInt32BE(1 + STREAM_HEADER_BYTES + payloadBytes, 0);
  header[4] = STREAM_KINDS[kind];
  header.writeUInt32BE(stream, 5);
  header.writeBigUInt64BE(BigInt(offset), 9);
  return header;
}

export function encodeStream({ kind, stream, offset, bytes }: StreamFrame): Buffer {
  return Buffer.concat([encodeStreamHeader(kind, stream, offset, bytes.length), bytes]);
}

/** A peer that does not speak our frames. The connection cannot be used any more. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/** Cuts a byte stream into frames. Holds at most one unfinished frame, and refuses one over the limit as soon as its length is known. */
export class FrameDecoder {
  readonly #limitBytes: number;
  /** The beginning of a frame, in a buffer that grows as its bytes come: a length alone, however large, costs us nothing. */
  #buffer = Buffer.alloc(0);
  #held = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Whether the peer has begun a frame that it has not finished. */
  get isMidFrame(): boolean {
    return this.#held > 0;
  }

  /** The frames that this chunk completes. The payloads of stream frames may share memory with it. Throws FrameError. */
  *push(chunk: Buffer): Generator<Frame> {
    let at = 0;
    if (this.#held > 0) {
      // The length first, since it says how much more belongs to this frame.
      at = this.#hold(chunk, 0, 4 - this.#held);
      if (this.#held >= 4) at = this.#hold(chunk, at, 4 + this.#lengthAt(this.#buffer, 0) - this.#held);
      if (this.#held < 4 || this.#held < 4 + this.#lengthAt(this.#buffer, 0)) return;
      const frame = this.#buffer.subarray(0, this.#held);
      this.#buffer = Buffer.alloc(0);
      this.#held = 0;
      yield decode(frame);
    }
    while (chunk.length - at >= 4) {
      const end = at + 4 + this.#lengthAt(chunk, at);
      if (end > chunk.length) break;
      const frame = chunk.subarray(at, end);
      at = end;
      yield decode(frame);
    }
    this.#hold(chunk, at, chunk.length - at);
  }

  #lengthAt(buffer: Buffer, at: number): number {
    const length = buffer.readUInt32BE(at);
    if (length < 1 || length > this.#limitBytes) throw new FrameError(`frame of ${length} bytes, the limit is ${this.#limitBytes}`);
    return length;
  }

  /** Takes up to so many bytes of the chunk, and returns where the rest of it begins. */
  #hold(chunk: Buffer, from: number, wanted: number): number {
    const bytes = Math.max(0, Math.min(wanted, chunk.length - from));
    if (this.#held + bytes > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#held + bytes, this.#buffer.length * 2, 256));
      this.#buffer.copy(grown, 0, 0, this.#held);
      this.#buffer = grown;
    }
    chunk.copy(this.#buffer, this.#held, from, from + bytes);
    this.#held += bytes;
    return from + bytes;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function decode(frame: Buffer): Frame {
  const kind = frame[4]!;
  const body = frame.subarray(HEADER_BYTES);
  if (kind === JSON_KIND) {
    try {
      return { kind: 'json', value: JSON.parse(utf8.decode(body)) };
    } catch (error) {
      throw new FrameError(`frame is not JSON: ${(error as Error).message.slice(0, 80)}`);
    }
  }
  const name = kind === STREAM_KINDS.bytes ? 'bytes' : kind === STREAM_KINDS.snapshot ? 'snapshot' : undefined;
  if (name === undefined) throw new FrameError(`frame of unknown kind ${kind}`);
  if (body.length < STREAM_HEADER_BYTES) throw new FrameError(`${name} frame of only ${body.length} bytes`);
  const offset = body.readBigUInt64BE(4);
  if (offset > BigInt(Number.MAX_SAFE_INTEGER)) throw new FrameError('stream offset out of range');
  return { kind: name, stream: body.readUInt32BE(0), offset: Number(offset), bytes: body.subarray(STREAM_HEADER_BYTES) };
}
