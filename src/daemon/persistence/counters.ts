import { mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { writeFileAtomic } from './atomic-file.ts';

type Name = 'session' | 'pane' | 'epoch';

/** Numbers that only go up and are never given twice, whatever was deleted in between. Written before they are used. */
export class Counters {
  readonly #file: string;
  readonly #values: Partial<Record<Name, number>>;

  constructor(file: string) {
    this.#file = file;
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    this.#values = read(file);
  }

  next(name: Name, atLeast = 1): number {
    const value = Math.max((this.#values[name] ?? 0) + 1, atLeast);
    this.#values[name] = value;
    writeFileAtomic(this.#file, JSON.stringify(this.#values));
    return value;
  }
}

function read(file: string): Partial<Record<Name, number>> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return {};
  }
  const values: unknown = JSON.parse(text);
  if (typeof values !== 'object' || values === null) throw new Error(`${file} is damaged: it does not hold an object`);
  return Object.fromEntries(Object.entries(values).filter(([, value]) => Number.isSafeInteger(value) && value >= 0));
}
