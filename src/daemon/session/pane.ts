import { WireError } from '../../wire/errors.ts';
import type { StreamEnd } from '../../wire/events.ts';
import type { Stream, StreamSink } from '../subsystem.ts';
import type { Exit, Pty, PtyListener } from '../terminal/pty.ts';
import { Screen } from '../terminal/screen.ts';
import { Follower } from './follower.ts';
import { isTyping } from './typing.ts';

/** Unparsed output at which we stop reading the program, and at which we read again. A snapshot has to parse what waits, so this bounds how long an attach can hold up everybody else: about 10 ms. */
const HIGH_WATER_BYTES = 128 << 10;
const LOW_WATER_BYTES = 32 << 10;
/** Typed ahead of a program that does not read. Beyond this something is wrong, and memory is not the place to keep it. */
const INPUT_LIMIT_BYTES = 64 << 20;
/** A viewer smaller than this never shrinks a pane: phones and 2x1 web terminals have wrecked many a screen. */
const SMALLEST_COLS = 20;
const SMALLEST_ROWS = 5;

/**
 * starting ──▶ running ──exit──▶ ended
 *     └───── could not ─────────────▲     running ── holder gone ──▶ ended (lost)
 */
export type PaneState =
  | { is: 'starting' }
  | { is: 'running'; pty: Pty }
  | { is: 'ended'; how: 'exited' | 'failed' | 'lost'; exit: Exit; because: string | null };

export interface PaneNews {
  resized(cols: number, rows: number): void;
  titled(title: string): void;
  rang(): void;
  /** `watchers`: how many saw it. */
  ended(state: PaneState & { is: 'ended' }, watchers: number): void;
  detached(stream: number, because: StreamEnd['because'] | 'gone'): void;
  /** The emulator failed on some bytes and was replaced. */
  poisoned(error: unknown): void;
}

/** One program, one screen, and those who watch it. */
export class Pane {
  readonly id: string;
  readonly screen: Screen;
  readonly #news: PaneNews;
  readonly #followers = new Set<Follower>();
  #leader: Follower | null = null;
  #state: PaneState = { is: 'starting' };
  #head = 0;
  #isPaused = false;
  readonly #onEnded: (() => void)[] = [];
  #untold: { title?: string; hasRung?: boolean } = {};
  #telling: NodeJS.Immediate | null = null;
  activeAt: number;

