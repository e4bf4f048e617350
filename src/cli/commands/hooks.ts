import { readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Argument, type Command } from 'commander';
import { nearest } from '../../base/nearest.ts';
import { onPath } from '../../base/on-path.ts';
import { AGENTS, fileFor, type HookedAgent, hooksFor } from '../hooks/agents.ts';
import { changedLines } from '../hooks/changed-lines.ts';
import { type Hooks, hooksIn, OddShapeError, withHooks, withoutHooks } from '../hooks/entries.ts';
import { JsonTextError } from '../hooks/json-text.ts';
import { readSettings, writeSettings } from '../hooks/settings-file.ts';
import { plain, print, printJson, say, style, UsageError } from '../output.ts';

interface Options {
  project?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

export function define(command: Command): void {
  const verb = (name: string, summary: string, operand: string) =>
    command
      .command(name)
      .description(summary)
      .exitOverride()
      // Named for help and completion; what else is typed is refused in our own words.
      .addArgument(new Argument(operand, 'whose settings').choices(AGENTS.map(({ id }) => id)).argParser((value: string) => value))
      .option('--project', "in this folder's settings for the agent, and not in your own")
      .option('--json', 'print JSON');
  const change = (name: 'install' | 'uninstall', summary: string) =>
    verb(name, summary, '[agent]')
      .option('--dry-run', 'print what would change, and change nothing')
      .action((agent: string | undefined, options: Options) => changeHooks(name, agentNamed(agent), options));
  change('install', 'have an agent tell what it is doing, by hooks in its settings');
  change('uninstall', 'take these hooks out again, and nothing else');
  verb('status', 'say where they are installed', '[agent]').action((agent: string | undefined, options: Options) => {
    const states = (agent === undefined ? AGENTS : [agentNamed(agent)]).map((one) => stateOf(one, options.project ?? false));
    if (options.json) printJson(states);
    else for (const state of states) tell(state);
  });
}

function agentNamed(wanted: string | undefined): HookedAgent {
  const agent = AGENTS.find(({ id }) => id === wanted);
  if (agent) return agent;
  const ids = AGENTS.map(({ id }) => id);
  const near = wanted === undefined ? null : nearest(wanted, ids);
  const what = wanted === undefined ? 'Whose hooks?' : `There are no hooks for "${wanted}".${near ? ` Did you mean "${near}"?` : ''}`;
  throw new UsageError(`${what} Name one of ${ids.join(', ')}.`);
}

function changeHooks(verb: 'install' | 'uninstall', agent: HookedAgent, { project = false, dryRun = false, json }: Options): void {
  const hooks = hooksFor(agent);
  const file = fileFor(agent, project);
  const settings = readSettings(file);
  const before = settings.text;
  const byHand = verb === 'install' ? `Mend it and try again, or add by hand ${inWords(agent, hooks)}` : TAKE_OUT;
  const after = understood(file, byHand, () =>
    verb === 'install' ? withHooks(before, hooks) : before === null ? null : withoutHooks(before),
  );
  const isChanged = after !== before;
  if (isChanged && !dryRun) writeSettings(settings, after);
  const remarks = verb === 'install' ? remarksOn(agent, file, after, isChanged) : [];
  if (json)
    return printJson({ agent: agent.id, file, changed: isChanged, dryRun, events: [...hooks.keys()], remarks, ...(dryRun && { after }) });
  if (dryRun && isChanged) {
    for (const line of changedLines(before ?? '', after ?? ''))
      print(style(line.startsWith('-') ? 'red' : 'green', plain(line.replaceAll('\t', '  '))));
  }
  say(outcome(verb, agent, file, { isChanged, dryRun, isGone: after === null }));
  for (const remark of remarks) say(remark);
}

function outcome(
  verb: 'install' | 'uninstall',
  { name }: HookedAgent,
  file: string,
  { isChanged, dryRun, isGone }: { isChanged: boolean; dryRun: boolean; isGone: boolean },
): string {
  if (!isChanged) return verb === 'install' ? `${name}'s hooks are in "${file}" already.` : `There are no hooks of ours in "${file}".`;
  if (dryRun) return isGone ? `"${file}" would be removed. Nothing was changed.` : `So "${file}" would change. Nothing was changed.`;
  if (verb === 'install') return `${name} tells what it is doing from its next start on. The hooks are in "${file}".`;
  return isGone ? `"${file}" had only our hooks in it, and was removed.` : `Our hooks are no longer in "${file}".`;
}

const TAKE_OUT = 'Mend it and try again, or take out by hand each hook that names AI_SESSION_HOOK.';

/** What would be added, for somebody who does it. */
function inWords({ name }: HookedAgent, hooks: Hooks): string {
  const [event, hook] = [...hooks][0]!;
  const example = JSON.stringify({ [event]: [{ hooks: [hook] }] });
  return `under "hooks" for each event of ${name} (${[...hooks.keys()].join(', ')}) what is this for the first: ${example}`;
}

/** Says of settings that cannot be changed why not, and what to do. */
function understood<Result>(file: string, advice: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof JsonTextError || error instanceof OddShapeError)) throw error;
    const what = error instanceof JsonTextError ? `is not JSON: ${error.message}` : `cannot be changed: ${error.message}`;
    throw new UsageError(`"${file}" ${what}. It was left alone. ${advice}`);
  }
}

