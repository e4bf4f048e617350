import { changePen, isErased, type Look, lookOfCell, PLAIN, sameLook } from './attributes.ts';
import { CELL, CODE_POINT, type CoreLine, type Engine, HAS_CONTENT, HAS_EXTENDED, IS_COMBINED, WIDTH_SHIFT } from './engine.ts';

/**
 * Writes rows of cells as the bytes that make them on another terminal. It knows where the other terminal's cursor and pen are, so that
 * each sequence is written once. Rows are expected to be blank, in default colours, where they are written.
 */
export class CellWriter {
  out = '';
  pen: Look = PLAIN;
  /** What the other terminal would join the next character to; any sequence breaks it. */
  #joinState = 0;
  readonly #engine: Engine;
  readonly #exact: boolean;

  /** `exact`: blanks that erasing cannot make are made all the same. Otherwise they are spaces, which look the same. */
  constructor(engine: Engine, { exact = true }: { exact?: boolean } = {}) {
    this.#engine = engine;
    this.#exact = exact;
  }

  /** Anything but printable text. */
  sequence(bytes: string): void {
    this.out += bytes;
    this.#joinState = 0;
  }

  setPen(look: Look): void {
    if (sameLook(this.pen, look)) return;
    this.sequence(changePen(this.pen, look, this.#engine));
    this.pen = look;
  }

  text(text: string): void {
    let joinState = this.#joinState;
    let first = true;
    for (const character of text) {
      const code = character.codePointAt(0)!;
      const next = this.#engine.joined(code, joinState);
      // The neighbour's character must not be swallowed: ST does nothing but end the cluster.
      if (first && next & 1) {
        this.sequence('\x1b\\');
        joinState = this.#engine.joined(code, 0);
      } else joinState = next;
      first = false;
    }
    this.out += text;
    this.#joinState = joinState;
  }

  /** Cells `from` up to, not including, `to`; the cursor stands at `from`. Leaves it after the last cell that is not blank. */
  cells(line: CoreLine, from: number, to: number): void {
    const data = line._data;
    let gap = 0;
    let rawFg = -1;
    let rawBg = -1;
    const close = () => {
      if (gap > 0) this.sequence(gap === 1 ? '\x1b[C' : `\x1b[${gap}C`);
      gap = 0;
    };
    for (let x = from; x < to; x++) {
      const content = data[x * CELL]!;
      const fg = data[x * CELL + 1]!;
      const bg = data[x * CELL + 2]!;
      if (content & HAS_CONTENT) {
        close();
        if (fg !== rawFg || bg !== rawBg || bg & HAS_EXTENDED) {
          this.setPen(lookOfCell(line, x));
          rawFg = fg;
          rawBg = bg;
        }
        const code = content & CODE_POINT;
        if (content & IS_COMBINED) this.text(line._combined[x] ?? '');
        else if (code < 0x7f && this.#joinState >> 3 === 0) {
          const end = asciiRun(data, x, to);
          this.out += SCRATCH.toString('latin1', 0, end - x);
          x = end - 1;
          this.#joinState = NARROW;
        } else this.text(String.fromCodePoint(code));
        continue;
      }
      if (content >>> WIDTH_SHIFT === 0) continue;
      if (fg === 0 && bg === 0) {
        gap++;
        continue;
      }
      const look = lookOfCell(line, x);
      if (sameLook(look, PLAIN)) gap++;
      else if (isErased(look)) {
        let end = x + 1;
        while (end < to && isBlank(line, end) && sameLook(lookOfCell(line, end), look)) end++;
        close();
        this.setPen(look);
        this.sequence(`\x1b[${end - x}X`);
        gap += end - x;
        x = end - 1;
      } else if (!this.#exact || (x === 0 && isDressed(line, 1) && to === 1)) {
        close();
        this.setPen(look);
        this.text(' ');
      } else {
        close();
        this.dressedBlank(x, look);
        gap = 1;
      }
      rawFg = -1;
    }
  }

  /** The column after the last cell that is not blank in default colours. */
  static end(line: CoreLine): number {
    let end = line.length;
    while (end > 0 && isBlank(line, end - 1) && (isUntouched(line, end - 1) || sameLook(lookOfCell(line, end - 1), PLAIN))) end--;
    return end;
  }

  /**
   * An empty cell that has more than a background: what is left of a wide character of which one half was overwritten. Made in the same
   * way, since erasing leaves a background only. The cursor stands at `x` before and after, and the cell to the right is blanked.
   */
  dressedBlank(x: number, look: Look): void {
    this.setPen(look);
    this.sequence(`${WIDE}\x1b[${x + 2}G `);
    this.setPen(PLAIN);
    this.sequence(`\x1b[${x + 2}G\x1b[X\x1b[${x + 1}G`);
  }

  /**
   * Makes such cells at the end of a blank row, where there is no room to the right: one column to the left, then they are pushed. Returns
   * the column where they begin, or the row's length; the cursor is at the row's beginning before and after. The one exception to an exact
   * copy: in a row of nothing else, the first is made a space, which looks the same.
   */
  dressedEnd(line: CoreLine): number {
    let start = line.length;
    while (start > 1 && isDressed(line, start - 1)) start--;
    if (start === line.length) return start;
    this.sequence(`\x1b[${start}G`);
    for (let x = start; x < line.length; x++) {
      this.dressedBlank(x - 1, lookOfCell(line, x));
      this.sequence('\x1b[C');
    }
    this.sequence(`\x1b[${start}G\x1b[@\r`);
    return start;
  }
}

export function isBlank(line: CoreLine, x: number): boolean {
  const content = line._data[x * CELL]!;
  return !(content & HAS_CONTENT) && content >>> WIDTH_SHIFT !== 0;
}

/** No colour and no attribute ever got here: most blanks, and told from two numbers. */
function isUntouched(line: CoreLine, x: number): boolean {
  return line._data[x * CELL + 1] === 0 && line._data[x * CELL + 2] === 0;
}

/** Where the run of ASCII characters ends that begins at `x` and looks the same all along; it is in `SCRATCH` then. */
function asciiRun(data: Uint32Array, x: number, to: number): number {
  const fg = data[x * CELL + 1]!;
  const bg = data[x * CELL + 2]!;
  // What else such a cell has stands elsewhere, and may differ from cell to cell.
  const last = bg & HAS_EXTENDED ? x + 1 : Math.min(to, x + SCRATCH.length);
  let end = x;
  for (let at = x * CELL; end < last; end++, at += CELL) {
    const content = data[at]!;
    const code = content & HAS_CONTENT;
    if (code === 0 || code >= 0x7f || data[at + 1] !== fg || data[at + 2] !== bg) break;
    SCRATCH[end - x] = code;
  }
  return end;
}

/** A blank that erasing cannot make. */
export function isDressed(line: CoreLine, x: number): boolean {
  if (!isBlank(line, x) || isUntouched(line, x)) return false;
  const look = lookOfCell(line, x);
  return !isErased(look) && !sameLook(look, PLAIN);
}

/** Most of any screen is such runs; a string made of the whole run costs a fifth of one made letter by letter. */
const SCRATCH = Buffer.alloc(1024);
const WIDE = '一';
const NARROW = 2;
