/** What a program that reads lines gets of one at most, with its end (MAX_CANON on Linux is 4,096): the kernel drops the rest. */
export const LINE_LIMIT_BYTES = 4095;

/** A text as it is typed: its lines end alike, and the last with the Enter that comes apart. */
export function asTyped(text: string): string {
  const lines = text.replace(/\r\n?/g, '\n');
  // /\n+$/ would look from each of many newlines to the last.
  let end = lines.length;
  while (lines[end - 1] === '\n') end--;
  return lines.slice(0, end);
}

/** The sentence about what in such a text would be taken for a key by `taker`; null where there is nothing. */
export function keyIn(typed: string, taker: string): string | null {
  const control = /[\x00-\x08\x0b-\x1f\x7f]/.exec(typed);
  if (!control) return null;
  const code = control[0].charCodeAt(0).toString(16).padStart(2, '0');
  return `The text has the control character \\x${code} in it, which ${taker} would take for a key.`;
}

export function bytesOfLongestLine(typed: string): number {
  return typed.split('\n').reduce((longest, line) => Math.max(longest, Buffer.byteLength(line)), 0);
}
