import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Decision, decide } from '../../../src/daemon/status/decide.ts';
import { type Evidence, hear, startedAt } from '../../../src/daemon/status/evidence.ts';
import type { View } from '../../../src/daemon/status/regions.ts';
import { type AgentRules, loadRules, type Rules } from '../../../src/daemon/status/rules.ts';
import { Signals } from '../../../src/daemon/status/stream.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const folder = join(root, 'test', 'recordings', 'agents');

/** The rules that are shipped. */
export const BUILT_IN = builtIn();

export function agentRules(id: string): AgentRules {
  const found = BUILT_IN.agents.find((agent) => agent.id === id);
  if (!found) throw new Error(`there are no built-in rules for "${id}"`);
  return found;
}

/**
 * A screen as it was, and what it means: `expected` with its title, `withoutTitle` by itself. `seen` ones were drawn by the program named,
 * with a model that was played by a server of ours; `read` ones were made by hand from what others wrote.
 */
export interface Recording {
  name: string;
  agent: string;
  provenance: string;
  expected: string;
  withoutTitle: string;
  /** The screen rule that speaks. */
  rule: string | null;
  /** What the program reported by OSC 7501 last. */
  report: string | null;
  view: View;
}

export const SCREENS: readonly Recording[] = readdirSync(folder)
  .filter((file) => file.endsWith('.screen.txt'))
  .sort()
  .map(readScreen);

/** Signals as a program sent them, with the times (ms) between them. All that it drew is left out. */
export interface Stream {
  name: string;
  agent: string;
  parts: readonly { at: number; bytes: string }[];
}

export function readStream(name: string): Stream {
  const [head, ...parts] = readFileSync(join(folder, `${name}.stream.jsonl`), 'utf8')
    .trimEnd()
    .split('\n');
  return { name, ...(JSON.parse(head!) as { agent: string }), parts: parts.map((part) => JSON.parse(part) as Stream['parts'][number]) };
}

/** What hooks were given, one event a line. */
export function readHooks(name: string): Record<string, unknown>[] {
  const lines = readFileSync(join(folder, `${name}.hooks.jsonl`), 'utf8')
    .trimEnd()
    .split('\n');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** A pane that has just drawn this, with a program that began a moment ago. */
export function evidenceOf({ agent, view, report }: Recording, { withTitle }: { withTitle: boolean }): Evidence {
  let evidence = startedAt(0);
  evidence =
    agent === 'program'
      ? hear(evidence, { is: 'command', mark: 'started', text: 'it' }, 0)
      : hear(evidence, { is: 'agent', agent: { rules: agentRules(agent), because: 'a test' }, since: 0 }, 0);
  if (withTitle && view.title !== '') evidence = hear(evidence, { is: 'signal', signal: { is: 'title', text: view.title } }, 1000);
  if (report)
    for (const signal of new Signals().read(Buffer.from(`\x1b]7501;${report}\x07`)))
      evidence = hear(evidence, { is: 'signal', signal }, 1000);
  return hear(evidence, { is: 'screen', view }, 1000);
}

/** Decides now, and again for as long as it settles. */
export function settle(evidence: Evidence, now: number, before: Decision | null = null): Decision {
  let decision = decide(evidence, now, before, BUILT_IN);
  while (decision.settlingFrom !== null) decision = decide(evidence, decision.recheckAt!, decision, BUILT_IN);
  return decision;
}

function readScreen(file: string): Recording {
  const text = readFileSync(join(folder, file), 'utf8');
  const end = text.indexOf('---\n');
  const head = new Map(
    text
      .slice(0, end)
      .trimEnd()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)] as const),
  );
  const rows = text.slice(end + 4, -1).split('\n');
  while (rows.length < Number(head.get('height'))) rows.push('');
  return {
    name: file.replace('.screen.txt', ''),
    agent: head.get('agent')!,
    provenance: head.get('provenance')!,
    expected: head.get('expected')!,
    withoutTitle: head.get('without-title') ?? head.get('expected')!,
    rule: head.get('rule') ?? null,
    report: head.get('report') ?? null,
    view: { rows, title: head.get('title') ?? '', cursorRow: Number(head.get('cursor')), isAlternate: head.get('alternate') === 'yes' },
  };
}

function builtIn(): Rules {
  const place = join(root, 'agents');
  const files = readdirSync(place).map((file) => ({ file, text: readFileSync(join(place, file), 'utf8'), origin: 'built-in' as const }));
  const { rules, problems } = loadRules(files);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return rules;
}
