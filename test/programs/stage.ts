import { join } from 'node:path';
import type { Connection } from '../../src/client/connection.ts';
import { processesOf, Rig, ROOT } from '../support/rig.ts';
import type { TestTerminal } from '../support/terminal.ts';
import { furnish, type Program } from './programs.ts';

const SIZE = { cols: 100, rows: 30 };

/** A program in a session of a rig of its own, the terminals that are attached to it, and the same program without us beside it. */
export class Stage implements AsyncDisposable {
  readonly rig: Rig;
  readonly #program: Program;
  readonly #terminals: TestTerminal[] = [];
  /** What `agrees` saw last, while it waits. */
  #difference: object | null = null;
  client!: Connection;
  /** Where the program of the session was started. */
  work!: string;

  /** `signal`: the test's own, which says that its time is over. Then all terminals end, and so does every wait for one of them. */
  static async open(program: Program, signal: AbortSignal): Promise<Stage> {
    const stage = new Stage(await Rig.start(), program);
    signal.addEventListener('abort', () => stage.#giveUp());
    const { work, environment } = stage.#furnish(join(stage.rig.home, 'inside'));
    stage.work = work;
    const made = await stage.rig.run(
      ['new', 'it', '-d', '-c', work, '-x', String(SIZE.cols), '-y', String(SIZE.rows), '--', ...program.command],
      { environment },
    );
    if (made.code !== 0) throw new Error(`${program.name} could not be started: ${made.stderr}`);
    stage.client = await stage.rig.connect();
    return stage;
  }

  private constructor(rig: Rig, program: Program) {
    this.rig = rig;
    this.#program = program;
  }

  /** A terminal at which a person attaches. */
  async attach(): Promise<TestTerminal> {
    return this.#keep(await this.rig.terminal(['attach', 'it'], SIZE));
  }

  /** The same, from a shell that says before and after how its terminal is set. */
  async attachBetweenSettings(): Promise<TestTerminal> {
    const attach = `'${process.execPath}' '${join(ROOT, 'bin', 'ai-session')}' attach it`;
    return this.#keep(await this.rig.terminal([], { ...SIZE, command: ['/bin/sh', '-c', `stty -g; ${attach}; stty -g`] }));
  }

  /** The program on a terminal of its own, as if there were no ai-session. */
  async bare(): Promise<TestTerminal> {
    const { work, environment: own } = this.#furnish(this.#bareHome);
    const environment = { ...own, AI_SESSION_HOME: this.#bareHome };
    const command = ['/usr/bin/env', '-C', work, `PWD=${work}`, 'COLORTERM=truecolor', ...this.#program.command] as [string, ...string[]];
    return this.#keep(await this.rig.terminal([], { ...SIZE, environment, command }));
  }

  /** Waits for the first screen, with the program ready to be typed into. */
  async isReady(terminal: TestTerminal): Promise<void> {
    await this.#settles(terminal, this.#program.ready);
  }

  /** Waits for the first screen, types, and waits until that has been understood. */
  async begins(terminal: TestTerminal): Promise<void> {
    await this.isReady(terminal);
    await this.answers(terminal);
  }

  async answers(terminal: TestTerminal): Promise<void> {
    terminal.type(this.#program.keys);
    await this.#settles(terminal, this.#program.answer);
  }

  /** Waits until the terminal shows what the pane shows: text, colours, cursor and title. */
  async agrees(terminal: TestTerminal): Promise<void> {
    for (;;) {
      const seen = terminal.written.length;
      const { lines, cursor, title, alternate } = await this.client.call('pane.capture', { session: 'it', escapes: true });
      const pane = { lines: trimmed(lines), cursor, title, alternate };
      this.#difference = { pane, terminal: pictureOf(terminal) };
      if (JSON.stringify(pane) === JSON.stringify(pictureOf(terminal))) {
        this.#difference = null;
        return;
      }
      // What the terminal shows had passed the pane before it was captured. If nothing has come since, the rest is on its way.
      if (terminal.written.length === seen) await terminal.shows(() => terminal.written.length !== seen);
    }
  }

  /** Waits until two terminals show the same, but for what changes by itself. */
  async alike(one: TestTerminal, other: TestTerminal): Promise<void> {
    const areAlike = () => JSON.stringify(this.lasting(one)) === JSON.stringify(this.lasting(other));
    await Promise.race([one.shows(areAlike), other.shows(areAlike)]);
  }

  /** The rows that stay as they are while nobody types, each at its place. */
  lasting(terminal: TestTerminal): string[] {
    return rowsOf(terminal).map((row) => (this.#program.isLasting(row) ? row : ''));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const terminal of this.#terminals) await terminal[Symbol.asyncDispose]();
    // Some leave a daemon of their own behind, which we end in a session, but nobody does on a bare terminal.
    for (const { pid } of processesOf(this.#bareHome)) kill(pid);
    await this.rig[Symbol.asyncDispose]();
  }

  /** What ran bare is found by this. */
  get #bareHome(): string {
    return join(this.rig.home, 'bare');
  }

  #furnish(place: string): { work: string; environment: Record<string, string> } {
    const home = join(place, 'me');
    return { ...furnish(home, this.#program), environment: { ...this.#program.environment, HOME: home } };
  }

  /** Shells set the terminal's modes after they have printed the prompt. */
  async #settles(terminal: TestTerminal, text: RegExp): Promise<void> {
    const { marksPastes } = this.#program;
    await terminal.shows(() => text.test(terminal.text) && terminal.screen.keyModes.bracketedPaste === marksPastes);
  }

  #keep(terminal: TestTerminal): TestTerminal {
    this.#terminals.push(terminal);
    return terminal;
  }

  #giveUp(): void {
    if (this.#difference) console.error(`The pane and its terminal differ: ${JSON.stringify(this.#difference, null, 1)}`);
    for (const terminal of this.#terminals) {
      console.error(`A terminal of ${this.#program.name} when the time was over:\n${terminal.text}`);
      void terminal[Symbol.asyncDispose]();
    }
  }
}

export function rowsOf({ screen }: TestTerminal, withEscapes = false): string[] {
  return screen.lines({ from: 0, to: screen.rows - 1, withEscapes, joinWrapped: false, trimEnd: true });
}

function pictureOf(terminal: TestTerminal) {
  const { cursor, title, isAlternate } = terminal.screen;
  return { lines: trimmed(rowsOf(terminal, true)), cursor, title, alternate: isAlternate };
}

function trimmed(lines: readonly string[]): string[] {
  return lines.slice(0, lines.findLastIndex((line) => line !== '') + 1);
}

/** It may have gone by itself since it was seen. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
