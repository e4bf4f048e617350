import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PrefixReader } from '../../src/cli/attach/prefix.ts';

/** What comes of reading these chunks: the text that is passed on, and every detach in its place. */
function read(chunks: readonly string[], prefix = 'C-b'): string {
  const reader = new PrefixReader(prefix);
  return [...chunks.flatMap((chunk) => reader.read(Buffer.from(chunk, 'latin1'))), ...reader.flush()]
    .map((input) => (input.is === 'detach' ? '<detach>' : Buffer.from(input.bytes).toString('latin1')))
    .join('');
}

const everyCut = (text: string): string[][] => Array.from({ length: text.length - 1 }, (_, i) => [text.slice(0, i + 1), text.slice(i + 1)]);

describe('the prefix key', () => {
  test.each<[prefix: string, bytes: string]>([
    ['C-b', '\x02'],
    ['C-a', '\x01'],
    ['C-z', '\x1a'],
    ['C-Space', '\0'],
    ['C-\\', '\x1c'],
    ['C-]', '\x1d'],
    ['C-^', '\x1e'],
    ['C-_', '\x1f'],
  ])('%s, then d, detaches', (prefix, bytes) => {
    expect(read([`x${bytes}d`], prefix)).toBe('x<detach>');
    expect(read(['x', bytes, 'd'], prefix)).toBe('x<detach>');
  });

  test('twice sends it once', () => {
    expect(read(['\x02\x02'])).toBe('\x02');
    expect(read(['\x02', '\x02'])).toBe('\x02');
    expect(read(['\x02\x02d'])).toBe('\x02d');
    expect(read(['\x02\x02\x02d'])).toBe('\x02<detach>');
  });

  test.each(['x', 'D', '\r', '\x04', '\x1b[A', '\x1bOP', '\x1b[5~', '\x1b[1;5C', '\x1b[100;5u', '\x1b[100;133u', '\x1b[1000u'])(
    'and any other key (%j) sends neither',
    (key) => {
      expect(read([`a\x02${key}b`])).toBe('ab');
      expect(read(['a\x02', key, 'b\x02d'])).toBe('ab<detach>');
    },
  );

  test('what comes after a detach in the same chunk is still told, in order', () => {
    expect(read(['a\x02db\x02dc'])).toBe('a<detach>b<detach>c');
  });

  test('"none" is no key at all', () => {
    expect(read(['\x02d\x1b[98;5ud\0d'], 'none')).toBe('\x02d\x1b[98;5ud\0d');
  });

  test('another prefix leaves C-b to the program', () => {
    expect(read(['\x02d\x01d'], 'C-a')).toBe('\x02d<detach>');
  });
});

describe('a sequence that the line has cut in two', () => {
  test.each(['\x1b[98;5u', '\x1b[27;5;98~'])('is the prefix all the same: %j', (prefix) => {
    // From the second byte on: a lone ESC is the Escape key, and goes at once.
    for (const chunks of everyCut(`${prefix}d`).slice(1)) expect(read(chunks)).toBe('<detach>');
  });

  test('begins a paste all the same', () => {
    for (const chunks of everyCut('\x1b[200~').slice(1)) expect(read([...chunks, '\x02d\x1b[201~'])).toBe('\x1b[200~\x02d\x1b[201~');
  });

  test('is not waited for without end: what was held goes when it is asked for', () => {
    const reader = new PrefixReader('C-b');
    expect(reader.read(Buffer.from('a\x1b['))).toEqual([{ is: 'bytes', bytes: Buffer.from('a') }]);
    expect(reader.isHolding).toBe(true);
    expect(reader.flush()).toEqual([{ is: 'bytes', bytes: Buffer.from('\x1b[') }]);
    expect(reader.isHolding).toBe(false);
    expect(reader.read(Buffer.from('\x1b'))).toEqual([{ is: 'bytes', bytes: Buffer.from('\x1b') }]);
  });
});

