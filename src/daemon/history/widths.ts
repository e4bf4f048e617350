import { Engine } from '../terminal/engine.ts';

/**
 * How wide the emulator prints a character, and whether it joins the one before. Bit 0: it joins; bits 1 and 2: the width of what there is
 * then; above: what the next character must know. `before` is the result for the character before, 0 when there is none.
 */
export function joined(codePoint: number, before: number): number {
  engine ??= new Engine({ cols: 2, rows: 1, scrollbackLines: 0 });
  return engine.joined(codePoint, before);
}

/** What `joined` says of ASCII. */
export const NARROW = 2;

let engine: Engine | undefined;
