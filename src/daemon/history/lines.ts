import type { Entry, Gap } from '../persistence/journal/entry.ts';
import { BACKSPACE, CR, drawingOf, FF, GOES_BACK, LF, SHIFT_IN, SHIFT_OUT, SPACE, TAB, VT } from './controls.ts';
import { gapNotice } from './gap-notice.ts';
import type { LineWatch } from './line-watch.ts';
import { type Pen, PLAIN_PEN, withLink, withSameLink, withSgr } from './pen.ts';
import { ROW_LIMIT, Row } from './row.ts';
import { NOTHING_SAVED, type SavedCursor } from './saved-cursor.ts';
import { type Params, type SequenceListener, SequenceReader } from './sequences.ts';

/** A finished line of a pane's output. */
export interface Line {
  text: string;
  /** Of its first byte: the one after the line before, or the first byte of the sequence that moved the cursor here. */
  offset: number;
  /** After its last byte, which is its LF if it has one. */
  end: number;
  /** When it was finished, in milliseconds since 1970. */
  at: number;
}

/**
 * Makes lines of text of what a program wrote, as a person would have read them in the end. A line is what stands between two LF, however
 * often it was wrapped on a screen, with its blanks at the end left out:
 *
 * - What was overwritten or erased within the line (CR, BS, CSI C, D, G, K, P, @, X and their like) is gone: of a progress bar there is
 *   what it showed last. CR goes to the beginning of the line, even if that is rows above the cursor.
 * - A cursor that goes to another row (CSI A, B, H, d, RI, VT, scrolling, CSI 2J, ...) finishes the line, if there is any text in it, and
 *   begins another in the column where it lands. Nobody knows here which text stands in that row, so a program that draws the same screen
 *   a hundred times has written its lines a hundred times. CSI 0J and 1J do to this line what K does; the others are lines already.
 * - The alternate screen is a picture, not lines: left out. Entering, leaving and a reset (RIS) finish the line.
 * - A gap finishes the line and is a line of its own. After it the normal screen is assumed: lines too many are better than none. An
 *   offset that does not follow (another pane's journal) finishes the line too.
 * - Titles, queries, colors and modes leave nothing. A string (OSC, DCS, APC, PM, SOS) of more than 8 MiB is text from there on.
 * - A line of more than 65,536 columns comes in pieces of that many (only the last one ends at `end` with an LF). So does one
 *   of more than 64 Ki combining marks. So memory is bounded, and the lines are the same however the bytes were cut into entries.
 *
 * `watch`: is told of every state of a line, and no lines are made. The alternate screen is lines like the others then, and a cursor that
 * goes elsewhere in the row where it is known to be stays in the line: programs that draw leave out the blanks between words.
 *
 * `keepsLooks`: the text has SGR and OSC 8 in it, made anew from what each cell looks like. Each line begins and ends without any.
 */
export class LineAssembler {
  readonly #row = new Row();
  readonly #reader: SequenceReader;
  readonly #keepsLooks: boolean;
  readonly #watch: LineWatch | null;
  /** The terminal's row that the line stands in, from 1, if a sequence has said so. Only when watched. */
  #screenRow: number | null = null;
  #lines: Line[] = [];
  /** Where the line began. */
  #start = 0;
  /** The next byte to come. */
  #next = 0;
  #at = 0;
  /** Counts lines, so that a saved cursor knows its own. */
  #number = 0;
  #saved: SavedCursor = NOTHING_SAVED;
  #isAlternate = false;
  /** Which of G0 and G1 are DEC's line drawing, and which of them counts. */
  #drawing: boolean[] = [false, false];
  #charset = 0;
  /** What came of a pen and an SGR: a program has few of them, and uses them often. */
  readonly #pens = new Map<string, Pen>();
  /** All of the line so far, if it is plain text in one piece: most lines never need cells. Only within a push. */
  #run: Run | null = null;
  /** The offset of the first byte of this push. */
  #base = 0;
  #bytes: Buffer = NOTHING;

  constructor({ keepsLooks = false, watch = null }: { keepsLooks?: boolean; watch?: LineWatch | null } = {}) {
    this.#keepsLooks = keepsLooks;
    this.#watch = watch;
    const listener: SequenceListener = {
      text: (from, to) => this.#text(from, to),
      character: (codePoint, offset, end) => this.#character(codePoint, offset, end),
      control: (code, offset) => this.#control(code, offset),
      escape: (id, offset, end) => this.#escape(id, offset, end),
      csi: (id, params, offset, end) => this.#csi(id, params, offset, end),
      string: (osc) => this.#string(osc),
    };
    this.#reader = new SequenceReader(listener, { keepsOsc: keepsLooks });
  }

