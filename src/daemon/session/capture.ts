import type { CallInput, CallResult } from '../../wire/calls.ts';
import type { Screen } from '../terminal/screen.ts';

/** A screen as text, counted as tmux's capture-pane does. */
export function capture(screen: Screen, { escapes, join, start, end }: CallInput<'pane.capture'>): CallResult<'pane.capture'> {
  screen.settle();
  const from = start === '-' ? -screen.historyLines : (start ?? 0);
  const to = end === '-' || end === undefined ? screen.rows - 1 : end;
  return {
    lines: screen.lines({ from, to, withEscapes: escapes, joinWrapped: join, trimEnd: !join }),
    cols: screen.cols,
    rows: screen.rows,
    cursor: screen.cursor,
    title: screen.title,
    alternate: screen.isAlternate,
    historyLines: screen.historyLines,
  };
}
