import { type Pen, PLAIN_PEN, penChange } from './pen.ts';
import { joined, NARROW } from './widths.ts';

/**
 * The line that is being written: cells and a cursor, as in one row of a terminal that is wide enough. Overwriting, erasing and half
 * characters come out as in the emulator. Work and memory are bounded: what shifts cells reaches to the end of the terminal's row only.
 */
export class Row {
  /** The cursor's column, from 0. At most `ROW_LIMIT`. */
  column = 0;
  /** Columns of the terminal. */
  width = UNKNOWN_WIDTH;
  isInserting = false;
  /** The pen of what is written from here on. Remembered for each cell once it has been anything but plain. */
  #pen: Pen = PLAIN_PEN;
  /** A character, several that share a cell, 0 for a blank that nobody wrote, or TAIL. What lies beyond `#length` is old. */
  readonly #cells: (number | string)[] = [];
  #pens: (Pen | undefined)[] | null = null;
  #length = 0;
  #isAscii = true;
  /** What the last character tells the next (see `joined`): 0 after anything else. */
  #joinState = 0;
  /** How many characters share cells with others, and have not been overwritten when this was counted last. */
  #marks = 0;

  get pen(): Pen {
    return this.#pen;
  }

  set pen(pen: Pen) {
    this.#pen = pen;
    if (pen !== PLAIN_PEN) this.#pens ??= new Array<undefined>(this.#length).fill(undefined);
  }

  /** Nothing has been written and the cursor is at the beginning. */
  get isFresh(): boolean {
    return this.#length === 0 && this.column === 0;
  }

  /** Blanks are none, whatever they look like. */
  get hasText(): boolean {
    return this.#end(null) > 0;
  }

  /** How many columns can be written before the line must be cut. */
  get room(): number {
    return this.#marks > ROW_LIMIT ? 0 : ROW_LIMIT - this.column;
  }

