import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Finder, type Found } from '../../../src/daemon/waiting/finder.ts';
import { regexPattern, textPattern } from '../../../src/daemon/waiting/pattern.ts';
import { anyBytes, entriesOf, SEED, withinLine } from '../history/streams.ts';

const ESC = '\x1b';

/** What is found in these pieces of output, which begin at byte 100; null when it is not. */
function find(pattern: string | RegExp, pieces: readonly (string | Uint8Array)[], { before = '' } = {}): Found | null {
  const finder = new Finder(typeof pattern === 'string' ? textPattern(pattern) : regexPattern(pattern.source));
  finder.before({ is: 'resize', at: 0, offset: 0, cols: 80, rows: 24 });
  let offset = 100;
  const bytes = Buffer.from(before);
  finder.before({ is: 'output', at: 0, offset: offset - bytes.length, bytes });
  finder.begin();
  let found: Found | null = null;
  for (const piece of pieces) {
    const bytes = Buffer.from(piece);
    found = finder.push({ is: 'output', at: 0, offset, bytes });
    offset += bytes.length;
  }
  return found;
}

describe('text is found', () => {
  test.each<[string, string, string[], Found]>([
    ['in a line', 'ready', ['is ready now\n'], { text: 'ready', line: 'is ready now', offset: 100, end: 108 }],
    ['in a line that is not complete', 'word: ', ['Password: '], { text: 'word: ', line: 'Password:', offset: 100, end: 110 }],
    ['across pieces', 'ready', ['is re', 'ady no', 'w\n'], { text: 'ready', line: 'is ready no', offset: 100, end: 108 }],
    ['in a later line', 'b', ['a\r\n', 'xb\r\n'], { text: 'b', line: 'xb', offset: 103, end: 105 }],
    [
      'across colours inside a word',
      'ready',
      [`re${ESC}[31ma${ESC}[1mdy${ESC}[m!\n`],
      { text: 'ready', line: 'ready!', offset: 100, end: 114 },
    ],
    ['with a title and a link in it', 'ready', [`re${ESC}]0;t\x07a${ESC}]8;;http://x${ESC}\\dy`], found('ready', 100, 126)],
    ['in a line that a terminal wraps', 'x'.repeat(90), ['x'.repeat(90)], found('x'.repeat(90), 100, 190)],
    ['where CR replaced it at once', '42%', ['41%\r42%\r43%\n'], found('42%', 100, 107)],
    ['where it was erased at once', 'gone', [`gone\r${ESC}[Khere\n`], found('gone', 100, 104)],
    ['where it was taken back', 'ab', ['ab\b \b\b \b\n'], found('ab', 100, 102)],
    ['in what overwriting leaves', 'Doneloading', ['Downloading\rDone\n'], { ...found('Doneloading', 100, 116) }],
    [
      'in a picture on the alternate screen',
      'Save?',
      [`${ESC}[?1049h${ESC}[2J${ESC}[5;3HSave?`],
      { text: 'Save?', line: '  Save?', offset: 112, end: 123 },
    ],
    [
      'drawn word by word in one row',
      'Do you want',
      [`${ESC}[5;3HDo${ESC}[5;6Hyou${ESC}[5;10Hwant`],
      { text: 'Do you want', line: '  Do you want', offset: 100, end: 128 },
    ],
    ['in several bytes a character', 'größe 変更', ['größe 変', '更\n'], found('größe 変更', 100, 114)],
    ['repeated by the terminal', 'xxxx', [`x${ESC}[3b`], found('xxxx', 100, 105)],
    ['after the mark inside a sequence', '1m', ['1mred 1m'], { text: '1m', line: 'red 1m', offset: 100, end: 108 }],
  ])('%s', (title, pattern, pieces, expected) => {
    expect(find(pattern, pieces, { before: title.includes('inside a sequence') ? `${ESC}[3` : '' })).toEqual(expected);
  });

  function found(text: string, offset: number, end: number): Found {
    return { text, line: text, offset, end };
  }
});

describe('text is not found', () => {
  test.each<[string, string, string[]]>([
    ['where it is none', 'ready', ['not yet\n']],
    ['in other letter case', 'ready', ['READY\n']],
    ['across two lines', 'ab', ['a\nb\n']],
    ['across two rows of a picture', 'ab', [`${ESC}[1;1Ha${ESC}[2;1Hb`]],
    ['in a title', 'secret', [`${ESC}]0;secret\x07\n`]],
    ['where half of it replaced the other', 'ab', ['a\rb\n']],
  ])('%s', (_, pattern, pieces) => {
    expect(find(pattern, pieces)).toBe(null);
  });

  test('when it began before the mark', () => {
    expect(find('ready', ['ady\n'], { before: 're' })).toBe(null);
  });
});

