/** What the shell's integration printed to say where a command line begins and ends. */
export interface Mark {
  /** A: the prompt is about to be shown. B: it has been. C: the command begins. D: it has ended. */
  letter: 'A' | 'B' | 'C' | 'D';
  /** Of D: the exit code. */
  status: number | null;
  /** Of its first byte, and after its last. */
  offset: number;
  end: number;
}

/** A mark as a regular expression, with letter and status; `nonce`: one, or an expression for any. */
export function markPattern(nonce: string): string {
  return `\\x1b\\]633;([ABCD])(?:;(\\d{1,3}))?;${nonce}\\x07`;
}

/**
 * Takes our shell integration's marks out of a pane's output: `ESC ] 633 ; letter [; status] ; nonce BEL`. Who watches never sees them, since
 * some terminals would act on them (VS Code's has the same ones). A program that prints such marks without the nonce, which no program is
 * told, prints text like any other.
 */
export class MarkFilter {
  readonly #ours: RegExp;
  readonly #limit: number;
  /** The beginning of what may be a mark. */
  #held: Buffer = NOTHING;

  constructor(nonce: string) {
    if (!/^[\w-]{8,64}$/.test(nonce)) throw new Error('a nonce is 8 to 64 letters and digits');
    this.#ours = new RegExp(`^${markPattern(nonce)}`);
    this.#limit = START.length + 'D;255;'.length + nonce.length + 1;
  }

  /** Bytes that have come and are not shown yet: a mark that has not come whole. */
  get held(): number {
    return this.#held.length;
  }

  /** `offset`: of the first byte. What is shown may begin with what was held back before. */
  push(offset: number, bytes: Uint8Array): { shown: Uint8Array; marks: Mark[] } {
    let chunk: Buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const base = offset - this.#held.length;
    if (this.#held.length > 0) chunk = Buffer.concat([this.#held, chunk]);
    this.#held = NOTHING;
    let from = chunk.indexOf(START);
    if (from === -1) return { shown: this.#keepTail(chunk), marks: NO_MARKS };
    const marks: Mark[] = [];
    const parts: Buffer[] = [];
    let shown = 0;
    for (; from !== -1; from = chunk.indexOf(START, from)) {
      const found = this.#ours.exec(chunk.toString('latin1', from, from + this.#limit));
      if (!found) {
        from += START.length;
        continue;
      }
      const [{ length }, letter, status] = found as unknown as [string, Mark['letter'], string | undefined];
      parts.push(chunk.subarray(shown, from));
      marks.push({ letter, status: status === undefined ? null : Number(status), offset: base + from, end: base + from + length });
      from += length;
      shown = from;
    }
    parts.push(this.#keepTail(chunk.subarray(shown)));
    return { shown: Buffer.concat(parts), marks };
  }

  /** Nothing of a mark will come any more. */
  release(): Uint8Array {
    const held = this.#held;
    this.#held = NOTHING;
    return held;
  }

  /** Holds back an end that may become a mark. */
  #keepTail(chunk: Buffer): Buffer {
    const last = chunk.lastIndexOf(0x1b);
    if (last === -1 || chunk.length - last >= this.#limit) return chunk;
    const tail = chunk.toString('latin1', last);
    const canBecome = START.startsWith(tail) || (tail.startsWith(START) && !tail.includes('\x07'));
    if (!canBecome) return chunk;
    this.#held = Buffer.from(chunk.subarray(last));
    return chunk.subarray(0, last);
  }
}

const START = '\x1b]633;';
const NOTHING: Buffer = Buffer.alloc(0);
const NO_MARKS: Mark[] = [];
