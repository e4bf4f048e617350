import { createRequire } from 'node:module';
import zlib from 'node:zlib';

/** How a frame is compressed; the number stands in its header. */
export const CODEC = { none: 0, zstd: 1, deflate: 2 } as const;

/** A frame that cannot be read here: what is missing, or what is wrong with it. */
export class CodecError extends Error {
  override readonly name = 'CodecError';
}

export interface Codec {
  readonly id: number;
  readonly name: string;
  compress(plain: Uint8Array): Buffer;
}

interface ZstdNapi {
  Compressor: new () => {
    setParameters(parameters: { compressionLevel: number; checksumFlag: boolean }): void;
    compress(plain: Uint8Array): Buffer;
  };
  decompress(compressed: Uint8Array): Buffer;
}

/** In Node since 22.15; the types are those of Node 20. */
interface NodeZstd {
  zstdCompressSync?(plain: Uint8Array, options: object): Buffer;
  zstdDecompressSync?(compressed: Uint8Array, options: object): Buffer;
  constants: { ZSTD_c_compressionLevel?: number; ZSTD_c_checksumFlag?: number };
}

const nodeZstd = zlib as unknown as NodeZstd;
const require = createRequire(import.meta.url);
let loaded: ZstdNapi | null | undefined;

/** Null where npm was not allowed to build it: then Node's own zstd serves, or deflate on a Node that has none. */
function zstdNapi(): ZstdNapi | null {
  if (loaded !== undefined) return loaded;
  try {
    loaded = require('zstd-napi') as ZstdNapi;
  } catch {
    loaded = null;
  }
  return loaded;
}

/** The best there is on this machine. `level` as zstd counts, 1 to 19. */
export function bestCodec(level: number): Codec {
  const napi = zstdNapi();
  if (napi) {
    const compressor = new napi.Compressor();
    compressor.setParameters({ compressionLevel: level, checksumFlag: true });
    return { id: CODEC.zstd, name: 'zstd-napi', compress: (plain) => compressor.compress(plain) };
  }
  const { zstdCompressSync, constants } = nodeZstd;
  if (zstdCompressSync) {
    const params = { [constants.ZSTD_c_compressionLevel!]: level, [constants.ZSTD_c_checksumFlag!]: 1 };
    return { id: CODEC.zstd, name: 'node:zlib zstd', compress: (plain) => zstdCompressSync(plain, { params }) };
  }
  return { id: CODEC.deflate, name: 'deflate', compress: (plain) => zlib.deflateSync(plain, { level: Math.min(9, Math.max(1, level)) }) };
}

/** One frame, and never more than it said it would be. Throws CodecError. */
export function decompress(id: number, stored: Uint8Array, plainLength: number): Buffer {
  let plain: Buffer;
  try {
    plain = expand(id, stored, plainLength);
  } catch (error) {
    if (error instanceof CodecError) throw error;
    throw new CodecError(`cannot be decompressed: ${(error as Error).message}`);
  }
  if (plain.length !== plainLength) throw new CodecError(`has ${plain.length} bytes where ${plainLength} were promised`);
  return plain;
}

function expand(id: number, stored: Uint8Array, plainLength: number): Buffer {
  const limit = { maxOutputLength: Math.max(1, plainLength) };
  switch (id) {
    case CODEC.none:
      return Buffer.from(stored.buffer, stored.byteOffset, stored.length);
    case CODEC.deflate:
      return zlib.inflateSync(stored, limit);
    case CODEC.zstd: {
      const napi = zstdNapi();
      if (napi) return napi.decompress(stored);
      // It silently decodes only the first of several frames (Node 22, 24): there is one in each of ours.
      if (nodeZstd.zstdDecompressSync) return nodeZstd.zstdDecompressSync(stored, limit);
      throw new CodecError('is compressed with zstd, which neither the package zstd-napi nor this Node has. Use Node 22.15 or newer');
    }
    default:
      throw new CodecError(`is compressed in a way (${id}) that this version does not know`);
  }
}
