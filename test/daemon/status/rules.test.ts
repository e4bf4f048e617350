import { expect, test } from 'vitest';
import { matchText } from '../../../src/daemon/status/match.ts';
import { loadRules, type RuleFile } from '../../../src/daemon/status/rules.ts';
import { agentRules, BUILT_IN } from './recordings.ts';

const file = (text: string, more: Partial<RuleFile> = {}): RuleFile => ({ file: 'mine.yaml', text, origin: 'user', ...more });
const head = 'id: mine\nagent: Mine\nprograms: [mine]\n';
const screen = (rest: string) => `${head}screen:\n  - { id: a, status: waiting, priority: 1, provenance: seen, ${rest} }\n`;
const problemsOf = (text: string) => loadRules([file(text)]).problems;

test('the built-in rules are those of seven files', () => {
  expect(BUILT_IN.agents.map(({ id }) => id)).toEqual(['aider', 'claude', 'codex', 'copilot', 'gemini', 'opencode']);
  expect(BUILT_IN.program?.id).toBe('program');
});

test('a file needs little, and the rest has defaults', () => {
  const { rules, problems } = loadRules([file(head)]);
  expect(problems).toEqual([]);
  expect(rules.agents).toEqual([
    {
      id: 'mine',
      agent: 'Mine',
      programs: ['mine'],
      settle_ms: 2000,
      settle_said_ms: 300,
      stale_ms: 1500,
      silent_ms: null,
      hooks: {},
      titles: [],
      progress: { '1': 'working', '3': 'working' },
      notifications: [],
      bell: null,
      screen: [],
      file: 'mine.yaml',
      origin: 'user',
    },
  ]);
});

test.each([
  ['not YAML', 'a: [', /^mine\.yaml: not YAML: /],
  ['no object', '7', 'mine.yaml: the file: 7 is not taken: Invalid input: expected object, received number'],
  ['nothing', '', 'mine.yaml: the file: null is not taken: Invalid input: expected object, received null'],
  ['no id', 'agent: Mine\nprograms: [mine]', /^mine\.yaml: id: is missing/],
  ['no programs', 'id: mine\nagent: Mine', 'mine.yaml: programs: is missing (name at least one program by which it is recognised)'],
  [
    'an id with capitals',
    'id: Mine\nagent: Mine\nprograms: [mine]',
    'mine.yaml: id: "Mine" is not taken: use small letters, digits, "-" and "_"',
  ],
  ['a key that is misspelt', `${head}screens: []`, 'mine.yaml: the file: no key "screens"; did you mean "screen"?'],
  ['a key in a rule', screen('region: whole_screen, contains: x, colour: red'), 'mine.yaml: screen.0: no key "colour"; leave it out'],
  ['a status', `${head}bell: ringing`, 'mine.yaml: bell: "ringing" is not taken: use working, waiting or done'],
  [
    'a region that is misspelt',
    screen('region: promt_box, contains: x'),
    'mine.yaml: screen.0.region: "promt_box" is not taken: is it "prompt_box", with a number such as "(5)" if it takes one?',
  ],
  [
    'a region without its number',
    screen('region: cursor_lines, contains: x'),
    'mine.yaml: screen.0.region: "cursor_lines" is not taken: is it "cursor_lines", with a number such as "(5)" if it takes one?',
  ],
  [
    'a rule without a condition',
    screen('region: whole_screen, not: [x]'),
    /^mine\.yaml: screen\.0: .* is not taken: it needs one of contains, any, all, regex and line_regex, or it would match everything$/,
  ],
  [
    'a bad pattern',
    screen("region: whole_screen, regex: '(a'"),
    'mine.yaml: screen.0.regex: "(a" is not taken: a "(" is not closed; write "\\(" for the character',
  ],
  [
    'a list with an object',
    screen('region: whole_screen, any: [Tokens: ]'),
    'mine.yaml: screen.0.any: [{"Tokens":null}] is not taken: use a text or a list of texts, in quotes',
  ],
  [
    'no provenance',
    `${head}titles: [{ id: a, status: done, regex: x }]`,
    'mine.yaml: titles.0.provenance: is missing (say "seen" or "read")',
  ],
  [
    'two rules of one id',
    `${head}titles:\n${'  - { id: a, status: done, regex: x, provenance: read }\n'.repeat(2)}`,
    /two rules have the id "a"; rename one$/,
  ],
  ['an alias', `${head}bell: &a done\nnote: *a`, /^mine\.yaml: not YAML: /],
  ['70 KB', `${head}note: ${'x'.repeat(70_000)}`, 'mine.yaml: it has more than 65536 characters; make it shorter'],
])('a file with %s is left out, with a sentence', (_, text, problem) => {
  const { rules, problems } = loadRules([file(text)]);
  expect(rules.agents).toEqual([]);
  expect(problems).toEqual([typeof problem === 'string' ? problem : expect.stringMatching(problem)]);
});

