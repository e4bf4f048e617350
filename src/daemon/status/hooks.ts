import type { AgentRules } from './rules.ts';
import type { AgentStatus } from './status.ts';

/** What an agent's own hook reported. */
export interface HookWord {
  event: string;
  status: AgentStatus;
  /** It has ended its turn, and something that it started runs on: it will be woken. */
  isBackground: boolean;
  text: string;
  at: number;
}

/** What an event means by the agent's rules; null when nothing does. `payload` is whatever the hook was given: it is looked at with care. */
export function readHook(rules: AgentRules, { event, payload, at }: { event: string; payload: unknown; at: number }): HookWord | null {
  const rule = Object.hasOwn(rules.hooks, event) ? rules.hooks[event]! : null;
  if (!rule) return null;
  const fields = typeof payload === 'object' && payload !== null ? (payload as Record<string, unknown>) : {};
  const said = rule.field !== undefined && Object.hasOwn(fields, rule.field) ? fields[rule.field] : null;
  const value = typeof said === 'string' ? said : null;
  const status = value !== null && Object.hasOwn(rule.values, value) ? rule.values[value]! : rule.status;
  if (status === 'none') return null;
  const running = rule.background === undefined ? [] : fields[rule.background];
  const count = Array.isArray(running) ? running.length : 0;
  const text = `the hook ${event} reported${value === null ? '' : ` "${value.slice(0, 60)}"`}`;
  if (count === 0) return { event, status, isBackground: false, text, at };
  const tasks = count === 1 ? 'one background task runs on' : `${count} background tasks run on`;
  return { event, status: 'working', isBackground: true, text: `${text}, and ${tasks}`, at };
}