  /** The lines that this entry finishes. Its bytes are not kept. */
  push(entry: Entry): Line[] {
    this.#at = entry.at;
    if (entry.is === 'resize') this.#row.width = Math.max(1, entry.cols);
    else if (entry.is === 'gap') this.#gap(entry);
    else if (entry.is === 'output') {
      const { bytes, offset } = entry;
      if (offset !== this.#next) this.#moveTo(offset);
      this.#base = offset;
      this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
      this.#reader.read(this.#bytes, offset);
      this.#next = offset + bytes.length;
      this.#unfold();
      this.#look(false);
      this.#bytes = NOTHING;
      this.#base = this.#next;
    }
    return this.#taken();
  }

  /** The line that has no end yet, if there is any text in it. What comes afterwards is another line. */
  flush(): Line[] {
    this.#reader.cut(this.#next);
    this.#leave(this.#next, this.#next, 0);
    return this.#taken();
  }

  /** What comes next begins a line, in its first column. A sequence or character that is not complete is gone on with. */
  begin(): void {
    this.#leave(this.#next, this.#next, 0);
    this.#taken();
  }

  /** The line that has no end yet, blanks at its end included, if there is anything in it; and how far it has been read: not into a sequence that is not complete. */
  get open(): { line: Line | null; readTo: number } {
    this.#unfold();
    const text = this.#row.textBetween(0, this.#row.length);
    const readTo = this.#reader.unfinishedFrom ?? this.#next;
    return { line: text === '' ? null : { text, offset: this.#start, end: readTo, at: this.#at }, readTo };
  }

  #look(isFinished: boolean): void {
    this.#watch?.look(this.#row, this.#start, isFinished);
  }

  #taken(): Line[] {
    const lines = this.#lines;
    if (lines.length > 0) this.#lines = [];
    return lines;
  }

  #gap(gap: Gap): void {
    this.#moveTo(gap.to);
    this.#lines.push({ text: `[... ${gapNotice(gap)} ...]`, offset: gap.offset, end: gap.to, at: gap.at });
  }