  /** The text, with the pens if there are any. A piece of a longer line is not whole: its last blanks stand in the middle of it. */
  text(isWhole: boolean): string {
    const end = isWhole ? this.#end(this.#pens) : this.#length;
    const cells = this.#cells;
    if (this.#isAscii && !this.#pens) {
      if (scratch.length < end) scratch = Buffer.alloc(Math.max(end, scratch.length * 2));
      for (let x = 0; x < end; x++) scratch[x] = (cells[x] as number) || SPACE;
      return scratch.toString('latin1', 0, end);
    }
    let text = '';
    if (this.#pens) text = this.#penned(end, this.#pens);
    else for (let x = 0; x < end; x++) text += this.#textAt(x);
    // Some characters take a space into their cell.
    let last = text.length;
    if (isWhole) while (last > 0 && text.charCodeAt(last - 1) === SPACE) last--;
    return last < text.length ? text.slice(0, last) : text;
  }

  /** Every column that has been written to, its end included. */
  get length(): number {
    return this.#length;
  }

  /** The text between two columns, blanks at its end included. */
  textBetween(from: number, to: number): string {
    const end = Math.min(to, this.#length);
    if (from >= end) return '';
    if (!this.#isAscii) {
      let text = '';
      for (let x = from; x < end; x++) text += this.#textAt(x);
      return text;
    }
    if (scratch.length < end) scratch = Buffer.alloc(Math.max(end, scratch.length * 2));
    for (let x = from; x < end; x++) scratch[x] = (this.#cells[x] as number) || SPACE;
    return scratch.toString('latin1', from, end);
  }

  /** The column after so many code units of the text that begins at a column. */
  columnAfter(units: number, from: number): number {
    if (this.#isAscii) return from + units;
    let column = from;
    for (let left = units; left > 0 && column < this.#length; column++) left -= this.#textAt(column).length;
    while (column < this.#length && this.#cells[column] === TAIL) column++;
    return column;
  }

  /** The pen stays. */
  clear(): void {
    this.column = 0;
    this.#length = 0;
    this.#isAscii = true;
    this.#joinState = 0;
    this.#marks = 0;
    this.#pens = this.#pen === PLAIN_PEN ? null : [];
  }

  /** Nothing joins the last character any more: a control or a sequence came. */
  separate(): void {
    this.#joinState = 0;
  }

  /** Printable ASCII, no more than there is room for. */
  writeAscii(bytes: Uint8Array, from: number, to: number): void {
    let at = from;
    // Some characters take the next one in, whatever it is.
    for (; at < to && this.#joinState >> 3 !== 0; at++) this.write(bytes[at]!);
    if (at === to) return;
    const start = this.column;
    const count = to - at;
    this.#prepare(count);
    const cells = this.#cells;
    for (let x = start; at < to; at++, x++) cells[x] = bytes[at]!;
    if (this.#pens) for (let x = start; x < start + count; x++) this.#pens[x] = this.#pen;
    this.#advance(count);
    this.#joinState = NARROW;
  }

  /** One character. There must be room for two columns. */
  write(codePoint: number): void {
    const before = this.#joinState;
    const state = joined(codePoint, before);
    const width = (state >> 1) & 3;
    this.#joinState = state;
    const x = this.column;
    if (codePoint > 0x7e) this.#isAscii = false;
    if (state & 1 && x > 0) {
      const head = this.#cells[x - 1] === TAIL ? x - 2 : x - 1;
      const text = this.#textAt(head);
      this.#cells[head] = text + String.fromCodePoint(codePoint);
      this.#isAscii = false;
      if (++this.#marks > ROW_LIMIT) this.#countMarks();
      const grows = width - ((before >> 1) & 3);
      if (grows <= 0) return;
      this.#prepare(grows);
      for (let i = 0; i < grows; i++) this.#set(x + i, TAIL, this.#pens?.[head]);
      this.#advance(grows);
      return;
    }
    this.#prepare(width);
    this.#set(x, codePoint, this.#pen);
    for (let i = 1; i < width; i++) this.#set(x + i, TAIL, this.#pen);
    this.#advance(width);
  }

  /** REP: the last character, again and again, for no more than a row of it. */
  repeat(count: number): void {
    const x = this.column;
    if (this.#joinState === 0 || x === 0 || x > this.#length) return;
    const cell = this.#cells[x - 1]!;
    if (typeof cell === 'number' && cell > 0 && cell < 0x7f && this.#joinState === NARROW) {
      const run = Buffer.alloc(Math.max(0, Math.min(count, this.width, this.room)), cell);
      this.writeAscii(run, 0, run.length);
      return;
    }
    const text = this.#textAt(cell === TAIL ? x - 2 : x - 1);
    for (let left = Math.min(count, this.width); left > 0 && this.room >= 2; left--) {
      for (const character of text) if (this.room >= 2) this.write(character.codePointAt(0)!);
    }
  }

  /** To a column, no further right than a terminal would go. */
  moveTo(column: number): void {
    this.column = Math.max(0, Math.min(column, this.width - 1));
  }

  moveBy(columns: number): void {
    if (columns < 0) this.column = Math.max(0, this.column + columns);
    else if (this.column < this.width) this.column = Math.min(this.column + columns, this.width - 1);
  }

  /** Tab stops go on beyond the row's end, where a terminal has none: two columns of a table should not become one word. */
  tab(count: number): void {
    this.column = Math.min(ROW_LIMIT - 1, (Math.floor(this.column / TAB) + Math.min(count, this.width)) * TAB);
  }

  backTab(count: number): void {
    this.column = Math.max(0, (Math.ceil(this.column / TAB) - Math.min(count, ROW_LIMIT)) * TAB);
  }

  /** EL: from the cursor on, up to and with it, or all. */
  erase(what: number): void {
    if (what === 0) this.#blank(this.column, this.#length);
    else if (what === 1) this.#blank(this.#rowStart, this.column + 1);
    else if (what === 2) this.#length = 0;
  }

  /** ECH */
  eraseCharacters(count: number): void {
    this.#blank(this.column, Math.min(this.column + count, this.#rowEnd));
  }

  /** DCH */
  deleteCharacters(count: number): void {
    const x = this.column;
    const end = Math.min(this.#length, this.#rowEnd);
    if (x >= end) return;
    const from = Math.min(x + count, end);
    for (const edge of [x, from, end]) this.#halve(edge);
    for (let to = x, at = from; at < end; at++, to++) this.#set(to, this.#cells[at]!, this.#pens?.[at]);
    const left = end - (from - x);
    if (end === this.#length) this.#length = left;
    else this.#clear(left, end);
  }

  /** ICH */
  insertBlanks(count: number): void {
    this.#shift(count);
    if (this.column < this.#length) this.#blank(this.column, Math.min(this.column + count, this.#rowEnd));
  }

  get #rowStart(): number {
    return this.column - (this.column % this.width);
  }

  get #rowEnd(): number {
    return this.#rowStart + this.width;
  }

  /** Makes way for `count` columns at the cursor. */
  #prepare(count: number): void {
    const x = this.column;
    if (x > this.#length) this.#extend(x);
    if (this.isInserting) this.#shift(count);
    else if (x < this.#length) this.#halve(x);
  }

  #advance(count: number): void {
    this.column += count;
    if (this.column > this.#length) this.#length = this.column;
    else if (this.column < this.#length && this.#cells[this.column] === TAIL) this.#cells[this.column] = 0;
  }

  #set(x: number, cell: number | string, pen: Pen | undefined): void {
    this.#cells[x] = cell;
    if (this.#pens) this.#pens[x] = pen;
  }

  /** Moves what is right of the cursor further right; what leaves the terminal's row is lost. */
  #shift(count: number): void {
    const x = this.column;
    if (x >= this.#length) return;
    this.#halve(x);
    const end = Math.max(this.#length, Math.min(this.#length + count, this.#rowEnd, ROW_LIMIT));
    this.#extend(end);
    const rowEnd = Math.min(end, this.#rowEnd);
    if (x + count >= rowEnd) return;
    this.#halve(rowEnd - count);
    this.#halve(rowEnd);
    for (let at = rowEnd - count - 1; at >= x; at--) this.#set(at + count, this.#cells[at]!, this.#pens?.[at]);
  }

  #extend(length: number): void {
    for (let x = this.#length; x < length; x++) this.#set(x, 0, undefined);
    this.#length = Math.max(this.#length, length);
  }

  #blank(from: number, to: number): void {
    const end = Math.min(to, this.#length);
    if (from >= end) return;
    this.#halve(from);
    if (end === this.#length) {
      this.#length = from;
      return;
    }
    this.#halve(end);
    this.#clear(from, end);
  }

  #clear(from: number, to: number): void {
    this.#cells.fill(0, from, to);
    this.#pens?.fill(undefined, from, to);
  }

  /** A wide character that reaches over the left edge of `x` is about to lose a half: the other is blank. */
  #halve(x: number): void {
    if (x >= this.#length || this.#cells[x] !== TAIL) return;
    this.#cells[x] = 0;
    this.#cells[x - 1] = 0;
  }

  #textAt(x: number): string {
    const cell = this.#cells[x]!;
    if (typeof cell === 'string') return cell;
    return cell === TAIL ? '' : cell === 0 ? ' ' : String.fromCodePoint(cell);
  }

  /** Marks of overwritten cells do not count. If many do, the line is full; else it is long until the next count. */
  #countMarks(): void {
    let marks = 0;
    for (let x = 0; x < this.#length; x++) {
      const cell = this.#cells[x]!;
      if (typeof cell === 'string') marks += cell.length;
    }
    if (marks <= ROW_LIMIT / 2) this.#marks = marks;
  }

  /** The column after the last cell that one can see. */
  #end(pens: (Pen | undefined)[] | null): number {
    let end = this.#length;
    for (; end > 0; end--) {
      const cell = this.#cells[end - 1];
      if (cell !== 0 && (cell !== SPACE || pens?.[end - 1]?.showsSpaces)) break;
    }
    return end;
  }

  #penned(end: number, pens: (Pen | undefined)[]): string {
    let text = '';
    let pen = PLAIN_PEN;
    for (let x = 0; x < end; x++) {
      const cell = this.#cells[x]!;
      if (cell === TAIL) continue;
      const next = pens[x] ?? PLAIN_PEN;
      if (next !== pen) text += penChange(pen, next);
      pen = next;
      text += this.#textAt(x);
    }
    return text + penChange(pen, PLAIN_PEN);
  }
}

/** Columns of a line that is kept whole. */
export const ROW_LIMIT = 64 * 1024;

/** How far right a cursor goes when nobody said how wide the terminal is. A few bytes must not make a kilobyte of blanks. */
const UNKNOWN_WIDTH = 1024;
const TAIL = -1;
const SPACE = 0x20;
const TAB = 8;
let scratch = Buffer.alloc(1024);
