import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** A line of the file in which a shell writes down its commands; what stands where is said in `shell-integration.ts`. */
export type ShellLine = Said & {
  /** Bytes of the file up to its end. */
  position: number;
};

type Said =
  | { is: 'ready'; at: number | null; pid: number; cwd: string }
  | { is: 'start'; n: number; at: number | null; cwd: string; text: string }
  | { is: 'end'; n: number; at: number | null; status: number; cwd: string };

/** Reads such a file as it grows. Anybody of this user can write to it, so a line that is not one is passed over. */
export class ShellLog {
  readonly #path: string;
  readonly #nonce: string;
  /** Bytes that have been read, whole lines of them. */
  #position: number;

  constructor(path: string, { nonce, position = 0 }: { nonce: string; position?: number }) {
    this.#path = path;
    this.#nonce = nonce;
    this.#position = position;
  }

  /** The lines that have been written since the last time. */
  read(): ShellLine[] {
    const lines: ShellLine[] = [];
    for (;;) {
      let at = this.#position;
      const text = this.#next();
      if (text === null) return lines;
      // A byte a character, so that positions are the file's.
      for (const line of text.split('\n')) {
        at += line.length + 1;
        const said = parse(Buffer.from(line, 'latin1').toString('utf8'), this.#nonce);
        if (said) lines.push({ ...said, position: Math.min(at, this.#position) });
      }
    }
  }

  /** Up to the last newline of the next piece; null when there is none. */
  #next(): string | null {
    let fd: number;
    try {
      fd = openSync(this.#path, 'r');
    } catch {
      // Somebody has tidied up. The marks on the screen are left.
      return null;
    }
    try {
      const stat = fstatSync(fd);
      const { size } = stat;
      if (!stat.isFile()) return null;
      if (size < this.#position) this.#position = 0;
      const bytes = Buffer.allocUnsafe(Math.min(PIECE_BYTES, size - this.#position));
      const length = readSync(fd, bytes, 0, bytes.length, this.#position);
      const end = bytes.subarray(0, length).lastIndexOf(10) + 1;
      // A line longer than any that the shell writes.
      const taken = end === 0 && length === PIECE_BYTES ? length : end;
      this.#position += taken;
      return taken === 0 ? null : bytes.toString('latin1', 0, taken);
    } finally {
      closeSync(fd);
    }
  }
}

function parse(line: string, nonce: string): Said | null {
  const [is, whose, ...fields] = line.split('\t');
  if (whose !== nonce) return null;
  const [first = '', second = '', third = '', fourth = ''] = fields;
  switch (is) {
    case 'ready':
      return { is, at: time(first), pid: Number(second), cwd: unescaped(third) };
    case 'start':
      return fields.length < 4 ? null : { is, n: Number(first), at: time(second), cwd: unescaped(third), text: unescaped(fourth) };
    case 'end':
      return /^\d{1,3}$/.test(third) ? { is, n: Number(first), at: time(second), status: Number(third), cwd: unescaped(fourth) } : null;
    default:
      return null;
  }
}

/** Milliseconds since 1970; null where the shell did not say. */
function time(text: string): number | null {
  return /^\d{9,11}\.\d+$/.test(text) ? Math.round(Number(text) * 1000) : null;
}

function unescaped(text: string): string {
  return text.replace(/\\(?:x([\da-f]{2})|(.))/gi, (_, hex: string | undefined, letter: string) =>
    hex !== undefined ? String.fromCharCode(Number.parseInt(hex, 16)) : ({ t: '\t', n: '\n', r: '\r' }[letter] ?? letter),
  );
}

const PIECE_BYTES = 64 << 10;
