import { COLOR, lookOfCell, PLAIN } from './attributes.ts';
import { CellWriter } from './cells.ts';
import { CELL, type CoreLine, type Engine, WIDTH_SHIFT } from './engine.ts';
import type { Screen } from './screen.ts';
import { clearTheWay, cursorStyle, type Onto } from './serialize.ts';

/**
 * Draws a screen for a viewer whose terminal has another size. What does not fit is cut off, and the part that is shown follows the
 * cursor; where the viewer has more room, it stays empty. The bytes stay few: only rows that have changed.
 */
export class Painter {
  readonly #screen: Screen;
  readonly #cols: number;
  readonly #rows: number;
  readonly #onto: Onto;
  #painted: string[] | null = null;
  #afterwards = '';
  #left = 0;
  #top = 0;

  /** `onto`: as in a snapshot. */
  constructor(screen: Screen, cols: number, rows: number, onto: Onto = 'used') {
    this.#onto = onto;
    this.#screen = screen;
    this.#cols = cols;
    this.#rows = rows;
  }

  /** From the last frame to the screen as it is now; empty when nothing has changed. The first keeps what the viewer's terminal showed in its scrollback. */
  frame(): Uint8Array {
    this.#screen.settle();
    const { engine, modes } = this.#screen.emulator;
    this.#followCursor();
    const rows = Array.from({ length: this.#rows }, (_, y) => this.#row(engine, this.#top + y));
    let out = this.#painted ? '' : clearTheWay(this.#rows, this.#onto);
    rows.forEach((row, y) => {
      if (row === (this.#painted ? this.#painted[y] : '')) return;
      // Erasing comes first: with the cursor waiting after the last column it would take the last character away.
      out += `\x1b[${y + 1};1H\x1b[2K${row}`;
    });
    const { x, y, visible } = this.#screen.cursor;
    const title = modes.hasTitle ? `\x1b]2;${engine.title}\x1b\\` : '';
    const afterwards = `${title}\x1b[${cursorStyle(engine)} q\x1b[${y - this.#top + 1};${x - this.#left + 1}H\x1b[?25${visible ? 'h' : 'l'}`;
    if (out === '' && afterwards === this.#afterwards) return new Uint8Array(0);
    this.#painted = rows;
    this.#afterwards = afterwards;
    return Buffer.from(`\x1b[?2026h${out}${afterwards}\x1b[?2026l`);
  }

  #followCursor(): void {
    const { x, y } = this.#screen.cursor;
    this.#left = follow(this.#left, x, this.#cols, this.#screen.cols);
    this.#top = follow(this.#top, y, this.#rows, this.#screen.rows);
  }

  #row(engine: Engine, y: number): string {
    const line = y < engine.rows ? engine.active.lines.get(engine.active.ybase + y) : undefined;
    if (!line) return '';
    const writer = new CellWriter(engine, { exact: false });
    const to = Math.min(this.#left + this.#cols, CellWriter.end(line));
    let from = this.#left;
    // A wide character cut by either edge shows nothing.
    if (from > 0 && from < line.length && widthAt(line, from) === 0) {
      this.#cut(writer, line, from - 1);
      from++;
    }
    const isCut = to === this.#left + this.#cols && to > from && widthAt(line, to - 1) === 2;
    writer.cells(line, from, isCut ? to - 1 : to);
    if (isCut) {
      // Blank cells before it have been passed over, not written.
      writer.sequence(`\x1b[${this.#cols}G`);
      this.#cut(writer, line, to - 1);
    }
    writer.setPen(PLAIN);
    return writer.out;
  }

  #cut(writer: CellWriter, line: CoreLine, x: number): void {
    const background = lookOfCell(line, x).bg & COLOR;
    writer.setPen(background ? { ...PLAIN, bg: background } : PLAIN);
    writer.text(' ');
  }
}

/** The least movement that brings `at` into view, and nothing beyond the end. */
function follow(start: number, at: number, room: number, length: number): number {
  const last = Math.max(0, length - room);
  return Math.min(last, Math.max(0, Math.min(at, Math.max(start, at - room + 1))));
}

function widthAt(line: CoreLine, x: number): number {
  return line._data[x * CELL]! >>> WIDTH_SHIFT;
}
