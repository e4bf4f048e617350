import { parse } from 'yaml';
import { z } from 'zod';
import { nearest } from '../../base/nearest.ts';
import { compilePattern, type Pattern } from './pattern.ts';
import { REGIONS, type Region, readRegion } from './regions.ts';

/** What is known of one agent: how it is recognised, and what its hooks, titles and screens mean. One YAML file of `agents/`. */
export type AgentRules = Omit<z.output<ReturnType<typeof agentFile>>, 'note' | 'versions'> & { file: string; origin: Origin };

export type ScreenRule = AgentRules['screen'][number];
export type TextRule = AgentRules['titles'][number];

export type Origin = 'built-in' | 'user';

export interface RuleFile {
  /** Its name without folders. A user's file takes the place of the built-in one of that name. */
  file: string;
  text: string;
  origin: Origin;
}

export interface Rules {
  /** In the order in which they are asked: a user's come first. */
  agents: readonly AgentRules[];
  /** What holds for any program that is no agent; the file `program.yaml`. */
  program: AgentRules | null;
}

export interface LoadedRules {
  rules: Rules;
  /** A sentence for each thing that was not taken. A file with one counts as a whole as it did before, or the built-in of that name does. */
  problems: string[];
}

/** A rule file, read. */
export interface ReadRuleFile extends Pick<RuleFile, 'file' | 'origin'> {
  /** Null for a file with a mistake, unless `isKept`: then they are those that it had before. */
  rules: AgentRules | null;
  isKept: boolean;
  problems: string[];
}

/** Reads what was found of rule files. Nothing in them can stop the daemon. */
export function loadRules(files: readonly RuleFile[]): LoadedRules {
  return combineRules(files.map((file) => readRuleFile(file)));
}

/** One file. `before`: what it said the last time, which stays when it is wrong now. */
export function readRuleFile(found: RuleFile, before?: ReadRuleFile): ReadRuleFile {
  const { file, origin } = found;
  const { rules, problems } = readFile(found);
  const kept = rules ? null : (before?.rules ?? null);
  return { file, origin, rules: rules ?? kept, isKept: kept !== null, problems };
}

/** What counts of several files. */
export function combineRules(files: readonly ReadRuleFile[]): LoadedRules {
  const problems: string[] = [];
  const byFile = new Map<string, AgentRules>();
  const byOrigin = (origin: Origin) => files.filter((file) => file.origin === origin).sort((a, b) => (a.file < b.file ? -1 : 1));
  for (const { file, rules, isKept, problems: own } of [...byOrigin('built-in'), ...byOrigin('user')]) {
    const stays = isKept ? '; the last good rules of this file stay' : byFile.has(file) ? '; the built-in rules stay' : '';
    problems.push(...own.map((problem) => `${file}: ${problem}${stays}`));
    if (!rules) continue;
    const { id } = rules;
    const twin = [...byFile.values()].find((other) => other.id === id && other.file !== file);
    if (twin) problems.push(`${file}: id: "${id}" belongs to ${twin.file}; use another id, or name the file "${twin.file}" to replace it`);
    else byFile.set(file, rules);
  }
  const all = [...byFile.values()].sort((a, b) => Number(b.origin === 'user') - Number(a.origin === 'user'));
  return {
    rules: { agents: all.filter(({ id }) => id !== ANY_PROGRAM), program: all.find(({ id }) => id === ANY_PROGRAM) ?? null },
    problems,
  };
}

/** The id of the rules for programs that are no agents. */
const ANY_PROGRAM = 'program';

/** Characters of a file. Ours have less than 8 KiB. */
export const FILE_LIMIT = 64 * 1024;

function readFile({ file, text, origin }: RuleFile): { rules: AgentRules | null; problems: string[] } {
  if (text.length > FILE_LIMIT) return { rules: null, problems: [`it has more than ${FILE_LIMIT} characters; make it shorter`] };
  let written: unknown;
  try {
    // No rule needs an alias, and one can multiply or contain itself. Warnings would go to standard error, past `problems`.
    written = parse(text, { maxAliasCount: 0, logLevel: 'error' });
  } catch (error) {
    return { rules: null, problems: [`not YAML: ${(error as Error).message.split('\n')[0]}`] };
  }
  const read = agentFile().safeParse(written);
  if (!read.success) return { rules: null, problems: read.error.issues.map((issue) => sentence(issue, written)) };
  const { note: _, versions: __, ...rules } = read.data;
  return { rules: { ...rules, file, origin }, problems: [] };
}

function sentence(issue: z.core.$ZodIssue, written: unknown): string {
  const place = issue.path.join('.') || 'the file';
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(issue.path[0] === 'screen' ? SCREEN_KEYS : issue.path.length === 0 ? FILE_KEYS : {});
    return issue.keys
      .map((key) => {
        const near = nearest(key, known);
        return `${place}: no key "${key}"${near ? `; did you mean "${near}"?` : '; leave it out'}`;
      })
      .join('; ');
  }
  const value = issue.path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key], written);
  return value === undefined
    ? `${place}: is missing (${issue.message})`
    : `${place}: ${JSON.stringify(value).slice(0, 80)} is not taken: ${issue.message}`;
}

