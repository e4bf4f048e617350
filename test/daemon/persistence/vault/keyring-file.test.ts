import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { VaultError } from '../../../../src/daemon/persistence/vault/cipher.ts';
import {
  disableEncryption,
  enableEncryption,
  forgetKeys,
  type KeySource,
  openKeyring,
  rotate,
  type Unlock,
} from '../../../../src/daemon/persistence/vault/keys.ts';

let top: string;
let home: string;
let keyring: string;
let keyFile: string;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'vault-'));
  home = join(top, 'home');
  keyring = join(home, 'metadata', 'keyring.json');
  keyFile = join(home, 'key');
  mkdirSync(home, { mode: 0o700 });
});
afterEach(() => {
  rmSync(top, { recursive: true, force: true });
});

/** Scrypt at the least cost there is: the real one takes a fifth of a second each time. */
const passphrase = (text: string): KeySource => ({ kind: 'passphrase', passphrase: text, cost: 2 });
const by = (text: string): Unlock => ({ passphrase: () => text });
const inHome = () => readdirSync(home, { recursive: true, encoding: 'utf8' }).sort();

/** Code and sentence of a refusal, with the folder of this test left out; null when there was none. */
async function refusal(action: () => unknown): Promise<[string, string] | null> {
  try {
    await action();
    return null;
  } catch (error) {
    if (!(error instanceof VaultError)) throw error;
    return [error.code, error.message.replaceAll(top, '')];
  }
}

const codeOf = async (action: () => unknown) => (await refusal(action))?.[0] ?? null;

/** The keyring with another content and a sum that is right, as somebody writes it who knows how but has no key. */
function forge(change: (text: string) => string): void {
  const body = change(readFileSync(keyring, 'utf8').replace(/,\n "check": "[0-9a-f]{64}"\n\}\n$/, ''));
  writeFileSync(keyring, `${body},\n "check": "${createHash('sha256').update(body).digest('hex')}"\n}\n`);
}

