import { mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { writeFileAtomic } from './atomic-file.ts';

type Name = 'session' | 'pane' | 'epoch' | 'snapshot';

/** Numbers that only go up and are never given twice, whatever was deleted in between. Written before they are used. */
export class Counters {
  readonly #file: string;
  readonly #values: Partial<Record<Name, number>>;

  constructor(file: string) {
    this.#file = file;
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    this.#values = read(file);
  }

  /** Makes sure that the next number is above this one, which is in use: the file may have been lost. */
  raise(name: Name, used: number): void {
    if (Number.isSafeInteger(used) && used > (this.#values[name] ?? 0)) this.#values[name] = used;
  }

  /** Whether somebody else has counted further than this. */
  isBeyond(name: Name, value: number): boolean {
    return (read(this.#file)[name] ?? 0) > value;
  }

  next(name: Name, atLeast = 1): number {
    const value = Math.max((this.#values[name] ?? 0) + 1, atLeast);
    this.#values[name] = value;
    writeFileAtomic(this.#file, JSON.stringify(this.#values));
    return value;
  }
}

/** A file that is not there, or damaged, counts for nothing: what is in use is found by looking (`raise`). */
function read(file: string): Partial<Record<Name, number>> {
  try {
    const values: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof values !== 'object' || values === null) return {};
    return Object.fromEntries(Object.entries(values).filter(([, value]) => Number.isSafeInteger(value) && value >= 0));
  } catch {
    return {};
  }
}
