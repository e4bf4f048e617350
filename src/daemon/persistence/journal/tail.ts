import {
  close,
  closeSync,
  fdatasync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
  writevSync,
} from 'node:fs';
import { crc32 } from 'node:zlib';
import type { FileCipher, Vault } from '../vault/vault.ts';
import { type Entry, GAP_REASONS } from './entry.ts';

/**
 * The live end of a journal: what a pane wrote since the last block was sealed, record after record, each with a checksum.
 *
 *     file    magic "AISTAIL1", flags u8 (1: encrypted), 7 bytes 0, start offset f64, cols u16, rows u16, 4 bytes 0, key id 8, salt 32
 *     record  crc u32 (of all after it), length u32, kind u8, 3 bytes 0, at f64 (ms), offset f64, then `length` bytes
 *
 * Little endian. Of an encrypted file the records' bytes are AES-256-GCM frames, numbered from 0, of the header's last 20 bytes and the
 * content: nothing of a record can be changed without the key.
 */
const MAGIC = Buffer.from('AISTAIL1');
const FILE_HEADER_BYTES = 72;
const RECORD_HEADER_BYTES = 28;
/** Where the sealed part of a record's header begins: behind checksum and length. */
const SEALED_FROM = 8;
const RECORD_LIMIT_BYTES = 1 << 20;
const KIND = { output: 1, resize: 2, input: 3, gap: 4 } as const;

export interface TailSpec {
  start: number;
  cols: number;
  rows: number;
  /** What the file is, for its key. */
  purpose: string;
  vault: Vault | null;
}

/** A tail that is written. Every method may throw what the file system says; then nothing of that record is in the file. */
export class TailWriter {
  readonly path: string;
  readonly start: number;
  #fd: number;
  #size: number;
  #records: number;
  readonly #cipher: FileCipher | null;

  private constructor(path: string, start: number, fd: number, size: number, records: number, cipher: FileCipher | null) {
    this.path = path;
    this.start = start;
    this.#fd = fd;
    this.#size = size;
    this.#records = records;
    this.#cipher = cipher;
  }

  static create(path: string, { start, cols, rows, purpose, vault }: TailSpec): TailWriter {
    const key = vault?.isOn ? vault.create(purpose) : null;
    const header = Buffer.alloc(FILE_HEADER_BYTES);
    MAGIC.copy(header);
    header.writeUInt8(key ? 1 : 0, 8);
    header.writeDoubleLE(start, 16);
    header.writeUInt16LE(cols, 24);
    header.writeUInt16LE(rows, 26);
    if (key) {
      header.set(key.keyId, 32);
      header.set(key.salt, 40);
    }
    const fd = openSync(path, 'wx', 0o600);
    const tail = new TailWriter(path, start, fd, 0, 0, key?.cipher ?? null);
    try {
      tail.#writeWhole([header]);
    } catch (error) {
      closeSync(fd);
      // The next try wants its name.
      rmSync(path, { force: true });
      throw error;
    }
    return tail;
  }

  /** Whether this is a tail that ended before its header did, as a full disk or a crash leaves it: nothing was ever in it. */
  static isStillborn(path: string): boolean {
    const file = readFileSync(path);
    return file.length < FILE_HEADER_BYTES && (file.length === 0 || MAGIC.subarray(0, file.length).equals(file.subarray(0, MAGIC.length)));
  }

