import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { VaultError } from '../../../../src/daemon/persistence/vault/cipher.ts';
import { isSealedBlob, type Vault, vaultFrom } from '../../../../src/daemon/persistence/vault/vault.ts';

const dist = join(import.meta.dirname, '../../../../dist/daemon/persistence/vault');

const key = (fill: number) => ({ id: Buffer.alloc(8, fill), key: Buffer.alloc(32, fill) });
const vault = vaultFrom({ isOn: true, keys: [key(2), key(1)] });
const other = vaultFrom({ isOn: true, keys: [key(3)] });

const codeOf = (action: () => unknown): string | null => {
  try {
    action();
    return null;
  } catch (error) {
    if (!(error instanceof VaultError)) throw error;
    return error.code;
  }
};

/** As a journal does it. */
function writeFile(by: Vault, purpose: string, text: string) {
  const { keyId, salt, cipher } = by.create(purpose);
  return { keyId, salt, sealed: cipher.seal(0, 0, Buffer.from(text)) };
}

describe('a file', () => {
  test('is read with what it keeps: the id of its key and its salt', () => {
    const { keyId, salt, sealed } = writeFile(vault, 'journal|$1', 'hello');
    expect([keyId.length, salt.length, Buffer.from(keyId).toString('hex')]).toEqual([8, 32, '0202020202020202']);
    expect(vault.open('journal|$1', keyId, salt).open(0, 0, sealed).toString()).toBe('hello');
  });

  test('of an older key is read too, and what is new has the current one', () => {
    const before = vaultFrom({ isOn: true, keys: [key(1)] });
    const { keyId, salt, sealed } = writeFile(before, 'p', 'old');
    expect(vault.open('p', keyId, salt).open(0, 0, sealed).toString()).toBe('old');
  });

  test('of another home says that its key is not here', () => {
    const { keyId, salt } = writeFile(other, 'journal|$1', 'hello');
    expect(codeOf(() => vault.open('journal|$1', keyId, salt))).toBe('no-key');
    expect(() => vault.open('journal|$1', keyId, salt)).toThrow(
      '"journal|$1" was sealed with the key "0303030303030303", which this home does not have.',
    );
    for (const length of [0, 7, 9]) expect(codeOf(() => vault.open('p', Buffer.alloc(length, 2), salt))).toBe('no-key');
  });

  test('begun again after a crash never meets the same key, salt or ciphertext', () => {
    const files = Array.from({ length: 500 }, () => writeFile(vault, 'journal|$1', 'the same first frame'));
    const distinct = (of: (file: (typeof files)[number]) => Uint8Array) =>
      new Set(files.map((file) => Buffer.from(of(file)).toString('hex')));
    expect([distinct(({ salt }) => salt).size, distinct(({ sealed }) => sealed).size]).toEqual([500, 500]);
  });

  test('does not open with the frames of another', () => {
    const [one, two] = [writeFile(vault, 'journal|$1', 'one'), writeFile(vault, 'journal|$1', 'two')];
    expect(codeOf(() => vault.open('journal|$1', one.keyId, one.salt).open(0, 0, two.sealed))).toBe('damaged');
  });
});