test('each problem of a file has its sentence', () => {
  expect(problemsOf(`${head}bell: x\nsettle_ms: -1\n`)).toHaveLength(2);
});

test("a user's file takes the place of the built-in one of its name, and is asked first", () => {
  const builtIn = [
    file('id: one\nagent: One\nprograms: [one]', { file: 'one.yaml', origin: 'built-in' }),
    file('id: two\nagent: Two\nprograms: [two]', { file: 'two.yaml', origin: 'built-in' }),
  ];
  const own = file('id: two\nagent: My two\nprograms: [two, deux]', { file: 'two.yaml' });
  for (const files of [
    [...builtIn, own],
    [own, ...builtIn],
  ]) {
    const { rules, problems } = loadRules(files);
    expect([rules.agents.map(({ agent, origin }) => `${agent} (${origin})`), problems]).toEqual([['My two (user)', 'One (built-in)'], []]);
  }
});

test('a bad file never disables the built-in one', () => {
  const { rules, problems } = loadRules([file(head, { origin: 'built-in' }), file('id: mine')]);
  expect(rules.agents.map(({ origin }) => origin)).toEqual(['built-in']);
  expect(problems.every((problem) => problem.endsWith('; the built-in rules stay'))).toBe(true);
});

test('an id belongs to one file', () => {
  const { rules, problems } = loadRules([file(head, { file: 'one.yaml', origin: 'built-in' }), file(head)]);
  expect(rules.agents.map((one) => one.file)).toEqual(['one.yaml']);
  expect(problems).toEqual(['mine.yaml: id: "mine" belongs to one.yaml; use another id, or name the file "one.yaml" to replace it']);
});

/** What each of the built-in rules for a line of text is for, and what is only like it. */
const LINES: [rule: string, means: string, not: string][] = [
  ['claude titles spinner', '⠐ Claude Code', 'a ⠐ in the middle'],
  ['claude titles star', '✳ Fix the tests', 'claude · resume'],
  ['claude notifications permission', 'Claude needs your permission to use Bash', 'Claude Code login successful'],
  ['claude notifications idle', 'Claude is waiting for your input', 'Claude has finished waiting'],
  ['codex titles spinner', '⠏ work', 'work ⠏'],
  ['codex titles action', '[ . ] Action Required | work', 'Action Required'],
  ['codex notifications approval', 'Approval requested: mkdir demo', 'The approval was requested: and given'],
  ['codex notifications question', 'Plan mode prompt: Implement this plan?', 'The plan mode prompt was answered'],
  ['gemini titles action', '✋  Action Required (work)', 'Action Required ✋'],
  ['gemini titles working', '✦  Thinking hard (work)', 'a ✦ star'],
  ['gemini titles ready', '◇  Ready (work)', 'Ready'],
  ['gemini notifications action', 'Gemini CLI needs your attention | Approval required', 'What if Gemini CLI needs your attention'],
  ['gemini notifications complete', 'Gemini CLI session complete | done', 'The session is complete'],
];

test.each(LINES)('%s means "%s" and not "%s"', (name, means, not) => {
  const [id, kind, rule] = name.split(' ') as [string, 'titles' | 'notifications', string];
  const rules = agentRules(id)[kind];
  expect([matchText(rules, means)?.id, matchText(rules, not)?.id]).toEqual([rule, undefined]);
});

test('every rule for a line of text is in that table', () => {
  const all = BUILT_IN.agents.flatMap((agent) =>
    (['titles', 'notifications'] as const).flatMap((kind) => agent[kind].map(({ id }) => `${agent.id} ${kind} ${id}`)),
  );
  expect(LINES.map(([name]) => name).sort()).toEqual(all.sort());
});