describe('the prefix is known in every form a terminal has for it:', () => {
  test.each<[form: string, bytes: string]>([
    ['plain', '\x02'],
    ['kitty', '\x1b[98;5u'],
    ['kitty, with the event type of a press', '\x1b[98;5:1u'],
    ['kitty, with the event type of a repeat', '\x1b[98;5:2u'],
    ['kitty, with the shifted and the base key', '\x1b[98:66:98;5u'],
    ['kitty, with an empty shifted key', '\x1b[98::98;5u'],
    ['kitty, with text', '\x1b[98;5;98u'],
    ['kitty, with caps lock on', '\x1b[98;69u'],
    ['kitty, with num lock on', '\x1b[98;133u'],
    ['kitty, with both on', '\x1b[98;197u'],
    ['xterm', '\x1b[27;5;98~'],
  ])('%s', (_, bytes) => {
    expect(read([`${bytes}d`])).toBe('<detach>');
    expect(read([bytes, 'd'])).toBe('<detach>');
    expect(read([`${bytes}${bytes}`])).toBe(bytes);
  });

  test.each<[key: string, bytes: string]>([
    ['b alone', 'b'],
    ['Shift-b in kitty', '\x1b[98;2u'],
    ['Alt-b in kitty', '\x1b[98;3u'],
    ['Ctrl-Alt-b in kitty', '\x1b[98;7u'],
    ['Ctrl-Shift-b in kitty', '\x1b[98;6u'],
    ['Ctrl-c in kitty', '\x1b[99;5u'],
    ['a key whose code begins with its code', '\x1b[980;5u'],
    ['b with caps lock only', '\x1b[98;65u'],
    ['Ctrl-Alt-b in xterm', '\x1b[27;7;98~'],
    ['an arrow with Ctrl', '\x1b[1;5B'],
  ])('%s is another key', (_, bytes) => {
    expect(read([`${bytes}d`])).toBe(`${bytes}d`);
  });

  test.each<[form: string, bytes: string]>([
    ['plain', 'd'],
    ['kitty', '\x1b[100u'],
    ['kitty, with modifiers', '\x1b[100;1u'],
    ['kitty, with the event type', '\x1b[100;1:1u'],
    ['kitty, with num lock on', '\x1b[100;129u'],
    ['kitty, with caps lock on', '\x1b[100;65u'],
    ['kitty, with text', '\x1b[100;;100u'],
    ['kitty, with modifiers and text', '\x1b[100;1:1;100u'],
    ['kitty, with the shifted key', '\x1b[100:68;1u'],
  ])('and so is d: %s', (_, bytes) => {
    expect(read([`\x1b[98;5u${bytes}`])).toBe('<detach>');
  });
});

describe('keys going up, where the program asked to be told:', () => {
  test('the prefix going up is neither a key nor passed on while it waits', () => {
    expect(read(['\x1b[98;5u\x1b[98;5:3ud'])).toBe('<detach>');
    expect(read(['\x1b[98;5:1u', '\x1b[98;5:3u', '\x1b[100;1:1u'])).toBe('<detach>');
  });

  test('Ctrl going up between prefix and d does not disarm it', () => {
    expect(read(['\x1b[98;5u\x1b[98;5:3u\x1b[57442;5:3ud'])).toBe('\x1b[57442;5:3u<detach>');
  });

  test('the prefix going up alone arms nothing', () => {
    expect(read(['\x1b[98;5:3ud'])).toBe('d');
  });
});

describe('a paste is never searched', () => {
  const paste = '\x1b[200~rm\x02d\x1b[98;5ud\x1b[201~';

  test('whole', () => {
    expect(read([paste])).toBe(paste);
  });

  test('wherever it is cut in two, and the prefix works again after it', () => {
    for (const chunks of everyCut(`${paste}x`)) {
      // The start mark is a key sequence, which terminals write at once.
      if (chunks[0]!.length < '\x1b[200~'.length) continue;
      expect({ chunks, gives: read([...chunks, '\x02d']) }).toEqual({ chunks, gives: `${paste}x<detach>` });
    }
  });

  test('byte by byte after its start', () => {
    expect(read(['\x1b[200~', ...paste.slice(6), '\x02', 'd'])).toBe(`${paste}<detach>`);
  });

  test('with what looks like the beginning of its end', () => {
    const tricky = '\x1b[200~\x1b[201\x02d\x1b[20\x1b\x1b[2\x02d\x1b[201~';
    for (const chunks of everyCut(tricky).filter(([first]) => first!.length >= 6))
      expect(read([...chunks, '\x02d'])).toBe(`${tricky}<detach>`);
  });

  test('twice in one chunk, with a detach between', () => {
    expect(read(['\x1b[200~\x02d\x1b[201~\x02d\x1b[200~\x02d\x1b[201~'])).toBe('\x1b[200~\x02d\x1b[201~<detach>\x1b[200~\x02d\x1b[201~');
  });

  test('and when it comes right after the prefix it is text still', () => {
    expect(read(['\x02\x1b[200~d\x1b[201~'])).toContain('\x1b[200~d\x1b[201~');
  });
});

