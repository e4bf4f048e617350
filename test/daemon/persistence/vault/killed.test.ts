import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { VaultError } from '../../../../src/daemon/persistence/vault/cipher.ts';
import {
  disableEncryption,
  enableEncryption,
  type KeySource,
  openKeyring,
  rotate,
  type Unlock,
} from '../../../../src/daemon/persistence/vault/keys.ts';

const keysModule = join(import.meta.dirname, '../../../../dist/daemon/persistence/vault/keys.js');

/**
 * Makes a change, and is killed before its n-th step that changes something on the disk; at a write, in the middle of it. Ends by itself,
 * and prints how many steps there were, when there are fewer.
 */
const PROGRAM = `
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const { module, change, home, n, passphrase, source } = JSON.parse(process.argv[1]);
const { enableEncryption, disableEncryption, rotate } = await import(module);
let steps = 0;
for (const name of ['openSync', 'writeSync', 'renameSync', 'rmSync', 'unlinkSync', 'symlinkSync', 'mkdirSync', 'chmodSync']) {
  const original = fs[name];
  fs[name] = (...args) => {
    const isStep = name !== 'openSync' || args[1] === 'w';
    if (isStep && ++steps === n) {
      if (name === 'writeSync') original(args[0], args[1].subarray(0, args[1].length / 2));
      process.kill(process.pid, 'SIGKILL');
    }
    return original(...args);
  };
}
syncBuiltinESMExports();
const unlock = passphrase === null ? {} : { passphrase: () => passphrase };
if (change === 'enable') await enableEncryption(home, source);
else if (change === 'disable') await disableEncryption(home, unlock);
else await rotate(home, unlock, source ?? undefined);
console.log(steps);
`;

interface Change {
  change: 'enable' | 'rotate' | 'disable';
  passphrase: string | null;
  source: KeySource | null;
}

/** Null when it was killed, else how many steps the whole change has. */
async function runKilled(home: string, n: number, change: Change): Promise<number | null> {
  const argument = JSON.stringify({ module: keysModule, home, n, ...change });
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, argument], { stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.on('data', (chunk) => (printed += chunk));
  const [code, signal] = await new Promise<[number | null, string | null]>((done) => child.once('close', (...how) => done(how)));
  if (signal === 'SIGKILL') return null;
  expect([code, signal]).toEqual([0, null]);
  return Number(printed);
}

let top: string;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'killed-'));
});
afterEach(() => rmSync(top, { recursive: true, force: true }));

const by = (passphrase: string): Unlock => ({ passphrase: () => passphrase });
const horse: KeySource = { kind: 'passphrase', passphrase: 'correct horse', cost: 2 };
const staple: KeySource = { kind: 'passphrase', passphrase: 'battery staple', cost: 2 };
const file: KeySource = { kind: 'key-file' };

/** Null when this unlocks nothing; any other refusal fails the test. */
async function tryOpen(home: string, unlock: Unlock) {
  try {
    return await openKeyring(home, unlock);
  } catch (error) {
    if (error instanceof VaultError && ['wrong-key', 'unavailable'].includes(error.code)) return null;
    throw error;
  }
}

/** Does it with n from 1 until a change is through before it is killed: two at a time, since a process takes its time to start. */
async function atEveryStep(attempt: (n: number) => Promise<number | null>): Promise<void> {
  for (let n = 1; ; n += 2) {
    const steps = await Promise.all([attempt(n), attempt(n + 1)]);
    const whole = steps.find((count) => count !== null);
    if (whole === undefined) continue;
    // Every one of them was met.
    expect([whole === n - 1 || whole === n, whole > 5]).toEqual([true, true]);
    return;
  }
}

const filesIn = (home: string) => readdirSync(home, { recursive: true, encoding: 'utf8' }).sort();

