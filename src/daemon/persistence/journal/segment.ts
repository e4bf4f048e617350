import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { Vault } from '../vault/vault.ts';
import { type Block, decodeBlock, encodeBlock } from './block.ts';
import { type Codec, decompress } from './codec.ts';

/**
 * The sealed part of a journal: compressed frames, one for each tail there was, each with its place in the header, so that a reader finds any
 * moment by the headers alone and a crash can tear at most the last frame (whose tail is still there).
 *
 *     frame   magic u32, crc u32 (of the header after it), crc u32 (of the stored bytes), stored length u32, plain length u32, codec u8,
 *             flags u8 (1: encrypted), 2 bytes 0, tail number f64, start f64, end f64, first ms f64, last ms f64, cols u16, rows u16,
 *             4 bytes 0, key id 8, salt 32, then the stored bytes
 *
 * An encrypted frame has a key of its own, from its salt: no counter has to survive anything.
 */
const MAGIC = 0x31464a41;
export const FRAME_HEADER_BYTES = 112;
/** A frame holds a tail, which ends at 1 MiB and one record. */
const PLAIN_LIMIT_BYTES = 16 << 20;

export interface FrameInfo {
  /** Where it lies in its file. */
  position: number;
  storedBytes: number;
  plainBytes: number;
  codec: number;
  isEncrypted: boolean;
  /** The number of the tail that was sealed into it: a tail that is sealed is not read again. */
  tail: number;
  start: number;
  end: number;
  firstAt: number;
  lastAt: number;
  cols: number;
  rows: number;
  storedCrc: number;
  keyId: Buffer;
  salt: Buffer;
}

export class DamagedFrameError extends Error {
  override readonly name = 'DamagedFrameError';
}

/**
 * The frames of a segment by their headers. `isWhole`: nothing else is in the file. What is, a crash tore or a disk damaged; frames behind it
 * are found by looking for the next header.
 */
export function readFrames(path: string): { frames: FrameInfo[]; size: number; isWhole: boolean } {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    const frames: FrameInfo[] = [];
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    let position = 0;
    let isWhole = true;
    while (position + FRAME_HEADER_BYTES <= size) {
      readSync(fd, header, 0, FRAME_HEADER_BYTES, position);
      const frame = parseHeader(header, position);
      if (frame && position + FRAME_HEADER_BYTES + frame.storedBytes <= size) {
        frames.push(frame);
        position += FRAME_HEADER_BYTES + frame.storedBytes;
        continue;
      }
      isWhole = false;
      position = nextHeader(fd, position + 1, size);
    }
    return { frames, size, isWhole: isWhole && position === size };
  } finally {
    closeSync(fd);
  }
}

/** Where the next sound header begins, or the end of the file. */
function nextHeader(fd: number, from: number, size: number): number {
  const rest = Buffer.alloc(size - from);
  readSync(fd, rest, 0, rest.length, from);
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE(MAGIC);
  for (let at = rest.indexOf(magic); at !== -1; at = rest.indexOf(magic, at + 1)) {
    if (at + FRAME_HEADER_BYTES <= rest.length && parseHeader(rest.subarray(at, at + FRAME_HEADER_BYTES), from + at)) return from + at;
  }
  return size;
}

/** Throws DamagedFrameError, CodecError, or VaultError. */
export function readFrame(path: string, frame: FrameInfo, purpose: string, vault: Vault | null): Block {
  const stored = Buffer.allocUnsafe(frame.storedBytes);
  const fd = openSync(path, 'r');
  try {
    const got = readSync(fd, stored, 0, stored.length, frame.position + FRAME_HEADER_BYTES);
    if (got !== stored.length) throw new DamagedFrameError(`"${path}" ends in the middle of a frame`);
  } finally {
    closeSync(fd);
  }
  if (crc32(stored) !== frame.storedCrc) throw new DamagedFrameError(`"${path}" is damaged at byte ${frame.position}`);
  const { start, end, cols, rows } = frame;
  let compressed: Buffer = stored;
  if (frame.isEncrypted) {
    if (!vault) throw new DamagedFrameError(`"${path}" is encrypted, and encryption is not unlocked`);
    compressed = vault.open(purpose, frame.keyId, frame.salt).open(0, start, stored);
  }
  return { start, end, cols, rows, entries: decodeBlock(decompress(frame.codec, compressed, frame.plainBytes), start) };
}

/** Puts a block at this position, the end of the file (0: a new one), and onto the disk. Returns the bytes it takes. Throws what the file system says. */
export function appendFrame(
  path: string,
  {
    block,
    tail,
    at,
    purpose,
    codec,
    vault,
  }: { block: Block; tail: number; at: number; purpose: string; codec: Codec; vault: Vault | null },
): number {
  const plain = encodeBlock(block);
  const compressed = codec.compress(plain);
  const key = vault?.isOn ? vault.create(purpose) : null;
  const stored = key ? key.cipher.seal(0, block.start, compressed) : compressed;
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(crc32(stored), 8);
  header.writeUInt32LE(stored.length, 12);
  header.writeUInt32LE(plain.length, 16);
  header.writeUInt8(codec.id, 20);
  header.writeUInt8(key ? 1 : 0, 21);
  const times = block.entries.map(({ at }) => at);
  // Not by spreading: a block can have more entries than a call has room for arguments.
  const firstAt = times.reduce((a, b) => Math.min(a, b), times[0] ?? 0);
  const lastAt = times.reduce((a, b) => Math.max(a, b), times[0] ?? 0);
  for (const [i, number] of [tail, block.start, block.end, firstAt, lastAt].entries()) header.writeDoubleLE(number, 24 + i * 8);
  header.writeUInt16LE(block.cols, 64);
  header.writeUInt16LE(block.rows, 66);
  if (key) {
    header.set(key.keyId, 72);
    header.set(key.salt, 80);
  }
  header.writeUInt32LE(crc32(header.subarray(8)), 4);
  const fd = openSync(path, at === 0 ? 'w' : 'r+', 0o600);
  try {
    const bytes = Buffer.concat([header, stored]);
    for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written, bytes.length - written, at + written);
    // Its tail is removed next: by then this must be where a power cut cannot take it.
    fdatasyncSync(fd);
    return bytes.length;
  } finally {
    closeSync(fd);
  }
}

function parseHeader(header: Buffer, position: number): FrameInfo | null {
  if (header.readUInt32LE(0) !== MAGIC || crc32(header.subarray(8)) !== header.readUInt32LE(4)) return null;
  const frame = {
    position,
    storedCrc: header.readUInt32LE(8),
    storedBytes: header.readUInt32LE(12),
    plainBytes: header.readUInt32LE(16),
    codec: header.readUInt8(20),
    isEncrypted: (header.readUInt8(21) & 1) !== 0,
    tail: header.readDoubleLE(24),
    start: header.readDoubleLE(32),
    end: header.readDoubleLE(40),
    firstAt: header.readDoubleLE(48),
    lastAt: header.readDoubleLE(56),
    cols: header.readUInt16LE(64),
    rows: header.readUInt16LE(66),
    keyId: Buffer.from(header.subarray(72, 80)),
    salt: Buffer.from(header.subarray(80, 112)),
  };
  const isSound = Number.isSafeInteger(frame.start) && Number.isSafeInteger(frame.end) && frame.start >= 0 && frame.end >= frame.start;
  return isSound && frame.plainBytes <= PLAIN_LIMIT_BYTES ? frame : null;
}