const word = () => z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/, 'use small letters, digits, "-" and "_"');
const shown = () => z.string().min(1).max(200);
/** One string or several. */
const strings = () =>
  z.union([shown().transform((one) => [one]), z.array(shown()).min(1).max(20)], 'use a text or a list of texts, in quotes').default([]);
const agentStatus = () => z.enum(['working', 'waiting', 'done'], 'use working, waiting or done');
const milliseconds = () => z.int().min(0).max(600_000);

function pattern() {
  return z.string().transform((source, context): Pattern => {
    const compiled = compilePattern(source);
    if (compiled.ok) return compiled.pattern;
    context.addIssue({ code: 'custom', message: compiled.reason });
    return z.NEVER;
  });
}

function region() {
  return z.string().transform((written, context): Region => {
    const read = readRegion(written);
    if (read) return read;
    const near = nearest(written.replace(/\(.*/, ''), Object.keys(REGIONS));
    context.addIssue({
      code: 'custom',
      message: near ? `is it "${near}", with a number such as "(5)" if it takes one?` : `use one of ${Object.keys(REGIONS).join(', ')}`,
    });
    return z.NEVER;
  });
}

/** Was this seen on a program's own screen, or read in its documentation, its source or somebody's report? */
const provenance = () => z.enum(['seen', 'read'], 'say "seen" or "read"');

/** A rule for one line of text that a program sends: a title, a notification. */
function textRule() {
  return z.strictObject({ id: word(), status: agentStatus(), regex: pattern(), provenance: provenance() });
}

const SCREEN_KEYS = {
  id: word(),
  /** `same`: this screen tells nothing of now (a transcript, a help page), so what was decided before stays. */
  status: z.enum(['working', 'waiting', 'done', 'same'], 'use working, waiting, done or same'),
  /** Of those that match, the highest speaks for the screen. */
  priority: z.int().min(0).max(1000),
  region: region(),
  /** A text that is there, in capitals or not, across rows and any white space. */
  contains: shown().optional(),
  any: strings(),
  all: strings(),
  not: strings(),
  /** Matches in the region, of which `^` and `$` find the rows. */
  regex: pattern().optional(),
  /** Matches in a row by itself. */
  line_regex: pattern().optional(),
  provenance: provenance(),
};

function screenRule() {
  return z
    .strictObject(SCREEN_KEYS)
    .refine(
      ({ contains, any, all, regex, line_regex }) => contains ?? regex ?? line_regex ?? [...any, ...all][0],
      'it needs one of contains, any, all, regex and line_regex, or it would match everything',
    );
}

/**
 * What an event of the agent's own hooks means: a status, or none. With `field` the value of a field of the event decides, and `status` is
 * for values that are not listed. `background`: a field that lists what still runs; with something in it the agent works on.
 */
function hookRule() {
  const heard = z.enum(['working', 'waiting', 'done', 'none'], 'use working, waiting, done or none');
  const whole = z.strictObject({
    status: heard,
    field: shown().optional(),
    values: z.record(shown(), heard).default({}),
    background: shown().optional(),
  });
  const either = [heard.transform((status): z.output<typeof whole> => ({ status, values: {} })), whole] as const;
  return z.union(either, 'use working, waiting, done or none, or an object with status, field, values and background');
}

const FILE_KEYS = {
  id: word(),
  agent: shown(),
  /** Names of programs and of packages by which it is recognised. */
  programs: z.array(shown()).default([]),
  /** The versions whose screens these rules were made from, and what else a reader should know. */
  versions: z.string().optional(),
  note: z.string().optional(),
  /** How long it has to look idle before it is `done`. Agents pause between two steps, and titles flicker. */
  settle_ms: milliseconds().default(2000),
  /** The same when the agent said so itself, by a hook or a report: only long enough for a queued prompt to begin. */
  settle_said_ms: milliseconds().default(300),
  /** How long the stream may contradict a hook, or the reverse, before the later of them is believed. */
  stale_ms: milliseconds().default(1500),
  /** An agent with a spinner writes all the time it works. When it has written nothing for so long, it does not. Null: it may be still. */
  silent_ms: milliseconds().nullable().default(null),
  hooks: z.record(shown(), hookRule()).default({}),
  titles: z.array(textRule()).default([]),
  /** What the states 1 to 4 of OSC 9;4 mean: 1 so many per cent, 2 an error, 3 busy, 4 paused. Nothing ever follows from 0. */
  progress: z.partialRecord(z.enum(['1', '2', '3', '4']), agentStatus()).default({ '1': 'working', '3': 'working' }),
  notifications: z.array(textRule()).default([]),
  /** What a bell means; most agents ring for too many reasons. */
  bell: agentStatus().nullable().default(null),
  screen: z.array(screenRule()).default([]),
};

function agentFile() {
  return z.strictObject(FILE_KEYS).superRefine(({ id, programs, screen, titles, notifications }, context) => {
    if (id !== ANY_PROGRAM && programs.length === 0)
      context.addIssue({ code: 'custom', path: ['programs'], message: 'name at least one program by which it is recognised' });
    for (const [path, rules] of Object.entries({ screen, titles, notifications })) {
      const twice = rules.find((rule, index) => rules.findIndex((other) => other.id === rule.id) !== index);
      if (twice) context.addIssue({ code: 'custom', path: [path], message: `two rules have the id "${twice.id}"; rename one` });
    }
  });
}
