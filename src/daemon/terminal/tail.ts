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
 * the control characters inside it, which have been acted upon already. Null when the sequence has ended. `table` is upstream's own
 * transition table, so the two cannot disagree.
 */
export function unfinishedSequence(bytes: Uint8Array, table: Uint8Array): Uint8Array | null {
  let state = GROUND;
  let kept: number[] = [];
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte >= 0x80 && byte < 0xc0) {
      // The rest of a character: it was judged with its first byte.
      if (state !== GROUND) kept.push(byte);
      continue;
    }
    const code = byte === 0xc2 && i + 1 < bytes.length ? bytes[i + 1]! : byte;
    const transition = table[(state << 8) | (code < 0xa0 ? code : NON_ASCII)]!;
    const action = transition >> 4;
    const before = state;
    state = transition & 15;
    if (code === 0x1b && (action === OSC_END || action === DCS_UNHOOK)) state = ESCAPE;
    if (state === GROUND) kept = [];
    else if (before === GROUND || code === 0x1b || (code >= 0x80 && code < 0xa0)) kept = [byte];
    else if (action !== EXECUTE) kept.push(byte);
  }
  return state === GROUND ? null : Uint8Array.from(kept);
}

/** An opening of the same kind whose content nobody reads, for a string too long to be kept. */
export function neutralOpening(sequence: Uint8Array): Uint8Array {
  const kind = sequence[1];
  return Buffer.from(kind === 0x5d ? '\x1b]99999;' : kind === 0x50 ? '\x1bP99999;0z' : '\x1b_');
}

const NON_ASCII = 0xa0;
const ESCAPE = 1;
const EXECUTE = 3;
const OSC_END = 6;
const DCS_UNHOOK = 14;
