/** What is on a screen, without blanks at the ends of rows. */
export interface Shown {
  rows: readonly string[];
  /** From 0. */
  cursorRow: number;
}

/** Where the end of a typed text stands, and waits for Enter. */
export interface TypedPlace {
  /** The whole row. */
  row: string;
  isAtCursor: boolean;
  /** Rows below it that are not blank: what is drawn above a prompt moves it, and not what is below. */
  below: number;
}

/** So many of its last characters are looked for: a prompt may be as narrow as this. */
const TAIL = 16;
/** Fewer are found anywhere. */
const TAIL_ELSEWHERE = 4;

/**
 * Finds the end of a text that was just typed: in the cursor's row or, since many programs draw a cursor of their own, in the lowest row that has
 * it. Null where it is not to be seen, as a password, or a paste that is shown as "[Pasted text #1]".
 */
export function findTyped({ rows, cursorRow }: Shown, typed: string): TypedPlace | null {
  const tail = typed
    .slice(typed.lastIndexOf('\n') + 1)
    .slice(-TAIL)
    .trim();
  if (tail === '') return null;
  const at = (index: number, isAtCursor: boolean): TypedPlace => ({ row: rows[index]!, isAtCursor, below: below(rows, index) });
  const here = rows[cursorRow] ?? '';
  // Of a text that is wrapped there may be little in that row.
  const inside = here.replace(/^[│┃║|\s]+|[│┃║|\s]+$/g, '');
  if (here.includes(tail) || (inside !== '' && tail.endsWith(inside))) return at(cursorRow, true);
  if (tail.length < TAIL_ELSEWHERE) return null;
  const lowest = rows.findLastIndex((row) => row.includes(tail));
  return lowest < 0 ? null : at(lowest, false);
}

/** Whether it stands there still, whatever else has changed. */
export function isStillThere({ rows, cursorRow }: Shown, place: TypedPlace): boolean {
  if (place.isAtCursor) return rows[cursorRow] === place.row;
  return rows.some((row, index) => row === place.row && below(rows, index) === place.below);
}

function below(rows: readonly string[], index: number): number {
  return rows.slice(index + 1).filter((row) => row !== '').length;
}
