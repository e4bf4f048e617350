import { type Entry, GAP_REASONS } from './entry.ts';

/** What one tail becomes when it is sealed: entries in their order, with the bytes of all outputs beside each other. */
export interface Block {
  /** Offset before the first byte, and after the last. */
  start: number;
  end: number;
  /** Size of the pane at the start. */
  cols: number;
  rows: number;
  entries: Entry[];
}

const KINDS = ['output', 'resize', 'input', 'gap'] as const;

/**
 * The plain form of a block: length of the list u32, the list, the bytes. The bytes lie together because they compress better so (7.0 times
 * instead of 6.6 on real logs with a header before each piece). Numbers in the list are varints, times are differences.
 */
export function encodeBlock({ entries }: Pick<Block, 'entries'>): Buffer {
  const list: number[] = [];
  const pieces: Uint8Array[] = [];
  let at = 0;
  const body: { is: Entry['is']; delta: number; numbers: number[] }[] = [];
  for (const entry of entries) {
    if (entry.is === 'output') pieces.push(entry.bytes);
    // What arrived in the same millisecond is one output for whoever looks back.
    const last = body.at(-1);
    if (entry.is === 'output' && last?.is === 'output' && at === entry.at) {
      last.numbers[0]! += entry.bytes.length;
      continue;
    }
    body.push({ is: entry.is, delta: entry.at - at, numbers: numbersOf(entry) });
    at = entry.at;
  }
  for (const { is, delta, numbers } of body) {
    list.push(KINDS.indexOf(is));
    // A clock may have been set back.
    varint(list, delta >= 0 ? delta * 2 : -delta * 2 - 1);
    for (const number of numbers) varint(list, number);
  }
  const head = Buffer.alloc(4);
  head.writeUInt32LE(list.length);
  return Buffer.concat([head, Buffer.from(list), ...pieces]);
}

/** Throws RangeError when it is no block. Outputs are views of `plain`. */
export function decodeBlock(plain: Buffer, start: number): Entry[] {
  const length = plain.readUInt32LE(0);
  const reader = { plain, at: 4, end: 4 + length };
  if (reader.end > plain.length) throw new RangeError('a list longer than its block');
  const entries: Entry[] = [];
  let data = reader.end;
  let offset = start;
  let at = 0;
  while (reader.at < reader.end) {
    const is = KINDS[plain[reader.at++]!];
    const zigzag = readVarint(reader);
    at += zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
    switch (is) {
      case 'output': {
        const bytes = plain.subarray(data, data + readVarint(reader));
        entries.push({ is, at, offset, bytes });
        data += bytes.length;
        offset += bytes.length;
        break;
      }
      case 'resize':
        entries.push({ is, at, offset, cols: readVarint(reader), rows: readVarint(reader) });
        break;
      case 'input':
        entries.push({ is, at, offset, length: readVarint(reader) });
        break;
      case 'gap': {
        const to = offset + readVarint(reader);
        entries.push({ is, at, offset, to, because: GAP_REASONS[readVarint(reader)] ?? 'damage' });
        offset = to;
        break;
      }
      default:
        throw new RangeError('an entry of unknown kind');
    }
  }
  return entries;
}

function numbersOf(entry: Entry): number[] {
  switch (entry.is) {
    case 'output':
      return [entry.bytes.length];
    case 'resize':
      return [entry.cols, entry.rows];
    case 'input':
      return [entry.length];
    case 'gap':
      return [entry.to - entry.offset, GAP_REASONS.indexOf(entry.because)];
    default: {
      const never: never = entry;
      return never;
    }
  }
}

/** LEB128, up to 2^53. */
function varint(into: number[], value: number): void {
  while (value >= 128) {
    into.push((value % 128) | 128);
    value = Math.floor(value / 128);
  }
  into.push(value);
}

function readVarint(reader: { plain: Buffer; at: number; end: number }): number {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    if (reader.at >= reader.end || scale > 2 ** 49) throw new RangeError('a number that does not end');
    const byte = reader.plain[reader.at++]!;
    value += (byte & 127) * scale;
    if (byte < 128) return value;
  }
}
