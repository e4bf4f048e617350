import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { VaultError } from '../../../../src/daemon/persistence/vault/cipher.ts';
import {
  describeKeyring,
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
  vi.useRealTimers();
  rmSync(top, { recursive: true, force: true });
});

/** Scrypt at the least cost there is: the real one takes a fifth of a second each time. */
const passphrase = (text: string): KeySource => ({ kind: 'passphrase', passphrase: text, cost: 2 });
const by = (text: string): Unlock => ({ passphrase: () => text });
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
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

test('a home without a keyring has no encryption, and looking makes nothing', async () => {
  expect([await openKeyring(home, {}), describeKeyring(home), inHome()]).toEqual([null, null, []]);
  expect(await codeOf(() => rotate(home, {}))).toBe('off');
  expect(await codeOf(() => disableEncryption(home, {}))).toBe('off');
  await forgetKeys(home);
});

describe.each<[string, KeySource, Unlock, string[]]>([
  ['a passphrase', passphrase('correct hörse'), by('correct hörse'), []],
  ['a key file', { kind: 'key-file' }, {}, ['key']],
])('with %s', (_, source, unlock, files) => {
  const atRest = [...files, 'metadata', 'metadata/keyring.json'];

  test('what was sealed is read by the next daemon', async () => {
    const { vault, isOn } = await enableEncryption(home, source);
    const blob = vault.sealBlob('state|$1', Buffer.from('secret'));
    const again = await openKeyring(home, unlock);
    expect([isOn, again?.isOn, again?.vault.openBlob('state|$1', blob).toString()]).toEqual([true, true, 'secret']);
    expect([inHome(), mode(keyring), mode(join(home, 'metadata'))]).toEqual([atRest, '600', '700']);
    for (const file of files) expect([mode(join(home, file)), readFileSync(join(home, file)).length]).toEqual(['600', 32]);
    expect(describeKeyring(home)).toEqual({ isOn: true, source: source.kind, keyFile: files.length ? keyFile : null, keys: again?.keys });
  });

  test('a rotation makes a new current key and keeps the old for reading', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 1000 });
    const first = await enableEncryption(home, source);
    const blob = first.vault.sealBlob('p', Buffer.from('old'));
    vi.setSystemTime(2000);
    const second = await rotate(home, unlock);
    vi.setSystemTime(3000);
    const third = await rotate(home, unlock);
    expect(third.keys.map(({ createdAt, retiredAt }) => [createdAt, retiredAt])).toEqual([
      [3000, null],
      [2000, 3000],
      [1000, 2000],
    ]);
    expect(Buffer.from(third.vault.create('p').keyId).toString('hex')).toBe(third.keys[0]!.id);
    const opened = await openKeyring(home, unlock);
    expect(opened?.keys).toEqual(third.keys);
    for (const { vault } of [second, third, opened!]) expect(vault.openBlob('p', blob).toString()).toBe('old');
    expect(inHome()).toEqual(atRest);
  });

  test('turned off, the keys stay for reading until they are forgotten; turned on again, too', async () => {
    const { vault } = await enableEncryption(home, source);
    const blob = vault.sealBlob('p', Buffer.from('old'));
    expect(await codeOf(() => enableEncryption(home, source))).toBe('exists');
    expect(await codeOf(() => forgetKeys(home))).toBe('exists');
    const off = await disableEncryption(home, unlock);
    expect([off.isOn, await codeOf(() => off.vault.create('p')), off.vault.openBlob('p', blob).toString()]).toEqual([false, 'off', 'old']);
    expect(await codeOf(() => rotate(home, unlock))).toBe('off');
    expect((await openKeyring(home, unlock))?.vault.isOn).toBe(false);

    const on = await enableEncryption(home, source);
    expect([on.isOn, on.keys.length, on.vault.openBlob('p', blob).toString()]).toEqual([true, 2, 'old']);
    await disableEncryption(home, unlock);
    await forgetKeys(home);
    expect([inHome(), await openKeyring(home, unlock)]).toEqual([['metadata'], null]);
  });

  test("a home's keys open nothing of another home", async () => {
    const { vault } = await enableEncryption(home, source);
    const elsewhere = await enableEncryption(join(top, 'other'), source);
    const blob = elsewhere.vault.sealBlob('p', Buffer.from('x'));
    expect(await codeOf(() => vault.openBlob('p', blob))).toBe('no-key');
  });
});

