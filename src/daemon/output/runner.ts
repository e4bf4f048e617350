import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { shellWord } from '../../base/shell-word.ts';
import type { Paths } from '../../config/paths.ts';
import { WireError } from '../../wire/errors.ts';
import { asRefusal } from '../session/refusals.ts';
import { type Shell, shellLog } from '../session/shell.ts';
import type { CommandRecord } from './command-file.ts';
import { findPrompt, typeAt } from './inside.ts';
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

export interface RunOptions {
  text: string;
  timeoutMs: number | null;
  /** Waits for whatever runs; otherwise only for other runs. */
  isPatient: boolean;
  /** At the timeout the command is sent Ctrl-C. */
  isInterrupted: boolean;
}

/** From Ctrl-C to the answer: a program may tidy up. */
const INTERRUPT_MS = 2000;
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
  #typed: { line: string; text: string; began(command: CommandRecord): void } | null = null;

  constructor(tracker: Tracker, paths: Paths) {
    this.#tracker = tracker;
    this.#paths = paths;
    tracker.onBegin = (command) => this.#name(command);
  }

  async run(options: RunOptions): Promise<Outcome> {
    const deadline = options.timeoutMs === null ? null : Date.now() + options.timeoutMs;
    const before = this.#turn;
    const mine = (async () => {
      await before.catch(() => {});
      return await this.#run(options, deadline);
    })();
    this.#turn = mine;
    const late = { status: 'not_started', command: null, because: 'Other runs in this session took all the time there was.' } as const;
    return deadline === null ? await mine : await Promise.race([mine, expiry<Outcome>(deadline, mine, late)]);
  }

  async #run(options: RunOptions, deadline: number | null): Promise<Outcome> {
    const tracker = this.#tracker;
    const { session } = tracker;
    const shell = session.facts.shell!;
    if (tracker.isEntered && !(await this.#leavesLine(deadline)))
      return { status: 'not_started', command: null, because: 'Somebody has begun a line in the shell, and Ctrl-C does not end it.' };
    if (deadline !== null && Date.now() >= deadline) return { status: 'not_started', command: null, because: 'The time was over.' };
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
    const file = join(dirname(shellLog(this.#paths, session.pane.id)), `${session.pane.id.slice(1)}-${randomBytes(4).toString('hex')}`);
    try {
      return await this.#type(options, { file, shell, deadline });
    } finally {
      for (const path of [file, `${file}.run`]) rmSync(path, { force: true });
      this.#typed = null;
    }
  }

  async #type(options: RunOptions, { file, shell, deadline }: { file: string; shell: Shell; deadline: number | null }): Promise<Outcome> {
    const { session } = this.#tracker;
    const { pane } = session;
    try {
      // A cleaner may have been there.
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      writeFileSync(file, options.text.endsWith('\n') ? options.text : `${options.text}\n`, { mode: 0o600 });
      if (shell.kind === 'sh') writeFileSync(`${file}.run`, wrapper(file, shellLog(this.#paths, pane.id), shell.nonce), { mode: 0o600 });
    } catch (error) {
      throw asRefusal(error);
    }
    const path = shell.kind === 'sh' ? `${file}.run` : file;
    // The blank keeps it out of the history of shells that are told to.
    const line = ` ${shell.kind === 'fish' ? 'source' : '.'} ${shellWord(path)}`;
    let command: CommandRecord | null = null;
    let hasStarted = false;
    this.#typed = {
      line,
      text: options.text,
      began: (begun) => {
        command = begun;
        hasStarted = true;
      },
    };
    const from = pane.head;
    // What somebody has begun to type is taken away, and lies in the shell's own buffer (C-y brings it back). Where nothing is, that would ring.
    pane.write(Buffer.from(`${this.#tracker.isTyping ? '\x15' : ''}${line}\r`));
    const seen: { is: Seen | null } = { is: null };
    const stopLooking = look(pane, {
      hasStarted: () => hasStarted,
      found: (what) => {
        seen.is ??= what;
        this.#tracker.poke();
      },
    });
    try {
      // A shell that ends says first how its last command did: only the prompt tells that it has not.
      const isOver = () => this.#tracker.is === 'gone' || (command !== null && command.endedAt !== null && this.#tracker.is === 'prompt');
      await this.#until(() => isOver() || seen.is !== null, deadline);
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

  /** For a shell inside the program that runs in ours, as ssh; null where there is none at its prompt. */
  async #typeInside({ text, isInterrupted }: RunOptions, deadline: number | null): Promise<Outcome | null> {
    const tracker = this.#tracker;
    const { running } = tracker;
    const { pane } = tracker.session;
    const prompt = await findPrompt(pane);
    if (!prompt || tracker.running !== running) return null;
    if (deadline !== null && Date.now() >= deadline) return { status: 'not_started', command: null, because: 'The time was over.' };
    const onHostEnded = (then: () => void) => tracker.onChange(() => (tracker.is === 'gone' || tracker.running !== running) && then());
    const { why, from, to } = await typeAt(pane, prompt, { text, deadline, onHostEnded });
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
  async #comesToFront(deadline: number | null): Promise<boolean> {
    const { pane } = this.#tracker.session;
    for (;;) {
      if (await this.#isInFront()) return true;
      if (deadline !== null && Date.now() >= deadline) return false;
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

function expiry<T>(deadline: number, mine: Promise<T>, late: T): Promise<T> {
  return new Promise((resolve) => {
    // A run that has begun answers by itself.
    const timer = setTimeout(() => resolve(late), Math.max(0, deadline - Date.now()) + INTERRUPT_MS + 1000);
    void mine.catch(() => {}).finally(() => clearTimeout(timer));
  });
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
