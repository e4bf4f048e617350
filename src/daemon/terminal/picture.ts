import { createHash } from 'node:crypto';
import { lookOfCell } from './attributes.ts';
import { character } from './capture.ts';
import type { Screen } from './screen.ts';

/** What somebody sees who looks at a screen. */
export interface Picture {
  /** The visible rows, without blanks at their ends. */
  rows: string[];
  /** Of the visible cells, with colours and attributes, and the size. Not of the cursor. The same in every daemon. */
  hash: string;
}

export function picture(screen: Screen): Picture {
  screen.settle();
  const visible = { from: 0, to: screen.rows - 1 };
  const hash = createHash('sha256').update(`${screen.cols} ${screen.rows}\n`);
  hash.update(screen.lines({ ...visible, withEscapes: true }).join('\n'));
  return { rows: screen.lines(visible), hash: hash.digest('hex').slice(0, 16) };
}

/** A piece of a row in inverse video. */
export interface Span {
  /** Both from 0. */
  row: number;
  column: number;
  text: string;
}

/** How programs mark the selected row of a menu; status lines and drawn cursors look the same. Blank ones are left out. */
export function highlightedSpans(screen: Screen): Span[] {
  const { engine } = screen.emulator;
  const { active, rows, cols } = engine;
  const spans: Span[] = [];
  for (let row = 0; row < rows; row++) {
    const line = active.lines.get(active.ybase + row)!;
    let span: Span | null = null;
    for (let x = 0; x < cols; x++) {
      if (!(lookOfCell(line, x).fg & INVERSE)) span = null;
      else if (span) span.text += character(line, x);
      else spans.push((span = { row, column: x, text: character(line, x) }));
    }
  }
  return spans.flatMap((span) => (span.text.trim() === '' ? [] : [{ ...span, text: span.text.trimEnd() }]));
}

const INVERSE = 0x4000000;
