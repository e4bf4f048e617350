import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { shellWord } from '../../base/shell-word.ts';
import type { Paths } from '../../config/paths.ts';
import { WireError } from '../../wire/errors.ts';
import { asRefusal } from '../session/refusals.ts';
import { runFile, type Shell, shellLog } from '../session/shell.ts';
import type { CommandRecord } from './command-file.ts';
import { findPrompt, typeAt } from './inside.ts';
import { HEARD_MS, type LeftRun, leftRun, markInside, removeRunFile, wasInside } from './left-run.ts';
import { look, type Seen } from './look.ts';
import type { Tracker } from './tracker.ts';

/** How a run is over for who asked; the command itself may go on. */
export interface Outcome {
  status: 'finished' | 'timed_out' | 'shell_exited' | 'full_screen' | 'needs_secret' | 'not_started' | 'unobserved';
  command: CommandRecord | null;
  /** In a sentence, where it is not simply finished. */
  because: string | null;
  /** For what was typed into a shell inside another program, of which there is no command. */
  inside?: { from: number; to: number; isRunning: boolean };
}

/** What can be said of a run that an earlier daemon has typed into another program, or was about to. */
export const TYPED_INSIDE: Outcome = {
  status: 'unobserved',
  command: null,
  because: 'The daemon was lost when it was typed into another program, and nobody tells how a command ends there.',
};

export interface RunOptions {
  /** 16 hexadecimal digits, by which it is asked for again. */
  token: string;
  text: string;
  timeoutMs: number | null;
  /** Waits for whatever runs; otherwise only for other runs. */
  isPatient: boolean;
  /** At the timeout the command is sent Ctrl-C. */
  isInterrupted: boolean;
}

/** From Ctrl-C to the answer: a program may tidy up. */
const INTERRUPT_MS = 2000;
/** A line that was typed is begun within this time by a shell that is at its prompt. */
const BEGIN_MS = 1000;
/** From Enter to what a shell does about it. */
const STILL_MS = 100;
/** From Ctrl-C to the shell's prompt. */
const PROMPT_MS = 2000;
/** For a shell whose last program has just ended. */
const FRONT_MS = 500;

/**
 * Runs lines in one session's live shell, one after the other. The text goes to a file that only its user can read, and a short line is typed
 * that reads it: so quotes, heredocs and a hundred kilobytes are what they are, and a line that was left open fails instead of waiting. When
 * it has ended, and how, says the shell by itself (`Tracker`).
 */
export class Runner {
  readonly #tracker: Tracker;
  readonly #paths: Paths;
  #turn: Promise<unknown> = Promise.resolve();
  /** The run whose line has been typed. */
  #typed: { line: string; text: string; token: string; began(command: CommandRecord): void } | null = null;
  /** The run that an earlier daemon was at work on. */
  readonly #left: LeftRun | null;
  #settling: Promise<void> | null = null;
  readonly #atWork = new Map<string, Promise<Outcome>>();
  readonly #isLeaving: () => boolean;

