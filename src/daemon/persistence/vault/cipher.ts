import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import type { FileCipher } from './vault.ts';

/**
 * What can be wrong with something sealed, or with the keys. `message` is a sentence for people, and never contains a secret.
 *
 * - `damaged`: bytes were changed, cut or moved, or belong to another key.
 * - `no-key`: it was sealed with a data key that this home does not have.
 * - `wrong-key`: the passphrase, key file or keyring entry is not the one that the keys are locked with.
 * - `newer`: a newer ai-session wrote it.
 * - `unsafe`: a file that should be private is not.
 * - `unavailable`: what unlocks the keys is not there, or was not given.
 * - `unusable`: a passphrase or key file that is too weak, or a path that cannot be taken.
 * - `exists`, `off`, `busy`: encryption is on already; is off; is being changed by another process.
 */
export class VaultError extends Error {
  override readonly name = 'VaultError';
  readonly code: 'damaged' | 'no-key' | 'wrong-key' | 'newer' | 'unsafe' | 'unavailable' | 'unusable' | 'exists' | 'off' | 'busy';

  constructor(code: VaultError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export const KEY_BYTES = 32;
export const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const ALGORITHM = 'aes-256-gcm';

/** Whatever we derive says first that it is ours and by which scheme, so that no other use of the same key gives the same bytes. */
export const CONTEXT = 'ai-session/1|';

/** HKDF-SHA256 (RFC 5869) with info = CONTEXT + purpose. Node takes at most 1024 bytes of info. The caller zeroes the result. */
export function derive(key: Uint8Array, salt: Uint8Array, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, CONTEXT + purpose, KEY_BYTES));
}

/** For a file that is about to be written with a salt that was never used. */
export function writingCipher(master: Uint8Array, salt: Uint8Array, purpose: string): FileCipher {
  const frames = frameCipher(master, salt, purpose);
  let next = 0;
  return {
    ...frames,
    seal(frame, offset, plain) {
      if (!isCount(frame) || !isCount(offset)) throw new RangeError(`Frame ${frame} at ${offset} has no number to seal it with.`);
      // Two frames under one nonce give away both, and the key that authenticates every other.
      if (frame < next) throw new Error(`Frame ${frame} of "${purpose}" was passed: a number is sealed once.`);
      next = frame + 1;
      return frames.seal(frame, offset, plain);
    },
  };
}

/** For a file that exists. It cannot know which numbers were used in it, by us or by whoever crashed, so it seals nothing. */
export function readingCipher(master: Uint8Array, salt: Uint8Array, purpose: string): FileCipher {
  return {
    ...frameCipher(master, salt, purpose),
    seal() {
      throw new Error(`"${purpose}" was opened to be read: what is written next needs a salt of its own.`);
    },
  };
}

function frameCipher(master: Uint8Array, salt: Uint8Array, purpose: string): FileCipher {
  const bytes = derive(master, salt, purpose);
  const key = createSecretKey(bytes);
  bytes.fill(0);
  const label = Buffer.from(purpose);
  const nonce = Buffer.alloc(NONCE_BYTES);
  const authenticated = Buffer.concat([Buffer.alloc(16), label]);
  // OpenSSL copies both at once, so one of each is enough.
  const place = (frame: number, offset: number) => {
    nonce.writeBigUInt64BE(BigInt(frame), 4);
    authenticated.writeBigUInt64BE(BigInt(frame), 0);
    authenticated.writeBigUInt64BE(BigInt(offset), 8);
  };
  return {
    overhead: TAG_BYTES,
    seal(frame, offset, plain) {
      place(frame, offset);
      return seal({ key, nonce, authenticated }, plain);
    },
    open(frame, offset, sealed) {
      if (!isCount(frame) || !isCount(offset)) throw damagedFrame(frame, purpose);
      place(frame, offset);
      const plain = open({ key, nonce, authenticated }, sealed);
      if (plain === null) throw damagedFrame(frame, purpose);
      return plain;
    },
  };
}

interface Seal {
  key: KeyObject | Uint8Array;
  /** 12 bytes that this key has never sealed with. */
  nonce: Uint8Array;
  authenticated: Uint8Array;
}

/** The ciphertext, then the tag. */
export function seal({ key, nonce, authenticated }: Seal, plain: Uint8Array): Buffer {
  const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(authenticated);
  const body = cipher.update(plain);
  cipher.final();
  return Buffer.concat([body, cipher.getAuthTag()]);
}

/** Null when anything about it is not as it was sealed. */
export function open({ key, nonce, authenticated }: Seal, sealed: Uint8Array): Buffer | null {
  const length = sealed.length - TAG_BYTES;
  if (length < 0) return null;
  // The length is fixed: GCM would take a tag of four bytes, which can be guessed.
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(authenticated);
  decipher.setAuthTag(sealed.subarray(length));
  const plain = decipher.update(sealed.subarray(0, length));
  try {
    decipher.final();
    return plain;
  } catch {
    return null;
  }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function damagedFrame(frame: number, purpose: string): VaultError {
  return new VaultError('damaged', `Frame ${frame} of "${purpose}" cannot be opened: it was changed or cut, or belongs elsewhere.`);
}