  constructor({
    id,
    cols,
    rows,
    scrollbackLines,
    activeAt,
    news,
  }: { id: string; cols: number; rows: number; scrollbackLines: number; activeAt: number; news: PaneNews }) {
    this.id = id;
    this.activeAt = activeAt;
    this.#news = news;
    this.screen = new Screen({
      cols,
      rows,
      scrollbackLines,
      answer: (bytes) => this.#state.is === 'running' && this.#state.pty.write(bytes),
      onTitle: (title) => this.#tellSoon({ title }),
      onBell: () => this.#tellSoon({ hasRung: true }),
      onPoison: (error) => news.poisoned(error),
      // Not at once: this may be told in the middle of a snapshot, and what is read again must come after it.
      onDrain: () => queueMicrotask(() => this.#resume()),
      drainBytes: LOW_WATER_BYTES,
    });
  }

  get state(): PaneState {
    return this.#state;
  }

  get attached(): number {
    return this.#followers.size;
  }

  /** Absolute offset after the last byte that arrived. */
  get head(): number {
    return this.#head;
  }

  /** What the PTY is given before it exists, since it may speak as soon as it does. An exception here ends this pane and nothing else. */
  listener(guard: (what: string, action: () => void) => void): PtyListener {
    return {
      data: (offset, bytes, isReplay) => guard('output', () => this.#ingest(offset, bytes, isReplay)),
      exit: (exit) => guard('exit', () => this.end('exited', exit, null)),
      lost: (because) => guard('loss', () => this.end('lost', { code: null, signal: null }, because)),
    };
  }

  running(pty: Pty): void {
    if (this.#state.is !== 'starting') return;
    this.#state = { is: 'running', pty };
    // What came with the welcome, before we had whom to tell.
    pty.acknowledge(this.#head);
  }

  /** The screen as an earlier daemon saved it, which stands for every byte before `offset`. */
  remember(saved: Uint8Array, offset: number): void {
    this.screen.feed(saved, false);
    this.screen.settle();
    this.#head = offset;
  }

  /** Every byte a program writes takes this path. */
  #ingest(offset: number, bytes: Uint8Array, isReplay: boolean): void {
    this.#head = offset + bytes.length;
    // Before our screen can answer: a query that is acknowledged is not answered again by the daemon after a crash.
    if (this.#state.is === 'running') this.#state.pty.acknowledge(this.#head);
    this.screen.feed(bytes, !isReplay && !this.#leader?.hearsQueries);
    for (const follower of this.#followers) follower.offer(this.#head, bytes);
    if (!isReplay) this.activeAt = Date.now();
    if (this.#state.is === 'running' && !this.#isPaused && this.screen.bytesWaiting > HIGH_WATER_BYTES) {
      this.#isPaused = true;
      this.#state.pty.pause();
    }
  }

  #resume(): void {
    if (!this.#isPaused || this.#state.is !== 'running') return;
    this.#isPaused = false;
    this.#state.pty.resume();
  }

  /** Input by a program (`send`). Throws WireError when the pane cannot take it; then none of it was typed. */
  write(bytes: Uint8Array): void {
    const pty = this.#pty();
    if (pty.inputWaiting + bytes.length > INPUT_LIMIT_BYTES) {
      throw new WireError(
        'busy',
        `The program does not read its input: ${pty.inputWaiting} bytes wait already, the limit is ${INPUT_LIMIT_BYTES}. Nothing of this was typed.`,
      );
    }
    pty.write(bytes);
  }

  /** Resize, subscribe and snapshot in one step: every byte is in the snapshot or after it. */
  attach({
    open,
    cols,
    rows,
    readOnly,
    history,
  }: {
    open: (sink: StreamSink) => Stream;
    cols: number;
    rows: number;
    readOnly: boolean;
    history: boolean;
  }): number {
    const stream = open({
      input: (bytes) => this.#typed(follower, bytes),
      viewport: (cols, rows) => {
        [follower.cols, follower.rows] = [cols, rows];
        if (!this.#followers.has(follower)) return;
        follower.resized();
        if (follower === this.#leader) this.#arrange();
        else follower.show(this.#head, 'none');
      },
      closed: (because) => this.#drop(follower, because),
    });
    const follower = new Follower({ stream, screen: this.screen, cols, rows, readOnly });
    follower.onCaughtUp = (sinceLine) => this.#followers.has(follower) && follower.catchUp(this.#head, sinceLine);
    // The one who comes is about to type; a reader leads nobody.
    if (!readOnly && this.#state.is === 'running') this.#lead(follower);
    this.#fitLeader();
    this.#followers.add(follower);
    follower.show(this.#head, history ? 'all' : 'none');
    if (this.#state.is === 'ended') {
      const { exit } = this.#state;
      this.#followers.delete(follower);
      follower.stop();
      stream.end({ because: 'session ended', exitCode: exit.code, signal: exit.signal });
    }
    return stream.id;
  }

  detachAll(because: 'taken over' | 'session removed' | 'daemon stopping'): void {
    for (const follower of [...this.#followers]) {
      this.#followers.delete(follower);
      follower.stop();
      follower.stream.end({ because, exitCode: null, signal: null });
      this.#news.detached(follower.stream.id, because);
    }
    this.#leader = null;
  }

  resize(cols: number, rows: number): void {
    if (cols === this.screen.cols && rows === this.screen.rows) return;
    this.screen.resize(cols, rows);
    if (this.#state.is === 'running') this.#state.pty.resize(cols, rows);
    this.#news.resized(cols, rows);
    for (const follower of this.#followers) follower.show(this.#head, 'none');
  }

  /** Ended under an earlier daemon: no news. */
  endAsBefore(state: PaneState & { is: 'ended' }): void {
    this.#state = state;
  }

  /** Resolves when the program has ended, or after so many milliseconds. */
  async whenEnded(limitMs: number): Promise<void> {
    if (this.#state.is === 'ended') return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      this.#onEnded.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** A program can ring and retitle itself a million times a second; the world hears of it once a turn. */
  #tellSoon(news: { title?: string; hasRung?: boolean }): void {
    Object.assign(this.#untold, news);
    this.#telling ??= setImmediate(() => {
      const { title, hasRung } = this.#untold;
      this.#untold = {};
      this.#telling = null;
      if (title !== undefined) this.#news.titled(title);
      if (hasRung) this.#news.rang();
    });
  }

  /** Once; what comes later changes nothing. */
  end(how: 'exited' | 'failed' | 'lost', exit: Exit, because: string | null): void {
    if (this.#state.is === 'ended') return;
    this.screen.settle();
    const state = { is: 'ended', how, exit, because } as const;
    this.#state = state;
    const watchers = [...this.#followers];
    this.#followers.clear();
    this.#leader = null;
    this.#news.ended(state, watchers.length);
    for (const then of this.#onEnded.splice(0)) then();
    for (const follower of watchers) {
      follower.finish(this.#head);
      follower.stream.end({ because: how === 'failed' ? 'failed' : 'session ended', exitCode: exit.code, signal: exit.signal });
      this.#news.detached(follower.stream.id, 'session ended');
    }
  }

  dispose(): void {
    this.detachAll('session removed');
    this.screen.dispose();
  }

  /** The PTY, or a refusal that says how the program ended. */
  #pty(): Pty {
    if (this.#state.is === 'running') return this.#state.pty;
    if (this.#state.is === 'starting') throw new WireError('busy', 'The program has not started yet.');
    const { exit } = this.#state;
    const how = exit.code !== null ? `exit ${exit.code}` : (exit.signal ?? 'nobody knows how');
    throw new WireError('ended', `The program has ended (${how}).`, { exitCode: exit.code, signal: exit.signal });
  }

  #typed(follower: Follower, bytes: Uint8Array): void {
    if (follower.readOnly) return;
    if (follower !== this.#leader && this.#state.is === 'running' && isTyping(bytes)) {
      this.#lead(follower);
      this.#arrange();
    }
    if (this.#state.is === 'running') this.write(bytes);
  }

  #lead(follower: Follower): void {
    if (this.#leader) this.#leader.isLeader = false;
    this.#leader = follower;
    follower.isLeader = true;
  }

  /** The size follows the client that typed last. */
  #fitLeader(): void {
    const leader = this.#leader;
    if (leader && leader.cols >= SMALLEST_COLS && leader.rows >= SMALLEST_ROWS) this.resize(leader.cols, leader.rows);
  }

  #arrange(): void {
    this.#fitLeader();
    for (const follower of this.#followers) follower.show(this.#head, 'none');
  }

  #drop(follower: Follower, because: 'detached' | 'gone'): void {
    if (!this.#followers.delete(follower)) return;
    follower.stop();
    if (because === 'detached') follower.stream.end({ because: 'detached', exitCode: null, signal: null });
    if (follower === this.#leader) {
      // The newest of those who are left and may type; its terminal answers queries from now on.
      this.#leader = null;
      const next = [...this.#followers].reverse().find(({ readOnly }) => !readOnly);
      if (next) this.#lead(next);
      this.#arrange();
    }
    this.#news.detached(follower.stream.id, because);
  }
}