/** What else a person should know who has installed hooks. */
function remarksOn(agent: HookedAgent, file: string, text: string | null, isChanged: boolean): string[] {
  const remarks: string[] = [];
  if (onPath(agent.id) === null) remarks.push(`There is no "${agent.id}" on PATH.`);
  const off = offBecause(agent, file, text);
  if (off !== null) remarks.push(`They are not called: ${off}.`);
  else if (isChanged && agent.next !== null) remarks.push(agent.next);
  if (agent.id === 'codex' && /^\s*\[\[?hooks\.(?!state\b)/m.test(codexConfig(file)))
    remarks.push('There are hooks in config.toml, too: Codex calls both, and says at each start that it would rather have one file.');
  return remarks;
}

interface State {
  agent: string;
  name: string;
  /** Where its program is; null: not on PATH. */
  program: string | null;
  file: string;
  installed: 'yes' | 'partly' | 'no';
  events: string[];
  missing: string[];
  /** Why its hooks are not called, as far as can be seen. */
  off: string | null;
  /** Why its settings cannot be read. */
  problem: string | null;
}

function stateOf(agent: HookedAgent, isProject: boolean): State {
  const hooks = hooksFor(agent);
  const file = fileFor(agent, isProject);
  const about = { agent: agent.id, name: agent.name, program: onPath(agent.id), file };
  try {
    const { text } = readSettings(file);
    const found = understood(file, 'Mend it and try again.', () => (text === null || text.trim() === '' ? [] : hooksIn(text)));
    const events = [...hooks]
      .filter(([event, hook]) => found.some((one) => one.event === event && one.command === hook.command))
      .map(([event]) => event);
    const missing = [...hooks.keys()].filter((event) => !events.includes(event));
    // Others of ours are an older version's.
    const installed = found.length === 0 ? 'no' : missing.length === 0 && found.length === events.length ? 'yes' : 'partly';
    return { ...about, installed, events, missing, off: offBecause(agent, file, text), problem: null };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { ...about, installed: 'no', events: [], missing: [...hooks.keys()], off: null, problem: error.message };
  }
}

function tell({ agent, name, program, file, installed, missing, off, problem }: State): void {
  const words = { yes: style('green', 'installed'), partly: style('yellow', 'partly'), no: 'not installed' };
  print(`${agent.padEnd(8)}${problem === null ? words[installed] : style('red', 'unknown')}: ${plain(file)}`);
  if (problem !== null) print(`        ${plain(problem)}`);
  if (installed === 'partly') {
    const what = missing.length > 0 ? `Missing: ${missing.join(', ')}.` : 'There are some of another version.';
    print(`        ${what} Put them right with: ai-session hooks install ${agent}`);
  }
  if (off !== null) print(`        They are not called: ${plain(off)}.`);
  if (program === null) print(`        ${name} itself is not on PATH.`);
}

/** By which setting of its own an agent calls no hooks; null: by none that is seen here. */
function offBecause(agent: HookedAgent, file: string, text: string | null): string | null {
  if (agent.id === 'codex') {
    return /^\s*\[features\][^[]*?^\s*(?:codex_)?hooks\s*=\s*false/m.test(codexConfig(file))
      ? 'config.toml has "hooks = false" under [features]'
      : null;
  }
  let settings: unknown;
  try {
    settings = JSON.parse(text ?? '{}');
  } catch {
    // With comments; the agent itself will say.
    return null;
  }
  const { disableAllHooks, hooksConfig } = Object(settings) as {
    disableAllHooks?: unknown;
    hooksConfig?: { enabled?: unknown; disabled?: unknown };
  };
  if (agent.id === 'claude') return disableAllHooks === true ? '"disableAllHooks" is true' : null;
  if (hooksConfig?.enabled === false) return '"hooksConfig.enabled" is false';
  const { disabled } = Object(hooksConfig) as { disabled?: unknown };
  return Array.isArray(disabled) && disabled.includes('ai-session') ? '"hooksConfig.disabled" names "ai-session"' : null;
}

/** Codex's other file, beside its hooks; empty when there is none. */
function codexConfig(hooks: string): string {
  const file = join(dirname(hooks), 'config.toml');
  try {
    return statSync(file).isFile() ? readFileSync(file, 'utf8') : '';
  } catch {
    return '';
  }
}