describe('a passphrase', () => {
  test('that is wrong is said, and nothing is written', async () => {
    await enableEncryption(home, passphrase('correct horse'));
    const before = readFileSync(keyring);
    const sentence =
      'This is not the passphrase of the keyring. Nothing was changed; without the right one, what was sealed cannot be read.';
    for (const wrong of ['Correct horse', 'correct horse ', '', 'x'])
      for (const action of [openKeyring, rotate, disableEncryption])
        expect(await refusal(() => action(home, by(wrong)))).toEqual(['wrong-key', sentence]);
    expect([readFileSync(keyring).equals(before), inHome()]).toEqual([true, ['metadata', 'metadata/keyring.json']]);
  });

  test('that nobody gives is asked for, and may take its time', async () => {
    await enableEncryption(home, passphrase('correct horse'));
    expect(await refusal(() => openKeyring(home, {}))).toEqual(['unavailable', 'The keys are locked by a passphrase, and none was given.']);
    expect((await openKeyring(home, { passphrase: async () => 'correct horse' }))?.isOn).toBe(true);
  });

  test('is the same however its letters are put together', async () => {
    await enableEncryption(home, passphrase('cafe\u0301 ole\u0301'));
    expect((await openKeyring(home, by('caf\u00e9 ol\u00e9')))?.isOn).toBe(true);
  });

  test.each(['', '1234567', '👩‍💻', 'e\u0301'.repeat(7)])('has eight characters at least: %j', async (text) => {
    expect(await refusal(() => enableEncryption(home, passphrase(text)))).toEqual([
      'unusable',
      'A passphrase has at least 8 characters. Choose a longer one.',
    ]);
    expect(existsSync(keyring)).toBe(false);
  });

  test('is stretched at full cost when no test asks for less', async () => {
    await enableEncryption(home, { kind: 'passphrase', passphrase: 'correct horse' });
    expect(JSON.parse(readFileSync(keyring, 'utf8')).source).toMatchObject({ kind: 'passphrase', N: 32768, r: 8, p: 1 });
  });

  test('and what it locks are nowhere in the keyring', async () => {
    const { vault } = await enableEncryption(home, passphrase('correct horse'));
    const text = readFileSync(keyring, 'latin1');
    const [key] = vault.secrets().keys.map(({ key }) => Buffer.from(key));
    for (const secret of ['correct horse', key!.toString('base64'), key!.toString('hex'), key!.toString('latin1')])
      expect(text.includes(secret)).toBe(false);
  });

  test('that was changed no longer opens', async () => {
    const { vault } = await enableEncryption(home, passphrase('correct horse'));
    const blob = vault.sealBlob('p', Buffer.from('old'));
    await rotate(home, by('correct horse'), passphrase('battery staple'));
    expect(await codeOf(() => openKeyring(home, by('correct horse')))).toBe('wrong-key');
    expect((await openKeyring(home, by('battery staple')))?.vault.openBlob('p', blob).toString()).toBe('old');
  });

  test('that is changed while it is asked for is asked for again', async () => {
    await enableEncryption(home, passphrase('correct horse'));
    let asked = 0;
    const opened = await openKeyring(home, {
      async passphrase() {
        if (++asked === 1) await rotate(home, by('correct horse'), passphrase('battery staple'));
        return 'battery staple';
      },
    });
    expect([asked, opened?.keys.length]).toEqual([2, 2]);
  });
});

