import type { HookWord } from './hooks.ts';
import type { View } from './regions.ts';
import type { Report } from './report.ts';
import type { AgentRules } from './rules.ts';
import type { Signal } from './stream.ts';

/** All that is known of a pane which bears on its status: the latest of each kind, and when it was heard (ms). Never changed in place. */
export interface Evidence {
  program:
    | { is: 'alive'; at: number }
    | { is: 'ended'; at: number; code: number | null; signal: string | null }
    | { is: 'lost'; at: number };
  /** The agent in the foreground, since its program began. What was heard before belongs to another program. */
  agent: { rules: AgentRules; because: string; at: number } | null;
  /** Who is in the foreground of the terminal. */
  foreground: { isShell: boolean; command: string; at: number } | null;
  hook: HookWord | null;
  report: { report: Report; at: number } | null;
  /** `at`: when it was last set, so that a spinner in it can be seen to turn. */
  title: { text: string; at: number } | null;
  progress: { state: 1 | 2 | 3 | 4; percent: number | null; at: number } | null;
  notification: { text: string; at: number } | null;
  bell: { at: number } | null;
  /** The shell's own marks around commands. */
  command: { is: 'prompt' | 'started' | 'finished'; text: string; exitCode: number | null; at: number } | null;
  /** The terminal does not show what is typed, line by line: somebody asks for a secret. */
  hidesInput: { at: number } | null;
  /** `at`: when its text last changed. */
  screen: { view: View; at: number } | null;
  /** When anything was first to be seen on the screen. */
  drawnAt: number | null;
  outputAt: number | null;
  /** When somebody last typed. */
  inputAt: number | null;
}

export type News =
  | { is: 'signal'; signal: Signal }
  | { is: 'output' }
  | { is: 'input' }
  | { is: 'screen'; view: View }
  | { is: 'hook'; hook: Omit<HookWord, 'at'> }
  | { is: 'command'; mark: 'prompt' | 'started' | 'finished'; text?: string; exitCode?: number | null }
  | { is: 'hidden input'; isHidden: boolean }
  | { is: 'foreground'; isShell: boolean; command: string }
  /** `since`: when that program began, if it is known. */
  | { is: 'agent'; agent: { rules: AgentRules; because: string } | null; since?: number }
  | { is: 'ended'; code: number | null; signal: string | null }
  | { is: 'lost' };

export function startedAt(at: number): Evidence {
  return {
    program: { is: 'alive', at },
    agent: null,
    foreground: null,
    hook: null,
    report: null,
    title: null,
    progress: null,
    notification: null,
    bell: null,
    command: null,
    hidesInput: null,
    screen: null,
    drawnAt: null,
    outputAt: null,
    inputAt: null,
  };
}

/** What is known once something has been heard at a time. */
export function hear(evidence: Evidence, news: News, at: number): Evidence {
  switch (news.is) {
    case 'signal':
      return hearSignal({ ...evidence, outputAt: at }, news.signal, at);
    case 'output':
      return { ...evidence, outputAt: at };
    case 'input':
      return { ...evidence, inputAt: at };
    case 'screen':
      return hearScreen(evidence, news.view, at);
    case 'hook':
      return { ...evidence, hook: { ...news.hook, at } };
    case 'command': {
      const { mark, text = '', exitCode = null } = news;
      return { ...evidence, ...(mark === 'started' ? {} : NOTHING_SAID), command: { is: mark, text, exitCode, at } };
    }
    case 'hidden input':
      return { ...evidence, hidesInput: news.isHidden ? (evidence.hidesInput ?? { at }) : null };
    case 'foreground':
      return { ...evidence, ...(news.isShell ? NOTHING_SAID : {}), foreground: { isShell: news.isShell, command: news.command, at } };
    case 'agent': {
      if (!news.agent) return evidence.agent ? { ...evidence, ...NOTHING_SAID, agent: null } : evidence;
      const isSame = evidence.agent?.rules.id === news.agent.rules.id && news.since === undefined;
      return { ...evidence, agent: { ...news.agent, at: isSame ? evidence.agent!.at : (news.since ?? at) } };
    }
    case 'ended':
      return { ...evidence, program: { is: 'ended', at, code: news.code, signal: news.signal } };
    case 'lost':
      return { ...evidence, program: { is: 'lost', at } };
    default: {
      const never: never = news;
      return never;
    }
  }
}

/** A program that has gone may have died without taking back what it said. */
const NOTHING_SAID = { hook: null, report: null, progress: null, notification: null, bell: null, hidesInput: null } as const;

function hearSignal(evidence: Evidence, signal: Signal, at: number): Evidence {
  switch (signal.is) {
    case 'title':
      return { ...evidence, title: { text: signal.text, at } };
    case 'progress': {
      const { state, percent } = signal;
      // The end of a progress bar says that the bar has ended. Older versions of Claude Code end it between two tools.
      return { ...evidence, progress: state === 0 ? null : { state, percent, at } };
    }
    case 'notification':
      return { ...evidence, notification: { text: signal.text, at } };
    case 'report':
      return { ...evidence, report: signal.report === 'clear' ? null : { report: signal.report, at } };
    case 'bell':
      return { ...evidence, bell: { at } };
    default: {
      const never: never = signal;
      return never;
    }
  }
}

function hearScreen(evidence: Evidence, view: View, at: number): Evidence {
  const isDrawn = view.rows.some((row) => row.trim() !== '');
  const drawnAt = evidence.drawnAt ?? (isDrawn ? at : null);
  const before = evidence.screen;
  const isSame =
    before !== null && before.view.rows.length === view.rows.length && view.rows.every((row, i) => row === before.view.rows[i]);
  return { ...evidence, drawnAt, screen: { view, at: isSame ? before.at : at } };
}
