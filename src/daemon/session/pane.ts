import { WireError } from '../../wire/errors.ts';
import type { StreamEnd } from '../../wire/events.ts';
import { RESET_TERMINAL } from '../../wire/terminal-reset.ts';
import type { Entry } from '../persistence/journal/entry.ts';
import type { Journal } from '../persistence/journal/journal.ts';
import type { Stream, StreamSink } from '../subsystem.ts';
import { type Mark, MarkFilter } from '../terminal/marks.ts';
import { parking } from '../terminal/parking.ts';
import type { Exit, Pty, PtyListener } from '../terminal/pty.ts';
import { ReportQuestions } from '../terminal/report-questions.ts';
import { Screen } from '../terminal/screen.ts';
import { Follower } from './follower.ts';
import type { SavedScreen } from './saved-screen.ts';
import { isTyping } from './typing.ts';

/** Unparsed output at which we stop reading the program, and at which we read again. A snapshot has to parse what waits, so this bounds how long an attach can hold up everybody else: about 10 ms. */
const HIGH_WATER_BYTES = 128 << 10;
const LOW_WATER_BYTES = 32 << 10;
/** Typed ahead of a program that does not read. Beyond this something is wrong, and memory is not the place to keep it. */
const INPUT_LIMIT_BYTES = 64 << 20;
/** A viewer smaller than this never shrinks a pane: phones and 2x1 web terminals have wrecked many a screen. */
const SMALLEST_COLS = 20;
const SMALLEST_ROWS = 5;
const [CR, LF] = [13, 10];

/**
 * starting ──▶ running ──exit──▶ ended
 *     └───── could not ─────────────▲     running ── holder gone ──▶ ended (lost)
 */
export type PaneState =
  | { is: 'starting' }
  | { is: 'running'; pty: Pty }
  | { is: 'ended'; how: 'exited' | 'failed' | 'lost'; exit: Exit; because: string | null };

export interface PaneNews {
  wrote(bytes: number): void;
  resized(cols: number, rows: number): void;
  titled(title: string): void;
  rang(): void;
  /** `watchers`: how many saw it. */
  ended(state: PaneState & { is: 'ended' }, watchers: number): void;
  detached(stream: number, because: StreamEnd['because'] | 'gone'): void;
  /** The emulator failed on some bytes and was replaced. */
  poisoned(error: unknown): void;
  /** The shell says where a command begins or ends. */
  marked(mark: Mark): void;
}

/** The bytes may have come before, when a holder says them again. */
export type WrittenListener = (offset?: number, bytes?: Uint8Array) => void;

