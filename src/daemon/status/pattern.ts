/**
 * Regular expressions that cannot hang: each character of the text is looked at once, by every step the pattern can be in at that place.
 * So a search takes at most PATTERN_STEPS times TEXT_LIMIT small operations, whatever a user's file says; JavaScript's own would take
 * 2^n for `(a+)+$`. In return there are no back-references and nothing that looks around: those cannot be had at that price.
 *
 * The rest means what it means in JavaScript with the flags `m` and `u`: `^` and `$` are the ends of a line, `.` is no line feed. `(?i)` at
 * the start makes upper and lower case equal. A quantifier with `?` behind it finds the same places, but they are told as long as possible.
 */
export interface Pattern {
  readonly source: string;
  /** Where it first matches, as far as it goes there. */
  find(text: string): { start: number; end: number } | null;
}

export type Compiled = { ok: true; pattern: Pattern } | { ok: false; reason: string };

/** Characters of a pattern. The longest of ours has 80. */
export const PATTERN_LENGTH = 300;
/** Steps of a pattern once repetitions are written out: `a{50}` has 50. */
export const PATTERN_STEPS = 200;
/** Characters of a text that are searched: its end, because a screen's news is at the bottom. The worst pattern takes a tenth of a second for them. */
export const TEXT_LIMIT = 10_000;

export function compilePattern(source: string): Compiled {
  if (source.length > PATTERN_LENGTH) return { ok: false, reason: `it has ${source.length} characters, and ${PATTERN_LENGTH} are allowed` };
  try {
    const ignoresCase = source.startsWith('(?i)');
    const tree = new Parser(ignoresCase ? source.slice(4) : source, ignoresCase).parse();
    const steps: Step[] = [];
    emit(tree, steps);
    push(steps, { is: 'match' });
    return { ok: true, pattern: { source, find: (text) => search(steps, text) } };
  } catch (error) {
    if (error instanceof PatternError) return { ok: false, reason: error.message };
    throw error;
  }
}

class PatternError extends Error {}

type Test = (codePoint: number) => boolean;

type Node =
  | { is: 'one'; test: Test }
  | { is: 'all'; nodes: Node[] }
  | { is: 'either'; nodes: Node[] }
  | { is: 'repeat'; node: Node; min: number; max: number }
  | { is: 'edge'; edge: Edge };

type Edge = 'line start' | 'line end' | 'word' | 'no word';

type Step =
  | { is: 'one'; test: Test }
  | { is: 'fork'; to: number; or: number }
  | { is: 'go'; to: number }
  | { is: 'edge'; edge: Edge }
  | { is: 'match' };

function push(steps: Step[], step: Step): void {
  if (steps.length >= PATTERN_STEPS) throw new PatternError(`written out it has more than ${PATTERN_STEPS} steps: repeat less`);
  steps.push(step);
}

function emit(node: Node, steps: Step[]): void {
  switch (node.is) {
    case 'one':
    case 'edge':
      push(steps, node);
      return;
    case 'all':
      for (const part of node.nodes) emit(part, steps);
      return;
    case 'either': {
      const ends: { is: 'go'; to: number }[] = [];
      for (const part of node.nodes.slice(0, -1)) {
        const fork = { is: 'fork' as const, to: steps.length + 1, or: 0 };
        push(steps, fork);
        emit(part, steps);
        const end = { is: 'go' as const, to: 0 };
        push(steps, end);
        ends.push(end);
        fork.or = steps.length;
      }
      emit(node.nodes.at(-1)!, steps);
      for (const end of ends) end.to = steps.length;
      return;
    }
    case 'repeat': {
      for (let i = 0; i < node.min; i++) emit(node.node, steps);
      if (node.max === Infinity) {
        const fork = { is: 'fork' as const, to: steps.length + 1, or: 0 };
        const from = steps.length;
        push(steps, fork);
        emit(node.node, steps);
        push(steps, { is: 'go', to: from });
        fork.or = steps.length;
        return;
      }
      const forks: { is: 'fork'; to: number; or: number }[] = [];
      for (let i = node.min; i < node.max; i++) {
        const fork = { is: 'fork' as const, to: steps.length + 1, or: 0 };
        push(steps, fork);
        forks.push(fork);
        emit(node.node, steps);
      }
      for (const fork of forks) fork.or = steps.length;
      return;
    }
    default: {
      const never: never = node;
      return never;
    }
  }
}

/** Every step that is possible at one place of the text, with where in the text its match began. The earliest beginnings come first. */
interface Threads {
  at: number[];
  start: number[];
}

