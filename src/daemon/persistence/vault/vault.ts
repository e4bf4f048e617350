import { createHash, randomBytes } from 'node:crypto';
import { KEY_BYTES, readingCipher, TAG_BYTES, VaultError, writingCipher } from './cipher.ts';

/** The data keys, unlocked. What is sealed for one purpose (at most 1000 bytes, as "journal|$3|%7|tail") opens for no other. */
export interface Vault {
  /** False when encryption was turned off: what was sealed before still opens, and nothing more is sealed. */
  readonly isOn: boolean;
  /**
   * For a file that is about to be written: a key of its own from a fresh random salt, so that counter nonces never repeat, whatever
   * crashed before. The file keeps `keyId` (8 bytes) and `salt` (32), which are not secret. Throws VaultError `off`.
   */
  create(purpose: string): { keyId: Uint8Array; salt: Uint8Array; cipher: FileCipher };
  /** For a file that exists. Throws VaultError `no-key` when no key of ours has this id. */
  open(purpose: string, keyId: Uint8Array, salt: Uint8Array): FileCipher;
  /** A small whole file (state, screen, snapshot): a header that describes itself, and one frame. Throws VaultError `off`. */
  sealBlob(purpose: string, plain: Uint8Array): Buffer;
  /** Throws VaultError `damaged`, `no-key` or `newer`. */
  openBlob(purpose: string, sealed: Uint8Array): Buffer;
  /** For a worker thread, which makes its own vault of them. */
  secrets(): VaultSecrets;
}

/** Seals or opens the frames of one file. Frame numbers and offsets are safe integers from 0. */
export interface FileCipher {
  /** Bytes added to each frame: the tag (16). */
  readonly overhead: number;
  /**
   * AES-256-GCM (NIST SP 800-38D): the ciphertext, as long as `plain`, then the tag. The nonce is the frame number; the number, `offset`
   * (of the plain bytes in their stream) and the purpose are authenticated. Numbers go up, holes are fine: throws an Error, which is a bug
   * of the caller, for one that was used or that lies below, and for any in a file that was only opened.
   */
  seal(frame: number, offset: number, plain: Uint8Array): Buffer;
  /** Throws VaultError `damaged` for a wrong key, a flipped bit, a frame of another place (swapped, replayed, moved between files). */
  open(frame: number, offset: number, sealed: Uint8Array): Buffer;
}

/** The keys themselves, in a shape that `postMessage` copies. They never go to a disk, a log or a socket. */
export interface VaultSecrets {
  isOn: boolean;
  /** The first is the current one. */
  keys: readonly { id: Uint8Array; key: Uint8Array }[];
}

export const KEY_ID_BYTES = 8;
export const SALT_BYTES = 32;

/**
 * A blob on disk: magic (7), version (1), key id (8), salt (32), the first 4 bytes of the SHA-256 of those, then frame 0 at offset 0 of the
 * purpose "blob|" + its own. The sum tells a damaged header from a key that is not ours. No UTF-8 text and no zstd frame begins with 0x93.
 */
const MAGIC = Buffer.from('\x93aises\n', 'latin1');
const VERSION = 1;
const KEY_ID_AT = MAGIC.length + 1;
const SALT_AT = KEY_ID_AT + KEY_ID_BYTES;
const SUM_AT = SALT_AT + SALT_BYTES;
const HEADER_BYTES = SUM_AT + 4;

/** What a blob is longer than its content. */
export const BLOB_OVERHEAD_BYTES: number = HEADER_BYTES + TAG_BYTES;

/** Whether this was made by `sealBlob`, of any version: a state or screen from before encryption was turned on is not. */
export function isSealedBlob(bytes: Uint8Array): boolean {
  return MAGIC.equals(bytes.subarray(0, MAGIC.length));
}

/** Keeps copies: zeroing what was passed takes nothing from the vault. */
export function vaultFrom(secrets: VaultSecrets): Vault {
  // Not views into Node's pool of small buffers, which `postMessage` would copy whole.
  const keys = secrets.keys.map(({ id, key }) => ({ id: new Uint8Array(id), key: new Uint8Array(key) }));
  const current = keys[0];
  if (!current || keys.some(({ id, key }) => id.length !== KEY_ID_BYTES || key.length !== KEY_BYTES))
    throw new Error('A vault is made of at least one key with its id.');
  const byId = new Map(keys.map(({ id, key }) => [hex(id), key]));

  const vault: Vault = {
    isOn: secrets.isOn,
    create(purpose) {
      if (!secrets.isOn) throw new VaultError('off', `Encryption is off, so nothing is sealed any more ("${purpose}").`);
      const salt = new Uint8Array(randomBytes(SALT_BYTES));
      return { keyId: new Uint8Array(current.id), salt, cipher: writingCipher(current.key, salt, purpose) };
    },
    open(purpose, keyId, salt) {
      const key = byId.get(hex(keyId));
      if (!key) throw new VaultError('no-key', `"${purpose}" was sealed with the key "${hex(keyId)}", which this home does not have.`);
      return readingCipher(key, salt, purpose);
    },
    sealBlob(purpose, plain) {
      const { keyId, salt, cipher } = vault.create(blobPurpose(purpose));
      const head = Buffer.concat([MAGIC, Uint8Array.of(VERSION), keyId, salt]);
      return Buffer.concat([head, sumOf(head), cipher.seal(0, 0, plain)]);
    },
    openBlob(purpose, sealed) {
      const head = sealed.subarray(0, SUM_AT);
      const isWhole =
        isSealedBlob(sealed) && sealed.length >= BLOB_OVERHEAD_BYTES && sumOf(head).equals(sealed.subarray(SUM_AT, HEADER_BYTES));
      if (!isWhole)
        throw new VaultError('damaged', `"${purpose}" cannot be opened: its header was changed or cut, or it was never sealed.`);
      const version = head[MAGIC.length]!;
      if (version !== VERSION)
        throw new VaultError('newer', `"${purpose}" was sealed by a newer ai-session (version ${version}); use that one.`);
      const cipher = vault.open(blobPurpose(purpose), head.subarray(KEY_ID_AT, SALT_AT), head.subarray(SALT_AT));
      return cipher.open(0, 0, sealed.subarray(HEADER_BYTES));
    },
    secrets: () => ({ isOn: secrets.isOn, keys: keys.map(({ id, key }) => ({ id: new Uint8Array(id), key: new Uint8Array(key) })) }),
  };
  return vault;
}

/** A blob is no first frame of a file, even where a caller names both alike. */
function blobPurpose(purpose: string): string {
  return `blob|${purpose}`;
}

function sumOf(head: Uint8Array): Buffer {
  return createHash('sha256').update(head).digest().subarray(0, 4);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
