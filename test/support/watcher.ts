import type { Connection } from '../../src/client/connection.ts';
import { Screen } from '../../src/daemon/terminal/screen.ts';
import type { CallParams, CallResult } from '../../src/wire/calls.ts';
import type { StreamEnd } from '../../src/wire/events.ts';

/** A follower with a screen: what an attached terminal would show, and a way to wait until it shows something. */
export class Watcher {
  readonly screen: Screen;
  /** Every frame as it came. */
  readonly frames: { kind: 'snapshot' | 'bytes'; offset: number; bytes: Buffer }[] = [];
  readonly ended: Promise<StreamEnd>;
  readonly #client: Connection;
  readonly #waiting = new Set<() => void>();
  attached!: CallResult<'pane.attach'>;

  static async attach(client: Connection, params: CallParams<'pane.attach'>): Promise<Watcher> {
    const watcher = new Watcher(client, params);
    return await watcher.#started;
  }

  readonly #started: Promise<Watcher>;

  private constructor(client: Connection, params: CallParams<'pane.attach'>) {
    this.#client = client;
    this.screen = new Screen({ cols: params.cols, rows: params.rows, scrollbackLines: 5000, answer: () => {} });
    let end!: (end: StreamEnd) => void;
    this.ended = new Promise((resolve) => {
      end = resolve;
    });
    const feed = (kind: 'snapshot' | 'bytes') => (bytes: Uint8Array, offset: number) => {
      this.frames.push({ kind, offset, bytes: Buffer.from(bytes) });
      this.screen.feed(bytes, false);
      this.screen.settle();
      for (const check of this.#waiting) check();
    };
    this.#started = client.follow(params, { snapshot: feed('snapshot'), bytes: feed('bytes'), ended: end }).then((attached) => {
      this.attached = attached;
      return this;
    });
  }

  get text(): string {
    return this.screen
      .lines({ from: 0, to: this.screen.rows - 1, withEscapes: false, joinWrapped: false, trimEnd: true })
      .join('\n')
      .trimEnd();
  }

  /** Waits until the screen shows this text (or does what is asked). */
  async shows(wanted: string | (() => boolean)): Promise<void> {
    const isShown = typeof wanted === 'string' ? () => this.text.includes(wanted) : wanted;
    if (isShown()) return;
    await new Promise<void>((resolve) => {
      const check = () => {
        if (!isShown()) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
    });
  }

  type(text: string | Uint8Array): void {
    this.#client.type(this.attached.stream, typeof text === 'string' ? Buffer.from(text) : text);
  }

  resize(cols: number, rows: number): Promise<unknown> {
    this.screen.resize(cols, rows);
    return this.#client.call('pane.viewport', { stream: this.attached.stream, cols, rows });
  }

  detach(): Promise<unknown> {
    return this.#client.call('pane.detach', { stream: this.attached.stream });
  }
}
