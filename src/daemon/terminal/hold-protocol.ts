import type { TerminalModes } from './pty.ts';

/**
 * What the daemon and a holder (`native/hold.c`) say to each other on the holder's socket, little-endian:
 *
 *     [u32 length of what follows][u8 type][payload]        length 1 to 65536
 *
 * Daemon to holder:
 *     ATTACH 1   version u8, epoch u64, offset u64 (all ones: from the oldest byte there is). The first frame, and the only one that a
 *                connection without rights may send. It also acknowledges everything below the offset.
 *     ACK 2      offset u64: everything below is safe. Above what was sent it is an error. The holder keeps it while it has room.
 *     INPUT 3    bytes. At most 64 KiB may be on their way (sent and not yet told as taken).
 *     RESIZE 4   cols u16, rows u16
 *     SIGNAL 5   id u32, signal u8, target u8 (0 program, 1 its group, 2 the foreground group)
 *     STATUS 6   id u32
 *     DONE 7     the exit is recorded: the holder removes its socket and leaves.
 *     MODES 8    id u32. Since version 2: one of version 1 would end the connection.
 *
 * Holder to daemon:
 *     WELCOME 65    version u8, program u32, holder u32, start u64, head u64, seen u64, cols u16, rows u16, exited u8, input waiting u32
 *     REFUSED 66    reason u8, highest epoch u64; then the connection ends
 *     DATA 67       offset u64, bytes
 *     TAKEN 68      total u64: input handed to the terminal since the attach, with what was waiting then
 *     SIGNALLED 69  id u32, errno u32
 *     STATUS 70     id u32, foreground group u32 (0: none), exited u8, cols u16, rows u16, head u64, acknowledged u64, directory
 *     EXIT 71       wait status u32, final offset u64; after all DATA
 *     MODES 72      id u32, flags u8: 1 they are known, 2 ECHO, 4 ICANON
 *
 * Anything else ends the connection, and nothing but the connection. Holders outlive daemons, and an older daemon may come after a newer one:
 * `version` in WELCOME is the lower of the two, and what both keep to.
 */
export const HOLD_VERSION = 2;
/** From this version on a holder tells the terminal's modes. */
export const MODES_VERSION = 2;
/** Input that may be on its way to the holder. More is an error that costs the connection. */
export const INPUT_WINDOW_BYTES = 65_536;
const FRAME_LIMIT_BYTES = 65_536;
const HEADER_BYTES = 5;
const DATA = 67;

export type ToHolder =
  | { is: 'attach'; epoch: number; offset: number | 'oldest' }
  | { is: 'ack'; offset: number }
  | { is: 'resize'; cols: number; rows: number }
  | { is: 'signal'; id: number; signal: number; to: 'program' | 'group' | 'foreground' }
  | { is: 'status'; id: number }
  | { is: 'modes'; id: number }
  | { is: 'done' };

export interface Welcome {
  is: 'welcome';
  version: number;
  pid: number;
  holderPid: number;
  /** The offset of the first byte that will come: what was asked for, or later where older bytes are gone. */
  start: number;
  head: number;
  /** Everything below was acknowledged by some daemon before. */
  seen: number;
  cols: number;
  rows: number;
  hasExited: boolean;
  /** Input that an earlier daemon gave and the program has not read. It counts against the window. */
  inputWaiting: number;
}

export type RefusedReason = 'older-epoch' | 'offset-ahead' | 'taken-over' | 'version' | 'unknown';

export type FromHolder =
  | Welcome
  | { is: 'refused'; reason: RefusedReason; epoch: number }
  /** A piece of a DATA frame: pieces are passed on as they arrive, so that none is copied. */
  | { is: 'data'; offset: number; bytes: Uint8Array }
  | { is: 'taken'; total: number }
  | { is: 'signalled'; id: number; errno: number }
  | {
      is: 'status';
      id: number;
      foreground: number;
      hasExited: boolean;
      cols: number;
      rows: number;
      head: number;
      acknowledged: number;
      cwd: string;
    }
  | { is: 'modes'; id: number; modes: TerminalModes | null }
  | { is: 'exit'; status: number; end: number };

export class HoldProtocolError extends Error {
  override readonly name = 'HoldProtocolError';
}

export function encodeToHolder(message: ToHolder): Buffer {
  switch (message.is) {
    case 'attach': {
      const frame = startFrame(1, 17);
      frame.writeUInt8(HOLD_VERSION, 5);
      frame.writeBigUInt64LE(BigInt(message.epoch), 6);
      frame.writeBigUInt64LE(message.offset === 'oldest' ? 0xffff_ffff_ffff_ffffn : BigInt(message.offset), 14);
      return frame;
    }
    case 'ack': {
      const frame = startFrame(2, 8);
      frame.writeUInt32LE(message.offset % 2 ** 32, 5);
      frame.writeUInt32LE(Math.floor(message.offset / 2 ** 32), 9);
      return frame;
    }
    case 'resize': {
      const frame = startFrame(4, 4);
      frame.writeUInt16LE(message.cols, 5);
      frame.writeUInt16LE(message.rows, 7);
      return frame;
    }
    case 'signal': {
      const frame = startFrame(5, 6);
      frame.writeUInt32LE(message.id, 5);
      frame.writeUInt8(message.signal, 9);
      frame.writeUInt8(message.to === 'program' ? 0 : message.to === 'group' ? 1 : 2, 10);
      return frame;
    }
    case 'status':
    case 'modes': {
      const frame = startFrame(message.is === 'status' ? 6 : 8, 4);
      frame.writeUInt32LE(message.id, 5);
      return frame;
    }
    case 'done':
      return startFrame(7, 0);
    default: {
      const never: never = message;
      return never;
    }
  }
}

