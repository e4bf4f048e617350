/**
 * What is looked for in any letter case: text and pattern are compared in this form, and the index has this form. Parts of it are the forms
 * of parts, so a pattern that is in a text is in its form too: therefore no final sigma, which depends on what comes next.
 */
export function fold(text: string): string {
  const lower = text.toLowerCase();
  return lower.includes('ς') ? lower.replaceAll('ς', 'σ') : lower;
}

/** Every three bytes that stand beside each other in some lines: a line can have a pattern only if they have all of its threes. */
export class Grams {
  /** A bit for each of 2^24. */
  readonly #bits = new Uint32Array(1 << 19);
  #list: number[] = [];

  get size(): number {
    return this.#list.length;
  }

  add(text: string): void {
    const folded = fold(text);
    const room = folded.length * 3;
    if (scratch.length < room) scratch = Buffer.allocUnsafe(room * 2);
    const length = scratch.write(folded, 'utf8');
    let gram = ((scratch[0]! << 8) | scratch[1]!) & 0xffff;
    for (let i = 2; i < length; i++) {
      gram = ((gram << 8) | scratch[i]!) & 0xffffff;
      this.#mark(gram);
    }
  }

  /** Also has what the other has. */
  merge(other: Grams): void {
    for (const gram of other.#list) this.#mark(gram);
  }

  clear(): void {
    for (const gram of this.#list) this.#bits[gram >>> 5] = 0;
    this.#list = [];
  }

  /** As words for the index. */
  get words(): string {
    let words = '';
    for (const gram of this.#list) words += `${gram.toString(36)} `;
    return words;
  }

  #mark(gram: number): void {
    const bit = 1 << (gram & 31);
    const at = gram >>> 5;
    if ((this.#bits[at]! & bit) !== 0) return;
    this.#bits[at]! |= bit;
    this.#list.push(gram);
  }
}

/** More than these make a query no better. */
const QUERY_WORDS = 24;

/** What a block must have to be looked at, in FTS5's language. Null when the pattern is shorter than three bytes: then all of them. */
export function gramQuery(pattern: string): string | null {
  const bytes = Buffer.from(fold(pattern));
  const grams = new Set<number>();
  for (let i = 2; i < bytes.length; i++) grams.add(bytes.readUIntBE(i - 2, 3));
  if (grams.size === 0) return null;
  const all = [...grams];
  const step = Math.max(1, all.length / QUERY_WORDS);
  const some = Array.from({ length: Math.min(all.length, QUERY_WORDS) }, (_, i) => all[Math.floor(i * step)]!);
  return some.map((gram) => `"${gram.toString(36)}"`).join(' AND ');
}

let scratch: Buffer = Buffer.allocUnsafe(64 << 10);
