import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { derive, readingCipher, VaultError, writingCipher } from '../../../../src/daemon/persistence/vault/cipher.ts';

const master = Uint8Array.from({ length: 32 }, (_, i) => i);
const salt = Uint8Array.from({ length: 32 }, (_, i) => 100 + i);
const purpose = 'journal|$3|%7|tail';

const damaged = (open: () => unknown): boolean => {
  try {
    open();
    return false;
  } catch (error) {
    return error instanceof VaultError && error.code === 'damaged';
  }
};

// Made by another implementation (Python's cryptography): what is on disk must open for ever, so these never change.
describe('the format', () => {
  test('the key of a file', () => {
    expect(derive(master, salt, purpose).toString('hex')).toBe('dbaf7fb1b818a85eb49c857cf6d1ea9f27b7d0c1593bfbb0475168f7a1013e25');
  });

  test.each<[number, number, string, string]>([
    [0, 0, 'hello', '217adf8a1be8ee71e75944102e75f7344dd44aac57'],
    [2 ** 40 + 5, 2 ** 45 + 7, 'häh\n', '345f7af5dffd38c699402ece039f51f7206aa5765b'],
  ])('frame %d at %d', (frame, offset, plain, sealed) => {
    expect(writingCipher(master, salt, purpose).seal(frame, offset, Buffer.from(plain)).toString('hex')).toBe(sealed);
    expect(readingCipher(master, salt, purpose).open(frame, offset, Buffer.from(sealed, 'hex')).toString()).toBe(plain);
  });
});

const count = fc.oneof(fc.nat(), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));

test('every frame comes back, in any order, 16 bytes longer while it is sealed', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.string({ maxLength: 200 }),
      fc.uniqueArray(fc.record({ frame: count, offset: count, plain: fc.uint8Array({ maxLength: 300 }) }), {
        selector: ({ frame }) => frame,
      }),
      (key, label, frames) => {
        const [writer, reader] = [writingCipher(key, salt, label), readingCipher(key, salt, label)];
        const sealed = frames
          .sort((a, b) => a.frame - b.frame)
          .map(({ frame, offset, plain }) => ({ frame, offset, plain, bytes: writer.seal(frame, offset, plain) }));
        for (const { frame, offset, plain, bytes } of sealed.reverse()) {
          expect(bytes.length).toBe(plain.length + reader.overhead);
          expect(reader.open(frame, offset, bytes).equals(plain)).toBe(true);
        }
      },
    ),
  );
});

test('a frame of 1 MiB, and a view into something larger', () => {
  const large = Buffer.alloc(1 << 20, 'abcdefg');
  const cipher = writingCipher(master, salt, purpose);
  const sealed = cipher.seal(1, 0, large.subarray(3));
  const around = Buffer.concat([Buffer.from('before'), sealed, Buffer.from('after')]);
  expect(cipher.open(1, 0, around.subarray(6, 6 + sealed.length)).equals(large.subarray(3))).toBe(true);
});

describe('does not open:', () => {
  const sealed = writingCipher(master, salt, purpose).seal(5, 70, Buffer.from('git push --force'));
  const reader = readingCipher(master, salt, purpose);

  test('a frame with any one bit flipped', () => {
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const flipped = Buffer.from(sealed);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(
        damaged(() => reader.open(5, 70, flipped)),
        `bit ${bit}`,
      ).toBe(true);
    }
    expect(reader.open(5, 70, sealed).toString()).toBe('git push --force');
  });

  test('a frame that was cut anywhere, or has more behind it', () => {
    for (let length = 0; length < sealed.length; length++) expect(damaged(() => reader.open(5, 70, sealed.subarray(0, length)))).toBe(true);
    expect(damaged(() => reader.open(5, 70, Buffer.concat([sealed, Buffer.alloc(1)])))).toBe(true);
  });

  test.each<[string, number, number]>([
    ['at another number', 6, 70],
    ['at the number before', 4, 70],
    ['at another offset', 5, 71],
    ['with number and offset swapped', 70, 5],
    ['at a number that is none', Number.NaN, 70],
    ['at a number below 0', -1, 70],
    ['at an offset beyond what is exact', 5, 2 ** 53],
  ])('a frame replayed %s', (_, frame, offset) => {
    expect(damaged(() => reader.open(frame, offset, sealed))).toBe(true);
  });

  test.each<[string, string]>([
    ['another session', 'journal|$4|%7|tail'],
    ['another pane', 'journal|$3|%8|tail'],
    ['another kind of file', 'journal|$3|%7|segment'],
    ['a purpose that is longer', 'journal|$3|%7|tail2'],
  ])("a frame in %s's file", (_, other) => {
    expect(damaged(() => readingCipher(master, salt, other).open(5, 70, sealed))).toBe(true);
  });

  test('a frame of another file of the same purpose: its salt is another', () => {
    const other = Uint8Array.from(salt);
    other[31]! ^= 1;
    expect(damaged(() => readingCipher(master, other, purpose).open(5, 70, sealed))).toBe(true);
  });

  test('a frame under another key', () => {
    const other = Uint8Array.from(master);
    other[0]! ^= 128;
    expect(damaged(() => readingCipher(other, salt, purpose).open(5, 70, sealed))).toBe(true);
  });

  test('two frames that changed places', () => {
    const writer = writingCipher(master, salt, purpose);
    const [first, second] = [writer.seal(0, 0, Buffer.from('one')), writer.seal(1, 3, Buffer.from('two'))];
    expect(damaged(() => reader.open(0, 0, second))).toBe(true);
    expect(damaged(() => reader.open(1, 3, first))).toBe(true);
  });

  test('and the sentence says which frame and whose, and nothing secret', () => {
    expect(() => reader.open(9, 70, sealed)).toThrow(
      'Frame 9 of "journal|$3|%7|tail" cannot be opened: it was changed or cut, or belongs elsewhere.',
    );
  });
});

describe('a nonce is used once:', () => {
  const plain = Buffer.from('x');

  test.each<[number, number]>([
    [3, 3],
    [3, 2],
    [3, 0],
    [0, 0],
    [Number.MAX_SAFE_INTEGER, 7],
  ])('after frame %d, frame %d is refused and nothing comes of it', (first, second) => {
    const cipher = writingCipher(master, salt, purpose);
    cipher.seal(first, 0, plain);
    expect(() => cipher.seal(second, 1, plain)).toThrow(`Frame ${second} of "${purpose}" was passed`);
  });

  test('numbers may have holes', () => {
    const cipher = writingCipher(master, salt, purpose);
    for (const frame of [0, 1, 7, 2 ** 50]) expect(cipher.seal(frame, 0, plain).length).toBe(17);
  });

  test.each([-1, 0.5, Number.NaN, 2 ** 53])('%d is no number of a frame, nor an offset', (value) => {
    const cipher = writingCipher(master, salt, purpose);
    expect(() => cipher.seal(value, 0, plain)).toThrow(RangeError);
    expect(() => cipher.seal(0, value, plain)).toThrow(RangeError);
    // What was refused has used nothing up.
    expect(cipher.seal(0, 0, plain).length).toBe(17);
  });

  test('a file that was opened is only read', () => {
    expect(() => readingCipher(master, salt, purpose).seal(9, 0, plain)).toThrow('was opened to be read');
  });
});
