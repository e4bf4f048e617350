import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { rmSync } from 'node:fs';
import { dirname, isAbsolute, resolve, sep } from 'node:path';
import { derive, KEY_BYTES, VaultError } from './cipher.ts';
import {
  commitKeyring,
  type DataKey,
  type KeyringFile,
  type KeyringLock,
  keyringPath,
  parseKeyring,
  readKeyring,
  type SourceRecord,
  unwrap,
  withKeyringLock,
} from './keyring-file.ts';
import { osKeyring } from './os-keyring.ts';
import { isSameFile, readPrivate, removeIfPossible, settle, staged, sweep, syncToDisk, writeDurably } from './private-file.ts';
import { KEY_ID_BYTES, SALT_BYTES, type Vault, vaultFrom } from './vault.ts';

/**
 * What locks the data keys, one at a time. A key file is made when it is not there; without a path it is `{home}/key`, which is ours to
 * replace and remove. It keeps out whoever has a copy of the data without it. `cost` is for tests alone: scrypt's N, a power of two.
 */
export type KeySource =
  | { kind: 'passphrase'; passphrase: string; cost?: number }
  | { kind: 'key-file'; path?: string }
  | { kind: 'os-keyring' };

/** What unlocks them; a key file and the OS keyring need nothing from a person. */
export interface Unlock {
  /** Asked when a passphrase locks the keys. */
  passphrase?: () => string | Promise<string>;
  /** Where the key file is now, when it is not where the keyring says. It is then never removed. */
  keyFile?: string;
}

export interface KeyringStatus {
  /** False when encryption was turned off and the keys are there to read what was sealed before. */
  isOn: boolean;
  source: KeySource['kind'];
  /** An absolute path, or null when no key file locks the keys. */
  keyFile: string | null;
  /** The current one first. Times are milliseconds since 1970; the current key is not retired. */
  keys: { id: string; createdAt: number; retiredAt: number | null }[];
}

export interface Keyring extends KeyringStatus {
  vault: Vault;
}

const PASSPHRASE_MIN_LENGTH = 8;
/** 0.2 s and 32 MiB for each guess (RFC 7914), on a slow server. */
const SCRYPT = { N: 2 ** 15, r: 8, p: 1 };

interface Unlocked {
  file: KeyringFile;
  keys: DataKey[];
  /** What the source's secret comes to: wraps the keys and authenticates the file. */
  root: Buffer;
}

/** Null when this home has no keyring: encryption was never turned on, or the keys were forgotten. A refusal changes nothing on disk. */
export async function openKeyring(home: string, unlock: Unlock): Promise<Keyring | null> {
  const unlocked = await unlockKeyring(home, unlock);
  return unlocked && handOver(home, unlocked);
}

/** What can be said without unlocking, as whether a passphrase will be needed. Only `openKeyring` notices a forged file. */
export function describeKeyring(home: string): KeyringStatus | null {
  const text = readKeyring(home);
  return text === null ? null : statusOf(home, parseKeyring(home, text));
}

/**
 * Makes the keyring, or turns encryption on again under a new data key: then `unlock` opens the keys that are there, and `source` locks all
 * of them from now on. Throws VaultError `exists` when it is on.
 */
export function enableEncryption(home: string, source: KeySource, unlock: Unlock = unlockFor(source)): Promise<Keyring> {
  return withKeyringLock(home, async (lock) => {
    if (describeKeyring(home)?.isOn) throw new VaultError('exists', 'Encryption is on already. Its keys can be rotated.');
    return renew(home, { old: await unlockKeyring(home, unlock), source, unlock, lock });
  });
}

/**
 * A new data key for what is written from now on; the others stay for reading. With `newSource`, that locks all of them, and what locked
 * them before no longer does. Killed at any moment, the old keyring or the new one is there, and what unlocks it.
 */
export function rotate(home: string, unlock: Unlock, newSource?: KeySource): Promise<Keyring> {
  return withKeyringLock(home, async (lock) => {
    if (!describeKeyring(home)?.isOn) throw new VaultError('off', 'Encryption is off, so there is no key to rotate.');
    return renew(home, { old: await unlockKeyring(home, unlock), source: newSource ?? null, unlock, lock });
  });
}

/** Nothing more is sealed; the keys stay, for what was, until `forgetKeys`. */
export function disableEncryption(home: string, unlock: Unlock): Promise<Keyring> {
  return withKeyringLock(home, async (lock) => {
    const old = await unlockKeyring(home, unlock);
    if (!old) throw new VaultError('off', 'Encryption was never turned on.');
    const file = commitKeyring(home, { state: 'off', source: old.file.source, keys: old.keys, root: old.root, lock });
    return handOver(home, { ...old, file });
  });
}

/** For ever: the caller has made sure that nothing sealed is left. Throws VaultError `exists` while encryption is on. */
export function forgetKeys(home: string): Promise<void> {
  return withKeyringLock(home, async (lock) => {
    const text = readKeyring(home);
    if (text === null) return;
    const { state, source } = parseKeyring(home, text);
    if (state === 'on') throw new VaultError('exists', 'Encryption is on, so its keys are needed. Turn it off first.');
    lock.check();
    rmSync(keyringPath(home));
    syncToDisk(dirname(keyringPath(home)));
    await drop(home, { old: source, now: null, unlock: {} });
  });
}