/** One program, one screen, and those who watch it. */
export class Pane {
  readonly id: string;
  readonly screen: Screen;
  /** Where every byte goes first; null for a session that keeps no history. */
  readonly journal: Journal | null;
  readonly #news: PaneNews;
  readonly #followers = new Set<Follower>();
  #leader: Follower | null = null;
  #state: PaneState = { is: 'starting' };
  #head = 0;
  /** Our screen has every byte before this offset, less what the filter holds back. */
  #shownTo = 0;
  #marks: MarkFilter | null = null;
  readonly #questions = new ReportQuestions();
  #typedBytes = 0;
  #entered = { typedBytes: 0, head: 0, at: 0 };
  #isPaused = false;
  readonly #onEnded: (() => void)[] = [];
  readonly #onWritten = new Set<WrittenListener>();
  /** Called when a person or a program has typed; what terminals answer by themselves does not count. */
  onTyped: () => void = () => {};
  /** Who typed last at a terminal that shows it. */
  #typist: Follower | null = null;
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
    journal,
  }: {
    id: string;
    cols: number;
    rows: number;
    scrollbackLines: number;
    activeAt: number;
    news: PaneNews;
    journal: Journal | null;
  }) {
    this.journal = journal;
    this.id = id;
    this.activeAt = activeAt;
    this.#news = news;
    this.screen = new Screen({
      cols,
      rows,
      scrollbackLines,
      answer: (bytes) => this.#answer(bytes),
      onTitle: (title) => this.#tellSoon({ title }),
      onBell: () => this.#tellSoon({ hasRung: true }),
      onPoison: (error) => news.poisoned(error),
      // Not at once: this may be told in the middle of a snapshot, and what is read again must come after it.
      onDrain: () => queueMicrotask(() => this.#resume()),
      drainBytes: LOW_WATER_BYTES,
      parking,
      isWatched: () => this.#followers.size > 0,
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

  /** Every byte before this offset is on the screen, or was a mark or a question to us. */
  get shownTo(): number {
    return this.#shownTo - (this.#marks?.held ?? 0) - this.#questions.held;
  }

  /** Bytes of input so far, since this daemon began. */
  get typedBytes(): number {
    return this.#typedBytes;
  }

  /** When Enter was last typed: what had been typed by then, and printed, and the time. */
  get entered(): { typedBytes: number; head: number; at: number } {
    return this.#entered;
  }

  /** When somebody last typed at a terminal that shows it, or showed it to its end; null when nobody has, or has left. */
  get typedAt(): number | null {
    return this.#typist?.typedAt ?? null;
  }

  /** Says something to the terminals that show it, besides what the program says, but for those that were typed into since. Returns how many hear it. */
  tell(bytes: Uint8Array, { notTypedSince }: { notTypedSince: number }): number {
    return [...this.#followers].filter((follower) => (follower.typedAt ?? 0) < notTypedSince && follower.tell(bytes)).length;
  }

  /** Before the first byte comes: its shell prints marks with this nonce, which nobody is to see. */
  expectMarks(nonce: string): void {
    this.#marks = new MarkFilter(nonce);
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
    pty.acknowledge(this.#safe);
  }

  /** The screen as an earlier daemon saved it, in the size it had. */
  remember({ offset, cols, rows, bytes }: SavedScreen): void {
    if (this.screen.cols !== cols || this.screen.rows !== rows) this.screen.resize(cols, rows);
    this.screen.feed(bytes, false);
    this.continuesAt(offset);
  }

  /** Shows what an earlier program left, less the modes it had set, and a line below it; what this pane's program writes comes after. */
  inherit(before: Uint8Array, notice: string): void {
    this.screen.feed(before, false);
    this.screen.settle();
    const reset = `${this.screen.isAlternate ? '\x1b[?1049l' : ''}${RESET_TERMINAL}\r\n${notice}\r\n`;
    this.screen.feed(Buffer.from(reset), false);
  }

  /** What was written before this daemon: seen by the screen alone. Returns how often its size changed. */
  replay(entries: Iterable<Entry>): number {
    let resizes = 0;
    let size: { cols: number; rows: number } | null = null;
    for (const entry of entries) {
      if (entry.is === 'resize') size = entry;
      if (entry.is === 'gap' && this.#marks) this.screen.feed(this.#marks.release(), false);
      if (entry.is !== 'output') continue;
      // Of several in a row only the last was ever written to.
      if (size) {
        this.screen.resize(size.cols, size.rows);
        resizes++;
      }
      size = null;
      // What the marks say is read from the journal by those who want it.
      this.screen.feed(this.#marks ? this.#marks.push(entry.offset, entry.bytes).shown : entry.bytes, false);
    }
    if (size) this.screen.resize(size.cols, size.rows);
    return resizes;
  }

  /** The screen stands for every byte before this offset: those that come again are not shown again. */
  continuesAt(offset: number): void {
    this.#head = this.#shownTo = offset;
  }

  /** The journal has every byte before this offset, or has given it up, after the disk had taken nothing. */
  safe(offset: number): void {
    if (this.#state.is === 'running') this.#state.pty.acknowledge(offset);
    this.#resume();
  }

  /** Bytes below this need not be kept elsewhere. */
  get #safe(): number {
    return this.journal ? Math.min(this.journal.end, this.#head) : this.#head;
  }

  /** Every byte a program writes takes this path. */
  #ingest(offset: number, bytes: Uint8Array, isReplay: boolean): void {
    // First to disk: what follows can go wrong.
    this.journal?.append(offset, bytes);
    this.#head = Math.max(this.#head, offset + bytes.length);
    for (const then of this.#onWritten) then(offset, bytes);
    // Before our screen can answer: a query that is acknowledged is not answered again by the daemon after a crash.
    if (this.#state.is === 'running') this.#state.pty.acknowledge(this.#safe);
    if (offset < this.#shownTo) {
      const known = this.#shownTo - offset;
      if (known >= bytes.length) return;
      bytes = bytes.subarray(known);
    }
    this.#shownTo = this.#head;
    this.#news.wrote(bytes.length);
    const { shown: unmarked, marks } = this.#marks?.push(this.#head - bytes.length, bytes) ?? { shown: bytes, marks: [] };
    const { shown, answer } = this.#questions.push(unmarked);
    if (answer !== '' && !isReplay) this.#answer(Buffer.from(answer));
    this.screen.feed(shown, !isReplay && !this.#leader?.hearsQueries);
    for (const follower of this.#followers) follower.offer(this.shownTo, shown);
    for (const mark of marks) this.#news.marked(mark);
    if (!isReplay) this.activeAt = Date.now();
    const isBehind = this.screen.bytesWaiting > HIGH_WATER_BYTES || this.journal?.isFull;
    if (this.#state.is === 'running' && !this.#isPaused && isBehind) {
      this.#isPaused = true;
      this.#state.pty.pause();
    }
  }

  /** To the program, for the terminal. One that asks and asks and reads nothing is not answered for ever. */
  #answer(bytes: Uint8Array): void {
    if (this.#state.is === 'running' && this.#state.pty.inputWaiting < INPUT_LIMIT_BYTES) this.#state.pty.write(bytes);
  }

  #resume(): void {
    if (!this.#isPaused || this.#state.is !== 'running' || this.journal?.isFull) return;
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
    this.journal?.typed(bytes.length);
    this.#typedBytes += bytes.length;
    if (bytes.includes(CR) || bytes.includes(LF)) this.#entered = { typedBytes: this.#typedBytes, head: this.#head, at: Date.now() };
    pty.write(bytes);
    if (isTyping(bytes)) this.onTyped();
  }

  /** Resize, subscribe and snapshot in one step: every byte is in the snapshot or after it. */
  attach({
    open,
    cols,
    rows,
    readOnly,
    history,
    shown,
  }: {
    open: (sink: StreamSink) => Stream;
    cols: number;
    rows: number;
    readOnly: boolean;
    history: boolean;
    shown: boolean;
  }): number {
    const stream = open({
      input: (bytes) => this.#typed(follower, bytes),
      viewport: (cols, rows) => {
        [follower.cols, follower.rows] = [cols, rows];
        if (!this.#followers.has(follower)) return;
        follower.resized();
        if (follower === this.#leader) this.#arrange();
        else follower.show(this.shownTo, 'none');
      },
      closed: (because) => this.#drop(follower, because),
    });
    const follower = new Follower({ stream, screen: this.screen, cols, rows, readOnly, shown });
    follower.onCaughtUp = (sinceLine) => this.#followers.has(follower) && follower.catchUp(this.shownTo, sinceLine);
    // The one who comes is about to type; a reader leads nobody.
    if (!readOnly && this.#state.is === 'running') this.#lead(follower);
    this.#fitLeader();
    this.#followers.add(follower);
    follower.show(this.shownTo, history ? 'all' : 'none');
    if (this.#state.is === 'ended') {
      const { exit } = this.#state;
      this.#followers.delete(follower);
      follower.stop();
      stream.end({ because: 'session ended', exitCode: exit.code, signal: exit.signal });
    }
    return stream.id;
  }

  detachAll(because: 'taken over' | 'session removed' | 'daemon stopping' | 'daemon replaced'): void {
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
    this.journal?.resized(cols, rows);
    this.screen.resize(cols, rows);
    if (this.#state.is === 'running') this.#state.pty.resize(cols, rows);
    this.#news.resized(cols, rows);
    for (const follower of this.#followers) follower.show(this.shownTo, 'none');
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

  /** Calls whenever there is more in the journal, with it, and without when the program has ended. Returns how not to be called any more. */
  onWritten(then: WrittenListener): () => void {
    this.#onWritten.add(then);
    return () => this.#onWritten.delete(then);
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
    const unmarked = this.#marks?.release();
    const held = Buffer.concat([...(unmarked ? [this.#questions.push(unmarked).shown] : []), this.#questions.release()]);
    if (held.length > 0) {
      this.screen.feed(held, false);
      for (const follower of this.#followers) follower.offer(this.shownTo, held);
    }
    this.screen.settle();
    const state = { is: 'ended', how, exit, because } as const;
    this.#state = state;
    const watchers = [...this.#followers];
    this.#followers.clear();
    this.#leader = null;
    this.#news.ended(state, watchers.length);
    for (const then of this.#onEnded.splice(0)) then();
    for (const then of [...this.#onWritten]) then();
    for (const follower of watchers) {
      follower.finish(this.shownTo);
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
    const isPerson = isTyping(bytes);
    if (isPerson) {
      follower.typedAt = Date.now();
      this.#typist = follower;
    }
    if (follower !== this.#leader && this.#state.is === 'running' && isPerson) {
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
    for (const follower of this.#followers) follower.show(this.shownTo, 'none');
  }

  #drop(follower: Follower, because: 'detached' | 'gone'): void {
    if (!this.#followers.delete(follower)) return;
    follower.stop();
    if (this.#typist === follower) this.#typist = null;
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
