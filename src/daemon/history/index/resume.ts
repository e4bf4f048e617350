import type { Entry } from '../../persistence/journal/entry.ts';
import { type Line, LineAssembler } from '../lines.ts';
import { type Params, type SequenceListener, SequenceReader } from '../sequences.ts';

/** What a terminal remembers besides the text of a line, as far as it counts for lines. */
export interface Modes {
  /** Columns, null when no entry has said. */
  cols: number | null;
  isAlternate: boolean;
  isInserting: boolean;
  /** Which of G0 and G1 are DEC's line drawing, and which of them counts. */
  drawing: readonly [boolean, boolean];
  charset: number;
  /** The same, as they were saved with the cursor. */
  saved: { drawing: readonly [boolean, boolean]; charset: number };
}

/** A place in a pane's output between two lines: assembling can begin here, and gives the lines that it gives from the beginning. */
export interface ResumePoint {
  offset: number;
  modes: Modes;
}

const NO_CHARSETS = { drawing: [false, false], charset: 0 } as const;
const INITIAL: Modes = { cols: null, isAlternate: false, isInserting: false, ...NO_CHARSETS, saved: NO_CHARSETS };

/** Where every journal begins. */
export const BEGINNING: ResumePoint = { offset: 0, modes: INITIAL };

/**
 * A cursor that was saved is forgotten when it was not restored within so many bytes: until then no line ends there. Once it was, its
 * column counts as 0 for one who resumes later: programs save again before they restore again.
 */
const SAVE_LIMIT_BYTES = 64 << 10;

/**
 * Follows a pane's output and knows the last resume point: after an LF, before a sequence that puts the cursor into a known column of
 * another row, or anywhere in the alternate screen. It reads the modes as LineAssembler does: a property in the tests holds the two
 * together.
 */
export class ResumePoints {
  #modes: Modes;
  #point: ResumePoint;
  /** Up to here nothing is half read: a control that stands elsewhere is within a sequence. */
  #groundAt: number;
  /** Where the cursor was saved that has not been restored. */
  #savedAt: number | null = null;
  #base = 0;
  readonly #reader: SequenceReader;

  constructor(from: ResumePoint = BEGINNING) {
    this.#modes = from.modes;
    this.#point = from;
    this.#groundAt = from.offset;
    const listener: SequenceListener = {
      text: (_, to) => (this.#groundAt = this.#base + to),
      character: (_, __, end) => (this.#groundAt = end),
      control: (code, offset) => this.#control(code, offset),
      escape: (id, offset, end) => this.#escape(id, offset, end),
      csi: (id, params, offset, end) => this.#csi(id, params, offset, end),
      string: (_, __, end) => (this.#groundAt = end),
    };
    this.#reader = new SequenceReader(listener);
  }

  /** The last one in what was pushed so far. */
  get point(): ResumePoint {
    return this.#point;
  }

  push(entry: Entry): void {
    switch (entry.is) {
      case 'resize':
        this.#modes = { ...this.#modes, cols: entry.cols };
        return;
      case 'gap':
        this.#reader.cut(entry.offset);
        this.#softReset();
        this.#modes = { ...this.#modes, isAlternate: false };
        this.#groundAt = entry.to;
        this.#mark(entry.to);
        return;
      case 'output':
        this.#base = entry.offset;
        this.#reader.read(Buffer.from(entry.bytes.buffer, entry.bytes.byteOffset, entry.bytes.length), entry.offset);
        return;
    }
  }

  #mark(offset: number): void {
    if (this.#savedAt !== null && !this.#modes.isAlternate && offset - this.#savedAt < SAVE_LIMIT_BYTES) return;
    this.#point = { offset, modes: this.#modes };
  }

  #control(code: number, offset: number): void {
    if (code === SHIFT_OUT || code === SHIFT_IN) this.#modes = { ...this.#modes, charset: code === SHIFT_OUT ? 1 : 0 };
    if (offset !== this.#groundAt) return;
    this.#groundAt = offset + 1;
    if (code === LF) this.#mark(offset + 1);
  }

  #escape(id: string, offset: number, end: number): void {
    const isInGround = offset === this.#groundAt;
    this.#groundAt = end;
    const g = id[0] === '(' ? 0 : id[0] === ')' ? 1 : null;
    if (id.length === 2 && g !== null) {
      const [g0, g1] = this.#modes.drawing;
      const isDrawing = id[1] === '0';
      this.#modes = { ...this.#modes, drawing: g === 0 ? [isDrawing, g1] : [g0, isDrawing] };
    } else if (id === 'c') {
      this.#softReset();
      this.#modes = { ...this.#modes, isAlternate: false };
    }
    if (this.#modes.isAlternate) return;
    if (id === '7') this.#save(end);
    else if (id === '8') this.#restore();
    else if (id === 'E' && isInGround) this.#mark(end);
  }

  #csi(id: string, params: Params, offset: number, end: number): void {
    const isInGround = offset === this.#groundAt;
    this.#groundAt = end;
    if (id === '?h' || id === '?l') {
      for (let i = 0; i < params.length; i++)
        if (ALTERNATE_MODES.has(params.number(i))) this.#modes = { ...this.#modes, isAlternate: id === '?h' };
    } else if (id === '!p') this.#softReset();
    if (this.#modes.isAlternate) {
      this.#mark(end);
      return;
    }
    switch (id) {
      case 'H':
      case 'f':
      case 'E':
      case 'F':
      case 'r':
        // Before it: the line that it ends has its text, and the next begins here.
        if (isInGround) this.#mark(offset);
        return;
      case 'h':
      case 'l':
        for (let i = 0; i < params.length; i++)
          if (params.number(i) === INSERT_MODE) this.#modes = { ...this.#modes, isInserting: id === 'h' };
        return;
      case 's':
        if (params.isEmpty) this.#save(end);
        return;
      case 'u':
        this.#restore();
        return;
    }
  }

  #save(end: number): void {
    this.#savedAt = end;
    const { drawing, charset } = this.#modes;
    this.#modes = { ...this.#modes, saved: { drawing, charset } };
  }

  #restore(): void {
    this.#savedAt = null;
    this.#modes = { ...this.#modes, ...this.#modes.saved };
  }