describe('what a terminal sends by itself between prefix and d does not disarm it:', () => {
  test.each<[string, string]>([
    ['a mouse report', '\x1b[<35;10;20M'],
    ['a mouse report of the old kind', '\x1b[M !!'],
    ['focus gained', '\x1b[I'],
    ['focus lost', '\x1b[O'],
    ['an answer about modes', '\x1b[?2026;2$y'],
    ['primary attributes', '\x1b[?62c'],
    ['secondary attributes', '\x1b[>41;354;0c'],
    ['a colour', '\x1b]11;rgb:0/0/0\x1b\\'],
    ['a colour, ended by BEL', '\x1b]11;rgb:0/0/0\x07'],
    ['the version', '\x1bP>|x\x1b\\'],
    ['a graphics answer', '\x1b_Gi=1;OK\x1b\\'],
  ])('%s', (_, report) => {
    expect(read([`\x02${report}d`])).toBe(`${report}<detach>`);
    expect(read(['\x02', report, 'd'])).toBe(`${report}<detach>`);
  });
});

describe('without the prefix everything passes byte for byte', () => {
  const withoutPrefix = (bytes: Uint8Array) => !bytes.includes(2);
  const chunk = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc
      .array(
        fc.constantFrom(
          '\x1b',
          '[',
          '200~',
          '201~',
          '\x1b[200~',
          '\x1b[201~',
          'M',
          '<',
          'O',
          ']',
          'P',
          '_',
          '\\',
          '\x07',
          '3',
          ';',
          ':',
          '97',
          'u',
          '~',
          'é',
        ),
        { maxLength: 20 },
      )
      .map((parts) => Uint8Array.from(Buffer.from(parts.join(''), 'latin1'))),
  );

  test('whatever it is and however it is cut', () => {
    fc.assert(
      fc.property(fc.array(chunk.filter(withoutPrefix), { maxLength: 12 }), (chunks) => {
        const reader = new PrefixReader('C-b');
        const inputs = [...chunks.flatMap((bytes) => reader.read(bytes)), ...reader.flush()];
        expect(inputs.filter(({ is }) => is !== 'bytes')).toEqual([]);
        const passed = Buffer.concat(inputs.map((input) => (input.is === 'bytes' ? input.bytes : Buffer.alloc(0))));
        expect(passed).toEqual(Buffer.concat(chunks));
      }),
      { numRuns: 1000 },
    );
  });

  test('with a chunk that is part of a larger buffer', () => {
    const whole = Buffer.from('xxhelloxx');
    const inputs = new PrefixReader('C-b').read(whole.subarray(2, 7));
    expect(inputs.map((input) => input.is === 'bytes' && Buffer.from(input.bytes).toString())).toEqual(['hello']);
  });
});

test('a megabyte is read in no time, whatever it repeats', () => {
  const began = process.hrtime.bigint();
  for (const piece of ['x', '\x1b', '\x1b[', '\x1b]', '\x1b[1', '\x1b[200~', '\x1b[200~\x1b[20'])
    read([piece.repeat(Math.floor((1 << 17) / piece.length))]);
  // Work in proportion takes some 100 ms; work in the square of the length takes minutes.
  expect(Number(process.hrtime.bigint() - began) / 1e6).toBeLessThan(5000);
});
