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
