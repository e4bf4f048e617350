import type { Session } from '../session/session.ts';
import type { Mark } from '../terminal/marks.ts';
import type { CommandFile, CommandRecord } from './command-file.ts';
import type { ShellLine, ShellLog } from './shell-log.ts';

/** A shell's commands that wait for marks that do not come: by then what they printed is here. */
const MARKLESS_MS = 1000;
const UNTOLD = 'the shell did not say';

/**
 * Knows which command a session's shell runs. The shell tells twice: a line in its log, which has the text and the exit code and counts, and
 * then a mark in its output, which has the place. The two are paired in order; what the log says without a mark is taken after a
 * second; a mark without a line (the log could not be written) has to do by itself.
 *
 * starting ──ready──▶ at a prompt ──C──▶ in a command ──D──▶ at a prompt ... ──the program ends──▶ gone
 */
export class Tracker {
  readonly session: Session;
  readonly #log: ShellLog;
  readonly #file: CommandFile;
  readonly #news: (what: 'started' | 'finished', command: CommandRecord) => void;
  /** Written by the shell, and not paired yet. */
  readonly #lines: ShellLine[] = [];
  readonly #listeners = new Set<() => void>();
  #running: CommandRecord | null = null;
  #is: 'starting' | 'prompt' | 'command' | 'gone' = 'starting';
  #lastN: number;
  #position: number;
  #offset: number;
  /** What had been typed when the last command began. */
  #typedBytes: number;
  /** The same when the prompt was last shown. */
  #promptBytes = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor({
    session,
    log,
    file,
    known,
    news,
  }: {
    session: Session;
    log: ShellLog;
    file: CommandFile;
    known: ReturnType<CommandFile['read']>;
    news: (what: 'started' | 'finished', command: CommandRecord) => void;
  }) {
    this.session = session;
    this.#log = log;
    this.#file = file;
    this.#news = news;
    // By an earlier daemon's clients nobody knows what.
    this.#typedBytes = known.pane === null ? 0 : -1;
    const last = known.commands.at(-1);
    this.#lastN = last?.n ?? 0;
    const isMine = known.pane === session.pane.id;
    this.#position = isMine ? known.position : 0;
    this.#offset = isMine ? known.offset : 0;
    if (isMine && last?.endedAt === null) {
      this.#running = last;
      this.#is = 'command';
    } else if (isMine) this.#is = 'prompt';
  }

  get is(): 'starting' | 'prompt' | 'command' | 'gone' {
    return this.#is;
  }

  get running(): CommandRecord | null {
    return this.#running;
  }

  /** Whether somebody may have begun to type a line. */
  get isTyping(): boolean {
    return this.session.pane.typedBytes > this.#typedBytes;
  }

  /** Whether the shell has written that a command begins, and its mark has not come yet. */
  get isBeginning(): boolean {
    return this.#lines.some(({ is }) => is === 'start');
  }

  /** Whether Enter was typed at this prompt and nothing has come of it yet: a command is about to begin, or the line goes on below. */
  get isEntered(): boolean {
    const { facts, pane } = this.session;
    return this.#is === 'prompt' && facts.shell?.kind !== 'sh' && pane.entered.typedBytes > this.#promptBytes;
  }

  /** Everything before this offset of the journal has been looked at. */
  get offset(): number {
    return this.#offset;
  }

  /** Calls whenever a command begins or ends, the prompt is shown, or the program ends. Returns how not to be called any more. */
  onChange(then: () => void): () => void {
    this.#listeners.add(then);
    return () => this.#listeners.delete(then);
  }

  hearMark(mark: Mark): void {
    this.#offset = mark.end;
    // Whatever is waiting has begun to wait now.
    this.stop();
    for (const line of this.#log.read()) this.#lines.push(line);
    switch (mark.letter) {
      case 'C': {
        const line = this.#take('start', mark.offset);
        this.#begin(line, mark.end);
        break;
      }
      case 'D': {
        const line = this.#take('end', mark.offset);
        this.#finish({ status: line?.status ?? mark.status, at: line?.at ?? null, to: mark.offset, because: null });
        // A shell that was not asked to tell of its prompt.
        if (this.session.facts.shell?.kind === 'sh') this.#is = 'prompt';
        break;
      }
      default:
        // What is further on in the log is of commands whose marks have not come here yet.
        while (this.#lines[0]?.is === 'ready') this.#position = this.#lines.shift()!.position;
        if (this.#running) {
          const line = this.#lines[0]?.is === 'end' ? this.#take('end', mark.offset) : null;
          this.#finish({ status: line?.status ?? null, at: line?.at ?? null, to: mark.offset, because: line ? null : UNTOLD });
        }
        this.#is = 'prompt';
        this.#promptBytes = this.session.pane.typedBytes;
    }
    if (this.#lines.length > 0) this.#waitForMarks();
    this.#tell();
  }

  /** There is more in the shell's log. */
  nudge(): void {
    for (const line of this.#log.read()) this.#lines.push(line);
    if (this.#lines.length > 0) this.#waitForMarks();
  }

  /** The program has ended, and with it whatever ran in it. */
  ended(): void {
    const { pane } = this.session;
    for (const line of this.#log.read()) this.#lines.push(line);
    this.#takeAll(pane.head);
    const exit = pane.state.is === 'ended' ? pane.state.exit : { code: null, signal: null };
    this.#finish({
      status: exit.code,
      at: null,
      to: pane.head,
      because: exit.signal ? `the shell was ended by ${exit.signal}` : 'the shell has ended',
    });
    this.#is = 'gone';
    this.stop();
    this.#tell();
  }

  /** The command was taken away from a shell that says nothing then. */
  interrupted(): void {
    this.#finish({ status: 130, at: null, to: this.session.pane.head, because: 'it was interrupted' });
    this.#is = 'prompt';
    this.#tell();
  }

  /** Something else may have changed. */
  poke(): void {
    this.#tell();
  }

  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** The next line of this kind; what stood before it had no marks. */
  #take<K extends 'start' | 'end'>(kind: K, to: number): Extract<ShellLine, { is: K }> | null {
    if (!this.#lines.some(({ is }) => is === kind)) return null;
    for (;;) {
      const line = this.#lines.shift()!;
      this.#position = line.position;
      if (line.is === kind) return line as Extract<ShellLine, { is: K }>;
      this.#takeUnmarked(line, to);
    }
  }

  #takeAll(to: number): void {
    for (let line = this.#lines.shift(); line; line = this.#lines.shift()) {
      this.#position = line.position;
      this.#takeUnmarked(line, to);
    }
  }

  #takeUnmarked(line: ShellLine, to: number): void {
    if (line.is === 'start') this.#begin(line, null);
    else if (line.is === 'end') this.#finish({ status: line.status, at: line.at, to, because: null });
    else this.#is = 'prompt';
  }

  #begin(line: Extract<ShellLine, { is: 'start' }> | null, from: number | null): void {
    // Its end was never told.
    this.#finish({ status: null, at: null, to: from, because: UNTOLD });
    this.#is = 'command';
    this.#typedBytes = this.session.pane.typedBytes;
    this.#running = {
      n: ++this.#lastN,
      pane: this.session.pane.id,
      text: line?.text || null,
      by: 'person',
      cwd: line?.cwd ?? null,
      startedAt: line?.at ?? Date.now(),
      endedAt: null,
      exitCode: null,
      because: null,
      from,
      to: null,
    };
    this.onBegin(this.#running);
    // A blank before it is how people ask shells to forget a line.
    if (this.#running.by === 'person' && this.#running.text?.startsWith(' ')) this.#running.text = null;
    this.#keep(this.#running);
    this.#news('started', this.#running);
  }

  /** May say what the command really is, before anybody hears of it. */
  onBegin: (command: CommandRecord) => void = () => {};

  #finish({ status, at, to, because }: { status: number | null; at: number | null; to: number | null; because: string | null }): void {
    const command = this.#running;
    if (!command) return;
    this.#running = null;
    Object.assign(command, { endedAt: Math.max(command.startedAt, at ?? Date.now()), exitCode: status, to, because });
    this.#keep(command);
    this.#news('finished', command);
  }

  #keep(command: CommandRecord): void {
    try {
      this.#file.append({ command, position: this.#position, offset: this.#offset });
    } catch {
      // The disk takes nothing, which the journal tells already.
    }
  }

  #waitForMarks(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      if (this.#lines.length === 0) return;
      this.#takeAll(this.session.pane.head);
      if (!this.#running && this.#is === 'command') this.#is = 'prompt';
      this.#tell();
    }, MARKLESS_MS).unref();
  }

  #tell(): void {
    for (const then of [...this.#listeners]) then();
  }
}
