/**
 * Takes a terminal's byte stream apart: text, controls and sequences, in order, each with the offsets where it begins and ends. However the
 * bytes are cut into chunks, it tells the same, except that a run of printable ASCII is told in as many pieces as it came in. The grammar
 * is the emulator's (a VT500's), and the characters are decoded as the web does: one U+FFFD for each piece that is no UTF-8.
 */
export class SequenceReader {
  readonly #listener: SequenceListener;
  readonly #params = new Params();
  #state: State = GROUND;
  /** Where the sequence began, and where it can be told from what it follows. */
  #sequenceAt = 0;
  #intermediates = '';
  #prefix = '';
  #isOsc = false;
  readonly #keepsOsc: boolean;
  /** What an OSC says, or null when it says too much or nobody wants to know. */
  #payload: string | null = null;
  /** The character that is not complete: what it is so far, how many bytes it lacks, and between which the next must lie. */
  #codePoint = 0;
  #lacks = 0;
  #least = 0x80;
  #most = 0xbf;
  #characterAt = 0;

  constructor(listener: SequenceListener, { keepsOsc = false }: { keepsOsc?: boolean } = {}) {
    this.#listener = listener;
    this.#keepsOsc = keepsOsc;
  }

  /** Reads the bytes that stand at `offset`. Nothing is kept of them. */
  read(bytes: Buffer, offset: number): void {
    const { length } = bytes;
    let at = 0;
    while (at < length) {
      if (this.#lacks === 0) {
        if (this.#state === GROUND) {
          let end = at;
          for (let byte: number; end < length && (byte = bytes[end]!) >= 0x20 && byte < DEL; ) end++;
          if (end > at) {
            this.#listener.text(at, end);
            at = end;
            continue;
          }
        } else if (this.#state === STRING) {
          const limit = Math.min(length, this.#sequenceAt + STRING_LIMIT_BYTES - offset);
          if (at >= limit) {
            this.#state = GROUND;
            continue;
          }
          let end = at;
          for (let byte: number; end < limit && (byte = bytes[end]!) >= 0x20 && byte < DEL; ) end++;
          if (end > at) {
            if (this.#payload !== null) this.#say(bytes.toString('latin1', at, Math.min(end, at + PAYLOAD_LIMIT + 1)));
            at = end;
            continue;
          }
        }
      }
      this.#step(bytes[at]!, offset + at);
      at++;
    }
  }

  /** The stream is interrupted, or ends, at `offset`: what is not complete is told as broken, or dropped. */
  cut(offset: number): void {
    if (this.#lacks > 0) this.#character(REPLACEMENT, offset);
    this.#lacks = 0;
    this.#state = GROUND;
  }

  /** Where the sequence or character began that is not complete, or null. */
  get unfinishedFrom(): number | null {
    if (this.#state !== GROUND) return this.#sequenceAt;
    return this.#lacks > 0 ? this.#characterAt : null;
  }

  #step(byte: number, offset: number): void {
    if (this.#lacks > 0) {
      if (byte >= this.#least && byte <= this.#most) {
        this.#codePoint = (this.#codePoint << 6) | (byte & 0x3f);
        this.#least = 0x80;
        this.#most = 0xbf;
        if (--this.#lacks === 0) this.#character(this.#codePoint, offset + 1);
        return;
      }
      this.#lacks = 0;
      this.#character(REPLACEMENT, offset);
    }
    if (byte < 0x80) {
      this.#ascii(byte, offset);
      return;
    }
    this.#characterAt = offset;
    if (byte < 0xc2 || byte > 0xf4) {
      this.#character(REPLACEMENT, offset + 1);
      return;
    }
    this.#lacks = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    this.#codePoint = byte & (0x3f >> this.#lacks);
    // No overlong forms, no surrogates, nothing above U+10FFFF.
    this.#least = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
    this.#most = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
  }

  #character(codePoint: number, end: number): void {
    const offset = this.#characterAt;
    if (codePoint < 0xa0) {
      this.#c1(codePoint, offset, end);
      return;
    }
    if (this.#state === GROUND) this.#listener.character(codePoint, offset, end);
    else if (this.#state === STRING) {
      if (this.#payload !== null) this.#say(String.fromCodePoint(codePoint));
    } else if (this.#state !== CSI_IGNORED) this.#state = GROUND;
  }

  /** A C1 control is ESC and a letter. It ends whatever was going on. */
  #c1(code: number, offset: number, end: number): void {
    if (this.#state === STRING) this.#endString(end);
    if (code === ST) this.#state = GROUND;
    else {
      this.#begin(offset);
      this.#escape(code - 0x40, end);
    }
  }

  #ascii(byte: number, offset: number): void {
    if (byte === ESC) {
      if (this.#state === STRING) this.#endString(offset);
      this.#begin(offset);
      return;
    }
    if (byte === CAN || byte === SUB) {
      this.#state = GROUND;
      this.#listener.control(byte, offset);
      return;
    }
    switch (this.#state) {
      case STRING:
        if (byte === BEL && this.#isOsc) {
          this.#endString(offset + 1);
          this.#state = GROUND;
        }
        return;
      case GROUND:
        if (byte < 0x20) this.#listener.control(byte, offset);
        else if (byte !== DEL) this.#listener.character(byte, offset, offset + 1);
        return;
    }
    // A control inside a sequence is acted upon as if it stood before.
    if (byte < 0x20) this.#listener.control(byte, offset);
    else if (byte === DEL) return;
    else if (this.#state === ESCAPE) {
      if (byte < 0x30) this.#collect(byte);
      else this.#escape(byte, offset + 1);
    } else this.#csi(byte, offset + 1);
  }

  #begin(offset: number): void {
    this.#state = ESCAPE;
    this.#sequenceAt = offset;
    this.#intermediates = '';
    this.#prefix = '';
  }

  #collect(byte: number): void {
    // Nothing has more than two: a longer one is none that anybody knows, and stays so.
    if (this.#intermediates.length < 3) this.#intermediates += String.fromCharCode(byte);
  }

  #escape(final: number, end: number): void {
    this.#state = GROUND;
    if (this.#intermediates === '') {
      if (final === 0x5b) {
        this.#state = CSI;
        this.#params.clear();
        return;
      }
      // ] P X ^ _
      if (final === 0x5d || final === 0x50 || final === 0x58 || final === 0x5e || final === 0x5f) {
        this.#state = STRING;
        this.#isOsc = final === 0x5d;
        this.#payload = this.#isOsc && this.#keepsOsc ? '' : null;
        return;
      }
    }
    this.#listener.escape(this.#intermediates + String.fromCharCode(final), this.#sequenceAt, end);
  }

  #csi(byte: number, end: number): void {
    if (byte >= 0x40) {
      const isIgnored = this.#state === CSI_IGNORED;
      this.#state = GROUND;
      if (isIgnored) return;
      const final = String.fromCharCode(byte);
      const id = this.#prefix || this.#intermediates ? this.#prefix + this.#intermediates + final : final;
      this.#listener.csi(id, this.#params, this.#sequenceAt, end);
    } else if (byte < 0x30) this.#collect(byte);
    else if (this.#intermediates !== '') this.#state = CSI_IGNORED;
    else if (byte < 0x3c) {
      if (!this.#params.add(byte)) this.#state = CSI_IGNORED;
    } else if (this.#params.isEmpty && this.#prefix === '') this.#prefix = String.fromCharCode(byte);
    else this.#state = CSI_IGNORED;
  }

  #say(text: string): void {
    this.#payload += text;
    if (this.#payload!.length > PAYLOAD_LIMIT) this.#payload = null;
  }

  #endString(end: number): void {
    this.#listener.string(this.#payload, this.#sequenceAt, end);
    this.#payload = null;
  }
}

/** Hears what the stream consists of. Offsets are absolute: where a thing begins, and the next byte after it. */
export interface SequenceListener {
  /** Printable ASCII: the bytes being read, from `from` to `to`. */
  text(from: number, to: number): void;
  /** A character; one of ASCII only where something before it was broken. */
  character(codePoint: number, offset: number, end: number): void;
  /** C0. CAN and SUB are told too, after they have ended a sequence. */
  control(code: number, offset: number): void;
  /** ESC, intermediates and a final byte, such as `c` or `(0`; C1 controls in this form. */
  escape(id: string, offset: number, end: number): void;
  /** A control sequence by prefix, intermediates and final byte, such as `m` or `?h`. The parameters change afterwards. */
  csi(id: string, params: Params, offset: number, end: number): void;
  /** OSC, DCS, SOS, PM or APC has come to its end. What an OSC says is told if it is wanted and no longer than 16 KiB. */
  string(osc: string | null, offset: number, end: number): void;
}

/** The parameters of a control sequence. */
export class Params {
  readonly #bytes = Buffer.alloc(PARAMS_LIMIT_BYTES);
  #length = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** As they were written: digits, semicolons and colons. */
  get text(): string {
    return this.#bytes.toString('latin1', 0, this.#length);
  }

  /** The parameter at `index` from 0, or 0 when there is none. */
  number(index: number): number {
    let at = 0;
    for (let left = index; left > 0; at++) {
      if (at >= this.#length) return 0;
      if (this.#bytes[at] === SEMICOLON) left--;
    }
    let value = 0;
    for (let digit: number; at < this.#length && (digit = this.#bytes[at]! - 0x30) <= 9; at++)
      value = Math.min(value * 10 + digit, COUNT_LIMIT);
    return value;
  }

  /** As a count, of which none and 0 mean one. */
  count(index = 0): number {
    return this.number(index) || 1;
  }

  get length(): number {
    let count = 1;
    for (let at = 0; at < this.#length; at++) if (this.#bytes[at] === SEMICOLON) count++;
    return count;
  }

  clear(): void {
    this.#length = 0;
  }

  /** False when there is no room. */
  add(byte: number): boolean {
    if (this.#length === PARAMS_LIMIT_BYTES) return false;
    this.#bytes[this.#length++] = byte;
    return true;
  }
}

type State = typeof GROUND | typeof ESCAPE | typeof CSI | typeof CSI_IGNORED | typeof STRING;
const GROUND = 0;
const ESCAPE = 1;
const CSI = 2;
const CSI_IGNORED = 3;
const STRING = 4;

/** A string (a clipboard, an image) that is longer has lost its end, or hides what follows. What comes then is text. */
const STRING_LIMIT_BYTES = 8 << 20;
/** An address of 4096 may have three bytes for each character, and an id. */
const PAYLOAD_LIMIT = 16 << 10;
/** Terminals read 32 parameters or fewer. */
const PARAMS_LIMIT_BYTES = 256;
const COUNT_LIMIT = 0x7fffffff;
const REPLACEMENT = 0xfffd;
const SEMICOLON = 0x3b;
const BEL = 0x07;
const CAN = 0x18;
const SUB = 0x1a;
const ESC = 0x1b;
const DEL = 0x7f;
const ST = 0x9c;