async function unlockKeyring(home: string, unlock: Unlock): Promise<Unlocked | null> {
  const text = readKeyring(home);
  if (text === null) return null;
  const file = parseKeyring(home, text);
  const root = await rootOf(home, file.source, unlock);
  const keys = unwrap(home, file, root);
  if (keys) return { file, keys, root };
  const finished = file.source.kind === 'key-file' ? takeStagedKeyFile(home, file, keyFileOf(home, file.source, unlock)) : null;
  if (finished) return finished;
  // Somebody rotated between our two looks.
  if (readKeyring(home) !== text) return unlockKeyring(home, unlock);
  const what = {
    passphrase: 'This is not the passphrase of the keyring',
    'key-file': `"${keyFileOf(home, file.source, unlock)}" is not the key file of this home`,
    'os-keyring': 'What the OS keyring has is not the key of this home',
  }[file.source.kind];
  throw new VaultError('wrong-key', `${what}. Nothing was changed; without the right one, what was sealed cannot be read.`);
}

/** A rotation to a new key file at the old one's path was killed, or is, after it wrote the keyring and before the last rename. */
function takeStagedKeyFile(home: string, file: KeyringFile, path: string): Unlocked | null {
  const secret = readPrivate(staged(path), 'key file');
  if (!secret) return null;
  const root = rootOfSecret(secret, file.source);
  const keys = unwrap(home, file, root);
  if (!keys) return null;
  settleKeyFile(path);
  return { file, keys, root };
}

