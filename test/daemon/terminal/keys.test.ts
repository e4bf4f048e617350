import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeInput, encodeKey, type KeyModes } from '../../../src/daemon/terminal/keys.ts';
import { signalNamed } from '../../../src/daemon/terminal/signals.ts';
import { WireError } from '../../../src/wire/errors.ts';

const PLAIN: KeyModes = { applicationCursor: false, applicationKeypad: false, kittyFlags: 0, modifyOtherKeys: 0 };
const APPLICATION: KeyModes = { ...PLAIN, applicationCursor: true };
const KEYPAD: KeyModes = { ...PLAIN, applicationKeypad: true };
const KITTY: KeyModes = { ...PLAIN, kittyFlags: 1 };
const OTHER_KEYS_1: KeyModes = { ...PLAIN, modifyOtherKeys: 1 };
const OTHER_KEYS_2: KeyModes = { ...PLAIN, modifyOtherKeys: 2 };

/** What `send NAME KEY` types, with escapes written out. */
function typed(key: string, modes = PLAIN): string {
  const visible = (character: string) => (character === '\x1b' ? 'ESC ' : `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return encodeInput([key], { as: 'keys', enter: false, modes })
    .toString()
    .replace(/[\x00-\x1f\x7f]/g, visible);
}

/** One row of a table of literals: every name in it is looked up, so that a failure shows all that are wrong. */
function check(table: Record<string, string>, modes: KeyModes): void {
  expect(Object.fromEntries(Object.keys(table).map((key) => [key, typed(key, modes)]))).toEqual(table);
}

test('a program that asked for the application keypad gets it', () => {
  check(
    {
      KP0: 'ESC Op',
      KP9: 'ESC Oy',
      'KP+': 'ESC Ok',
      'KP-': 'ESC Om',
      'KP*': 'ESC Oj',
      'KP/': 'ESC Oo',
      'KP.': 'ESC On',
      KPEnter: 'ESC OM',
      'M-KP1': 'ESC 1',
    },
    KEYPAD,
  );
});

describe('a plain terminal', () => {
  // The same as tmux 3.3a types, byte for byte.
  test('sends keys as tmux names them', () => {
    check(
      {
        Up: 'ESC [A',
        Down: 'ESC [B',
        Right: 'ESC [C',
        Left: 'ESC [D',
        F1: 'ESC OP',
        F2: 'ESC OQ',
        F3: 'ESC OR',
        F4: 'ESC OS',
        F5: 'ESC [15~',
        F6: 'ESC [17~',
        F7: 'ESC [18~',
        F8: 'ESC [19~',
        F9: 'ESC [20~',
        F10: 'ESC [21~',
        F11: 'ESC [23~',
        F12: 'ESC [24~',
        IC: 'ESC [2~',
        Insert: 'ESC [2~',
        DC: 'ESC [3~',
        Delete: 'ESC [3~',
        PPage: 'ESC [5~',
        PageUp: 'ESC [5~',
        PgUp: 'ESC [5~',
        NPage: 'ESC [6~',
        PageDown: 'ESC [6~',
        PgDn: 'ESC [6~',
        Enter: '\\x0d',
        Tab: '\\x09',
        BTab: 'ESC [Z',
        BSpace: '\\x7f',
        Escape: 'ESC ',
        Space: ' ',
        'KP/': '/',
        'KP*': '*',
        'KP-': '-',
        'KP+': '+',
        'KP.': '.',
        KP0: '0',
        KP1: '1',
        KP9: '9',
      },
      PLAIN,
    );
  });

  test('sends keys with modifiers as tmux does', () => {
    check(
      {
        'C-Up': 'ESC [1;5A',
        'M-Up': 'ESC [1;3A',
        'S-Up': 'ESC [1;2A',
        'C-M-Up': 'ESC [1;7A',
        'C-S-Up': 'ESC [1;6A',
        'C-M-S-Up': 'ESC [1;8A',
        'S-F1': 'ESC [1;2P',
        'C-F5': 'ESC [15;5~',
        'M-F12': 'ESC [24;3~',
        'S-PPage': 'ESC [5;2~',
        'C-Home': 'ESC [1;5H',
        'M-DC': 'ESC [3;3~',
        'M-Tab': 'ESC \\x09',
        'M-Enter': 'ESC \\x0d',
        'M-BSpace': 'ESC \\x7f',
        'M-Escape': 'ESC ESC ',
        'C-Space': '\\x00',
        'M-Space': 'ESC  ',
        'C-M-Space': 'ESC \\x00',
        'C-a': '\\x01',
        'C-z': '\\x1a',
        'C-A': '\\x01',
        'C-@': '\\x00',
        'C-[': 'ESC ',
        'C-\\': '\\x1c',
        'C-]': '\\x1d',
        'C-^': '\\x1e',
        'C-_': '\\x1f',
        'C-?': '\\x7f',
        'C-/': '\\x1f',
        'C-2': '\\x00',
        'C-6': '\\x1e',
        'M-a': 'ESC a',
        'M-A': 'ESC A',
        'M-1': 'ESC 1',
        'M-ä': 'ESC ä',
        'C-ä': 'ä',
        'C-M-a': 'ESC \\x01',
        'M-C-a': 'ESC \\x01',
        'C-M-?': 'ESC \\x7f',
        '^a': '\\x01',
        '^A': '\\x01',
        '^@': '\\x00',
        '^?': '\\x7f',
        '^[': 'ESC ',
        '^^': '\\x1e',
      },
      PLAIN,
    );
  });

  test('differs from tmux where TERM is xterm-256color, and where tmux sends nothing or the name', () => {
    check(
      {
        // tmux: ESC [1~ and ESC [4~, which is what TERM=screen says; ours is xterm-256color.
        Home: 'ESC [H',
        End: 'ESC [F',
        // tmux 3.3a: a line feed. The Enter of a number pad is an Enter.
        KPEnter: '\\x0d',
        // tmux sends nothing, or types the name out; the key without the modifier is what a terminal sends.
        'C-Tab': '\\x09',
        'C-Enter': '\\x0d',
        'S-Enter': '\\x0d',
        'C-Escape': 'ESC ',
        'S-Escape': 'ESC ',
        'S-BSpace': '\\x7f',
        'S-Space': ' ',
        'C-1': '1',
        'C-9': '9',
        'C-0': '0',
        'C-,': ',',
        'C-!': '!',
        'C-=': '=',
        'C--': '-',
        'S-1': '1',
        // Shift makes a letter a capital, a Tab a back-tab, and Ctrl takes a Backspace for a whole word.
        'S-a': 'A',
        'S-A': 'A',
        'M-S-a': 'ESC A',
        'C-S-a': '\\x01',
        'S-Tab': 'ESC [Z',
        'C-BSpace': '\\x08',
        // A VT220's digits, as xterm has them.
        'C-3': 'ESC ',
        'C-4': '\\x1c',
        'C-5': '\\x1d',
        'C-7': '\\x1f',
        'C-8': '\\x7f',
        'C-BTab': 'ESC [1;6Z',
        'M-BTab': 'ESC [1;4Z',
        'S-BTab': 'ESC [1;2Z',
      },
      PLAIN,
    );
  });

  test('names and modifiers are read without regard to case', () => {
    check(
      {
        up: 'ESC [A',
        UP: 'ESC [A',
        enter: '\\x0d',
        'c-up': 'ESC [1;5A',
        'c-a': '\\x01',
        'm-a': 'ESC a',
        'c-m-A': 'ESC \\x01',
        ppage: 'ESC [5~',
        kp5: '5',
      },
      PLAIN,
    );
  });
});

test('application cursor keys change arrows, Home and End, and nothing with a modifier', () => {
  check(
    {
      Up: 'ESC OA',
      Down: 'ESC OB',
      Right: 'ESC OC',
      Left: 'ESC OD',
      Home: 'ESC OH',
      End: 'ESC OF',
      'C-Up': 'ESC [1;5A',
      'S-Home': 'ESC [1;2H',
      F1: 'ESC OP',
      F5: 'ESC [15~',
      PPage: 'ESC [5~',
      Enter: '\\x0d',
      'C-a': '\\x01',
    },
    APPLICATION,
  );
});

test("kitty's protocol tells every modified character apart and leaves plain text, Enter, Tab and Backspace", () => {
  check(
    {
      a: 'a',
      Enter: '\\x0d',
      Tab: '\\x09',
      BSpace: '\\x7f',
      Space: ' ',
      Escape: 'ESC [27u',
      'S-Enter': 'ESC [13;2u',
      'C-Enter': 'ESC [13;5u',
      'M-Enter': 'ESC [13;3u',
      'C-Tab': 'ESC [9;5u',
      'S-Tab': 'ESC [9;2u',
      'C-Space': 'ESC [32;5u',
      'C-BSpace': 'ESC [127;5u',
      'M-Escape': 'ESC [27;3u',
      'C-a': 'ESC [97;5u',
      'C-A': 'ESC [97;5u',
      'M-a': 'ESC [97;3u',
      'C-M-a': 'ESC [97;7u',
      'C-S-a': 'ESC [97;6u',
      'C-1': 'ESC [49;5u',
      'C-[': 'ESC [91;5u',
      'C-ä': 'ESC [228;5u',
      'S-a': 'A',
      Up: 'ESC [A',
      'C-Up': 'ESC [1;5A',
      F5: 'ESC [15~',
      'S-F5': 'ESC [15;2~',
      'C-KP1': 'ESC [57400;5u',
    },
    KITTY,
  );
});

test('kitty flags without the disambiguating one change nothing', () => {
  const keys = ['Escape', 'C-a', 'S-Enter', 'M-x', 'Up'];
  expect(keys.map((key) => typed(key, { ...PLAIN, kittyFlags: 0b11110 }))).toEqual(keys.map((key) => typed(key)));
});

test('modifyOtherKeys 1 adds the keys that had no bytes of their own', () => {
  check(
    {
      'C-a': '\\x01',
      'M-a': 'ESC a',
      'C-M-a': 'ESC \\x01',
      'M-Enter': 'ESC \\x0d',
      Escape: 'ESC ',
      Enter: '\\x0d',
      Tab: '\\x09',
      'C-Up': 'ESC [1;5A',
      'C-Tab': 'ESC [27;5;9~',
      'S-Enter': 'ESC [27;2;13~',
      'C-Enter': 'ESC [27;5;13~',
      'C-M-Enter': 'ESC [27;7;13~',
      'C-1': 'ESC [27;5;49~',
      'C-,': 'ESC [27;5;44~',
    },
    OTHER_KEYS_1,
  );
});

test('modifyOtherKeys 2 marks everything with Ctrl', () => {
  check(
    {
      'C-a': 'ESC [27;5;97~',
      'C-A': 'ESC [27;5;97~',
      'C-M-a': 'ESC [27;7;97~',
      'C-[': 'ESC [27;5;91~',
      'C-1': 'ESC [27;5;49~',
      'S-Enter': 'ESC [27;2;13~',
      'S-a': 'A',
      'M-a': 'ESC a',
      a: 'a',
      Enter: '\\x0d',
    },
    OTHER_KEYS_2,
  );
});

describe('what is no key is typed as it stands', () => {
  test.each([
    '',
    'a',
    'ls -l',
    'Ä',
    '日本',
    '^',
    '^ab',
    'C-',
    'C-ab',
    'C-Foo',
    'M-',
    'C-M-',
    'F0',
    'F13',
    'KP',
    'Entering',
    'Up ',
    '-',
    '\x1b[A',
    'naïve\n',
  ])('%j', (text) => {
    expect(encodeInput([text], { as: 'keys', enter: false, modes: PLAIN }).toString()).toBe(text);
  });

  test('and encodeKey says so', () => {
    expect(['abc', 'C-ab', ''].map((name) => encodeKey(name, PLAIN))).toEqual([null, null, null]);
  });
});

describe('input', () => {
  test('is put together in order, with Enter at the end when asked', () => {
    expect(encodeInput(['echo hi', 'Space', 'C-c', 'x'], { as: 'keys', enter: true, modes: PLAIN }).toString()).toBe('echo hi \x03x\r');
  });

  test('as text names no keys', () => {
    expect(encodeInput(['Enter', 'C-c', 'é'], { as: 'text', enter: false, modes: KITTY }).toString()).toBe('EnterC-cé');
  });

  test('as text is any text, byte for byte', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), (items) => {
        expect(encodeInput(items, { as: 'text', enter: false, modes: PLAIN })).toEqual(Buffer.from(items.join('')));
      }),
    );
  });

  test.each<[string[], string]>([
    [['1b', '5b', '41'], '1b5b41'],
    [['1b5b41'], '1b5b41'],
    [['0x1B'], '1b'],
    [['1b 5b\t41\n'], '1b5b41'],
    [['a'], '0a'],
    [['00', 'ff'], '00ff'],
    [['abc'], '0abc'],
    [[], ''],
  ])('as hexadecimal %j is %s', (items, hex) => {
    expect(encodeInput(items, { as: 'hex', enter: false, modes: PLAIN }).toString('hex')).toBe(hex);
  });

  test('as hexadecimal is any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), (bytes) => {
        const { length } = bytes;
        expect(encodeInput([Buffer.from(bytes).toString('hex')], { as: 'hex', enter: false, modes: PLAIN })).toEqual(
          Buffer.from(bytes.buffer, 0, length),
        );
      }),
    );
  });

  test.each(['', ' ', 'xyz', '1g', '0x', '-1', '1.5'])('as hexadecimal %j is refused', (item) => {
    const refusal = () => encodeInput(['41', item], { as: 'hex', enter: false, modes: PLAIN });
    expect(refusal).toThrow(WireError);
    expect(refusal).toThrow(`"${item}" is not hexadecimal`);
  });
});

describe('a signal', () => {
  test.each<[string, string | null]>([
    ['INT', 'SIGINT'],
    ['SIGINT', 'SIGINT'],
    ['int', 'SIGINT'],
    ['sigTerm', 'SIGTERM'],
    ['2', 'SIGINT'],
    ['9', 'SIGKILL'],
    ['15', 'SIGTERM'],
    ['WINCH', 'SIGWINCH'],
    ['0', null],
    ['99', null],
    ['-9', null],
    ['1.5', null],
    ['', null],
    ['SIG', null],
    ['NOPE', null],
    ['SIGSIGINT', null],
    ['toString', null],
    ['9999999999', null],
  ])('%j is %j', (wanted, signal) => {
    expect(signalNamed(wanted)).toBe(signal);
  });
});
