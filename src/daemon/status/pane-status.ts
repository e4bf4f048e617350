import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import type { Log } from '../../base/log.ts';
import type { HookReport } from '../../wire/hook-report.ts';
import type { Status } from '../../wire/pane-status.ts';
import type { CommandRecord } from '../output/command-file.ts';
import type { Tracker } from '../output/tracker.ts';
import type { Session } from '../session/session.ts';
import type { Foreground, TerminalModes } from '../terminal/pty.ts';
import { agentOf } from './agent-of.ts';
import { isShellAtPrompt } from './claims.ts';
import { type Decision, decide, type Explanation, explain } from './decide.ts';
import { type Evidence, hear, type News, startedAt } from './evidence.ts';
import { senderAmong, speaksFor } from './hook-sender.ts';
import { HookSocket } from './hook-socket.ts';
import { readHook } from './hooks.ts';
import { Looks } from './looks.ts';
import { groupMembers, type Member } from './processes.ts';
import type { Rules } from './rules.ts';
import { type Signal, Signals } from './stream.ts';

/** A title that turns ten times a second need not be judged each time; what is heard in between is judged at the next look. */
const SIGNALS_MS = 50;
/** A program that goes on printing is asked anew who it is, at most so often. */
const FOREGROUND_MS = 2000;

const NO_RULES: Rules = { agents: [], program: null };

export interface PaneStatusParts {
  session: Session;
  /** Null until they have been read. */
  rules(): Rules | null;
  /** Reads them, if nobody has yet. */
  rulesNow(): Rules;
  /** Where its agent's hooks report. */
  hookSocket: string;
  shellOf(): { tracker: Tracker; commands(): CommandRecord[] } | null;
  log: Log;
  changed(decision: Decision, before: Decision): void;
}

/**
 * What one pane is doing: hears what it prints, shows and ends with, and has that judged. What goes wrong here costs the pane this status,
 * and nothing else.
 */
export class PaneStatus implements Disposable {
  readonly #parts: PaneStatusParts;
  readonly #signals = new Signals();
  readonly #listeners = new Set<() => void>();
  readonly #looks: Looks;
  /** An earlier daemon had it: what it shows is older than we are. */
  readonly #isTakenBack: boolean;
  #evidence: Evidence;
  #decision: Decision | null = null;
  /** From now on what is heard is judged. */
  #hasBegun = false;
  #heardTo = 0;
  #decidedAt = Number.NEGATIVE_INFINITY;
  #recheck: NodeJS.Timeout | null = null;
  #unhear: (() => void)[] = [];
  #shell: { tracker: Tracker; last: CommandRecord | null; heard: string } | null = null;
  #asking: Promise<void> | null = null;
  /** Somebody else may be in the foreground now. */
  #isDoubtful = false;
  #askedAt = Number.NEGATIVE_INFINITY;
  #agentPid: number | null = null;
  #foreground: readonly number[] = [];
  #hooks: HookSocket | null = null;
  #isOver = false;