describe.each<[string, KeySource, Unlock, string[]]>([
  ['a passphrase', passphrase('correct hörse'), by('correct hörse'), []],
  ['a key file', { kind: 'key-file' }, {}, ['key']],
])('with %s', (_, source, unlock, files) => {
  const atRest = [...files, 'metadata', 'metadata/keyring.json'];

  test('any one bit flipped in the keyring is damage, and the file is left as it is', async () => {
    await enableEncryption(home, source);
    const whole = readFileSync(keyring);
    const wrong: unknown[] = [];
    for (let at = 0; at < whole.length; at++) {
      const flipped = Buffer.from(whole);
      flipped[at]! ^= 1 << (at % 8);
      writeFileSync(keyring, flipped);
      const code = await codeOf(() => openKeyring(home, unlock));
      if (code !== 'damaged' || !readFileSync(keyring).equals(flipped)) wrong.push([at, code]);
    }
    expect(wrong).toEqual([]);
  });

  test('so is one cut anywhere, and nothing is written over it', async () => {
    await enableEncryption(home, source);
    const whole = readFileSync(keyring);
    for (let length = 0; length < whole.length; length += 7) {
      writeFileSync(keyring, whole.subarray(0, length));
      for (const action of [openKeyring, rotate, disableEncryption]) expect(await codeOf(() => action(home, unlock))).toBe('damaged');
      expect(await codeOf(() => enableEncryption(home, source))).toBe('damaged');
      expect(await codeOf(() => forgetKeys(home))).toBe('damaged');
      expect(readFileSync(keyring).equals(whole.subarray(0, length))).toBe(true);
    }
    expect(inHome()).toEqual(atRest);
  });

  test('one from a newer ai-session is refused and left alone', async () => {
    await enableEncryption(home, source);
    forge((text) => text.replace('"version": 1', '"version": 2'));
    const newer = readFileSync(keyring);
    const sentence = 'The keyring "/home/metadata/keyring.json" was written by a newer ai-session (version 2, not 1); use that one.';
    for (const action of [openKeyring, rotate, disableEncryption])
      expect(await refusal(() => action(home, unlock))).toEqual(['newer', sentence]);
    expect(await codeOf(() => enableEncryption(home, source))).toBe('newer');
    expect(await codeOf(() => forgetKeys(home))).toBe('newer');
    expect(readFileSync(keyring).equals(newer)).toBe(true);
  });

  test.each<[string, (text: string) => string]>([
    ['to turn encryption off', (text) => text.replace('"state": "on"', '"state": "off"')],
    ['to change a date', (text) => text.replace(/"createdAt": \d+/, '"createdAt": 5')],
    [
      'to drop the current key',
      (text) => text.replace(/\{\s+"id": "[^}]*"retiredAt": null[^}]*\},/, '').replace(/"retiredAt": \d+/, '"retiredAt": null'),
    ],
    [
      'to name a field twice',
      (text) => text.replace('"version": 1,', '"version": 1,\n "state": "off",').replace('"state": "on"', '"state": "off"'),
    ],
    ['to add a field', (text) => text.replace('"version": 1,', '"version": 1,\n "other": 1,')],
    ['to give a key another id', (text) => text.replace(/"id": "(.)/, (_, digit) => `"id": "${digit === '0' ? '1' : '0'}`)],
  ])('one that was edited %s is damage', async (_, change) => {
    await enableEncryption(home, source);
    await rotate(home, unlock);
    const before = readFileSync(keyring, 'utf8');
    forge(change);
    expect(readFileSync(keyring, 'utf8')).not.toBe(before);
    expect(await codeOf(() => openKeyring(home, unlock))).toBe('damaged');
  });

  test('one that others may read, that is a link, a pipe or a folder is refused', async () => {
    await enableEncryption(home, source);
    chmodSync(keyring, 0o640);
    expect(await refusal(() => openKeyring(home, unlock))).toEqual([
      'unsafe',
      'The keyring "/home/metadata/keyring.json" is open to others (mode 640). Fix it with: chmod 600 "/home/metadata/keyring.json"',
    ]);
    chmodSync(keyring, 0o600);
    renameSync(keyring, join(top, 'moved'));
    symlinkSync(join(top, 'moved'), keyring);
    expect(await codeOf(() => openKeyring(home, unlock))).toBe('unsafe');
    rmSync(keyring);
    mkdirSync(keyring);
    expect(await codeOf(() => openKeyring(home, unlock))).toBe('unsafe');
  });
});

const LOCKED_BY_PASSPHRASE = `{
 "version": 1,
 "state": "on",
 "source": {
  "kind": "passphrase",
  "salt": "ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=",
  "N": 32768,
  "r": 8,
  "p": 1
 },
 "keys": [
  {
   "id": "a1a2a3a4a5a6a7a8",
   "createdAt": 1700000002000,
   "retiredAt": null,
   "wrapped": "BwcHBwcHBwcHBwcHqwxoQGXofNuqrLtbiuuwMq3OaNbmZi1D0vmaLA8SSX7GzD8LooFQi6F2qFnOZ+sc"
  },
  {
   "id": "0102030405060708",
   "createdAt": 1700000001000,
   "retiredAt": 1700000002000,
   "wrapped": "CAgICAgICAgICAgIkgMhF6HejF0nfFzJxL+zqtBYoX7DdFcl8150Apymq4Y58dDTh8Mblergjc4As5Uk"
  }
 ],
 "mac": "hwWxb/viiS8eC2ckWUW3ZmufCSf+aEwFfJMeSTT6pSQ=",
 "check": "872793636f53059a9650c8a5f217a9405f95192a4a9e536304d77c355b142f01"
}
`;

const LOCKED_BY_KEY_FILE = `{
 "version": 1,
 "state": "on",
 "source": {
  "kind": "key-file",
  "salt": "ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=",
  "path": null,
  "made": true
 },
 "keys": [
  {
   "id": "a1a2a3a4a5a6a7a8",
   "createdAt": 1700000002000,
   "retiredAt": null,
   "wrapped": "BwcHBwcHBwcHBwcHkHajVtFpXXZ3GMmz0+5fgBlXuugL0z56du6I4wvqRy8XDNatUhE7eeKKyksZzeZO"
  },
  {
   "id": "0102030405060708",
   "createdAt": 1700000001000,
   "retiredAt": 1700000002000,
   "wrapped": "CAgICAgICAgICAgI/4pgepkrvTPwgPvtvE2BCJ+aMwADdBTvlYYAt3Lf7ylqk8/aPEIw0Stwo7mIuibX"
  }
 ],
 "mac": "8JXpD0qiBDzf3od6g6f5f5nhLFSPLzj7GbkAoEzL/IU=",
 "check": "cea6477605b3e9d43f63466aed496cf3a411b2fec40bc9bb87ce3dbcb803d2ff"
}
`;

// Made by another implementation (Python's cryptography). Every version there ever was must be readable for ever: these do not change.
describe('a keyring of version 1 is read', () => {
  test.each<[string, string, Unlock]>([
    ['by its passphrase', LOCKED_BY_PASSPHRASE, by('correct hörse')],
    ['by its key file', LOCKED_BY_KEY_FILE, {}],
  ])('%s', async (_, text, unlock) => {
    mkdirSync(join(home, 'metadata'));
    writeFileSync(keyring, text, { mode: 0o600 });
    writeFileSync(keyFile, Buffer.alloc(40, 3), { mode: 0o600 });
    const opened = await openKeyring(home, unlock);
    const secrets = opened!.vault.secrets().keys.map(({ id, key }) => [id, key].map((bytes) => Buffer.from(bytes).toString('hex')));
    expect(secrets).toEqual([
      ['a1a2a3a4a5a6a7a8', '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'],
      ['0102030405060708', '09'.repeat(32)],
    ]);
    expect(opened!.keys.map(({ createdAt, retiredAt }) => [createdAt, retiredAt])).toEqual([
      [1700000002000, null],
      [1700000001000, 1700000002000],
    ]);
  });
});