  /** `isLeaving`: the daemon ends, and whatever waits for its turn is asked for again of the next one. */
  constructor(tracker: Tracker, { paths, known, isLeaving }: { paths: Paths; known: readonly CommandRecord[]; isLeaving(): boolean }) {
    this.#tracker = tracker;
    this.#paths = paths;
    this.#isLeaving = isLeaving;
    tracker.onBegin = (command) => this.#name(command);
    this.#left = leftRun(paths, tracker.session.pane.id, known);
    if (this.#left) this.#takeUp(this.#left);
  }

  async run(options: RunOptions): Promise<Outcome> {
    const deadline = options.timeoutMs === null ? null : Date.now() + options.timeoutMs;
    const before = this.#turn;
    let isItsTurn = false;
    const mine = (async () => {
      await before.catch(() => {});
      isItsTurn = true;
      if (this.#left) await this.#settle(this.#left, deadline);
      return await this.#run(options, deadline);
    })();
    this.#turn = mine;
    this.#atWork.set(options.token, mine);
    void mine.catch(() => {}).finally(() => this.#atWork.delete(options.token));
    const late = { status: 'not_started', command: null, because: 'Other runs in this session took all the time there was.' } as const;
    return deadline === null
      ? await mine
      : await Promise.race([mine, expiry<Outcome>(deadline, { mine, late, isItsTurn: () => isItsTurn })]);
  }

  /** What was asked of an earlier daemon, or of this one by a client that lost its connection. What has certainly not been typed is run now. */
  async resume(options: RunOptions): Promise<Outcome> {
    const { token } = options;
    const mine = this.#atWork.get(token);
    if (mine) return await mine;
    const file = runFile(this.#paths, this.#tracker.session.pane.id, token);
    if (wasInside(file)) {
      removeRunFile(file);
      return TYPED_INSIDE;
    }
    const { running } = this.#tracker;
    const left = this.#left?.token === token ? this.#left : null;
    const isBegun = running?.token === token;
    // Its turn comes after the run that goes on, as it would have.
    if (!left && !isBegun) return await this.run({ ...options, isPatient: options.isPatient || running?.by === 'run' });
    const going = this.#goOn(options, left, isBegun ? running : null);
    this.#turn = Promise.allSettled([this.#turn, going]);
    return await going;
  }

  /** Waits for the end of what an earlier daemon has typed, or at least had written down. */
  async #goOn(options: RunOptions, left: LeftRun | null, running: CommandRecord | null): Promise<Outcome> {
    const deadline = options.timeoutMs === null ? null : Date.now() + Math.max(HEARD_MS, options.timeoutMs);
    if (left && !(await this.#settle(left, deadline))) {
      this.#drop(left);
      await this.#settle(left, Date.now() + 2 * BEGIN_MS);
    }
    const command = left?.command ?? running;
    if (!command) {
      const because =
        this.#tracker.is === 'gone' ? 'The shell has ended.' : 'The daemon was lost when it was typed, and the shell did not begin it.';
      return { status: 'not_started', command: null, because };
    }
    const { session } = this.#tracker;
    const file = runFile(this.#paths, session.pane.id, options.token);
    try {
      return await this.#type(options, { file, shell: session.facts.shell!, deadline, before: command });
    } finally {
      removeRunFile(file);
    }
  }

  /** All sessions have been taken back: from now on a shell at its prompt reads what it was given. */
  settle(): void {
    if (this.#left) void this.#settle(this.#left, 0);
  }

  /** Its text is still there: whether the shell begins it is seen now, as if we had typed it. */
  #takeUp(left: LeftRun): void {
    const { running, session } = this.#tracker;
    if (running?.token === left.token) left.command = running;
    else {
      const began = (command: CommandRecord) => {
        left.command = command;
      };
      this.#typed = { line: lineOf(session.facts.shell!, left.file), text: left.text, token: left.token, began };
    }
    const stop = this.#tracker.onChange(() => {
      if (!left.isDropped && this.#tracker.is !== 'gone' && (left.command === null || left.command.endedAt === null)) return;
      removeRunFile(left.file);
      stop();
    });
  }

  /**
   * Whether it became known in time if the shell begins what an earlier daemon has typed, or was about to type. A shell that is at its prompt reads
   * at once: what it does not begin is taken away from it, and so cannot run later.
   */
  async #settle(left: LeftRun, deadline: number | null): Promise<boolean> {
    const isKnown = () => left.command !== null || left.isDropped || this.#tracker.is === 'gone';
    this.#settling ??= (async () => {
      while (!isKnown()) {
        await this.#comesToPrompt(isKnown);
        if (await this.#until(isKnown, Date.now() + BEGIN_MS)) return;
        if (await this.#isAtPrompt()) this.#drop(left);
      }
    })();
    return await this.#until(isKnown, deadline);
  }

  /** From here on the shell finds nothing to read. If it has begun before, its log says so, since that is written first. */
  #drop(left: LeftRun): void {
    removeRunFile(left.file);
    this.#tracker.nudge();
    if (this.#tracker.isBeginning) return;
    left.isDropped = true;
    if (this.#typed?.token === left.token) this.#typed = null;
    this.#tracker.poke();
  }

  async #isAtPrompt(): Promise<boolean> {
    return this.#tracker.session.facts.shell!.kind === 'sh' ? await this.#isInFront() : this.#tracker.is === 'prompt';
  }

  async #comesToPrompt(isKnown: () => boolean): Promise<void> {
    if (this.#tracker.session.facts.shell!.kind === 'sh') await this.#comesToFront(null, isKnown);
    else await this.#until(() => this.#tracker.is === 'prompt' || isKnown(), null);
  }

  async #run(options: RunOptions, deadline: number | null): Promise<Outcome> {
    const tracker = this.#tracker;
    const { session } = tracker;
    const shell = session.facts.shell!;
    const isLate = () => deadline !== null && Date.now() >= deadline;
    if (!isLate() && tracker.isEntered && !(await this.#leavesLine(deadline)))
      return { status: 'not_started', command: null, because: 'Somebody has begun a line in the shell, and Ctrl-C does not end it.' };
    if (isLate()) return { status: 'not_started', command: null, because: 'The time was over.' };
    const { running } = tracker;
    if (running && !options.isPatient) {
      const inside = await this.#typeInside(options, deadline);
      if (inside) return inside;
      if (tracker.running === running) throw busy(session.facts.name, running);
    }
    const isReady = await this.#until(() => tracker.is === 'prompt' || tracker.is === 'gone' || shell.kind === 'sh', deadline);
    if (tracker.is === 'gone') return { status: 'not_started', command: null, because: 'The shell has ended.' };
    if (!isReady)
      return {
        status: 'not_started',
        command: null,
        because: tracker.running
          ? `The shell was busy with "${short(tracker.running.text ?? 'a command')}".`
          : 'The shell showed no prompt.',
      };
    if (shell.kind === 'sh' && !(await this.#comesToFront(options.isPatient ? deadline : Date.now() + FRONT_MS))) {
      const inside = options.isPatient ? null : await this.#typeInside(options, deadline);
      if (inside) return inside;
      throw busy(session.facts.name, null);
    }
    if (this.#isLeaving()) return { status: 'not_started', command: null, because: 'The daemon is stopping.' };
    const file = runFile(this.#paths, session.pane.id, options.token);
    try {
      return await this.#type(options, { file, shell, deadline, before: null });
    } finally {
      removeRunFile(file);
      this.#typed = null;
    }
  }

  /** Types it, unless it began `before` under an earlier daemon, and waits for its end. */
  async #type(
    options: RunOptions,
    { file, shell, deadline, before }: { file: string; shell: Shell; deadline: number | null; before: CommandRecord | null },
  ): Promise<Outcome> {
    const { session } = this.#tracker;
    const { pane } = session;
    let command = before;
    let hasStarted = before !== null;
    const from = pane.head;
    if (!before) {
      this.#write(file, options.text, shell);
      const line = lineOf(shell, file);
      this.#typed = {
        line,
        text: options.text,
        token: options.token,
        began: (begun) => {
          command = begun;
          hasStarted = true;
        },
      };
      // What somebody has begun to type is taken away, and lies in the shell's own buffer (C-y brings it back). Where nothing is, that would ring.
      pane.write(Buffer.from(`${this.#tracker.isTyping ? '\x15' : ''}${line}\r`));
    }
    const seen: { is: Seen | null } = { is: null };
    const stopLooking = look(pane, {
      hasStarted: () => hasStarted,
      isGoing: hasStarted,
      found: (what) => {
        seen.is ??= what;
        this.#tracker.poke();
      },
    });
    try {
      // A shell that ends says first how its last command did: only the prompt tells that it has not.
      const isOver = () => this.#tracker.is === 'gone' || (command !== null && command.endedAt !== null && this.#tracker.is === 'prompt');
      await this.#until(() => isOver() || seen.is !== null, deadline);
      if (!hasStarted && this.#tracker.is !== 'gone') {
        // What is not there cannot begin any more. A shell that has begun it by now has said so in its log.
        removeRunFile(file);
        this.#tracker.nudge();
        if (this.#tracker.isBeginning) await this.#until(() => hasStarted, Date.now() + 2 * BEGIN_MS);
      }
      const begun = command as CommandRecord | null;
      if (this.#tracker.is === 'gone') return { status: 'shell_exited', command: begun, because: 'The shell has ended with this command.' };
      if (isOver()) return { status: 'finished', command: begun, because: begun!.because };
      if (seen.is) return { ...stopped(seen.is), command: begun };
      if (!hasStarted) {
        const because = pane.head > from ? 'The shell did not begin it.' : 'The shell does not read what is typed.';
        return { status: 'not_started', command: null, because };
      }
      if (!options.isInterrupted) return { status: 'timed_out', command: begun, because: 'The time is over, and it goes on.' };
      pane.write(Buffer.from('\x03'));
      const isStopped = (await this.#until(isOver, Date.now() + INTERRUPT_MS)) || (await this.#isBack(shell));
      const how = isStopped ? 'The time was over, and it was interrupted.' : 'The time is over. It was interrupted, and goes on.';
      return { status: 'timed_out', command: begun, because: how };
    } finally {
      stopLooking();
    }
  }

  #write(file: string, text: string, shell: Shell): void {
    try {
      // A cleaner may have been there.
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      writeFileSync(file, text.endsWith('\n') ? text : `${text}\n`, { mode: 0o600 });
      if (shell.kind !== 'sh') return;
      const log = shellLog(this.#paths, this.#tracker.session.pane.id);
      writeFileSync(`${file}.run`, wrapper(file, log, shell.nonce), { mode: 0o600 });
    } catch (error) {
      throw asRefusal(error);
    }
  }

  /** For a shell inside the program that runs in ours, as ssh; null where there is none at its prompt. */
  async #typeInside({ token, text, isInterrupted }: RunOptions, deadline: number | null): Promise<Outcome | null> {
    const tracker = this.#tracker;
    const { running } = tracker;
    const { pane } = tracker.session;
    const prompt = await findPrompt(pane);
    if (!prompt || tracker.running !== running) return null;
    if (deadline !== null && Date.now() >= deadline) return { status: 'not_started', command: null, because: 'The time was over.' };
    const onHostEnded = (then: () => void) => tracker.onChange(() => (tracker.is === 'gone' || tracker.running !== running) && then());
    if (this.#isLeaving()) return { status: 'not_started', command: null, because: 'The daemon is stopping.' };
    const file = runFile(this.#paths, pane.id, token);
    try {
      markInside(file);
    } catch (error) {
      throw asRefusal(error);
    }
    const { why, from, to } = await typeAt(pane, prompt, { text, deadline, onHostEnded }).finally(() => {
      // When the answer has gone out. Until then, and where it does not go out any more, the next daemon must not type it again.
      setImmediate(() => this.#isLeaving() || removeRunFile(file));
    });
    if (why === 'late' && isInterrupted) pane.write(Buffer.from('\x03'));
    const host = short(running?.text ?? prompt.host);
    const inside = { from, to: Math.min(to, running?.to ?? to), isRunning: why !== 'prompt' && why !== 'host ended' };
    if (why === 'secret' || why === 'full screen') return { ...stopped(why), command: null, inside };
    const more = {
      prompt: '',
      silent: ' It has printed nothing for 2 s.',
      late: ' The time was over.',
      'host ended': ` "${host}" has ended.`,
    };
    const because = `It was typed into "${host}", and nobody tells how a command ends there.${more[why]}`;
    return { status: 'unobserved', command: null, because, inside };
  }

  /** The shell began something: what we have typed, or what somebody else has. */
  #name(command: CommandRecord): void {
    const typed = this.#typed;
    if (!typed) return;
    // Where the history leaves it out the shell cannot say what it is; then it is what was typed last.
    if (command.text !== null && command.text.trim() !== typed.line.trim()) return;
    command.text = typed.text;
    command.by = 'run';
    command.token = typed.token;
    this.#typed = null;
    typed.began(command);
  }

  /** Ctrl-C takes the whole text away from a shell that has to tell for itself: then it stands at its prompt, and has said nothing. */
  async #isBack({ kind }: Shell): Promise<boolean> {
    if (kind !== 'sh' || !(await this.#isInFront())) return false;
    this.#tracker.interrupted();
    return true;
  }

  /**
   * Takes away a line that goes on below, as a loop whose end was not typed yet: C-u would clear only the last part of it. First, what was
   * entered a moment ago may begin as a command: a shell that has read it answers with output, and gives the terminal to the command, whose
   * lines are edited by the kernel.
   */
  async #leavesLine(deadline: number | null): Promise<boolean> {
    const tracker = this.#tracker;
    const { pane } = tracker.session;
    const isLeft = () => !tracker.isEntered;
    const soon = () => Math.min(deadline ?? Number.POSITIVE_INFINITY, Date.now() + PROMPT_MS);
    for (const until = soon(); ; ) {
      const { head } = pane;
      if (await this.#until(isLeft, Date.now() + STILL_MS)) return true;
      const modes = pane.state.is === 'running' ? await pane.state.pty.terminalModes() : null;
      if (isLeft()) return true;
      if (head === pane.head && head > pane.entered.head && !modes?.canonical) break;
      if (Date.now() >= until) return false;
    }
    pane.write(Buffer.from('\x03'));
    return await this.#until(isLeft, soon());
  }

  /** Whether the shell itself has the terminal, and no program that it has started. */
  async #isInFront(): Promise<boolean> {
    const { state } = this.#tracker.session.pane;
    if (state.is !== 'running') return false;
    const foreground = await state.pty.foreground();
    return foreground === null || foreground.pgid === state.pty.pid;
  }

  /** A shell that is about to show its prompt has not got the terminal yet; when it has, it prints one. */
  async #comesToFront(deadline: number | null, isOver: () => boolean = () => false): Promise<boolean> {
    const { pane } = this.#tracker.session;
    for (;;) {
      if (await this.#isInFront()) return true;
      if (isOver() || (deadline !== null && Date.now() >= deadline)) return false;
      await new Promise<void>((resolve) => {
        const done = () => {
          stop();
          if (timer) clearTimeout(timer);
          resolve();
        };
        const stop = pane.onWritten(done);
        const timer = deadline === null ? null : setTimeout(done, Math.max(0, deadline - Date.now()));
      });
    }
  }

  /** Whether the condition came true in time. It is looked at when a command begins or ends, or something is seen. */
  #until(isTrue: () => boolean, deadline: number | null): Promise<boolean> {
    if (isTrue()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const done = (answer: boolean) => {
        stop();
        if (timer) clearTimeout(timer);
        resolve(answer);
      };
      const look = () => isTrue() && done(true);
      const timer = deadline === null ? null : setTimeout(() => done(isTrue()), Math.max(0, deadline - Date.now()));
      const stop = this.#tracker.onChange(look);
    });
  }
}

/** For what a person has to go on with. */
function stopped(seen: Seen): Pick<Outcome, 'status' | 'because'> {
  return seen === 'secret'
    ? { status: 'needs_secret', because: 'It asks for a password, which is a person’s to type: ai-session attach NAME' }
    : { status: 'full_screen', because: 'It is a full-screen program now, which goes on. Look at it with: ai-session capture NAME' };
}

function busy(name: string, running: CommandRecord | null): WireError {
  const what = running?.text ? `"${short(running.text)}"` : 'a program';
  return new WireError(
    'busy',
    `The shell of "${name}" is busy: ${what} runs in it. Wait for it with --queue, or interrupt it with: ai-session send NAME C-c`,
    running ? { command: running.n, text: running.text } : {},
  );
}

function expiry<T>(deadline: number, { mine, late, isItsTurn }: { mine: Promise<T>; late: T; isItsTurn(): boolean }): Promise<T> {
  return new Promise((resolve) => {
    // A run whose turn has come answers by itself.
    const timer = setTimeout(() => isItsTurn() || resolve(late), Math.max(0, deadline - Date.now()));
    void mine.catch(() => {}).finally(() => clearTimeout(timer));
  });
}

/** What is typed. The blank keeps it out of the history of shells that are told to. */
function lineOf({ kind }: Shell, file: string): string {
  return ` ${kind === 'fish' ? 'source' : '.'} ${shellWord(kind === 'sh' ? `${file}.run` : file)}`;
}

/** What a shell that cannot be asked for anything is given to read: it tells for itself, as an integrated one does. */
function wrapper(file: string, log: string, nonce: string): string {
  const [where, text] = [shellWord(log), shellWord(file)];
  return [
    `{ printf 'start\\t${nonce}\\t1\\t\\t\\t\\n' >>${where}; } 2>/dev/null`,
    `printf '\\033]633;C;${nonce}\\007'`,
    // In dash a slip in the text would end this file too, if it were not for `command`.
    `command . ${text}`,
    // `set --` would lose the user's own.
    `__ai_session_status=$?`,
    `{ printf 'end\\t${nonce}\\t1\\t\\t%d\\t\\n' "$__ai_session_status" >>${where}; } 2>/dev/null`,
    `printf '\\033]633;D;%d;${nonce}\\007' "$__ai_session_status"`,
    `(exit "$__ai_session_status")`,
    '',
  ].join('\n');
}

function short(text: string): string {
  const [line = ''] = text.trim().split('\n');
  return line.length > 60 || text.trim().includes('\n') ? `${line.slice(0, 60)}...` : line;
}