function settleKeyFile(path: string): void {
  try {
    settle(path);
  } catch (error) {
    // A reader who came between the keyring and this has done it.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

async function renew(
  home: string,
  { old, source, unlock, lock }: { old: Unlocked | null; source: KeySource | null; unlock: Unlock; lock: KeyringLock },
): Promise<Keyring> {
  const inUse = old?.file.source.kind === 'key-file' ? keyFileOf(home, old.file.source, unlock) : null;
  const lockedBy = source ? await prepare(home, source, inUse) : { record: old!.file.source, root: old!.root, staged: null };
  const at = Date.now();
  const keys = [
    { id: randomBytes(KEY_ID_BYTES).toString('hex'), createdAt: at, retiredAt: null, key: randomBytes(KEY_BYTES) },
    ...(old?.keys ?? []).map((key) => ({ ...key, retiredAt: key.retiredAt ?? at })),
  ];
  const file = commitKeyring(home, { state: 'on', source: lockedBy.record, keys, root: lockedBy.root, lock });
  if (lockedBy.staged !== null) settleKeyFile(lockedBy.staged);
  if (source) await drop(home, { old: old?.file.source ?? null, now: file.source, unlock });
  old?.root.fill(0);
  return handOver(home, { file, keys, root: lockedBy.root });
}

interface Prepared {
  record: SourceRecord;
  root: Buffer;
  /** The key file that waits to take the place of the one in use; null when there is none. */
  staged: string | null;
}

/** Makes what will lock the keys, and has it on disk before a keyring refers to it. What a refusal leaves behind locks nothing. */
async function prepare(home: string, source: KeySource, inUse: string | null): Promise<Prepared> {
  const salt = randomBytes(SALT_BYTES).toString('base64');
  switch (source.kind) {
    case 'passphrase': {
      if ([...source.passphrase.normalize('NFC')].length < PASSPHRASE_MIN_LENGTH)
        throw new VaultError('unusable', `A passphrase has at least ${PASSPHRASE_MIN_LENGTH} characters. Choose a longer one.`);
      const record = { kind: 'passphrase' as const, salt, ...SCRYPT, N: source.cost ?? SCRYPT.N };
      return { record, root: await stretch(source.passphrase, record), staged: null };
    }
    case 'key-file': {
      const path = checkedPath(home, source.path);
      const isOurs = path === defaultKeyFile(home);
      const isStaged = inUse !== null && isSameFile(path, inUse);
      const found = isStaged ? null : readKeyFile(path);
      const record = { kind: 'key-file' as const, salt, path: isOurs ? null : path, made: isOurs || found === null };
      const secret = found ?? makeKeyFile(isStaged ? staged(path) : path);
      return { record, root: rootOfSecret(secret, record), staged: isStaged ? path : null };
    }
    case 'os-keyring': {
      // An account of its own, so that a new secret never overwrites the one in use.
      const record = { kind: 'os-keyring' as const, salt, account: randomBytes(8).toString('hex') };
      const secret = randomBytes(KEY_BYTES);
      await osKeyring('store', record.account, secret.toString('hex'));
      const kept = Buffer.from(await osKeyring('find', record.account), 'hex');
      if (kept.length !== secret.length || !timingSafeEqual(kept, secret))
        throw new VaultError('unavailable', 'The OS keyring did not keep what was stored. Use a passphrase or a key file.');
      kept.fill(0);
      return { record, root: rootOfSecret(secret, record), staged: null };
    }
  }
}

async function rootOf(home: string, source: SourceRecord, unlock: Unlock): Promise<Buffer> {
  switch (source.kind) {
    case 'passphrase':
      if (!unlock.passphrase) throw new VaultError('unavailable', 'The keys are locked by a passphrase, and none was given.');
      return stretch(await unlock.passphrase(), source);
    case 'key-file': {
      const path = keyFileOf(home, source, unlock);
      const secret = readKeyFile(path);
      if (!secret) throw new VaultError('unavailable', `The key file "${path}" is not there. Put it back, or say where it is.`);
      return rootOfSecret(secret, source);
    }
    case 'os-keyring':
      return rootOfSecret(Buffer.from(await osKeyring('find', source.account), 'hex'), source);
  }
}

/** Zeroes the secret. */
function rootOfSecret(secret: Buffer, { kind, salt }: SourceRecord): Buffer {
  const root = derive(secret, Buffer.from(salt, 'base64'), kind);
  secret.fill(0);
  return root;
}

/** NFC, since one keyboard sends "é" as one character and another as two. */
function stretch(passphrase: string, { salt, N, r, p }: Extract<SourceRecord, { kind: 'passphrase' }>): Promise<Buffer> {
  const bytes = Buffer.from(passphrase.normalize('NFC'));
  // OpenSSL counts 128 N r and a little more.
  const options = { N, r, p, maxmem: 128 * N * r + (1 << 20) };
  return new Promise((done, fail) => {
    scrypt(bytes, Buffer.from(salt, 'base64'), KEY_BYTES, options, (error, root) => {
      bytes.fill(0);
      if (error) fail(error);
      else done(root);
    });
  });
}

/** Once the new keyring is there: removes what locked the old one, and what changes that were killed left behind. */
async function drop(
  home: string,
  { old, now, unlock }: { old: SourceRecord | null; now: SourceRecord | null; unlock: Unlock },
): Promise<void> {
  const kept = now?.kind === 'key-file' ? keyFileOf(home, now, {}) : null;
  const ours = [defaultKeyFile(home), ...(old?.kind === 'key-file' && old.made ? [keyFileOf(home, old, {})] : [])];
  for (const path of ours) {
    // Two paths can lead to one file, over a link.
    if (unlock.keyFile === undefined && (kept === null || !isSameFile(path, kept))) removeIfPossible(path);
    sweep(path);
  }
  if (kept !== null) sweep(kept);
  // What stays in there opens nothing any more.
  if (old?.kind === 'os-keyring') await osKeyring('remove', old.account).catch(() => {});
}

function defaultKeyFile(home: string): string {
  return resolve(home, 'key');
}

function keyFileOf(home: string, source: SourceRecord, unlock: Unlock): string {
  if (unlock.keyFile !== undefined) return resolve(unlock.keyFile);
  return source.kind === 'key-file' && source.path !== null ? source.path : defaultKeyFile(home);
}

function checkedPath(home: string, path: string = defaultKeyFile(home)): string {
  if (!isAbsolute(path)) throw new VaultError('unusable', `The key file's path "${path}" does not begin with "/". Give the whole path.`);
  const whole = resolve(path);
  if (whole.startsWith(dirname(keyringPath(resolve(home))) + sep))
    throw new VaultError('unusable', `The key file "${whole}" would lie beside what it locks. Choose a place outside "${home}/metadata".`);
  return whole;
}

function readKeyFile(path: string): Buffer | null {
  const secret = readPrivate(path, 'key file');
  if (secret && secret.length < KEY_BYTES)
    throw new VaultError('unusable', `The key file "${path}" has ${secret.length} bytes; a key has at least ${KEY_BYTES} random ones.`);
  return secret;
}

function makeKeyFile(path: string): Buffer {
  const secret = randomBytes(KEY_BYTES);
  try {
    writeDurably(path, secret);
  } catch (error) {
    throw new VaultError('unusable', `The key file "${path}" cannot be written: ${(error as Error).message}.`);
  }
  return secret;
}

function unlockFor(source: KeySource): Unlock {
  return source.kind === 'passphrase' ? { passphrase: () => source.passphrase } : {};
}

function statusOf(home: string, { state, source, keys }: KeyringFile): KeyringStatus {
  return {
    isOn: state === 'on',
    source: source.kind,
    keyFile: source.kind === 'key-file' ? keyFileOf(home, source, {}) : null,
    keys: keys.map(({ id, createdAt, retiredAt }) => ({ id, createdAt, retiredAt })),
  };
}

/** The vault has copies; ours are zeroed. */
function handOver(home: string, { file, keys, root }: Unlocked): Keyring {
  const isOn = file.state === 'on';
  const vault = vaultFrom({ isOn, keys: keys.map(({ id, key }) => ({ id: Buffer.from(id, 'hex'), key })) });
  for (const { key } of keys) key.fill(0);
  root.fill(0);
  return { ...statusOf(home, file), vault };
}
