/**
 * What a pane is doing, in one word. A program that is no known agent is `running`, a shell waits at its `prompt`; an agent is `working`,
 * `waiting` for its human (a question, a permission, a password) or `done` with its turn. `starting` has drawn nothing yet. An ended
 * program has `exited` (0) or `failed`, and of a `lost` one nobody knows. `unknown` is an answer too: better than a guess.
 */
export const STATUSES = ['starting', 'running', 'prompt', 'working', 'waiting', 'done', 'failed', 'exited', 'lost', 'unknown'] as const;

export type Status = (typeof STATUSES)[number];

/** What a rule can say about an agent. */
export type AgentStatus = 'working' | 'waiting' | 'done';

/** Where evidence comes from, most trusted first. */
export const SOURCES = [
  'exit',
  'hook',
  'report',
  'title',
  'progress',
  'notification',
  'bell',
  'command',
  'terminal',
  'process',
  'screen',
  'silence',
] as const;

export type Source = (typeof SOURCES)[number];

export interface Because {
  source: Source;
  /** The rule that matched, as `claude/dialog`; or what was heard, as `Stop`. */
  rule: string;
  /** A sentence for a person, with what was seen in quotes. */
  text: string;
}
