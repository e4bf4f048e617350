import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { PACKAGE_FOLDER } from '../../base/package.ts';
import type { Hook, Hooks } from './entries.ts';

/** An agent that calls hooks, and where it is told which. */
export interface HookedAgent {
  id: 'claude' | 'codex' | 'gemini';
  name: string;
  /** The user's own settings. */
  file(environment: NodeJS.ProcessEnv): string;
  /** Those of a project, below its folder. */
  projectFile: string;
  hook(event: string): Hook;
  /** What has to happen besides before hooks are called; null: nothing. */
  next: string | null;
}

export const AGENTS: readonly HookedAgent[] = [
  {
    id: 'claude',
    name: 'Claude Code',
    file: (environment) => join(environment.CLAUDE_CONFIG_DIR || join(homedir(), '.claude'), 'settings.json'),
    projectFile: '.claude/settings.json',
    hook: (event) => ({ type: 'command', command: commandFor('claude', event), timeout: 5 }),
    next: null,
  },
  {
    id: 'codex',
    name: 'Codex',
    file: (environment) => join(environment.CODEX_HOME || join(homedir(), '.codex'), 'hooks.json'),
    projectFile: '.codex/hooks.json',
    // It runs hooks in the user's own shell, which may be one where the line means something else. It gives the hooks of an end or an
    // interruption three seconds at most, and says so at every start when they ask for more.
    hook: (event) => ({ type: 'command', command: `sh -c '${commandFor('codex', event)}'`, timeout: 3 }),
    next: 'Codex asks at its next start whether they are trusted: choose "Trust all and continue", or look at them with /hooks.',
  },
  {
    id: 'gemini',
    name: 'Gemini CLI',
    file: (environment) => join(environment.GEMINI_CLI_HOME || homedir(), '.gemini', 'settings.json'),
    projectFile: '.gemini/settings.json',
    hook: (event) => ({ name: 'ai-session', type: 'command', command: commandFor('gemini', event), timeout: 5000 }),
    next: 'Gemini CLI calls hooks in folders that it trusts.',
  },
];

/**
 * Gives what the hook is given to the reporter that the pane's environment names. Elsewhere, or when that ai-session is gone, it is read
 * and thrown away: agents complain of a hook that does not read. It prints nothing and its exit code is 0, whatever happens. Fish
 * understands it, too.
 */
function commandFor(agent: string, event: string): string {
  return `test -x "$AI_SESSION_HOOK" && "$AI_SESSION_HOOK" ${agent} ${event} || cat >/dev/null`;
}

/** What is to be installed: a hook for every event that the agent's rules know the meaning of. */
export function hooksFor({ id, hook }: HookedAgent): Hooks {
  const { hooks } = parse(readFileSync(join(PACKAGE_FOLDER, 'agents', `${id}.yaml`), 'utf8')) as { hooks: Record<string, unknown> };
  return new Map(Object.keys(hooks).map((event) => [event, hook(event)]));
}

export function fileFor(agent: HookedAgent, isProject: boolean): string {
  return isProject ? resolve(agent.projectFile) : resolve(agent.file(process.env));
}