/** The header of an INPUT frame; the bytes follow as they are. At most 65535 of them. */
export function inputHeader(length: number): Buffer {
  return startFrame(3, length).subarray(0, HEADER_BYTES);
}

/**
 * Turns what arrives into messages, however it is cut. Bytes of DATA are handed on as views of the chunk they came in; every other frame is
 * small and is put together first.
 */
export class HoldReader {
  readonly #receive: (message: FromHolder) => void;
  /** The beginning of a frame: its length, type and, for DATA, the offset; for others the whole payload. */
  #gathered = Buffer.alloc(64);
  #length = 0;
  #dataOffset = 0;
  #dataLeft = 0;

  constructor(receive: (message: FromHolder) => void) {
    this.#receive = receive;
  }

  /** Throws HoldProtocolError when the far side does not speak this protocol; nothing may be pushed after that. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#dataLeft > 0) {
        const bytes = chunk.subarray(at, at + this.#dataLeft);
        const offset = this.#dataOffset;
        at += bytes.length;
        this.#dataOffset += bytes.length;
        this.#dataLeft -= bytes.length;
        this.#receive({ is: 'data', offset, bytes });
        continue;
      }
      const needed = this.#needed();
      const taken = Math.min(needed - this.#length, chunk.length - at);
      if (needed > this.#gathered.length) this.#gathered = Buffer.concat([this.#gathered.subarray(0, this.#length)], needed);
      this.#gathered.set(chunk.subarray(at, at + taken), this.#length);
      this.#length += taken;
      at += taken;
      if (this.#length === this.#needed()) this.#finish();
    }
  }

  /** How much must be gathered before the next decision. */
  #needed(): number {
    if (this.#length < HEADER_BYTES) return HEADER_BYTES;
    const length = this.#gathered.readUInt32LE(0);
    if (length < 1 || length > FRAME_LIMIT_BYTES) throw new HoldProtocolError(`A frame of ${length} bytes`);
    if (this.#gathered[4] !== DATA) return 4 + length;
    if (length < 9) throw new HoldProtocolError('A data frame without an offset');
    return HEADER_BYTES + 8;
  }

  #finish(): void {
    const frame = this.#gathered.subarray(0, this.#length);
    this.#length = 0;
    if (frame[4] === DATA) {
      this.#dataOffset = readU64(frame, HEADER_BYTES);
      this.#dataLeft = frame.readUInt32LE(0) - 9;
      return;
    }
    let message: FromHolder;
    try {
      message = decode(frame[4]!, frame.subarray(HEADER_BYTES));
    } catch (error) {
      if (error instanceof RangeError) throw new HoldProtocolError(`A frame of type ${frame[4]} with ${frame.length - HEADER_BYTES} bytes`);
      throw error;
    }
    this.#receive(message);
  }
}

const REASONS: Record<number, RefusedReason> = { 1: 'older-epoch', 2: 'offset-ahead', 3: 'taken-over', 4: 'version' };

/** Reading past the end throws RangeError. Fields added behind these by a later version are ignored. */
function decode(type: number, payload: Buffer): FromHolder {
  switch (type) {
    case 65:
      return {
        is: 'welcome',
        version: payload.readUInt8(0),
        pid: payload.readUInt32LE(1),
        holderPid: payload.readUInt32LE(5),
        start: readU64(payload, 9),
        head: readU64(payload, 17),
        seen: readU64(payload, 25),
        cols: payload.readUInt16LE(33),
        rows: payload.readUInt16LE(35),
        hasExited: payload.readUInt8(37) !== 0,
        inputWaiting: payload.readUInt32LE(38),
      };
    case 66:
      return { is: 'refused', reason: REASONS[payload.readUInt8(0)] ?? 'unknown', epoch: readU64(payload, 1) };
    case 68:
      return { is: 'taken', total: readU64(payload, 0) };
    case 69:
      return { is: 'signalled', id: payload.readUInt32LE(0), errno: payload.readUInt32LE(4) };
    case 70:
      return {
        is: 'status',
        id: payload.readUInt32LE(0),
        foreground: payload.readUInt32LE(4),
        hasExited: payload.readUInt8(8) !== 0,
        cols: payload.readUInt16LE(9),
        rows: payload.readUInt16LE(11),
        head: readU64(payload, 13),
        acknowledged: readU64(payload, 21),
        cwd: payload.toString('utf8', 29),
      };
    case 71:
      return { is: 'exit', status: payload.readUInt32LE(0), end: readU64(payload, 4) };
    case 72: {
      const flags = payload.readUInt8(4);
      const modes = flags & 1 ? { echo: (flags & 2) !== 0, canonical: (flags & 4) !== 0 } : null;
      return { is: 'modes', id: payload.readUInt32LE(0), modes };
    }
    default:
      throw new HoldProtocolError(`A frame of unknown type ${type}`);
  }
}

/** Offsets are plain numbers with us: exact up to 8 PiB of output. */
function readU64(from: Buffer, at: number): number {
  return from.readUInt32LE(at) + from.readUInt32LE(at + 4) * 2 ** 32;
}

function startFrame(type: number, payloadLength: number): Buffer {
  const frame = Buffer.alloc(type === 3 ? HEADER_BYTES : HEADER_BYTES + payloadLength);
  frame.writeUInt32LE(payloadLength + 1, 0);
  frame.writeUInt8(type, 4);
  return frame;
}