  /** What comes next does not follow what came last: bytes are missing, or another pane begins. */
  #moveTo(offset: number): void {
    this.#reader.cut(this.#next);
    this.#leave(this.#next, this.#next, 0);
    this.#start = this.#next = offset;
    this.#isAlternate = false;
    this.#softReset();
  }

  #text(from: number, to: number): void {
    if (this.#isAlternate) return;
    if (!this.#drawing[this.#charset]) {
      if (!this.#runOn(from, to, true)) this.#write(from, to);
      return;
    }
    for (let i = from; i < to; i++) this.#put(drawingOf(this.#bytes[i]!), this.#base + i, this.#base + i + 1);
  }

  #character(codePoint: number, offset: number, end: number): void {
    if (this.#isAlternate) return;
    if (!this.#runOn(offset - this.#base, end - this.#base, false)) this.#put(codePoint, offset, end);
  }

  /** True if all of the line is one piece with these bytes. */
  #runOn(from: number, to: number, isAscii: boolean): boolean {
    const run = this.#run;
    if (run) {
      if (run.to !== from || to - run.from > ROW_LIMIT) return false;
      run.to = to;
      run.isAscii &&= isAscii;
      return true;
    }
    const { isFresh, pen, isInserting } = this.#row;
    if (!isFresh || pen !== PLAIN_PEN || isInserting || from < 0 || to - from > ROW_LIMIT) return false;
    this.#run = { from, to, isAscii, isReturned: false };
    return true;
  }

  #write(from: number, to: number): void {
    this.#unfold();
    const row = this.#row;
    for (let done = from; done < to; ) {
      if (row.room <= 0) this.#cut(this.#base + done);
      const end = Math.min(to, done + row.room);
      this.#watch?.wroteAscii(row.column, end - done, this.#base + done);
      row.writeAscii(this.#bytes, done, end);
      done = end;
    }
  }

  #put(codePoint: number, offset: number, end: number): void {
    this.#unfold();
    if (this.#row.room < 2) this.#cut(offset);
    this.#row.write(codePoint);
    this.#watch?.wrote(this.#row.column, end);
  }

  #control(code: number, offset: number): void {
    if (code === SHIFT_OUT || code === SHIFT_IN) this.#charset = code === SHIFT_OUT ? 1 : 0;
    if (this.#isAlternate) return;
    if (code === LF) {
      this.#finish(offset + 1);
      return;
    }
    // After most runs comes CR LF.
    if (code === CR && this.#run) {
      this.#run.isReturned = true;
      return;
    }
    this.#unfold();
    this.#row.separate();
    if (code === CR || code === BACKSPACE) this.#look(false);
    switch (code) {
      case CR:
        this.#row.column = 0;
        return;
      case BACKSPACE:
        this.#row.moveBy(-1);
        return;
      case TAB:
        this.#row.tab(1);
        return;
      case VT:
      case FF:
        this.#leave(offset, offset, this.#row.column);
        return;
    }
  }

  #escape(id: string, offset: number, end: number): void {
    switch (id) {
      case '(0':
      case ')0':
        this.#drawing[id === '(0' ? 0 : 1] = true;
        break;
      case 'c':
        this.#reset(offset, end);
        return;
      default:
        if (id.length === 2 && (id[0] === '(' || id[0] === ')')) this.#drawing[id[0] === '(' ? 0 : 1] = false;
    }
    if (this.#isAlternate) return;
    this.#unfold();
    const row = this.#row;
    row.separate();
    switch (id) {
      case '7':
        this.#save();
        return;
      case '8':
        this.#restore(offset);
        return;
      case 'D':
      case 'M':
        this.#leave(offset, offset, row.column);
        return;
      case 'E':
        this.#finish(end);
        return;
    }
  }

  #csi(id: string, params: Params, offset: number, end: number): void {
    if (id === '?h' || id === '?l') this.#setModes(params, id === '?h', offset, end);
    else if (id === '!p') this.#softReset();
    if (this.#isAlternate) return;
    this.#unfold();
    const row = this.#row;
    if (id === 'b') this.#repeat(params.count(), end);
    row.separate();
    if (GOES_BACK.has(id)) this.#look(false);
    switch (id) {
      case 'm':
        if (this.#keepsLooks) row.pen = this.#penAfter(row.pen, params.text);
        return;
      case 'K':
      case '?K':
        row.erase(params.number(0));
        return;
      case 'J':
      case '?J':
        if (params.number(0) === 2) this.#leave(offset, offset, row.column);
        else row.erase(params.number(0));
        return;
      case 'C':
      case 'a':
        row.moveBy(params.count());
        return;
      case 'D':
        row.moveBy(-params.count());
        return;
      case 'G':
      case '`':
        row.moveTo(params.count() - 1);
        return;
      case 'I':
        row.tab(params.count());
        return;
      case 'Z':
        row.backTab(params.count());
        return;
      case 'P':
        row.deleteCharacters(params.count());
        return;
      case '@':
        row.insertBlanks(params.count());
        return;
      case 'X':
        row.eraseCharacters(params.count());
        return;
      case 'h':
      case 'l':
        for (let i = 0; i < params.length; i++) if (params.number(i) === INSERT_MODE) row.isInserting = id === 'h';
        return;
      case 's':
        if (params.isEmpty) this.#save();
        return;
      case 'u':
        this.#restore(offset);
        return;
      case 'd':
        this.#goTo(params.count(), row.column, offset);
        return;
      case 'A':
      case 'B':
      case 'e':
      case 'L':
      case 'M':
      case 'S':
      case 'T':
        this.#leave(offset, offset, row.column);
        return;
      case 'E':
      case 'F':
      case 'r':
        this.#leave(offset, offset, 0);
        return;
      case 'H':
      case 'f':
        this.#goTo(params.count(), Math.min(params.count(1), row.width) - 1, offset);
        return;
    }
  }

  #repeat(count: number, end: number): void {
    const { column } = this.#row;
    this.#row.repeat(count);
    for (let x = column + 1; this.#watch && x <= this.#row.column; x++) this.#watch.wrote(x, end);
  }

  #goTo(screenRow: number, column: number, offset: number): void {
    const row = this.#row;
    if (this.#watch && this.#screenRow === screenRow && row.column <= row.width) {
      this.#look(false);
      row.column = column;
      return;
    }
    this.#leave(offset, offset, column);
    this.#screenRow = screenRow;
  }

  #penAfter(pen: Pen, params: string): Pen {
    if (pen.link) return withSgr(pen, params);
    const key = `${pen.sgr} ${params}`;
    let after = this.#pens.get(key);
    if (after) return after;
    if (this.#pens.size === PENS_LIMIT) this.#pens.clear();
    this.#pens.set(key, (after = withSgr(pen, params)));
    return after;
  }

  #string(osc: string | null): void {
    if (this.#isAlternate) return;
    this.#unfold();
    this.#row.separate();
    if (osc?.startsWith('8;')) this.#row.pen = withLink(this.#row.pen, osc.slice(2));
  }

  #setModes(params: Params, isSet: boolean, offset: number, end: number): void {
    for (let i = 0; i < params.length; i++) {
      if (!ALTERNATE_MODES.has(params.number(i)) || this.#isAlternate === isSet) continue;
      if (isSet) this.#leave(offset, offset, 0);
      else this.#start = Math.max(this.#start, end);
      this.#isAlternate = isSet && !this.#watch;
    }
  }

  #softReset(): void {
    this.#row.isInserting = false;
    this.#row.pen = PLAIN_PEN;
    this.#drawing = [false, false];
    this.#charset = 0;
    this.#saved = NOTHING_SAVED;
  }

  #reset(offset: number, end: number): void {
    this.#softReset();
    this.#leave(offset, end, 0);
    this.#isAlternate = false;
  }

  #save(): void {
    const { column, pen } = this.#row;
    this.#saved = { line: this.#number, column, pen, drawing: [...this.#drawing], charset: this.#charset };
  }

  /** Programs save the cursor, write something elsewhere and come back; some only write over the end of the line. */
  #restore(offset: number): void {
    const { line, column, pen, drawing, charset } = this.#saved;
    this.#look(false);
    if (line === this.#number) this.#row.column = column;
    else this.#leave(offset, offset, column);
    // Links are not saved.
    this.#row.pen = withSameLink(pen, this.#row.pen);
    this.#drawing = [...drawing];
    this.#charset = charset;
  }

  /** Puts the run into cells, where it can be changed. */
  #unfold(): void {
    const run = this.#run;
    if (!run) return;
    this.#run = null;
    if (run.isAscii) this.#write(run.from, run.to);
    else {
      let end = this.#base + run.from;
      for (const character of this.#bytes.toString('utf8', run.from, run.to)) {
        const codePoint = character.codePointAt(0)!;
        this.#row.write(codePoint);
        end += codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4;
        // What stands for a broken character has more bytes than that had.
        this.#watch?.wrote(this.#row.column, Math.min(end, this.#base + run.to));
      }
    }
    if (!run.isReturned) return;
    this.#look(false);
    this.#row.column = 0;
    this.#row.separate();
  }

  /** LF: there is a line, be it empty. */
  #finish(end: number): void {
    let text: string;
    if (this.#run) {
      const { from, to, isAscii } = this.#run;
      text = this.#bytes.toString(isAscii ? 'latin1' : 'utf8', from, to);
      this.#watch?.line(text, { start: this.#start, from: this.#base + from, to: this.#base + to });
      let { length } = text;
      while (length > 0 && text.charCodeAt(length - 1) === SPACE) length--;
      text = text.slice(0, length);
      this.#run = null;
    } else {
      this.#look(true);
      text = this.#watch ? '' : this.#row.text(true);
      this.#row.clear();
    }
    this.#emit(text, end, end);
  }

  /** The cursor leaves the line at `end`, and the next one begins at `start`. A line without text is none. */
  #leave(end: number, start: number, column: number): void {
    this.#unfold();
    this.#look(true);
    this.#screenRow = null;
    if (this.#row.hasText) this.#emit(this.#row.text(true), end, start);
    else {
      // A LF inside a sequence ends a line after the beginning of the sequence.
      this.#start = Math.max(this.#start, start);
      this.#number++;
    }
    this.#row.clear();
    this.#row.column = column;
  }

  /** The line is as long as lines get. */
  #cut(offset: number): void {
    this.#look(true);
    this.#emit(this.#row.text(false), offset, offset);
    this.#row.clear();
  }

  #emit(text: string, end: number, start: number): void {
    if (!this.#watch) this.#lines.push({ text, offset: this.#start, end, at: this.#at });
    this.#screenRow = null;
    this.#start = start;
    this.#number++;
  }
}

/** Bytes of this push that are all of the line, but for a CR after them. No more than `ROW_LIMIT`, and so no wider. */
interface Run {
  from: number;
  to: number;
  isAscii: boolean;
  isReturned: boolean;
}

const NOTHING = Buffer.alloc(0);
const ALTERNATE_MODES: ReadonlySet<number> = new Set([47, 1047, 1049]);
const PENS_LIMIT = 1024;
const INSERT_MODE = 4;
