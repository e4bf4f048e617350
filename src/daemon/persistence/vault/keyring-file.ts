import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { readlinkSync, symlinkSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { makeDataFolder } from '../../../config/private-folder.ts';
import { derive, KEY_BYTES, open, seal, TAG_BYTES, VaultError } from './cipher.ts';
import { readPrivate, removeIfPossible, settle, staged, sweep, syncToDisk, writeDurably } from './private-file.ts';
import { SALT_BYTES } from './vault.ts';

const VERSION = 1;
/** What a keyring may ask for: no file makes the daemon take more memory than this. */
const SCRYPT_LIMIT_BYTES = 256 << 20;
const NONCE_BYTES = 12;

const salt = encoded(SALT_BYTES);
const time = z.int().min(0);

const keyringFile = z.strictObject({
  version: z.literal(VERSION),
  state: z.enum(['on', 'off']),
  source: z.discriminatedUnion('kind', [
    z
      .strictObject({ kind: z.literal('passphrase'), salt, N: z.int().min(2), r: z.int().min(1).max(32), p: z.int().min(1).max(16) })
      .refine(({ N, r }) => Number.isInteger(Math.log2(N)) && 128 * N * r <= SCRYPT_LIMIT_BYTES),
    /** `path` is null for `{home}/key`, so that a home can be moved. `made`: by us, and so removed by us. */
    z.strictObject({ kind: z.literal('key-file'), salt, path: z.string().refine(isAbsolute).nullable(), made: z.boolean() }),
    z.strictObject({ kind: z.literal('os-keyring'), salt, account: z.string().regex(/^[0-9a-f]{16}$/) }),
  ]),
  /** The current one first. */
  keys: z
    .array(
      z.strictObject({
        id: z.string().regex(/^[0-9a-f]{16}$/),
        createdAt: time,
        retiredAt: time.nullable(),
        /** A nonce, the data key, the tag. A random nonce is enough for the few times that a keyring is written. */
        wrapped: encoded(NONCE_BYTES + KEY_BYTES + TAG_BYTES),
      }),
    )
    .min(1)
    .refine((keys) => keys.every(({ retiredAt }, at) => (retiredAt === null) === (at === 0)))
    .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length),
  /** HMAC-SHA256 of all of the above: nobody turns encryption off, or an old key into the current one, by editing the file. */
  mac: encoded(32),
});

/** `{home}/metadata/keyring.json`. Version 1 is described by the schema above. */
export type KeyringFile = z.output<typeof keyringFile>;

/** What locks the keys, and what deriving `root` from its secret takes. */
export type SourceRecord = KeyringFile['source'];

export interface DataKey {
  /** 16 hexadecimal digits. */
  id: string;
  createdAt: number;
  retiredAt: number | null;
  key: Buffer;
}

export function keyringPath(home: string): string {
  return join(home, 'metadata', 'keyring.json');
}

/** Null when there is none. */
export function readKeyring(home: string): string | null {
  return readPrivate(keyringPath(home), 'keyring')?.toString() ?? null;
}

/** Throws VaultError `damaged` or `newer`; the file is left as it is. Only `unwrap` notices one that was forged with care. */
export function parseKeyring(home: string, text: string): KeyringFile {
  const [, body, check] = /^(.*),\n "check": "([0-9a-f]{64})"\n\}\n$/s.exec(text) ?? [];
  if (body === undefined || check !== sha256(body)) throw damaged(home);
  const written = JSON.parse(`${body}\n}`) as { version?: unknown };
  if (typeof written.version === 'number' && written.version > VERSION)
    throw new VaultError(
      'newer',
      `The keyring "${keyringPath(home)}" was written by a newer ai-session (version ${written.version}, not ${VERSION}); use that one.`,
    );
  const parsed = keyringFile.safeParse(written);
  if (!parsed.success) throw damaged(home);
  return parsed.data;
}

/** The last line sums up every byte before it, in this and every later version: so damage is told from a wrong key. */
function print(file: KeyringFile): string {
  const body = JSON.stringify(file, null, 1).slice(0, -2);
  return `${body},\n "check": "${sha256(body)}"\n}\n`;
}

