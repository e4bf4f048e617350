import { type Pen, PLAIN_PEN } from './pen.ts';

/** What a program saved of the cursor, to come back to. */
export interface SavedCursor {
  line: number;
  column: number;
  pen: Pen;
  drawing: boolean[];
  charset: number;
}

export const NOTHING_SAVED: SavedCursor = { line: -1, column: 0, pen: PLAIN_PEN, drawing: [false, false], charset: 0 };
