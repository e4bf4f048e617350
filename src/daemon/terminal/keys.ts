import { WireError } from '../../wire/errors.ts';

/** What a program has asked of the keyboard; a key is sent as its terminal would send it. */
export interface KeyModes {
  /** DECCKM: arrows, Home and End as SS3. */
  applicationCursor: boolean;
  /** DECKPAM: the keypad's keys as SS3. */
  applicationKeypad: boolean;
  /** The kitty keyboard protocol's flags now in force; bit 0 is "disambiguate escape codes". */
  kittyFlags: number;
  /** xterm's modifyOtherKeys: 0, 1 or 2. */
  modifyOtherKeys: number;
}

/**
 * Input as `send` takes it. keys: each argument that is a tmux key name is that key, and anything else is typed as it stands, which is
 * tmux's own rule. text: all as it stands. hex: bytes.
 */
export function encodeInput(
  input: readonly string[],
  { as, enter, modes }: { as: 'keys' | 'text' | 'hex'; enter: boolean; modes: KeyModes },
): Buffer {
  const parts = input.map((item) => {
    if (as === 'hex') return hexBytes(item);
    return Buffer.from(as === 'text' ? item : (encodeKey(item, modes) ?? item));
  });
  if (enter) parts.push(Buffer.from('\r'));
  return Buffer.concat(parts);
}

function hexBytes(item: string): Buffer {
  const digits = item.replace(/^0x/i, '').replace(/\s+/g, '');
  if (digits.length === 0 || !/^[0-9a-f]+$/i.test(digits))
    throw new WireError('bad-params', `"${item.slice(0, 40)}" is not hexadecimal. Write bytes as in: --hex 1b 5b 41`);
  return Buffer.from(digits.length % 2 ? `0${digits}` : digits, 'hex');
}

/** Bit values of xterm's modifier parameter, which is 1 plus their sum. */
const MODIFIERS: Record<string, number> = { S: 1, M: 2, C: 4 };

type Key =
  | { is: 'letter'; final: string }
  | { is: 'tilde'; number: number }
  | { is: 'code'; code: number; bytes: string; application?: string };

/** tmux's names (tmux(1), KEY BINDINGS), matched without regard to case as tmux does. */
const KEYS = new Map<string, Key>(
  Object.entries({
    Up: letter('A'),
    Down: letter('B'),
    Right: letter('C'),
    Left: letter('D'),
    Home: letter('H'),
    End: letter('F'),
    F1: letter('P'),
    F2: letter('Q'),
    F3: letter('R'),
    F4: letter('S'),
    F5: tilde(15),
    F6: tilde(17),
    F7: tilde(18),
    F8: tilde(19),
    F9: tilde(20),
    F10: tilde(21),
    F11: tilde(23),
    F12: tilde(24),
    IC: tilde(2),
    Insert: tilde(2),
    DC: tilde(3),
    Delete: tilde(3),
    PPage: tilde(5),
    PageUp: tilde(5),
    PgUp: tilde(5),
    NPage: tilde(6),
    PageDown: tilde(6),
    PgDn: tilde(6),
    Enter: code(13, '\r'),
    Tab: code(9, '\t'),
    BTab: letter('Z'),
    BSpace: code(127, '\x7f'),
    Escape: code(27, '\x1b'),
    Space: code(32, ' '),
    'KP/': keypad(57410, '/', 'o'),
    'KP*': keypad(57411, '*', 'j'),
    'KP-': keypad(57412, '-', 'm'),
    'KP+': keypad(57413, '+', 'k'),
    'KP.': keypad(57409, '.', 'n'),
    KPEnter: keypad(57414, '\r', 'M'),
    ...Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`KP${n}`, keypad(57399 + n, String(n), 'pqrstuvwxy'[n]!)])),
  }).map(([name, key]) => [name.toLowerCase(), key]),
);

function letter(final: string): Key {
  return { is: 'letter', final };
}
function tilde(number: number): Key {
  return { is: 'tilde', number };
}
function code(code: number, bytes: string): Key {
  return { is: 'code', code, bytes };
}
function keypad(code: number, bytes: string, application: string): Key {
  return { is: 'code', code, bytes, application };
}