/** The data keys; null when `root` is not what they are locked with. Throws VaultError `damaged` for a file that was forged. */
export function unwrap(home: string, file: KeyringFile, root: Uint8Array): DataKey[] | null {
  const wrapKey = derive(root, new Uint8Array(), 'wrap');
  const keys = file.keys.map(({ wrapped, ...about }) => {
    const bytes = Buffer.from(wrapped, 'base64');
    const [nonce, sealed] = [bytes.subarray(0, NONCE_BYTES), bytes.subarray(NONCE_BYTES)];
    return { ...about, key: open({ key: wrapKey, nonce, authenticated: Buffer.from(about.id) }, sealed) };
  });
  wrapKey.fill(0);
  const opened = keys.filter((key): key is DataKey => key.key !== null);
  if (opened.length === 0) return null;
  const isGenuine = timingSafeEqual(Buffer.from(file.mac, 'base64'), macOf(file, root));
  if (opened.length < keys.length || !isGenuine) throw damaged(home);
  return opened;
}

/** Replaces the keyring in one step, by one that was seen to open. */
export function commitKeyring(
  home: string,
  {
    state,
    source,
    keys,
    root,
    lock,
  }: { state: KeyringFile['state']; source: SourceRecord; keys: readonly DataKey[]; root: Uint8Array; lock: KeyringLock },
): KeyringFile {
  const wrapKey = derive(root, new Uint8Array(), 'wrap');
  const wrapped = keys.map(({ key, id, createdAt, retiredAt }) => {
    const nonce = randomBytes(NONCE_BYTES);
    const sealed = seal({ key: wrapKey, nonce, authenticated: Buffer.from(id) }, key);
    return { id, createdAt, retiredAt, wrapped: Buffer.concat([nonce, sealed]).toString('base64') };
  });
  wrapKey.fill(0);
  const content = { version: VERSION, state, source, keys: wrapped } as const;
  const text = print({ ...content, mac: macOf(content, root).toString('base64') });
  const file = parseKeyring(home, text);
  if (!unwrap(home, file, root)) throw new Error('A keyring that was just made does not open.');
  const path = keyringPath(home);
  writeDurably(staged(path), text);
  lock.check();
  settle(path);
  return file;
}

function macOf({ version, state, source, keys }: Omit<KeyringFile, 'mac'>, root: Uint8Array): Buffer {
  const macKey = derive(root, new Uint8Array(), 'keyring');
  // Names in order: a file that names the same fields in another order says the same.
  const inOrder = (_: string, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).sort()) : value;
  const mac = createHmac('sha256', macKey).update(JSON.stringify({ version, state, source, keys }, inOrder)).digest();
  macKey.fill(0);
  return mac;
}

export interface KeyringLock {
  /** Throws VaultError `busy` when it was taken from us. */
  check(): void;
}

/**
 * One change at a time: of two, the second would write a keyring without the key that the first made, and lose what was sealed with that.
 * Readers need no lock. The lock is a symbolic link to nowhere that names its process: made in one step, and stale when that is gone.
 */
export async function withKeyringLock<T>(home: string, work: (lock: KeyringLock) => Promise<T>): Promise<T> {
  const folder = dirname(keyringPath(home));
  makeDataFolder(folder);
  syncToDisk(dirname(folder));
  const path = join(folder, 'keyring.lock');
  const ours = `${process.pid}-${randomBytes(8).toString('hex')}`;
  const busy = (pid: number) =>
    new VaultError('busy', `Process ${pid} is changing the keys. Try again in a moment; if there is no such process, remove "${path}".`);
  if (!link(ours, path)) {
    const pid = Number.parseInt(readLink(path), 10);
    if (isAlive(pid)) throw busy(pid);
    removeIfPossible(path);
    if (!link(ours, path)) throw busy(Number.parseInt(readLink(path), 10));
  }
  try {
    return await work({
      check() {
        // Two who find a stale lock at once can both remove one.
        if (readLink(path) !== ours) throw busy(Number.parseInt(readLink(path), 10));
      },
    });
  } finally {
    if (readLink(path) === ours) {
      sweep(keyringPath(home));
      removeIfPossible(path);
    }
  }
}

function link(target: string, path: string): boolean {
  try {
    symlinkSync(target, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Empty when there is none, or something else of that name. */
function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function damaged(home: string): VaultError {
  return new VaultError(
    'damaged',
    `The keyring "${keyringPath(home)}" is damaged. It was left as it is; put back a copy of it from a backup.`,
  );
}

function encoded(bytes: number) {
  return z.string().refine((text) => {
    const decoded = Buffer.from(text, 'base64');
    return decoded.length === bytes && decoded.toString('base64') === text;
  });
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
