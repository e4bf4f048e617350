/**
 * Takes the question whether program reports are understood (OSC 7501 ; ?) out of a pane's output. We always understand them, so we always
 * answer, with the same bytes, and no terminal that is attached gets to: one that does not know the question would have only its device
 * attributes to answer with, and what comes after those is taken for a no. Claude Code, pi and Codex after 0.169 report nothing before they
 * have the answer.
 */
export class ReportQuestions {
  /** The beginning of what may be a question. */
  #held: Buffer = NOTHING;

  /** Bytes that have come and are not shown yet. */
  get held(): number {
    return this.#held.length;
  }

  /** `answer`: what the program is told; mostly nothing. What is shown may begin with what was held back before. */
  push(bytes: Uint8Array): { shown: Uint8Array; answer: string } {
    let chunk: Buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    if (this.#held.length > 0) chunk = Buffer.concat([this.#held, chunk]);
    this.#held = NOTHING;
    let answer = '';
    const parts: Buffer[] = [];
    let shown = 0;
    for (let from = chunk.indexOf(START); from !== -1; from = chunk.indexOf(START, from + 1)) {
      const found = WHOLE.exec(chunk.toString('latin1', from, from + LIMIT_BYTES));
      if (!found) continue;
      parts.push(chunk.subarray(shown, from));
      answer += START + found[1]!;
      shown = from + found[0].length;
    }
    const rest = this.#keepTail(chunk.subarray(shown));
    return { shown: parts.length === 0 ? rest : Buffer.concat([...parts, rest]), answer };
  }

  /** Nothing of a question will come any more. */
  release(): Uint8Array {
    const held = this.#held;
    this.#held = NOTHING;
    return held;
  }

  /** Holds back an end that may become a question. */
  #keepTail(chunk: Buffer): Buffer {
    const tail = chunk.subarray(Math.max(0, chunk.length - LIMIT_BYTES + 1));
    if (tail.indexOf(0x1b) === -1) return chunk;
    const begun = BEGUN.exec(tail.toString('latin1'));
    if (!begun) return chunk;
    const from = chunk.length - begun[0].length;
    this.#held = Buffer.from(chunk.subarray(from));
    return chunk.subarray(0, from);
  }
}

const START = '\x1b]7501;?';
/** What may come after the question mark one day is ignored. */
const WHOLE = /^\x1b\]7501;\?[^\x00-\x1f]*(\x07|\x1b\\)/;
const BEGUN = /\x1b(?:\](?:7(?:5(?:0(?:1(?:;(?:\?[^\x00-\x1f]*\x1b?)?)?)?)?)?)?)?$/;
/** A question is 10 bytes; the answer is as long as its beginning, whatever more there is. */
const LIMIT_BYTES = 256;
const NOTHING: Buffer = Buffer.alloc(0);