describe('a key file', () => {
  const source: KeySource = { kind: 'key-file' };

  test.each([0o644, 0o640, 0o604, 0o601, 0o620])('that others may touch (%o) is refused', async (bits) => {
    await enableEncryption(home, source);
    chmodSync(keyFile, bits);
    expect(await refusal(() => openKeyring(home, {}))).toEqual([
      'unsafe',
      `The key file "/home/key" is open to others (mode ${bits.toString(8)}). Fix it with: chmod 600 "/home/key"`,
    ]);
  });

  test('that is a symbolic link is refused, to open and to begin with', async () => {
    await enableEncryption(home, source);
    renameSync(keyFile, join(top, 'elsewhere'));
    symlinkSync(join(top, 'elsewhere'), keyFile);
    const refused = ['unsafe', 'The key file "/home/key" is a symbolic link, which somebody else may control. Put the file itself there.'];
    expect(await refusal(() => openKeyring(home, {}))).toEqual(refused);
    rmSync(keyring);
    expect(await refusal(() => enableEncryption(home, source))).toEqual(refused);
    expect(existsSync(keyring)).toBe(false);
  });

  // Only root can give a file away.
  test.runIf(process.geteuid?.() === 0)('that belongs to somebody else is refused, and so is their home', async () => {
    await enableEncryption(home, source);
    chownSync(keyFile, 12345, 12345);
    expect(await refusal(() => openKeyring(home, {}))).toEqual([
      'unsafe',
      'The key file "/home/key" belongs to user 12345, not to you (0). If you trust it, fix it with: chown 0 "/home/key"',
    ]);
    chownSync(keyring, 12345, 12345);
    expect((await refusal(() => openKeyring(home, {})))?.[1]).toContain('The keyring "/home/metadata/keyring.json" belongs to user 12345');
  });

  test('that is a folder, too short or too large is refused', async () => {
    mkdirSync(keyFile);
    expect(await codeOf(() => enableEncryption(home, source))).toBe('unsafe');
    rmSync(keyFile, { recursive: true });
    writeFileSync(keyFile, 'x'.repeat(31), { mode: 0o600 });
    expect(await refusal(() => enableEncryption(home, source))).toEqual([
      'unusable',
      'The key file "/home/key" has 31 bytes; a key has at least 32 random ones.',
    ]);
    writeFileSync(keyFile, Buffer.alloc((1 << 20) + 1));
    expect(await codeOf(() => enableEncryption(home, source))).toBe('unusable');
  });

  test('that is not there is said, and never made again', async () => {
    await enableEncryption(home, source);
    rmSync(keyFile);
    for (const action of [openKeyring, rotate, disableEncryption])
      expect(await refusal(() => action(home, {}))).toEqual([
        'unavailable',
        'The key file "/home/key" is not there. Put it back, or say where it is.',
      ]);
    expect(existsSync(keyFile)).toBe(false);
  });

  test('with any one bit flipped is the wrong one', async () => {
    await enableEncryption(home, source);
    const whole = readFileSync(keyFile);
    for (let at = 0; at < whole.length; at++) {
      const flipped = Buffer.from(whole);
      flipped[at]! ^= 1 << (at % 8);
      writeFileSync(keyFile, flipped);
      expect((await refusal(() => openKeyring(home, {})))?.join(': ')).toContain(
        'wrong-key: "/home/key" is not the key file of this home.',
      );
    }
  });

  test('of another home does not open this one', async () => {
    await enableEncryption(home, source);
    await enableEncryption(join(top, 'other'), source);
    cpSync(join(top, 'other', 'key'), keyFile);
    expect(await codeOf(() => openKeyring(home, {}))).toBe('wrong-key');
  });

  test('moves with its home', async () => {
    await enableEncryption(home, source);
    renameSync(home, join(top, 'moved'));
    expect((await openKeyring(join(top, 'moved'), {}))?.keyFile).toBe(join(top, 'moved', 'key'));
  });

  test('may lie elsewhere, and be found elsewhere again', async () => {
    const path = join(top, 'stick.key');
    expect((await enableEncryption(home, { kind: 'key-file', path })).keyFile).toBe(path);
    expect([mode(path), existsSync(keyFile)]).toEqual(['600', false]);
    renameSync(path, join(top, 'other.key'));
    expect(await codeOf(() => openKeyring(home, {}))).toBe('unavailable');
    expect((await openKeyring(home, { keyFile: join(top, 'other.key') }))?.isOn).toBe(true);
  });

  test("that is the person's own is used as it is, and never removed", async () => {
    const path = join(top, 'mine');
    writeFileSync(path, 'forty random bytes that a person chose..', { mode: 0o600 });
    await enableEncryption(home, { kind: 'key-file', path });
    await rotate(home, {}, source);
    expect([readFileSync(path, 'utf8'), (await openKeyring(home, {}))?.keyFile]).toEqual([
      'forty random bytes that a person chose..',
      keyFile,
    ]);
  });

  test.each<[string, string]>([
    ['key', 'The key file\'s path "key" does not begin with "/". Give the whole path.'],
    [
      'HOME/metadata/keyring.json',
      'The key file "/home/metadata/keyring.json" would lie beside what it locks. Choose a place outside "/home/metadata".',
    ],
    [
      'HOME/x/../metadata/key',
      'The key file "/home/metadata/key" would lie beside what it locks. Choose a place outside "/home/metadata".',
    ],
  ])('does not lie at %s', async (path, sentence) => {
    expect(await refusal(() => enableEncryption(home, { kind: 'key-file', path: path.replace('HOME', home) }))).toEqual([
      'unusable',
      sentence,
    ]);
  });

  test('in a folder that is not there is an error, and no keyring is made', async () => {
    expect(await codeOf(() => enableEncryption(home, { kind: 'key-file', path: join(top, 'missing', 'key') }))).toBe('unusable');
    expect(inHome()).toEqual(['metadata']);
  });

  test('is replaced by a new one at its place, and the old one opens nothing', async () => {
    await enableEncryption(home, source);
    const old = readFileSync(keyFile);
    await rotate(home, {}, source);
    expect([readFileSync(keyFile).equals(old), inHome()]).toEqual([false, ['key', 'metadata', 'metadata/keyring.json']]);
    expect((await openKeyring(home, {}))?.keys.length).toBe(2);
    writeFileSync(keyFile, old);
    expect(await codeOf(() => openKeyring(home, {}))).toBe('wrong-key');
  });

  test('goes when a passphrase takes its place, and comes when it takes that of one', async () => {
    await enableEncryption(home, source);
    await rotate(home, {}, passphrase('correct horse'));
    expect([inHome(), await codeOf(() => openKeyring(home, {}))]).toEqual([['metadata', 'metadata/keyring.json'], 'unavailable']);
    await rotate(home, by('correct horse'), source);
    expect([inHome(), (await openKeyring(home, {}))?.keys.length]).toEqual([['key', 'metadata', 'metadata/keyring.json'], 3]);
  });

  test('that was made elsewhere goes too', async () => {
    await enableEncryption(home, { kind: 'key-file', path: join(top, 'a') });
    await rotate(home, {}, { kind: 'key-file', path: join(top, 'b') });
    expect(readdirSync(top).sort()).toEqual(['b', 'home']);
    expect((await openKeyring(home, {}))?.keyFile).toBe(join(top, 'b'));
  });

  test.each<[string, () => void, string]>([
    ['over a link to its folder', () => symlinkSync(home, join(top, 'link')), 'link/key'],
    ['by a second name of it', () => linkSync(keyFile, join(top, 'second')), 'second'],
  ])('named %s is not removed as the old one', async (_, prepare, name) => {
    await enableEncryption(home, source);
    prepare();
    const path = join(top, name);
    await rotate(home, {}, { kind: 'key-file', path });
    expect((await openKeyring(home, {}))?.keyFile).toBe(path);
    await rotate(home, {}, { kind: 'key-file', path });
    expect((await openKeyring(home, {}))?.keys.length).toBe(3);
  });
});