function search(steps: readonly Step[], whole: string): { start: number; end: number } | null {
  const skipped = Math.max(0, whole.length - TEXT_LIMIT);
  const text = skipped > 0 ? whole.slice(skipped) : whole;
  const codeAt = (place: number) => (place < text.length ? text.codePointAt(place)! : -1);
  /** The place at which each step was last met: it is followed from there once. */
  const met = new Int32Array(steps.length).fill(-1);
  const open: number[] = [];
  const enter = (threads: Threads, first: number, start: number, place: number, before: number) => {
    const after = codeAt(place);
    open.push(first);
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (met[at] === place) continue;
      met[at] = place;
      const step = steps[at]!;
      if (step.is === 'go') open.push(step.to);
      else if (step.is === 'fork') open.push(step.or, step.to);
      else if (step.is === 'edge') {
        if (isAt(step.edge, before, after)) open.push(at + 1);
      } else {
        threads.at.push(at);
        threads.start.push(start);
      }
    }
  };
  let now: Threads = { at: [], start: [] };
  let next: Threads = { at: [], start: [] };
  let best: { start: number; end: number } | null = null;
  let before = -1;
  for (let place = 0; ; ) {
    if (!best) enter(now, 0, place, place, before);
    const code = codeAt(place);
    const width = code > 0xffff ? 2 : 1;
    for (let i = 0; i < now.at.length; i++) {
      const start = now.start[i]!;
      if (best && start > best.start) continue;
      const step = steps[now.at[i]!]!;
      if (step.is === 'match') best = { start, end: place };
      else if (step.is === 'one' && code >= 0 && step.test(code)) enter(next, now.at[i]! + 1, start, place + width, code);
    }
    if (code < 0 || (best && next.at.length === 0)) break;
    [now, next] = [next, now];
    next.at.length = next.start.length = 0;
    before = code;
    place += width;
  }
  return best && { start: best.start + skipped, end: best.end + skipped };
}

function isAt(edge: Edge, before: number, after: number): boolean {
  switch (edge) {
    case 'line start':
      return before === -1 || isLineEnd(before);
    case 'line end':
      return after === -1 || isLineEnd(after);
    case 'word':
      return isWord(before) !== isWord(after);
    case 'no word':
      return isWord(before) === isWord(after);
  }
}

const isLineEnd = (code: number) => code === 10 || code === 13 || code === 0x2028 || code === 0x2029;
const isDigit = (code: number) => code >= 48 && code <= 57;
const isWord = (code: number) => isDigit(code) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95;
const isSpace = (code: number) => code >= 0 && /\s/.test(String.fromCodePoint(code));
const not =
  (test: Test): Test =>
  (code) =>
    !test(code);

const CLASSES: Readonly<Record<string, Test>> = { d: isDigit, D: not(isDigit), w: isWord, W: not(isWord), s: isSpace, S: not(isSpace) };
const CONTROLS: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, 0: 0 };

class Parser {
  readonly #text: readonly string[];
  readonly #ignoresCase: boolean;
  #at = 0;
  #depth = 0;

  constructor(source: string, ignoresCase: boolean) {
    this.#text = [...source];
    this.#ignoresCase = ignoresCase;
  }