  /** Goes on with a plain tail after what was found good in it. An encrypted one is never gone on with: its counter may have been further. */
  static resume(path: string, { start, goodBytes, records }: { start: number; goodBytes: number; records: number }): TailWriter {
    const fd = openSync(path, 'r+');
    try {
      if (fstatSync(fd).size > goodBytes) ftruncateSync(fd, goodBytes);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    return new TailWriter(path, start, fd, goodBytes, records, null);
  }

  /** Bytes in the file. */
  get size(): number {
    return this.#size;
  }

  get isEmpty(): boolean {
    return this.#records === 0;
  }

  get fd(): number {
    return this.#fd;
  }

  /** Together: either all of these entries are in the file afterwards, or none is. */
  append(entries: readonly Entry[]): void {
    const pieces: Uint8Array[] = [];
    let frame = this.#records;
    for (const entry of entries) {
      const content = contentOf(entry);
      const header = Buffer.alloc(RECORD_HEADER_BYTES);
      header.writeUInt8(KIND[entry.is], 8);
      header.writeDoubleLE(entry.at, 12);
      header.writeDoubleLE(entry.offset, 20);
      const stored = this.#cipher
        ? this.#cipher.seal(frame, entry.offset, Buffer.concat([header.subarray(SEALED_FROM), content]))
        : content;
      frame++;
      header.writeUInt32LE(stored.length, 4);
      header.writeUInt32LE(crc32(stored, crc32(header.subarray(4))), 0);
      pieces.push(header, stored);
    }
    this.#writeWhole(pieces);
    this.#records = frame;
  }

  /** Whether the disk takes so many bytes more: throws what it says when it does not. They are taken back. */
  probe(bytes: number): void {
    try {
      writeSync(this.#fd, Buffer.alloc(bytes), 0, bytes, this.#size);
      // A part that was taken says nothing yet: the last byte does.
      writeSync(this.#fd, Buffer.alloc(1), 0, 1, this.#size + bytes - 1);
    } finally {
      this.#cutTo(this.#size);
    }
  }

  /** Ends it. What was written reaches the disk itself soon, and nobody waits for that. */
  close(): void {
    const fd = this.#fd;
    if (fd === -1) return;
    this.#fd = -1;
    fdatasync(fd, () => close(fd, () => {}));
  }

  #writeWhole(pieces: Uint8Array[]): void {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    let written = 0;
    try {
      // A disk that becomes full takes a part first, and says so only when asked again.
      while (written < length)
        written += writevSync(this.#fd, written === 0 ? pieces : [Buffer.concat(pieces).subarray(written)], this.#size + written);
    } catch (error) {
      if (written > 0) this.#cutTo(this.#size);
      throw error;
    }
    this.#size += length;
  }

  #cutTo(size: number): void {
    try {
      ftruncateSync(this.#fd, size);
    } catch {
      // The next record is written over it, or the next reader sees by its checksum that it is no record.
    }
  }
}

export interface TailContent {
  start: number;
  end: number;
  cols: number;
  rows: number;
  isEncrypted: boolean;
  entries: Entry[];
  records: number;
  /** Up to here the file is whole. */
  goodBytes: number;
  /** What follows is a torn record, as a crash leaves it: the bytes in it were never acknowledged. */
  tornBytes: number;
  /** Something in the middle cannot be read and a gap says so: this file is not gone on with. */
  isDamaged: boolean;
}

/** Reads a tail. Throws when it is none, or not ours to read (VaultError). A torn end is left out; a hole in the middle becomes a gap. */
export function readTail(path: string, purpose: string, vault: Vault | null): TailContent {
  const file = readFileSync(path);
  const header = readHeader(path, file);
  const cipher = cipherFor(path, header, purpose, vault);
  const entries: Entry[] = [];
  let position = FILE_HEADER_BYTES;
  let end = header.start;
  let records = 0;
  let isDamaged = false;
  for (;;) {
    const record = recordAt(file, position);
    if (record) {
      const entry = decodeRecord(record, cipher, records);
      // A record that repeats the file's own past, as a copy of it would.
      if (entry && entry.offset >= end) {
        if (entry.offset > end) entries.push({ is: 'gap', at: entry.at, offset: end, to: entry.offset, because: 'damage' });
        entries.push(entry);
        end = endOf(entry);
        records++;
        position += RECORD_HEADER_BYTES + record.stored.length;
        continue;
      }
    }
    const next = resync(file, position + 1, end);
    if (next === -1) break;
    isDamaged = true;
    // Frames are numbered, and how many were in the hole is not known: the rest of an encrypted file is lost with it.
    if (cipher) break;
    position = next;
  }
  if (isDamaged && cipher) entries.push({ is: 'gap', at: entries.at(-1)?.at ?? 0, offset: end, to: end, because: 'damage' });
  const tornBytes = file.length - position;
  return { ...header, end, entries, records, goodBytes: position, tornBytes, isDamaged };
}

/** What is needed to know where a tail begins, without reading it. */
export function readTailHeader(path: string): { start: number; cols: number; rows: number; isEncrypted: boolean } {
  const fd = openSync(path, 'r');
  try {
    const header = Buffer.alloc(FILE_HEADER_BYTES);
    readSync(fd, header, 0, header.length, 0);
    return readHeader(path, header);
  } finally {
    closeSync(fd);
  }
}

export function endOf(entry: Entry): number {
  if (entry.is === 'output') return entry.offset + entry.bytes.length;
  return entry.is === 'gap' ? entry.to : entry.offset;
}

function readHeader(path: string, file: Buffer) {
  if (file.length < FILE_HEADER_BYTES || !file.subarray(0, 8).equals(MAGIC)) throw new Error(`"${path}" is no journal`);
  const start = file.readDoubleLE(16);
  if (!Number.isSafeInteger(start) || start < 0) throw new Error(`"${path}" begins nowhere`);
  return {
    start,
    cols: file.readUInt16LE(24),
    rows: file.readUInt16LE(26),
    isEncrypted: (file[8]! & 1) !== 0,
    keyId: file.subarray(32, 40),
    salt: file.subarray(40, 72),
  };
}

function cipherFor(
  path: string,
  { isEncrypted, keyId, salt }: ReturnType<typeof readHeader>,
  purpose: string,
  vault: Vault | null,
): FileCipher | null {
  if (!isEncrypted) return null;
  if (!vault) throw new Error(`"${path}" is encrypted, and encryption is not unlocked`);
  return vault.open(purpose, keyId, salt);
}

interface RawRecord {
  kind: number;
  at: number;
  offset: number;
  header: Buffer;
  stored: Buffer;
}

/** The record at this position, when a whole and unharmed one is there. */
function recordAt(file: Buffer, position: number): RawRecord | null {
  if (position + RECORD_HEADER_BYTES > file.length) return null;
  const length = file.readUInt32LE(position + 4);
  if (length > RECORD_LIMIT_BYTES || position + RECORD_HEADER_BYTES + length > file.length) return null;
  const whole = file.subarray(position, position + RECORD_HEADER_BYTES + length);
  if (crc32(whole.subarray(4)) !== whole.readUInt32LE(0)) return null;
  return {
    kind: whole.readUInt8(8),
    at: whole.readDoubleLE(12),
    offset: whole.readDoubleLE(20),
    header: whole.subarray(0, RECORD_HEADER_BYTES),
    stored: whole.subarray(RECORD_HEADER_BYTES),
  };
}

/** Where the next good record begins, or -1. A tail is short, so every byte may be tried. */
function resync(file: Buffer, from: number, offset: number): number {
  for (let position = from; position + RECORD_HEADER_BYTES <= file.length; position++) {
    const kind = file[position + 8]!;
    if (kind < KIND.output || kind > KIND.gap || file.readUIntLE(position + 9, 3) !== 0) continue;
    const record = recordAt(file, position);
    if (record && Number.isSafeInteger(record.offset) && record.offset >= offset) return position;
  }
  return -1;
}

/** Null when its content is not what its kind has. Throws VaultError. */
function decodeRecord({ kind, at, offset, header, stored }: RawRecord, cipher: FileCipher | null, frame: number): Entry | null {
  let content = stored;
  if (cipher) {
    const opened = cipher.open(frame, offset, stored);
    if (!opened.subarray(0, RECORD_HEADER_BYTES - SEALED_FROM).equals(header.subarray(SEALED_FROM))) return null;
    content = opened.subarray(RECORD_HEADER_BYTES - SEALED_FROM);
  }
  if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isFinite(at)) return null;
  if (kind === KIND.output) return { is: 'output', at, offset, bytes: content };
  if (content.length !== 9) return null;
  const first = content.readUInt32LE(0);
  const second = content.readUInt32LE(4);
  switch (kind) {
    case KIND.resize:
      return { is: 'resize', at, offset, cols: first, rows: second };
    case KIND.input:
      return { is: 'input', at, offset, length: first };
    case KIND.gap:
      return { is: 'gap', at, offset, to: offset + first + second * 2 ** 32, because: GAP_REASONS[content[8]!] ?? 'damage' };
    default:
      return null;
  }
}

function contentOf(entry: Entry): Uint8Array {
  if (entry.is === 'output') return entry.bytes;
  const content = Buffer.alloc(9);
  switch (entry.is) {
    case 'resize':
      content.writeUInt32LE(entry.cols, 0);
      content.writeUInt32LE(entry.rows, 4);
      break;
    case 'input':
      content.writeUInt32LE(Math.min(entry.length, 0xffff_ffff), 0);
      break;
    case 'gap': {
      const length = entry.to - entry.offset;
      content.writeUInt32LE(length % 2 ** 32, 0);
      content.writeUInt32LE(Math.floor(length / 2 ** 32), 4);
      content.writeUInt8(GAP_REASONS.indexOf(entry.because), 8);
      break;
    }
    default: {
      const never: never = entry;
      return never;
    }
  }
  return content;
}