describe('two changes at once', () => {
  test('are one, and a sentence for the other', async () => {
    await enableEncryption(home, { kind: 'key-file' });
    const results = await Promise.allSettled([rotate(home, {}), rotate(home, {}), disableEncryption(home, {})]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    const remedy = 'Try again in a moment; if there is no such process, remove "/home/metadata/keyring.lock".';
    const refused = (results[1] as PromiseRejectedResult).reason.message.replaceAll(top, '');
    expect(refused).toBe(`Process ${process.pid} is changing the keys. ${remedy}`);
    expect([(await openKeyring(home, {}))?.keys.length, inHome()]).toEqual([2, ['key', 'metadata', 'metadata/keyring.json']]);
  });

  test.each(['4194305-of a process that is gone', 'nonsense'])('a lock that is stale is taken over: %s', async (target) => {
    await enableEncryption(home, { kind: 'key-file' });
    symlinkSync(target, join(home, 'metadata', 'keyring.lock'));
    await rotate(home, {});
    expect(inHome()).toEqual(['key', 'metadata', 'metadata/keyring.json']);
  });

  test('a change whose lock was taken away writes nothing', async () => {
    await enableEncryption(home, passphrase('correct horse'));
    const before = readFileSync(keyring);
    const lock = join(home, 'metadata', 'keyring.lock');
    const change = rotate(home, {
      passphrase() {
        rmSync(lock);
        symlinkSync('1-somebody', lock);
        return 'correct horse';
      },
    });
    expect(await codeOf(() => change)).toBe('busy');
    expect(readFileSync(keyring).equals(before)).toBe(true);
  });
});