describe('a regular expression', () => {
  test.each<[string, RegExp, string[], string | null]>([
    ['sees a prompt', /\$ $/, ['user@host:~$ '], '$ '],
    ['sees the end of a line whose blanks are not there', /done$/, ['done   \n'], 'done'],
    ['has ^ at the beginning of a line', /^b+/, ['abb\nbb\n'], 'bb'],
    ['does not take the middle of a long line for its beginning', /^b/, ['a', 'b'.repeat(10_000), 'c\n'], null],
    ['counts letter case', /ready/, ['READY\n'], null],
    ['reads characters, not their halves', /^.$/, ['🙂\n'], '🙂'],
  ])('%s', (_, pattern, pieces, text) => {
    expect(find(pattern, pieces)?.text ?? null).toBe(text);
  });

  test.each([['('], ['a*'], [''], ['a\nb'], ['x'.repeat(5000)]])('%.9j is refused', (source) => {
    expect(() => regexPattern(source)).toThrow(expect.objectContaining({ code: 'bad-params' }));
  });
});

/** Characters that join no other: where those end that others join, nobody can say before the next has come. */
const ALONE = ['a', 'b', 'Z', ' ', 'é', '漢', '🙂', '│'];

test.each([
  ['anything a program may write', anyBytes(), false],
  [
    'what it does within a line',
    fc
      .array(fc.oneof(withinLine({ colors: ['1'], characters: ALONE }), fc.constantFrom('ab', '\n', 'a', 'b', ' ', '\r\n')), {
        maxLength: 30,
      })
      .map((all) => Buffer.from(all.join(''))),
    true,
  ],
])('however it is cut into pieces, the same text is found in the same place: %s', (_, stream, isExact) => {
  const told = (found: Found | null) => found && { text: found.text, offset: found.offset, ...(isExact && { end: found.end }) };
  fc.assert(
    fc.property(
      stream,
      fc.constantFrom('ab', 'a', 'aZ', '漢', 'word', 'b a', '🙂'),
      fc.array(fc.nat(), { maxLength: 12 }),
      (bytes, text, cuts) => {
        const pieces = entriesOf(bytes, cuts).map((entry) => (entry.is === 'output' ? entry.bytes : new Uint8Array()));
        expect(told(find(text, pieces))).toEqual(told(find(text, [bytes])));
      },
    ),
    { seed: SEED, numRuns: 2000 },
  );
});

test('a regular expression whose match nothing can undo is found however the output is cut', () => {
  fc.assert(
    fc.property(anyBytes(), fc.array(fc.nat(), { maxLength: 12 }), (bytes, cuts) => {
      const pieces = entriesOf(bytes, cuts).map((entry) => (entry.is === 'output' ? entry.bytes : new Uint8Array()));
      expect(find(/[aZ].?[b漢]/, pieces) === null).toBe(find(/[aZ].?[b漢]/, [bytes]) === null);
    }),
    { seed: SEED, numRuns: 1000 },
  );
});

test('after what was found nothing is lost and nothing comes twice: the rest of the output has the rest of the matches', () => {
  const word = fc.constantFrom('ab', 'a', 'b', ' ', '\n', `${ESC}[31m`, 'x\r', '漢');
  fc.assert(
    fc.property(fc.array(word, { maxLength: 60 }), (words) => {
      const bytes = Buffer.from(words.join(''));
      const ends: number[] = [];
      for (let from = 0; ; ) {
        const found = find('ab', [bytes.subarray(from)]);
        if (!found) break;
        from += found.end - 100;
        ends.push(from);
      }
      // Colours may stand inside of it, and lines may not.
      const plain = [...bytes.toString('latin1').matchAll(/a(?:\x1b\[31m)*b/g)].map(({ index, 0: text }) => index + text.length);
      expect(ends).toEqual(plain);
    }),
    { seed: SEED, numRuns: 500 },
  );
});

test('a line that is changed a hundred thousand times is not read whole as often', () => {
  const began = performance.now();
  expect(find('nothing like it', ['x'.repeat(60_000), 'a\b'.repeat(100_000)])).toBe(null);
  // Read whole it would take ten seconds.
  expect(performance.now() - began).toBeLessThan(2000);
});
