import { changePen, lookOfCell, PLAIN, sameLook } from './attributes.ts';
import { CELL, CODE_POINT, type CoreLine, type Engine, HAS_CONTENT, IS_COMBINED, WIDTH_SHIFT } from './engine.ts';

export interface CaptureOptions {
  /** The first and the last row, both included. */
  from: number;
  to: number;
  /** Colours, attributes and links as escape sequences. Each line begins and ends without any. */
  withEscapes?: boolean;
  /** Soft-wrapped rows as the one line they are. */
  joinWrapped?: boolean;
  /** Spaces at the end of a line are left out. Cells never written to always are. */
  trimEnd?: boolean;
}

/** As tmux's capture-pane reads a pane: in the alternate screen the history is still the normal screen's. */
export function captureLines(
  engine: Engine,
  { from, to, withEscapes = false, joinWrapped = false, trimEnd = true }: CaptureOptions,
): string[] {
  const history = engine.normal.ybase;
  const clamp = (row: number) => Math.max(-history, Math.min(engine.rows - 1, row));
  const lines: string[] = [];
  let open: string | null = null;
  const finish = () => {
    if (open !== null) lines.push(trimEnd ? withoutTrailingSpaces(open) : open);
  };
  for (let row = clamp(from); row <= clamp(to); row++) {
    const line = row < 0 ? engine.normal.lines.get(history + row)! : engine.active.lines.get(engine.active.ybase + row)!;
    const text = withEscapes ? escapedText(engine, line) : plainText(line);
    if (joinWrapped && line.isWrapped && open !== null) open += text;
    else {
      finish();
      open = text;
    }
  }
  finish();
  return lines;
}

function plainText(line: CoreLine): string {
  let text = '';
  const end = written(line);
  for (let x = 0; x < end; x++) text += character(line, x);
  return text;
}

function escapedText(engine: Engine, line: CoreLine): string {
  let text = '';
  let pen = PLAIN;
  let end = line.length;
  while (end > 0 && !(line._data[(end - 1) * CELL]! & HAS_CONTENT) && sameLook(lookOfCell(line, end - 1), PLAIN)) end--;
  end = Math.max(end, written(line));
  for (let x = 0; x < end; x++) {
    const look = lookOfCell(line, x);
    if (!sameLook(look, pen)) text += changePen(pen, look, engine);
    pen = look;
    text += character(line, x);
  }
  return text + changePen(pen, PLAIN, engine);
}

/** What stands in a cell: nothing in the second half of a wide character. */
export function character(line: CoreLine, x: number): string {
  const content = line._data[x * CELL]!;
  if (content & IS_COMBINED) return line._combined[x] ?? '';
  if (content & HAS_CONTENT) return String.fromCodePoint(content & CODE_POINT);
  return content >>> WIDTH_SHIFT === 0 ? '' : ' ';
}

/** The column after the last cell that has been written to. */
function written(line: CoreLine): number {
  for (let x = line.length - 1; x >= 0; x--) {
    const content = line._data[x * CELL]!;
    if (content & HAS_CONTENT) return x + (content >>> WIDTH_SHIFT);
  }
  return 0;
}

function withoutTrailingSpaces(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 0x20) end--;
  return text.slice(0, end);
}