/** The bytes of a key by its tmux name, or null when it is none. */
export function encodeKey(name: string, modes: KeyModes): string | null {
  // No key has a longer name, and text of megabytes is not searched for one.
  if (name.length > 40) return null;
  let rest = name;
  let modifiers = 0;
  // "^x" is an old spelling of C-x. A lone "^" is itself.
  if (/^\^.$/u.test(rest)) [rest, modifiers] = [rest.slice(1), MODIFIERS.C!];
  for (let match: RegExpExecArray | null; (match = /^([cms])-(.+)$/isu.exec(rest)); rest = match[2]!)
    modifiers |= MODIFIERS[match[1]!.toUpperCase()]!;
  const named = KEYS.get(rest.toLowerCase());
  if (named) return encodeNamed(named, modifiers, modes);
  if (modifiers === 0 || [...rest].length !== 1) return null;
  return encodeCharacter(rest, modifiers, modes);
}

function encodeNamed(key: Key, modifiers: number, modes: KeyModes): string {
  const parameter = modifiers + 1;
  switch (key.is) {
    case 'letter':
      // Back-tab is Shift-Tab already: other modifiers are added to Shift.
      if (key.final === 'Z') return modifiers === 0 ? '\x1b[Z' : `\x1b[1;${(modifiers | 1) + 1}Z`;
      if (modifiers > 0) return `\x1b[1;${parameter}${key.final}`;
      return /[PQRS]/.test(key.final) || modes.applicationCursor ? `\x1bO${key.final}` : `\x1b[${key.final}`;
    case 'tilde':
      return modifiers > 0 ? `\x1b[${key.number};${parameter}~` : `\x1b[${key.number}~`;
    case 'code':
      if (key.application && modes.applicationKeypad && modifiers === 0 && modes.kittyFlags === 0) return `\x1bO${key.application}`;
      return encodeCode(key.code, key.bytes, modifiers, modes);
  }
}

/** Keys that send a character: with modifiers a plain terminal cannot tell most of them apart, and two protocols can. */
function encodeCode(code: number, bytes: string, modifiers: number, { kittyFlags, modifyOtherKeys }: KeyModes): string {
  const isKitty = (kittyFlags & 1) !== 0;
  // The disambiguating flag leaves unmodified Enter, Tab, Backspace and Space as they were, and changes Escape (kitty keyboard protocol).
  if (modifiers === 0) return isKitty && code === 27 ? '\x1b[27u' : bytes;
  if (isKitty) return `\x1b[${code};${modifiers + 1}u`;
  if (modifyOtherKeys > 0 && modifiers !== MODIFIERS.M) return `\x1b[27;${modifiers + 1};${code}~`;
  const plain = modifiers & MODIFIERS.C! && code === 32 ? '\0' : modifiers & MODIFIERS.C! && code === 127 ? '\b' : bytes;
  return modifiers & MODIFIERS.S! && code === 9 ? '\x1b[Z' : modifiers & MODIFIERS.M! ? `\x1b${plain}` : plain;
}

function encodeCharacter(character: string, modifiers: number, modes: KeyModes): string {
  const { kittyFlags, modifyOtherKeys } = modes;
  const codePoint = character.codePointAt(0)!;
  const lower = character.toLowerCase().codePointAt(0)!;
  if (kittyFlags & 1 && modifiers & ~MODIFIERS.S!) return `\x1b[${lower};${modifiers + 1}u`;
  if (modifyOtherKeys === 2 && modifiers & MODIFIERS.C!) return `\x1b[27;${modifiers + 1};${lower}~`;
  const meta = modifiers & MODIFIERS.M! ? '\x1b' : '';
  if (!(modifiers & MODIFIERS.C!)) return modifiers & MODIFIERS.S! ? meta + character.toUpperCase() : meta + character;
  // The C0 control of a key: @ to _ and a to z lose their upper bits, and the rest are the customary ones of a VT220 keyboard.
  const customary: Record<string, number> = { ' ': 0, '2': 0, '3': 27, '4': 28, '5': 29, '6': 30, '7': 31, '8': 127, '?': 127, '/': 31 };
  const upper = character.toUpperCase().codePointAt(0)!;
  const control = customary[character] ?? (upper >= 0x40 && upper <= 0x5f ? upper & 0x1f : null);
  if (control !== null && codePoint <= 0x7f) return meta + String.fromCharCode(control);
  // A terminal sends the character alone when Ctrl does nothing to it; a name of a key is never typed out as text.
  return modifyOtherKeys > 0 ? `\x1b[27;${modifiers + 1};${lower}~` : meta + character;
}