  constructor(parts: PaneStatusParts) {
    const { facts, pane } = parts.session;
    this.#parts = parts;
    this.#isTakenBack = facts.pid !== null;
    this.#evidence = startedAt(facts.restores.at(-1)?.at ?? facts.createdAt);
    this.#looks = new Looks({
      bytesWaiting: () => pane.screen.bytesWaiting,
      ring: (output) =>
        this.#guard(() => {
          this.#look(output !== 'flooding');
          if (output === 'still') this.#askModes();
          else this.#hearModes(null);
        }),
    });
    this.#unhear.push(
      pane.onWritten((offset, bytes) => this.#guard(() => (bytes ? this.#wrote(offset!, bytes) : this.#endIfEnded()))),
      () => {
        pane.onTyped = () => {};
      },
    );
    pane.onTyped = () =>
      this.#guard(() => {
        this.#hear({ is: 'input' });
        // Somebody answers.
        this.#hearModes(null);
      });
  }

  /** Its program runs. */
  begin(): void {
    this.#guard(() => {
      const { pane } = this.#parts.session;
      if (pane.state.is !== 'running') return;
      this.#listen();
      this.#hearShell();
      if (this.#isTakenBack) this.#findAnew();
      else this.#begin();
      void this.#askForeground();
    });
  }

  /** There are other rules: what is known is judged by them, and who is in the foreground may be known by another name. */
  rulesChanged(): void {
    this.#guard(() => {
      if (this.#isOver) return;
      const { agent } = this.#evidence;
      const rules = agent && this.#rules.agents.find(({ id }) => id === agent.rules.id);
      if (agent) this.#hear({ is: 'agent', agent: rules ? { rules, because: agent.because } : null });
      if (this.#hasBegun) void this.#askForeground();
      this.#decide();
    });
  }

  get status(): Status {
    return this.decision.status;
  }

  get decision(): Decision {
    this.#guard(() => this.#endIfEnded());
    if (this.#decision) return this.#decision;
    const now = Date.now();
    return this.#isTakenBack ? unknown('it has not been looked at yet', now) : decide(this.#evidence, now, null, this.#rules);
  }

  explain(): Explanation {
    this.#guard(() => this.#endIfEnded());
    return explain(this.#evidence, Date.now(), this.#decision, this.#rules);
  }

  /** Calls whenever it does something else. Returns how not to be called any more. */
  onChange(then: () => void): () => void {
    this.#listeners.add(then);
    return () => this.#listeners.delete(then);
  }

  get #rules(): Rules {
    return this.#parts.rules() ?? NO_RULES;
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    for (const unhear of this.#unhear.splice(0)) unhear();
    this.#looks[Symbol.dispose]();
    this.#hooks?.[Symbol.dispose]();
    this.#hooks = null;
    if (this.#recheck) clearTimeout(this.#recheck);
    this.#recheck = null;
  }

  #begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#decide();
  }

  /** What an earlier daemon heard is lost. What is still there is taken for as old as the last output. */
  #findAnew(): void {
    const { pane } = this.#parts.session;
    if (pane.head > 0) this.#hear({ is: 'output' }, pane.activeAt);
    const { title } = pane.screen;
    if (title !== '') this.#hear({ is: 'signal', signal: { is: 'title', text: title } }, pane.activeAt);
    this.#looks.wrote(0);
  }

  #hear(news: News, at = Date.now()): void {
    this.#evidence = hear(this.#evidence, news, at);
  }

  #wrote(offset: number, bytes: Uint8Array): void {
    const known = Math.max(0, this.#heardTo - offset);
    if (known >= bytes.length) return;
    this.#heardTo = offset + bytes.length;
    this.#hear({ is: 'output' });
    const signals = latest(this.#signals.read(known > 0 ? bytes.subarray(known) : bytes));
    for (const signal of signals) this.#hear({ is: 'signal', signal });
    // A program that sets the title may be another than before.
    if (signals.some(({ is }) => is === 'title') && !this.#evidence.agent) this.#isDoubtful = true;
    this.#looks.wrote(bytes.length);
    if (signals.length > 0 && performance.now() - this.#decidedAt >= SIGNALS_MS) this.#decide();
  }

  #look(isReadable: boolean): void {
    const { screen, activeAt } = this.#parts.session.pane;
    // What is at rest shows what it showed; waking it would cost more than there is to see.
    // A flood is looked at once, to see that there is something.
    if ((isReadable || this.#evidence.drawnAt === null) && screen.isAwake) {
      const rows = screen.lines({ from: 0, to: screen.rows - 1 });
      const { title, cursor, isAlternate } = screen;
      const isOld = this.#isTakenBack && !this.#hasBegun;
      const at = isOld ? Math.max(activeAt, this.#evidence.agent?.at ?? 0) : Date.now();
      this.#hear({ is: 'screen', view: { rows, title, cursorRow: cursor.y, isAlternate } }, at);
    }
    if (!isReadable && !this.#hasBegun) return;
    if (this.#isDoubtful || !this.#doesShellTell || performance.now() - this.#askedAt >= FOREGROUND_MS) void this.#askForeground();
    this.#hasBegun = true;
    this.#decide();
  }

  #decide(): void {
    if (!this.#hasBegun || this.#isOver) return;
    // What has just begun is starting by any rules. Any other word without them would be taken back at once.
    if (!this.#parts.rules() && (this.#isTakenBack || this.#decision)) return;
    const before = this.#decision;
    const now = Date.now();
    const decision = decide(this.#evidence, now, before, this.#rules);
    this.#decidedAt = performance.now();
    if (this.#recheck) clearTimeout(this.#recheck);
    this.#recheck = null;
    if (decision.recheckAt !== null)
      this.#recheck = setTimeout(() => this.#guard(() => this.#decide()), Math.max(0, decision.recheckAt - now) + 1).unref();
    this.#take(decision);
  }

  #take(decision: Decision): void {
    const before = this.#decision;
    this.#decision = decision;
    if (before?.status === decision.status) return;
    // What is found first is no change.
    if (before) this.#parts.changed(decision, before);
    for (const then of [...this.#listeners]) then();
  }

  #endIfEnded(): void {
    const { pane, facts } = this.#parts.session;
    const { state } = pane;
    if (state.is !== 'ended' || this.#evidence.program.is !== 'alive') return;
    this[Symbol.dispose]();
    const at = facts.endedAt ?? Date.now();
    if (state.how === 'lost') this.#hear({ is: 'lost' }, at);
    else this.#hear({ is: 'ended', ...state.exit }, at);
    this.#take(decide(this.#evidence, at, this.#decision, this.#rules));
  }

  /* ---- The shell's own marks ---- */

  /** bash, zsh and fish tell of each command; sh tells only of what is run in it. */
  get #doesShellTell(): boolean {
    return this.#shell !== null;
  }

  #hearShell(): void {
    const { session, shellOf } = this.#parts;
    const { shell } = session.facts;
    const found = shell && shell.kind !== 'sh' ? shellOf() : null;
    if (!found) return;
    const { tracker } = found;
    this.#shell = { tracker, last: this.#isTakenBack ? (found.commands().at(-1) ?? null) : null, heard: '' };
    this.#hearCommand({ isOld: true });
    this.#unhear.push(tracker.onChange(() => this.#guard(() => this.#hearCommand({ isOld: false }))));
  }

  #hearCommand({ isOld }: { isOld: boolean }): void {
    const shell = this.#shell!;
    const { is, running } = shell.tracker;
    // Between the end of a command and the prompt it says nothing new.
    if (is === 'starting' || is === 'gone' || (is === 'command' && !running)) return;
    if (running) shell.last = running;
    const { last } = shell;
    const heard = `${is} ${last?.n}`;
    if (heard === shell.heard) return;
    shell.heard = heard;
    if (running) this.#hear({ is: 'command', mark: 'started', text: running.text ?? '' }, isOld ? running.startedAt : Date.now());
    else {
      const at = isOld ? (last?.endedAt ?? Date.now()) : Date.now();
      this.#hear({ is: 'command', mark: last ? 'finished' : 'prompt', text: last?.text ?? '', exitCode: last?.exitCode ?? null }, at);
      this.#hearAgent(null);
    }
    this.#isDoubtful = true;
    this.#decide();
  }

  /* ---- The agent's own hooks ---- */

  /** Makes the socket again when its file has vanished. */
  remakeSocket(): void {
    if (!this.#hooks || existsSync(this.#parts.hookSocket)) return;
    this.#hooks[Symbol.dispose]();
    this.#listen();
  }

  #listen(): void {
    const { session, hookSocket, log } = this.#parts;
    this.#hooks = new HookSocket(hookSocket, {
      hear: (report) => void this.#hearHook(report),
      failed: ({ message }) => log.warn('hooks cannot report to a session', { session: session.facts.id, because: message }),
    });
  }

  async #hearHook(report: HookReport): Promise<void> {
    const { session, rulesNow, log } = this.#parts;
    const { agent: id, event, ancestors } = report;
    const sender = senderAmong(ancestors, rulesNow());
    const isOurs = () =>
      this.#evidence.agent?.rules.id === id &&
      (ancestors.length === 0 ||
        (sender?.id === id && this.#agentPid !== null && speaksFor(this.#agentPid, { sender: sender.pid, foreground: this.#foreground })));
    if (!isOurs()) await this.#askForeground();
    this.#guard(() => {
      if (this.#isOver) return;
      const at = Math.min(report.at, Date.now());
      const { agent, hook } = this.#evidence;
      const isLate = hook !== null && at < hook.at;
      const word = agent && isOurs() && !isLate ? readHook(agent.rules, { ...report, at }) : null;
      if (!word) {
        const because = isLate ? 'a later one is known' : isOurs() ? 'it says nothing' : 'it is not from the agent in the foreground';
        return log.debug('the report of a hook was not taken', { session: session.facts.id, agent: id, event, because });
      }
      this.#hear({ is: 'hook', hook: word }, at);
      this.#decide();
    });
  }

  /* ---- Whether it asks for a secret ---- */

  /** Once for each time that output has become still: what waits for a person writes nothing more. Agents and prompts edit lines themselves. */
  #askModes(): void {
    const { state } = this.#parts.session.pane;
    if (state.is !== 'running' || this.#evidence.agent || isShellAtPrompt(this.#evidence)) return;
    const heard = this.#evidence;
    const answered = (modes: TerminalModes | null) =>
      this.#guard(() => {
        const { outputAt, inputAt } = this.#evidence;
        if (!this.#isOver && outputAt === heard.outputAt && inputAt === heard.inputAt) this.#hearModes(modes);
      });
    state.pty.terminalModes().then(answered, () => answered(null));
  }

  #hearModes(modes: TerminalModes | null): void {
    const isHidden = modes?.canonical === true && !modes.echo;
    if (isHidden === (this.#evidence.hidesInput !== null)) return;
    this.#hear({ is: 'hidden input', isHidden });
    this.#decide();
  }

  /* ---- Who is in the foreground ---- */

  #askForeground(): Promise<void> {
    const { pane } = this.#parts.session;
    const { state } = pane;
    if (this.#asking) return this.#asking;
    if (state.is !== 'running') return Promise.resolve();
    this.#isDoubtful = false;
    this.#askedAt = performance.now();
    const answered = (foreground: Foreground | null) =>
      this.#guard(() => {
        this.#asking = null;
        if (this.#isOver) return;
        if (foreground) this.#hearForeground(foreground);
        // Of one that was taken back this was missing.
        if (!this.#hasBegun && pane.screen.bytesWaiting === 0) this.#look(true);
      });
    this.#asking = state.pty.foreground().then(answered, () => answered(null));
    return this.#asking;
  }

  #hearForeground({ pgid }: Foreground): void {
    const { facts, pane } = this.#parts.session;
    if (pane.state.is !== 'running' || facts.pid === null) return;
    const isOwn = pgid === facts.pid;
    const members = groupMembers(facts.pid, pgid);
    this.#foreground = members.map(({ pid }) => pid);
    const own: Member = { pid: facts.pid, argv: facts.command, startedAt: this.#evidence.program.at };
    const leader = members[0] ?? (isOwn ? own : null);
    if (this.#doesShellTell && isOwn && leader && isInteractiveShell(leader.argv)) {
      // A command has begun, and the shell has not started its program yet, or it is one of the shell's own.
      if (this.#evidence.command?.is === 'started') this.#isDoubtful = true;
    } else {
      this.#hearAgentAmong(isOwn && !facts.shell ? [...members, own] : members);
      const isShell = isOwn && leader !== null && isInteractiveShell(leader.argv);
      const command = leader?.argv.join(' ') ?? '';
      const known = this.#evidence.foreground;
      if (known?.isShell !== isShell || known.command !== command) this.#hear({ is: 'foreground', isShell, command });
    }
    this.#decide();
  }

  #hearAgentAmong(members: readonly Member[]): void {
    for (const member of members) {
      const agent = agentOf([member.argv], this.#rules);
      if (agent) return this.#hearAgent({ agent, member });
    }
    this.#hearAgent(null);
  }

  #hearAgent(found: { agent: NonNullable<ReturnType<typeof agentOf>>; member: Member } | null): void {
    const isSame = found !== null && found.member.pid === this.#agentPid;
    this.#agentPid = found?.member.pid ?? null;
    this.#hear({ is: 'agent', agent: found?.agent ?? null, ...(found && !isSame && { since: found.member.startedAt }) });
  }

  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      const { session, log } = this.#parts;
      this[Symbol.dispose]();
      const incident = log.incident('the status of a pane failed', error, { session: session.facts.id });
      this.#decision = unknown(`its status could not be told: incident ${incident}`, Date.now());
    }
  }
}

function unknown(text: string, since: number): Decision {
  const because = { source: 'silence', rule: 'unknown', text } as const;
  return { status: 'unknown', because, since, recheckAt: null, settlingFrom: null, held: {}, spent: {} };
}

/** The last of each kind, in their order: a program can set its title a thousand times in one write. */
function latest(signals: readonly Signal[]): readonly Signal[] {
  if (signals.length < 2) return signals;
  const byKind = new Map<string, Signal>();
  for (const signal of signals) {
    byKind.delete(signal.is);
    byKind.set(signal.is, signal);
  }
  return [...byKind.values()];
}

/** A shell that was given neither a command nor a script. */
function isInteractiveShell([program = '', ...words]: readonly string[]): boolean {
  const name = basename(program).replace(/^-/, '');
  if (!/^(?:ba|z|fi|da|a|k|mk|lk|ya|o|)sh$/.test(name)) return false;
  return (
    !words.some((word) => /^-[a-z]*c$/.test(word)) &&
    words.filter((word, i) => !word.startsWith('-') && !takesWord(words[i - 1])).length === 0
  );
}

/** The options with which we start shells that tell of their commands. */
function takesWord(option: string | undefined): boolean {
  return option === '--init-file' || option === '--rcfile' || option === '--init-command' || option === '-C';
}