describe('a blob', () => {
  test('has a format that does not change', () => {
    // Made by another implementation (Python's cryptography).
    const header = '9361697365730a01a1a2a3a4a5a6a7a86465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182835c04b638';
    const literal = `${header}eb56707946d223f99de1165a9d47ff1e980fc0669fc3bd2a4f1505dad4`;
    const keys = [{ id: Buffer.from('a1a2a3a4a5a6a7a8', 'hex'), key: Uint8Array.from({ length: 32 }, (_, i) => i) }];
    expect(vaultFrom({ isOn: true, keys }).openBlob('state|$3', Buffer.from(literal, 'hex')).toString()).toBe('{"version":1}');
  });

  test('comes back, whatever is in it', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 100 }), fc.uint8Array({ maxLength: 500 }), (purpose, plain) => {
        const sealed = vault.sealBlob(purpose, plain);
        expect([isSealedBlob(sealed), sealed.length]).toEqual([true, plain.length + 68]);
        expect(vault.openBlob(purpose, sealed).equals(plain)).toBe(true);
      }),
    );
  });

  test('is another each time', () => {
    expect(vault.sealBlob('p', Buffer.from('x')).equals(vault.sealBlob('p', Buffer.from('x')))).toBe(false);
  });

  test('does not open with any one bit flipped, or cut anywhere', () => {
    const sealed = vault.sealBlob('state|$3', Buffer.from('{}'));
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const flipped = Buffer.from(sealed);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect([bit, codeOf(() => vault.openBlob('state|$3', flipped))]).toEqual([bit, 'damaged']);
    }
    for (let length = 0; length < sealed.length; length++)
      expect(codeOf(() => vault.openBlob('state|$3', sealed.subarray(0, length)))).toBe('damaged');
    expect(codeOf(() => vault.openBlob('state|$3', Buffer.concat([sealed, Buffer.from('x')])))).toBe('damaged');
  });

  test('does not open for another session, or in another home', () => {
    expect(codeOf(() => vault.openBlob('state|$4', vault.sealBlob('state|$3', Buffer.from('{}'))))).toBe('damaged');
    expect(codeOf(() => vault.openBlob('state|$3', other.sealBlob('state|$3', Buffer.from('{}'))))).toBe('no-key');
  });

  test('cannot be put together from the first frame of a file with the same purpose', () => {
    const { keyId, salt, sealed } = writeFile(vault, 'state|$3', 'of a file');
    const head = Buffer.concat([Buffer.from('\x93aises\n\x01', 'latin1'), keyId, salt]);
    const forged = Buffer.concat([head, createHash('sha256').update(head).digest().subarray(0, 4), sealed]);
    expect(isSealedBlob(forged)).toBe(true);
    expect(codeOf(() => vault.openBlob('state|$3', forged))).toBe('damaged');
  });

  test('of a newer version says so', () => {
    const head = Buffer.concat([Buffer.from('\x93aises\n\x02', 'latin1'), Buffer.alloc(40)]);
    const newer = Buffer.concat([head, createHash('sha256').update(head).digest().subarray(0, 4), Buffer.alloc(16)]);
    expect([isSealedBlob(newer), codeOf(() => vault.openBlob('p', newer))]).toEqual([true, 'newer']);
  });

  test.each(['', '{"version":1}', '\x1b[H\x1b[2J', '(\xb5/\xfd', '\x93', '\x93aises'])('is told from %j', (text) => {
    expect(isSealedBlob(Buffer.from(text, 'latin1'))).toBe(false);
    expect(codeOf(() => vault.openBlob('p', Buffer.from(text, 'latin1')))).toBe('damaged');
  });
});

describe('turned off', () => {
  const off = vaultFrom({ isOn: false, keys: vault.secrets().keys });

  test('it reads what was sealed', () => {
    const { keyId, salt, sealed } = writeFile(vault, 'p', 'before');
    expect(off.open('p', keyId, salt).open(0, 0, sealed).toString()).toBe('before');
    expect(off.openBlob('p', vault.sealBlob('p', Buffer.from('before'))).toString()).toBe('before');
  });

  test('and seals nothing', () => {
    expect([off.isOn, codeOf(() => off.create('p')), codeOf(() => off.sealBlob('p', Buffer.from('x')))]).toEqual([false, 'off', 'off']);
  });
});

describe('secrets', () => {
  test('go to a worker thread, whose vault is the same', async () => {
    const program = `
      const { parentPort, workerData } = require('node:worker_threads');
      import(workerData.module).then(({ vaultFrom }) => {
        const vault = vaultFrom(workerData.secrets);
        const { keyId, salt, cipher } = vault.create('journal|$1');
        const sealed = cipher.seal(0, 0, Buffer.from('from a worker'));
        parentPort.postMessage({ keyId, salt, sealed, opened: vault.openBlob('p', workerData.blob) });
      });`;
    const workerData = { module: join(dist, 'vault.js'), secrets: vault.secrets(), blob: vault.sealBlob('p', Buffer.from('to a worker')) };
    const worker = new Worker(program, { eval: true, workerData });
    const answer = await new Promise<Record<'keyId' | 'salt' | 'sealed' | 'opened', Uint8Array>>((resolve, reject) => {
      worker.once('message', resolve).once('error', reject);
    });
    await worker.terminate();
    expect(Buffer.from(answer.opened).toString()).toBe('to a worker');
    expect(vault.open('journal|$1', answer.keyId, answer.salt).open(0, 0, answer.sealed).toString()).toBe('from a worker');
  });

  test('are the keys and nothing that lay beside them in memory', () => {
    for (const { id, key } of vault.secrets().keys) expect([id.buffer.byteLength, key.buffer.byteLength]).toEqual([8, 32]);
  });

  test('are copies, both ways', () => {
    const mine = { id: randomBytes(8), key: randomBytes(32) };
    const made = vaultFrom({ isOn: true, keys: [mine] });
    const sealed = made.sealBlob('p', Buffer.from('x'));
    mine.key.fill(0);
    made.secrets().keys[0]!.key.fill(0);
    expect(made.openBlob('p', sealed).toString()).toBe('x');
  });

  test.each<[string, { id: Uint8Array; key: Uint8Array }[]]>([
    ['no keys', []],
    ['a short key', [{ id: Buffer.alloc(8), key: Buffer.alloc(31) }]],
    ['a short id', [{ id: Buffer.alloc(7), key: Buffer.alloc(32) }]],
  ])('that are %s make no vault', (_, keys) => {
    expect(() => vaultFrom({ isOn: true, keys })).toThrow('at least one key');
  });
});
