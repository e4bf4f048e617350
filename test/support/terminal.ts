import { startNodePty } from '../../src/daemon/terminal/node-pty.ts';
import type { Exit, Pty, PtySpec } from '../../src/daemon/terminal/pty.ts';
import { Screen } from '../../src/daemon/terminal/screen.ts';

/** A terminal emulator with a real program on a real PTY in it, such as a person sits at. It answers queries as a terminal does. */
export class TestTerminal implements AsyncDisposable {
  readonly screen: Screen;
  /** Everything the program wrote to it. */
  written = Buffer.alloc(0);
  readonly exited: Promise<Exit>;
  #pty!: Pty;
  readonly #waiting = new Set<() => void>();
  #ended: Exit | null = null;

  static async open(spec: PtySpec): Promise<TestTerminal> {
    const terminal = new TestTerminal(spec.cols, spec.rows);
    terminal.#pty = await startNodePty(spec, {
      data: (_, bytes) => terminal.#show(bytes),
      exit: (exit) => terminal.#end(exit),
      lost: () => terminal.#end({ code: null, signal: null }),
    });
    return terminal;
  }

  readonly #end: (exit: Exit) => void;

  private constructor(cols: number, rows: number) {
    this.screen = new Screen({ cols, rows, scrollbackLines: 5000, answer: (bytes) => this.#pty.write(bytes) });
    let settle!: (exit: Exit) => void;
    this.exited = new Promise((resolve) => {
      settle = resolve;
    });
    this.#end = (exit) => {
      this.#ended = exit;
      settle(exit);
      for (const check of this.#waiting) check();
    };
  }

  get pid(): number {
    return this.#pty.pid;
  }

  get text(): string {
    return this.screen
      .lines({ from: 0, to: this.screen.rows - 1, withEscapes: false, joinWrapped: false, trimEnd: true })
      .join('\n')
      .trimEnd();
  }

  type(text: string): void {
    this.#pty.write(Buffer.from(text));
  }

  resize(cols: number, rows: number): void {
    this.screen.resize(cols, rows);
    this.#pty.resize(cols, rows);
  }

  async shows(wanted: string | RegExp | (() => boolean)): Promise<void> {
    const isShown =
      typeof wanted === 'function' ? wanted : () => (typeof wanted === 'string' ? this.text.includes(wanted) : wanted.test(this.text));
    if (isShown()) return;
    await new Promise<void>((resolve, reject) => {
      const settle = (error?: Error) => {
        this.#waiting.delete(check);
        clearTimeout(deadline);
        if (error) reject(error);
        else resolve();
      };
      const check = () => {
        if (isShown()) settle();
        else if (this.#ended)
          settle(
            new Error(`the program ended (${JSON.stringify(this.#ended)}) and the screen never showed ${String(wanted)}:\n${this.text}`),
          );
      };
      // Before the test's own end, which could not say what there is instead.
      const deadline = setTimeout(() => settle(new Error(`the screen does not show ${String(wanted)}:\n${this.text}`)), 20_000);
      this.#waiting.add(check);
      check();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) await this.#pty.signal('SIGKILL', 'program');
    await this.exited;
    this.screen.dispose();
  }

  #show(bytes: Uint8Array): void {
    this.written = Buffer.concat([this.written, bytes]);
    this.screen.feed(bytes, true);
    this.screen.settle();
    for (const check of this.#waiting) check();
  }
}
