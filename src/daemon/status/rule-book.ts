import { join } from 'node:path';
import type { Log } from '../../base/log.ts';
import { PACKAGE_FOLDER } from '../../base/package.ts';
import { ruleFilesOf } from './rule-files.ts';
import { RuleWatch } from './rule-watch.ts';
import { combineRules, type LoadedRules, type ReadRuleFile, type Rules, readRuleFile } from './rules.ts';

type Files = Map<string, { text: string; read: ReadRuleFile }>;

/**
 * The rules for agents, ours and those of the user's folder. They are read when the first program runs, a file in a turn of the event loop,
 * since all of them take some 60 ms; and again when a file changes.
 */
export class RuleBook implements Disposable {
  readonly #userFolder: string;
  readonly #log: Log;
  /** The rules are others now; `isFirst`: they have been read for the first time. */
  readonly #changed: (isFirst: boolean) => void;
  readonly #watch = new RuleWatch();
  /** By origin and name: what each file said, and what of it counts. */
  #files: Files = new Map();
  #loaded: LoadedRules | null = null;
  #watchProblem: string | null = null;
  #reading: Generator<void, void> | null = null;
  #next: NodeJS.Immediate | null = null;
  /** A file has changed while the others were being read. */
  #isStale = false;
  #hasBegun = false;
  #isClosed = false;

  constructor({ userFolder, log, changed }: { userFolder: string; log: Log; changed(isFirst: boolean): void }) {
    this.#userFolder = userFolder;
    this.#log = log;
    this.#changed = changed;
  }

  /** Null until they have been read. */
  get rules(): Rules | null {
    return this.#loaded?.rules ?? null;
  }

  /** For somebody who cannot wait for them. */
  get rulesNow(): Rules {
    this.readNow();
    return this.#loaded!.rules;
  }

  /** What is wrong with the files, in sentences. Reads them, if nobody has yet. */
  get problems(): string[] {
    this.readNow();
    return [...this.#loaded!.problems, ...(this.#watchProblem ? [this.#watchProblem] : [])];
  }

  /** Reads them soon, and from then on whenever a file changes. */
  begin(): void {
    if (this.#hasBegun || this.#isClosed) return;
    this.#hasBegun = true;
    if (!this.#loaded) this.#read();
    const failed = ({ message }: Error) => {
      this.#watchProblem ??= `agents: changes of rules are not noticed (${message}); after one, run: ai-session daemon restart`;
      this.#log.warn('the rules for agents cannot be watched', { because: message });
    };
    this.#watch.begin(this.#userFolder, { changed: () => this.#read(), failed }).catch(failed);
  }

  /** Reads them, if nobody has yet. */
  readNow(): void {
    if (this.#loaded) return;
    this.#reading ??= this.#steps();
    try {
      while (!this.#reading.next().done);
    } finally {
      this.#finish();
      if (this.#isStale) this.#read();
    }
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#finish();
    this.#watch[Symbol.dispose]();
  }

  #read(): void {
    if (this.#isClosed) return;
    this.#isStale = this.#reading !== null;
    this.#reading ??= this.#steps();
    this.#next ??= setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#next = null;
    try {
      if (this.#reading && !this.#reading.next().done) {
        this.#next = setImmediate(() => this.#turn());
        return;
      }
    } catch (error) {
      this.#log.incident('the rules for agents could not be read', error);
    }
    this.#finish();
    if (this.#isStale) this.#read();
  }

  #finish(): void {
    this.#reading = null;
    if (this.#next) clearImmediate(this.#next);
    this.#next = null;
  }

  *#steps(): Generator<void, void> {
    const problems: string[] = [];
    const found = [
      ...ruleFilesOf(join(PACKAGE_FOLDER, 'agents'), 'built-in', problems),
      ...ruleFilesOf(this.#userFolder, 'user', problems),
    ];
    const files: Files = new Map();
    for (const file of found) {
      const key = `${file.origin} ${file.file}`;
      const known = this.#files.get(key);
      if (known?.text === file.text) files.set(key, known);
      else {
        files.set(key, { text: file.text, read: readRuleFile(file, known?.read) });
        yield;
      }
    }
    const isFirst = this.#loaded === null;
    const isSame = [...files].every(([key, { text }]) => this.#files.get(key)?.text === text) && files.size === this.#files.size;
    this.#files = files;
    const combined = combineRules([...files.values()].map(({ read }) => read));
    const all = [...problems, ...combined.problems.map((problem) => `agents/${problem}`)];
    const before = this.#loaded?.problems ?? [];
    this.#loaded = { rules: combined.rules, problems: all };
    for (const problem of all) if (!before.includes(problem)) this.#log.warn('a rule for agents was not taken', { problem });
    if (isFirst || !isSame) this.#changed(isFirst);
  }
}
