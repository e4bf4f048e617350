/** What the person did: typed something for the program, or gave a command to us. */
export type Input = { is: 'bytes'; bytes: Uint8Array } | { is: 'detach' };

/**
 * Finds the prefix key in what a terminal sends. After it, `d` detaches, the prefix again sends it once, and any other key is dropped as in
 * tmux. A paste is never searched: between the marks of bracketed paste everything is text. The program may have switched the terminal to a
 * keyboard protocol, so the prefix is known in its plain form, in kitty's (`CSI 98;5u`) and in xterm's (`CSI 27;5;98~`).
 *
 * A control sequence that a slow line has cut in two is held until the rest comes (`isHolding`); the caller ends the wait with `flush`,
 * because Alt-[ looks the same and is complete.
 */
export class PrefixReader {
  readonly #key: Key | null;
  #isArmed = false;
  #isPasting = false;
  #pasteTail = '';
  #held = '';

  /** `prefix`: as in the setting, "C-b" or "none". */
  constructor(prefix: string) {
    this.#key = prefix === 'none' ? null : keyOf(prefix);
  }

  /** Whether the beginning of a control sequence waits for its end. */
  get isHolding(): boolean {
    return this.#held !== '';
  }

  /** What was held, as it is: the rest does not come. */
  flush(): Input[] {
    const bytes = Buffer.from(this.#held, 'latin1');
    this.#held = '';
    return bytes.length > 0 ? [{ is: 'bytes', bytes }] : [];
  }

  read(chunk: Uint8Array): Input[] {
    if (!this.#key) return [{ is: 'bytes', bytes: chunk }];
    const text = this.#held + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString('latin1');
    this.#held = '';
    const inputs: Input[] = [];
    let passed = '';
    const flush = () => {
      if (passed !== '') inputs.push({ is: 'bytes', bytes: Buffer.from(passed, 'latin1') });
      passed = '';
    };
    for (let at = 0; at < text.length; ) {
      if (this.#isPasting) {
        const pasted = this.#readPaste(text.slice(at));
        passed += pasted;
        at += pasted.length;
        continue;
      }
      const token = keyToken(text, at);
      if (token === '\x1b' && CUT_SEQUENCE.test(text.slice(at))) {
        this.#held = text.slice(at);
        break;
      }
      at += token.length;
      this.#isPasting = token === PASTE_START;
      if (this.#isPasting || !isKey(token)) {
        passed += token;
        continue;
      }
      const isPrefix = this.#key.matches(token);
      if (!this.#isArmed) {
        if (isPrefix) this.#isArmed = !isRelease(token);
        else passed += token;
      } else if (isRelease(token)) {
        // The prefix key going up, where the program asked for such reports.
        if (!isPrefix) passed += token;
      } else {
        this.#isArmed = false;
        if (isPrefix) passed += token;
        else if (token === 'd' || kittyModifiers(token, 'd') === 0) {
          flush();
          inputs.push({ is: 'detach' });
        }
      }
    }
    flush();
    return inputs;
  }

  /** What belongs to the paste: all of it, or up to and with the end mark, which may have been cut in two by the chunk before. */
  #readPaste(text: string): string {
    const joined = this.#pasteTail + text;
    const end = joined.indexOf(PASTE_END);
    if (end === -1) {
      this.#pasteTail = joined.slice(1 - PASTE_END.length);
      return text;
    }
    const pasted = text.slice(0, end + PASTE_END.length - this.#pasteTail.length);
    this.#isPasting = false;
    this.#pasteTail = '';
    return pasted;
  }
}

interface Key {
  matches(token: string): boolean;
}

const PASTE_START = '\x1b[200~';
const PASTE_END = '\x1b[201~';

function keyOf(prefix: string): Key {
  const name = prefix.slice(2);
  const character = name === 'Space' ? ' ' : name;
  const control = String.fromCharCode(character === ' ' ? 0 : character.toUpperCase().charCodeAt(0) & 0x1f);
  const code = character.charCodeAt(0);
  return { matches: (token) => token === control || token === `\x1b[27;5;${code}~` || kittyModifiers(token, character) === CTRL };
}

const CTRL = 4;
const CAPS_LOCK = 64;
const NUM_LOCK = 128;

/**
 * The modifiers of this key where the token is it in kitty's form, else null. The locks are left out: they are no fingers on keys. Kitty may
 * add the shifted and base codes after colons, the event type after the modifiers, which may be empty, and the text after those.
 */
function kittyModifiers(token: string, character: string): number | null {
  const [, code, modifiers] = /^\x1b\[(\d+)(?::\d*)*(?:;(\d*)(?::[123])?(?:;[\d:]*)?)?u$/.exec(token) ?? [];
  if (code !== `${character.charCodeAt(0)}`) return null;
  return (Number(modifiers || 1) - 1) & ~(CAPS_LOCK | NUM_LOCK);
}

function isRelease(token: string): boolean {
  return /^\x1b\[[\d:]+;\d+:3[;\d:]*[u~A-Z]$/.test(token);
}

/** Reports that a terminal sends by itself must not disarm the prefix. */
function isKey(token: string): boolean {
  return !/^\x1b(\[<[\d;]*[Mm]|\[M|\[[IO]$|\[[?>]|\][\s\S]|P|_)/.test(token);
}

/** The next key, report or character: a control sequence is one token, and what is not known is taken a byte at a time. */
function keyToken(text: string, at: number): string {
  if (text[at] !== '\x1b') return text[at]!;
  TOKEN.lastIndex = at;
  return TOKEN.exec(text)?.[0] ?? '\x1b';
}

/** No terminal sends a longer one. */
const CUT_SEQUENCE = /^\x1b\[[0-?]{0,60}$/;
const TOKEN = /\x1b(?:\[M[\s\S]{3}|\[[0-?]*[ -/]*[@-~]|O[ -~]|[\]P_][^\x07\x1b]*(?:\x07|\x1b\\)?)/y;
