import type { HookReport } from '../../wire/hook-report.ts';
import { agentOf } from './agent-of.ts';
import { isAtTerminal } from './processes.ts';
import type { Rules } from './rules.ts';

/** Of a hook's ancestors, nearest first, the agent that called it; null when none of them is one that is known. */
export function senderAmong(ancestors: HookReport['ancestors'], rules: Rules): { pid: number; id: string } | null {
  for (const [pid, command] of ancestors) {
    const agent = agentOf([command.split('\0')], rules);
    if (agent) return { pid, id: agent.rules.id };
  }
  return null;
}

/**
 * Whether a hook speaks for the agent of its pane. What an agent starts inherits its environment, and may be an agent as well (`claude -p` in
 * a tool call), whose turns end while the first one's goes on. `npx claude` is two processes with one name: the second has the terminal, too.
 */
export function speaksFor(agentPid: number, { sender, foreground }: { sender: number; foreground: readonly number[] }): boolean {
  return sender === agentPid || (foreground.includes(sender) && isAtTerminal(sender));
}
