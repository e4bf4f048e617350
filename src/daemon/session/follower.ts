import type { Stream } from '../subsystem.ts';
import { Painter } from '../terminal/painter.ts';
import { QueryFilter } from '../terminal/queries.ts';
import type { Screen } from '../terminal/screen.ts';
import type { NextGap } from '../terminal/tail.ts';

/** Unread bytes at which a follower is cut loose, to begin again from a snapshot. A person cannot read 1 MiB; a slow link must not hold up a fast program. */
const LIMIT_BYTES = 1 << 20;
/** After its terminal's last change of size a viewer is shown the screen anew: long enough for the program to have redrawn, and for a dragged window to rest. */
const REPAINT_MS = 120;
/** Between two paintings of a screen whose size is not the viewer's: 30 a second look alive. */
const FRAME_MS = 33;

/**
 * raw: the viewer's terminal has the pane's size and gets the program's own bytes.
 * painted: it has another size, so it gets pictures of the screen, cropped.
 * behind: it does not read; when it has taken what is on the way it starts again from a snapshot.
 */
type Mode =
  | { is: 'raw'; filter: QueryFilter | null }
  | { is: 'painted'; painter: Painter; timer: NodeJS.Timeout | null }
  | { is: 'behind'; sinceLine: number };

/** Somebody who watches a pane. */
export class Follower {
  readonly stream: Stream;
  readonly readOnly: boolean;
  readonly #screen: Screen;
  cols: number;
  rows: number;
  #mode: Mode | null = null;
  #isLeader = false;
  #at = 0;
  /** Whether its terminal shows this pane already: then nothing of its own is left to keep. */
  #isShown: boolean;
  #repaint: NodeJS.Timeout | null = null;
  /** What is to be said to its terminal, and where in the stream, once that is known. */
  #notice: { bytes: Uint8Array; gap: NextGap | null } | null = null;
  /** When its person last typed. */
  typedAt: number | null = null;

  constructor({
    stream,
    screen,
    cols,
    rows,
    readOnly,
    shown,
  }: { stream: Stream; screen: Screen; cols: number; rows: number; readOnly: boolean; shown: boolean }) {
    this.#isShown = shown;
    this.stream = stream;
    this.readOnly = readOnly;
    this.#screen = screen;
    this.cols = cols;
    this.rows = rows;
  }

