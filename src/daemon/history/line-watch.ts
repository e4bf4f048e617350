import type { Row } from './row.ts';

/** Sees a line while it is written. What it is told of the row holds during the call. */
export interface LineWatch {
  /** So much ASCII goes into the cells from `column` on; its first byte is at `offset`. */
  wroteAscii(column: number, count: number, offset: number): void;
  /** A character has gone into the cells before `column`; its bytes end before `end`. */
  wrote(column: number, end: number): void;
  /**
   * What stands before the cursor is about to change, or all has been read that there is, or the line is finished and its row about to be
   * cleared. The line began at the offset `start`.
   */
  look(row: Row, start: number, isFinished: boolean): void;
  /** A line of plain text is finished, blanks at its end included, of which nothing was told before. Its bytes are from `from` to `to`. */
  line(text: string, place: { start: number; from: number; to: number }): void;
}