  #softReset(): void {
    this.#savedAt = null;
    const { cols, isAlternate } = this.#modes;
    this.#modes = { ...INITIAL, cols, isAlternate };
  }
}

/** Lines of entries that begin at a resume point. Gaps finish lines, and are none: nobody searches for what is not there. */
export class ResumedLines {
  readonly #assembler = new LineAssembler();
  readonly #from: number;

  constructor({ offset, modes }: ResumePoint = BEGINNING) {
    this.#from = offset;
    if (modes.cols !== null) this.#assembler.push({ is: 'resize', at: 0, offset, cols: modes.cols, rows: 1 });
    const prefix = Buffer.from(prefixOf(modes));
    // What restores the modes stands before the first byte.
    if (prefix.length > 0) this.#assembler.push({ is: 'output', at: 0, offset: offset - prefix.length, bytes: prefix });
  }

  push(entry: Entry): Line[] {
    const lines = this.#assembler.push(entry);
    if (entry.is === 'gap') lines.pop();
    return this.#placed(lines);
  }

  /** The line that has no end yet. Nothing can be pushed afterwards. */
  flush(): Line[] {
    return this.#placed(this.#assembler.flush());
  }

  #placed(lines: Line[]): Line[] {
    for (const line of lines) if (line.offset < this.#from) line.offset = this.#from;
    return lines;
  }
}

/** The sequences that bring a fresh terminal into these modes. */
function prefixOf({ isAlternate, isInserting, drawing, charset, saved }: Modes): string {
  const hasSaved = saved.charset !== 0 || saved.drawing.includes(true);
  const plain = charset === 0 && !drawing.includes(true);
  return [
    hasSaved ? `${charsets(saved)}\x1b7\n` : '',
    plain && !hasSaved ? '' : charsets({ drawing, charset }),
    isInserting ? '\x1b[4h' : '',
    isAlternate ? '\x1b[?1049h' : '',
  ].join('');
}

function charsets({ drawing, charset }: Modes['saved']): string {
  return `\x1b(${drawing[0] ? '0' : 'B'}\x1b)${drawing[1] ? '0' : 'B'}${charset === 1 ? '\x0e' : '\x0f'}`;
}

const ALTERNATE_MODES: ReadonlySet<number> = new Set([47, 1047, 1049]);
const INSERT_MODE = 4;
const LF = 0x0a;
const SHIFT_OUT = 0x0e;
const SHIFT_IN = 0x0f;