  /** The leader's terminal answers the program's queries, so it alone is sent them: two answers would be typed into the program. */
  set isLeader(isLeader: boolean) {
    if (this.#isLeader === isLeader) return;
    this.#isLeader = isLeader;
    if (this.#mode?.is !== 'raw') return;
    const held = this.#mode.filter?.release();
    if (held && held.length > 0) this.#pass(this.#at, held);
    this.#mode = { is: 'raw', filter: isLeader ? null : new QueryFilter() };
  }

  /** Whether the program's queries reach a terminal that answers them. */
  get hearsQueries(): boolean {
    return this.#isLeader && this.#mode?.is === 'raw';
  }

  /** Shows the pane as fits the two sizes now. `history`: the scrollback too, for a terminal that has not seen it. */
  show(offset: number, history: 'all' | 'none'): void {
    const fits = this.cols === this.#screen.cols && this.rows === this.#screen.rows;
    if (fits && this.#mode?.is === 'raw') return;
    if (fits) this.#startRaw(offset, history);
    else this.#startPainting(offset);
  }

  /** The program's next bytes, and the position after them. */
  offer(offset: number, bytes: Uint8Array): void {
    this.#at = offset;
    const mode = this.#mode;
    if (mode?.is === 'painted') {
      mode.timer ??= setTimeout(() => {
        mode.timer = null;
        // A viewer that has not taken the last picture needs no newer one; the drain brings it.
        const paint = () => this.#mode === mode && this.#paint(mode.painter, this.#at);
        if (this.stream.bytesWaiting === 0) paint();
        else this.stream.whenDrained(paint);
      }, FRAME_MS);
    }
    if (mode?.is !== 'raw') return;
    const passed = mode.filter ? mode.filter.strip(bytes) : bytes;
    if (passed.length > 0) this.#pass(offset, passed);
    this.#say();
    if (this.stream.bytesWaiting > LIMIT_BYTES) this.#fallBehind();
  }

  /**
   * Says something to its terminal that is not the program's, as soon as none of the program's sequences is open there; the latest only.
   * Returns false when the terminal does not read.
   */
  tell(bytes: Uint8Array): boolean {
    if (this.#mode === null || this.#mode.is === 'behind') return false;
    this.#notice = { bytes, gap: null };
    this.#say();
    return true;
  }

  #say(): void {
    const notice = this.#notice;
    if (!notice || notice.gap || !this.#mode || this.#mode.is === 'behind') return;
    const held = this.#mode.is === 'raw' ? (this.#mode.filter?.holds ?? 'nothing') : 'beginning';
    if (held === 'interruption') return;
    // Pictures are whole, and before what is held back there is nothing open.
    if (held === 'nothing' && !this.#screen.isInGap) {
      notice.gap = this.#screen.nextGap;
      return;
    }
    this.#notice = null;
    this.stream.send('bytes', this.#at, notice.bytes);
  }

  #pass(offset: number, bytes: Uint8Array): void {
    const at = this.#notice?.gap?.find(bytes) ?? null;
    if (at === null) return this.stream.send('bytes', offset, bytes);
    const notice = this.#notice!.bytes;
    this.#notice = null;
    this.stream.send('bytes', offset, Buffer.concat([bytes.subarray(0, at), notice, bytes.subarray(at)]));
  }

  /** What its terminal shows begins anew. */
  #sayAnew(): void {
    if (this.#notice) this.#notice.gap = null;
    this.#say();
  }

  /** The last picture, when the program has ended. */
  finish(offset: number): void {
    if (this.#mode?.is === 'painted') this.#paint(this.#mode.painter, offset);
    // What it has not taken yet comes before it, and this is not much: it sees the end, too.
    else if (this.#mode?.is === 'behind') this.catchUp(offset, this.#mode.sinceLine);
    this.stop();
  }

  /**
   * Its terminal has changed its size, and the pane with it. What the program wrote for the old size may reach the new one, and terminals
   * and our screen reflow in ways of their own: when that is over, the terminal is shown what the screen has. tmux redraws for the same reason.
   */
  resized(): void {
    if (this.#repaint) clearTimeout(this.#repaint);
    this.#repaint = setTimeout(() => {
      this.#repaint = null;
      if (this.#mode?.is === 'raw') this.#startRaw(this.#at, 'none');
    }, REPAINT_MS);
  }

  stop(): void {
    if (this.#repaint) clearTimeout(this.#repaint);
    this.#repaint = null;
    if (this.#mode?.is === 'painted' && this.#mode.timer) clearTimeout(this.#mode.timer);
    this.#mode = null;
  }

  #startRaw(offset: number, history: 'all' | 'none' | { sinceLine: number }): void {
    this.stop();
    this.#mode = { is: 'raw', filter: this.#isLeader ? null : new QueryFilter() };
    // The lines that a viewer missed while it was behind go under what it shows; otherwise what it shows is replaced.
    const onto = this.#isShown && history === 'none' ? 'same' : 'used';
    this.#isShown = true;
    this.#at = offset;
    this.stream.send('snapshot', offset, this.#screen.snapshot({ history, onto }));
    this.#sayAnew();
  }

  #startPainting(offset: number): void {
    this.stop();
    const painter = new Painter(this.#screen, this.cols, this.rows, this.#isShown ? 'same' : 'used');
    this.#isShown = true;
    this.#mode = { is: 'painted', painter, timer: null };
    this.#paint(painter, offset);
    this.#sayAnew();
  }

  #paint(painter: Painter, offset: number): void {
    const frame = painter.frame();
    if (frame.length > 0) this.stream.send('snapshot', offset, frame);
  }

  #fallBehind(): void {
    const behind: Mode = { is: 'behind', sinceLine: this.#screen.linesScrolled };
    this.#mode = behind;
    this.#notice = null;
    this.stream.whenDrained(() => {
      if (this.#mode === behind) this.onCaughtUp(behind.sinceLine);
    });
  }

  /** Set by the pane, which alone knows where its stream is. */
  onCaughtUp: (sinceLine: number) => void = () => {};

  /** Starts again with the lines that scrolled away while it was behind (as far as the screen still has them) and the screen. */
  catchUp(offset: number, sinceLine: number): void {
    const fits = this.cols === this.#screen.cols && this.rows === this.#screen.rows;
    if (fits) this.#startRaw(offset, { sinceLine });
    else this.#startPainting(offset);
  }
}
