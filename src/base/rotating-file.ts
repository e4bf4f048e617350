import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * A log file that starts again at `limitBytes` and keeps the `keep` files before it as `.1`, `.2` and so on. Lines are written at once, so
 * that the last line before a crash is there. A full disk loses lines of the log and nothing else.
 */
export class RotatingFile {
  readonly #path: string;
  readonly #limitBytes: number;
  readonly #keep: number;
  #fd: number | null = null;
  #size = 0;

  constructor(path: string, { limitBytes = 4 << 20, keep = 3 } = {}) {
    this.#path = path;
    this.#limitBytes = limitBytes;
    this.#keep = keep;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.#open();
  }

  write(line: string): void {
    if (this.#size >= this.#limitBytes) this.#rotate();
    if (this.#fd === null) return;
    try {
      this.#size += writeSync(this.#fd, line);
    } catch {
      // ENOSPC and EIO: a log must not take down what it describes.
    }
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  #open(): void {
    this.#fd = openSync(this.#path, 'a', 0o600);
    this.#size = fstatSync(this.#fd).size;
  }

  #rotate(): void {
    this.close();
    for (let n = this.#keep; n >= 1; n--) {
      try {
        renameSync(n === 1 ? this.#path : `${this.#path}.${n - 1}`, `${this.#path}.${n}`);
      } catch {
        // Fewer files than we keep.
      }
    }
    try {
      this.#open();
    } catch {
      this.#fd = null;
    }
  }
}
