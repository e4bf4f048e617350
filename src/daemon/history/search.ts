import { fold } from './index/grams.ts';
import type { Line } from './lines.ts';

/** What somebody looks for in the output of all sessions, ended ones included. */
export interface SearchQuery {
  /** Text within one line, or with `isRegex` a JavaScript regular expression. In any letter case unless it has a capital letter. */
  pattern: string;
  isRegex?: boolean;
  /** By id, by name, or by a pane's id. Several ended sessions may have had one name: all of them are searched. */
  session?: string;
  /** Milliseconds since 1970: lines that were finished from then on. */
  since?: number;
  /** 1 to 1000; 50 when nothing is said. */
  limit?: number;
}

/** A line that was found. */
export interface Match {
  session: string;
  /** The session's name, or the last that it had. */
  name: string;
  pane: string;
  /** Where the line is in the pane's output, for `logs`. */
  offset: number;
  end: number;
  /** When it was finished, in milliseconds since 1970. */
  at: number;
  /** Without escapes or controls. Of a long line the part around what was found, with `…` where it was cut. */
  text: string;
}

export type SearchAnswer = Found | { ok: false; problem: string };

export interface Found {
  ok: true;
  /** The newest first. */
  matches: Match[];
  /** There are older ones that the limit left out. */
  hasMore: boolean;
  /** False when something could not be searched in the time there is; `note` says what. */
  isComplete: boolean;
  /** With `isComplete: false`, if it is known: everything up to this moment was searched. */
  upTo: number | null;
  how: 'index' | 'exact';
  /** What is to be said to people: why it was slow, or what is missing. */
  note: string | null;
}

/** A pane with history, live or archived. */
export interface SearchPlace {
  session: string;
  name: string;
  pane: string;
  /** The journal's folder, and what its files are for their keys. */
  folder: string;
  purpose: string;
}

export const DEFAULT_LIMIT = 50;
export const MOST_MATCHES = 1000;
/** A longer pattern is somebody's file that came in by mistake. */
const PATTERN_LIMIT = 4096;
/** Of a line that is shown. What is longer is read with `logs`. */
const TEXT_LIMIT = 1000;

/** What is wrong with a query, in a sentence, or null. */
export function queryProblem({ pattern, isRegex = false, limit = DEFAULT_LIMIT }: SearchQuery): string | null {
  if (!Number.isInteger(limit) || limit < 1 || limit > MOST_MATCHES) return `The limit is ${limit}: use 1 to ${MOST_MATCHES}`;
  if (pattern === '') return 'The pattern is empty: say what to search for';
  if (pattern.length > PATTERN_LIMIT)
    return `The pattern has ${pattern.length} characters: use no more than ${PATTERN_LIMIT}, the part that tells it from other lines`;
  if (/[\n\r]/.test(pattern)) return 'The pattern has a line break, and lines are searched one by one: use a part of one line';
  if (pattern.includes('\t')) return 'The pattern has a tab, and tabs are blanks in history: use blanks, or --regex with " +"';
  const [control] = /[\x00-\x1f\x7f-\x9f]/.exec(pattern) ?? [];
  if (control !== undefined) {
    const code = control.charCodeAt(0).toString(16).padStart(4, '0').toUpperCase();
    return `The pattern has the control character U+${code}, which no line has`;
  }
  if (/\p{Surrogate}/u.test(pattern)) return 'The pattern has half of a character (a lone surrogate), which no line has';
  if (!isRegex) return null;
  const compiled = compile(pattern);
  return compiled instanceof RegExp ? null : compiled.problem;
}

/** Where in a text the pattern stands, or -1. */
export type Matcher = (text: string) => number;

/** For a query without a problem. As ripgrep's smart case: a capital letter in the pattern makes letter case count. */
export function matcherOf({ pattern, isRegex = false }: SearchQuery): Matcher {
  if (isRegex) {
    const regex = compile(pattern);
    if (!(regex instanceof RegExp)) throw new Error(regex.problem);
    return (text) => text.search(regex);
  }
  if (hasCapital(pattern)) return (text) => text.indexOf(pattern);
  const folded = fold(pattern);
  return (text) => fold(text).indexOf(folded);
}

/** The newest matches, in any order that they come in, and no more of them than are wanted. */
export class Newest {
  readonly #limit: number;
  #matches: Match[] = [];
  /** What is older than this is not among them. */
  #oldest = Number.NEGATIVE_INFINITY;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** When a match from this moment would be among them. */
  wants(at: number): boolean {
    return at >= this.#oldest;
  }

  add({ session, name, pane }: SearchPlace, { text, offset, end, at }: Line, found: number): void {
    if (!this.wants(at)) return;
    this.#matches.push({ session, name, pane, offset, end, at, text: clip(text, found) });
    // Sorted now and then, not at each.
    if (this.#matches.length >= this.#limit * 2 + 100) this.#cut();
  }

  /** From the newest on. */
  get matches(): Match[] {
    this.#cut();
    return this.#matches;
  }

  #cut(): void {
    this.#matches.sort(newestFirst);
    if (this.#matches.length < this.#limit) return;
    this.#matches.length = this.#limit;
    this.#oldest = this.#matches.at(-1)!.at;
  }
}

/** One more than the limit tells whether there are more. */
export function answerOf(newest: Match[], limit: number): Pick<Found, 'matches' | 'hasMore'> {
  return { matches: newest.slice(0, limit), hasMore: newest.length > limit };
}

function newestFirst(a: Match, b: Match): number {
  if (a.at !== b.at) return b.at - a.at;
  // In one pane the later line is the newer. Between panes it is only to be the same each time.
  if (a.pane !== b.pane) return a.pane < b.pane ? -1 : 1;
  return b.offset - a.offset;
}

/** Of a long text the part around a place in it. */
export function clip(text: string, found: number): string {
  if (text.length <= TEXT_LIMIT) return text;
  let from = Math.max(0, Math.min(found - TEXT_LIMIT / 4, text.length - TEXT_LIMIT));
  let to = Math.min(text.length, from + TEXT_LIMIT);
  // Not in the middle of a character.
  if (isLow(text, from)) from--;
  if (isLow(text, to)) to++;
  return `${from > 0 ? '…' : ''}${text.slice(from, to)}${to < text.length ? '…' : ''}`;
}

function isLow(text: string, index: number): boolean {
  const code = text.charCodeAt(index);
  return code >= 0xdc00 && code < 0xe000;
}

function compile(pattern: string): RegExp | { problem: string } {
  // \S and \P{L} are no capital letters that anybody looks for.
  const isSensitive = hasCapital(pattern.replace(/\\(?:[pP]\{[^}]*\}|.)/gu, ''));
  // With `u` a character is a character. Without it, escapes that mean nothing are allowed, as people write them.
  for (const unicode of ['u', '']) {
    try {
      return new RegExp(pattern, unicode + (isSensitive ? '' : 'i'));
    } catch (error) {
      if (unicode === '') return { problem: `The pattern is no regular expression: ${(error as Error).message}` };
    }
  }
  throw new Error('Both forms were tried.');
}

function hasCapital(text: string): boolean {
  return /\p{Lu}/u.test(text);
}