test.each<[string, KeySource, KeySource | null, string[]]>([
  ['a rotation', horse, null, []],
  ['a rotation to another passphrase', horse, staple, []],
  ['a rotation from a passphrase to a key file', horse, file, ['key']],
  ['a rotation from a key file to another in its place', file, file, ['key']],
  ['a rotation from a key file to a passphrase', file, horse, []],
])('%s, killed at any step, leaves the old keyring or the new, and what opens it', async (_, before, after, files) => {
  const unlockOf = (source: KeySource): Unlock => (source.kind === 'passphrase' ? by(source.passphrase) : {});
  const original = join(top, 'original');
  const blob = (await enableEncryption(original, before)).vault.sealBlob('p', Buffer.from('sealed before'));
  const passphrase = before.kind === 'passphrase' ? before.passphrase : null;

  const keysSeen = new Set<number>();
  await atEveryStep(async (n) => {
    const home = join(top, String(n));
    cpSync(original, home, { recursive: true });
    const steps = await runKilled(home, n, { change: 'rotate', passphrase, source: after });
    const isOld = (await tryOpen(home, unlockOf(before))) !== null;
    const unlock = isOld ? unlockOf(before) : unlockOf(after!);
    const keyring = (await openKeyring(home, unlock))!;
    keysSeen.add(keyring.keys.length);
    expect([n, keyring.isOn, keyring.vault.openBlob('p', blob).toString()]).toEqual([n, true, 'sealed before']);
    // It can be done again, and then nothing of the killed one is left.
    await rotate(home, unlock, after ?? undefined);
    const finished = (await openKeyring(home, unlockOf(after ?? before)))!;
    expect([n, finished.keys.length, finished.vault.openBlob('p', blob).toString()]).toEqual([n, keyring.keys.length + 1, 'sealed before']);
    expect([n, filesIn(home)]).toEqual([n, [...files, 'metadata', 'metadata/keyring.json']]);
    return steps;
  });
  // Both came about, or nothing was shown.
  expect([...keysSeen].sort()).toEqual([1, 2]);
});

test('turning encryption on, killed at any step, has no keyring or one that opens', async () => {
  const seen = new Set<boolean>();
  await atEveryStep(async (n) => {
    const home = join(top, String(n));
    mkdirSync(home, { mode: 0o700 });
    const steps = await runKilled(home, n, { change: 'enable', passphrase: null, source: file });
    const keyring = await openKeyring(home, {});
    seen.add(keyring !== null);
    await (keyring ? rotate(home, {}) : enableEncryption(home, file));
    expect([n, filesIn(home)]).toEqual([n, ['key', 'metadata', 'metadata/keyring.json']]);
    return steps;
  });
  expect([...seen].sort()).toEqual([false, true]);
});

test('turning it off, killed at any step, is on or off, and reads what was sealed', async () => {
  const original = join(top, 'original');
  const blob = (await enableEncryption(original, horse)).vault.sealBlob('p', Buffer.from('sealed before'));
  const seen = new Set<boolean>();
  await atEveryStep(async (n) => {
    const home = join(top, String(n));
    cpSync(original, home, { recursive: true });
    const steps = await runKilled(home, n, { change: 'disable', passphrase: 'correct horse', source: null });
    const keyring = (await openKeyring(home, by('correct horse')))!;
    seen.add(keyring.isOn);
    expect([n, keyring.vault.openBlob('p', blob).toString()]).toEqual([n, 'sealed before']);
    expect((await disableEncryption(home, by('correct horse'))).isOn).toBe(false);
    return steps;
  });
  expect([...seen].sort()).toEqual([false, true]);
});

test('a rotation that cannot be written leaves the old keyring and its key file', async () => {
  const home = join(top, 'home');
  await enableEncryption(home, file);
  const before = [join(home, 'metadata', 'keyring.json'), join(home, 'key')].map((path) => readFileSync(path, 'hex'));
  // A folder in the way ends the same write that a full disk ends.
  mkdirSync(join(home, 'metadata', 'keyring.json.next', 'inner'), { recursive: true });
  await expect(rotate(home, {}, file)).rejects.toThrow('keyring.json.next');
  expect([join(home, 'metadata', 'keyring.json'), join(home, 'key')].map((path) => readFileSync(path, 'hex'))).toEqual(before);
  expect((await openKeyring(home, {}))?.keys.length).toBe(1);
});
