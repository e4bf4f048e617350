import { GROUND } from './engine.ts';

/** How many bytes at the end are the beginning of a UTF-8 character whose rest has not come yet (0 to 3). */
export function incompleteCharacter(bytes: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return 0;
    if (byte < 0xc0) continue;
    const needs = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf8 ? 4 : 1;
    return needs > back ? back : 0;
  }
  return 0;
}

/**
 * What to send so that another parser stands in the middle of the same sequence: the bytes since the parser last was at ground, without
 * the control characters inside it, which have been acted upon already. Each byte is looked at once, however long the sequence gets.
 * `table` is upstream's own transition table, so the two cannot disagree.
 */
export class UnfinishedSequence {
  #state = GROUND;
  #kept = new Uint8Array(64);
  #length = 0;
  #isNeutral = false;

  get bytes(): Uint8Array {
    return this.#kept.slice(0, this.#length);
  }

  /** The parser is at ground. */
  clear(): void {
    this.#state = GROUND;
    this.#begin();
  }

  /** Bytes that the parser has read; they do not end inside a character. */
  append(bytes: Uint8Array, table: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i]!;
      if (byte >= 0x80 && byte < 0xc0) {
        // The rest of a character: it was judged with its first byte.
        if (this.#state !== GROUND) this.#keep(byte);
        continue;
      }
      const code = byte === 0xc2 && i + 1 < bytes.length ? bytes[i + 1]! : byte;
      const transition = table[(this.#state << 8) | (code < 0xa0 ? code : NON_ASCII)]!;
      const action = transition >> 4;
      const before = this.#state;
      this.#state = stateAfter(code, transition);
      if (this.#state === GROUND) {
        if (before !== GROUND) this.#begin();
      } else if (before === GROUND || code === 0x1b || (code >= 0x80 && code < 0xa0)) {
        this.#begin();
        this.#keep(byte);
      } else if (action !== EXECUTE) this.#keep(byte);
    }
  }

  #begin(): void {
    this.#length = 0;
    this.#isNeutral = false;
    if (this.#kept.length > 4096) this.#kept = new Uint8Array(64);
  }

  #keep(byte: number): void {
    if (this.#isNeutral) return;
    if (this.#length === SEQUENCE_LIMIT_BYTES) {
      this.#kept = Uint8Array.from(neutralOpening(this.#kept));
      this.#length = this.#kept.length;
      this.#isNeutral = true;
      return;
    }
    if (this.#length === this.#kept.length) {
      const larger = new Uint8Array(this.#length * 2);
      larger.set(this.#kept);
      this.#kept = larger;
    }
    this.#kept[this.#length++] = byte;
  }
}

/**
 * Follows a stream on, from where a parser stands in it, to the first place where no sequence and no character is open: there something
 * else can be said to the terminal that it goes to.
 */
export class NextGap {
  readonly #table: Uint8Array;
  #state: number;
  /** The character that is not complete: its first bytes. */
  #character: number[];

  constructor({ table, state, character }: { table: Uint8Array; state: number; character: Uint8Array }) {
    this.#table = table;
    this.#state = state;
    this.#character = [...character];
  }

  /** How many of these bytes come before it; null when all do. */
  find(bytes: Uint8Array): number | null {
    for (let i = 0; i < bytes.length; i++) {
      this.#read(bytes[i]!);
      if (this.#state === GROUND && this.#character.length === 0) return i + 1;
    }
    return null;
  }

  #read(byte: number): void {
    const isRest = byte >= 0x80 && byte < 0xc0;
    if (isRest && this.#character.length === 0) return;
    this.#character = isRest ? [...this.#character, byte] : [byte];
    if (incompleteCharacter(Uint8Array.from(this.#character)) > 0) return;
    const [first, second] = this.#character as [number, number?];
    this.#character = [];
    const code = first === 0xc2 && second !== undefined ? second : first;
    const transition = this.#table[(this.#state << 8) | (code < 0xa0 ? code : NON_ASCII)]!;
    this.#state = stateAfter(code, transition);
  }
}

/** The ESC that ends a string is the first byte of its terminator as well. */
function stateAfter(code: number, transition: number): number {
  const action = transition >> 4;
  return code === 0x1b && (action === OSC_END || action === DCS_UNHOOK) ? ESCAPE : transition & 15;
}

/** An opening of the same kind whose content nobody reads, for a string too long to be kept. The kind follows ESC, or the C2 of a C1. */
function neutralOpening([, kind]: Uint8Array): Uint8Array {
  if (kind === 0x5d || kind === 0x9d) return Buffer.from('\x1b]99999;');
  if (kind === 0x50 || kind === 0x90) return Buffer.from('\x1bP99999;0z');
  if (kind === 0x5b || kind === 0x9b) return Buffer.from('\x1b[1<');
  return Buffer.from('\x1b_');
}

/** A string (a clipboard, an image) longer than this is not repeated for a late joiner, who is told to read over the rest of it. */
const SEQUENCE_LIMIT_BYTES = 1 << 20;
const NON_ASCII = 0xa0;
const ESCAPE = 1;
const EXECUTE = 3;
const OSC_END = 6;
const DCS_UNHOOK = 14;