  parse(): Node {
    const node = this.#either();
    if (this.#at < this.#text.length) throw new PatternError('a ")" closes nothing; write "\\)" for the character');
    return node;
  }

  #either(): Node {
    const nodes = [this.#all()];
    while (this.#take('|')) nodes.push(this.#all());
    return nodes.length === 1 ? nodes[0]! : { is: 'either', nodes };
  }

  #all(): Node {
    const nodes: Node[] = [];
    for (;;) {
      const next = this.#text[this.#at];
      if (next === undefined || next === '|' || next === ')') return { is: 'all', nodes };
      nodes.push(this.#quantified(this.#atom()));
    }
  }

  #quantified(node: Node): Node {
    const counts = this.#counts();
    if (!counts) return node;
    if (node.is === 'edge') throw new PatternError('"^", "$" and "\\b" cannot be repeated');
    this.#take('?');
    if (this.#counts()) throw new PatternError('a quantifier follows a quantifier');
    return { is: 'repeat', node, ...counts };
  }

  #counts(): { min: number; max: number } | null {
    if (this.#take('*')) return { min: 0, max: Infinity };
    if (this.#take('+')) return { min: 1, max: Infinity };
    if (this.#take('?')) return { min: 0, max: 1 };
    if (!this.#take('{')) return null;
    const end = this.#text.indexOf('}', this.#at);
    const written = end < 0 ? '' : this.#text.slice(this.#at, end).join('');
    const counted = /^(\d{1,4})(?:(,)(\d{1,4})?)?$/.exec(written);
    if (!counted) throw new PatternError('"{" begins a count such as "{2,5}"; write "\\{" for the character');
    this.#at = end + 1;
    const min = Number(counted[1]);
    const max = counted[3] !== undefined ? Number(counted[3]) : counted[2] ? Infinity : min;
    if (max < min) throw new PatternError(`"{${written}}" counts backwards`);
    return { min, max };
  }

  #atom(): Node {
    const char = this.#text[this.#at++]!;
    switch (char) {
      case '.':
        return { is: 'one', test: not(isLineEnd) };
      case '^':
        return { is: 'edge', edge: 'line start' };
      case '$':
        return { is: 'edge', edge: 'line end' };
      case '(':
        return this.#group();
      case '[':
        return { is: 'one', test: this.#set() };
      case '\\':
        return this.#escape();
      case '*':
      case '+':
      case '?':
      case '{':
        throw new PatternError(`nothing stands before "${char}"; write "\\${char}" for the character`);
      default:
        return { is: 'one', test: this.#literal(char.codePointAt(0)!) };
    }
  }

  #group(): Node {
    if (this.#take('?') && !this.#take(':'))
      throw new PatternError(
        'of groups that begin with "(?" only "(?:" is known, and "(?i)" at the start: nothing can look ahead or behind',
      );
    // A file could nest so deep that reading it ends the daemon.
    if (++this.#depth > 20) throw new PatternError('its groups are nested more than 20 deep');
    const node = this.#either();
    if (!this.#take(')')) throw new PatternError('a "(" is not closed; write "\\(" for the character');
    this.#depth--;
    return node;
  }

  #escape(): Node {
    const next = this.#text[this.#at];
    if (next === 'b' || next === 'B') {
      this.#at++;
      return { is: 'edge', edge: next === 'b' ? 'word' : 'no word' };
    }
    const escaped = this.#escaped();
    return { is: 'one', test: typeof escaped === 'number' ? this.#literal(escaped) : escaped };
  }

  /** After a backslash: a class, or the code of a character. */
  #escaped(): Test | number {
    const char = this.#text[this.#at++];
    if (char === undefined) throw new PatternError('it ends in a backslash');
    if (Object.hasOwn(CLASSES, char)) return CLASSES[char]!;
    if (Object.hasOwn(CONTROLS, char)) return CONTROLS[char]!;
    if (char === 'x' || char === 'u') return this.#code(char);
    if (/[1-9k]/.test(char)) throw new PatternError(`"\\${char}" refers back to a group, which is not possible here`);
    if (/[A-Za-z]/.test(char)) throw new PatternError(`"\\${char}" is not known`);
    return char.codePointAt(0)!;
  }

  #code(kind: 'x' | 'u'): number {
    const rest = this.#text.slice(this.#at, this.#at + 8).join('');
    const written = (kind === 'x' ? /^([0-9a-f]{2})/i : /^(?:([0-9a-f]{4})|\{([0-9a-f]{1,6})\})/i).exec(rest);
    const code = Number.parseInt(written?.[1] ?? written?.[2] ?? '', 16);
    if (!written || code > 0x10ffff) throw new PatternError(`"\\${kind}" needs a code, such as "${kind === 'x' ? '\\x1b' : '\\u2800'}"`);
    this.#at += written[0].length;
    return code;
  }

  #set(): Test {
    const isNegated = this.#take('^');
    const tests: Test[] = [];
    for (;;) {
      const char = this.#text[this.#at++];
      if (char === undefined) throw new PatternError('a "[" is not closed; write "\\[" for the character');
      if (char === ']') break;
      const low = char === '\\' ? this.#escaped() : char.codePointAt(0)!;
      const isRange = this.#text[this.#at] === '-' && this.#text[this.#at + 1] !== ']' && this.#text[this.#at + 1] !== undefined;
      if (!isRange) {
        tests.push(typeof low === 'number' ? this.#literal(low) : low);
        continue;
      }
      this.#at++;
      const last = this.#text[this.#at++]!;
      const high = last === '\\' ? this.#escaped() : last.codePointAt(0)!;
      if (typeof low !== 'number' || typeof high !== 'number') throw new PatternError('a class such as "\\d" cannot be the end of a range');
      if (high < low) throw new PatternError('a range goes backwards');
      tests.push(this.#range(low, high));
    }
    const holds: Test = (code) => tests.some((test) => test(code));
    return isNegated ? not(holds) : holds;
  }

  #literal(wanted: number): Test {
    if (!this.#ignoresCase) return (code) => code === wanted;
    const folded = fold(wanted);
    return (code) => fold(code) === folded;
  }

  #range(low: number, high: number): Test {
    const inside: Test = (code) => code >= low && code <= high;
    if (!this.#ignoresCase) return inside;
    return (code) => inside(code) || inside(fold(code)) || inside(String.fromCodePoint(code).toUpperCase().codePointAt(0)!);
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }
}

function fold(code: number): number {
  return String.fromCodePoint(code).toLowerCase().codePointAt(0)!;
}
