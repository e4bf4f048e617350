export const BACKSPACE = 0x08;
export const TAB = 0x09;
export const LF = 0x0a;
export const VT = 0x0b;
export const FF = 0x0c;
export const CR = 0x0d;
export const SHIFT_OUT = 0x0e;
export const SHIFT_IN = 0x0f;
export const SPACE = 0x20;

/** Control sequences after which the text before the cursor may be another. Those that restore the cursor or leave the row are not among them. */
export const GOES_BACK: ReadonlySet<string> = new Set(['K', '?K', 'J', '?J', 'D', 'G', '`', 'Z']);

/** What stands for a byte while DEC's line drawing counts. */
export function drawingOf(byte: number): number {
  return DRAWING[byte - DRAWING_FROM] ?? byte;
}

const DRAWING_FROM = 0x60;
/** From ` to ~. */
const DRAWING = Array.from('◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·', (character) => character.codePointAt(0)!);
