import { expect, test } from 'vitest';
import { claimsOf } from '../../../src/daemon/status/claims.ts';
import { matchScreen } from '../../../src/daemon/status/match.ts';
import { cut } from '../../../src/daemon/status/regions.ts';
import type { AgentRules } from '../../../src/daemon/status/rules.ts';
import { BUILT_IN, evidenceOf, type Recording, SCREENS, settle } from './recordings.ts';

const rulesOf = (agent: string) => [...BUILT_IN.agents, BUILT_IN.program!].find(({ id }) => id === agent)!;

/** The screen rule that speaks, by its id. */
function speakerOf(recording: Recording): string | null {
  const matching = rulesOf(recording.agent).screen.filter((rule) => matchScreen(rule, recording.view).matches);
  return matching.sort((a, b) => b.priority - a.priority)[0]?.id ?? null;
}

/** Rows are what was expected, columns what was decided. */
function confusion(pairs: readonly (readonly [expected: string, got: string])[]): string {
  const names = [...new Set(pairs.flat())].sort();
  const width = Math.max(...names.map((name) => name.length)) + 2;
  const counts = names.map((expected) =>
    names.map((got) => pairs.filter(([one, other]) => one === expected && other === got).length || '·'),
  );
  const line = (cells: readonly (string | number)[]) => cells.map((cell) => String(cell).padStart(width)).join('');
  return [line(['', ...names]), ...names.map((name, i) => line([name, ...counts[i]!]))].join('\n');
}

test.each([
  { by: 'all that was sent', withTitle: true, wanted: (recording: Recording) => recording.expected },
  { by: 'the screen and no title', withTitle: false, wanted: (recording: Recording) => recording.withoutTitle },
])('every recording has its status by $by', ({ by, withTitle, wanted }) => {
  const decided = SCREENS.map((recording) => {
    const start = settle(
      evidenceOf(SCREENS.find(({ agent, rule }) => agent === recording.agent && rule === 'interrupt') ?? recording, { withTitle }),
      500,
    );
    const { status, because } = settle(evidenceOf(recording, { withTitle }), 1000, start);
    return { name: recording.name, expected: wanted(recording), got: status, because: because.rule };
  });
  console.log(
    `${SCREENS.length} screens by ${by}: expected (rows) and decided (columns)\n${confusion(decided.map(({ expected, got }) => [expected, got]))}`,
  );
  expect(decided.filter(({ expected, got }) => expected !== got)).toEqual([]);
});

test('the rule that was meant is the one that speaks', () => {
  const wrong = SCREENS.map((recording) => ({ name: recording.name, meant: recording.rule, speaks: speakerOf(recording) }));
  expect(wrong.filter(({ meant, speaks }) => meant !== speaks)).toEqual([]);
});

const flat = (recording: Recording) => cut(recording.view, { name: 'whole_screen', count: 0 }).join(' ').replace(/\s+/g, ' ');

const everyRule = [...BUILT_IN.agents, BUILT_IN.program!].flatMap((rules: AgentRules) =>
  rules.screen.map((rule) => [`${rules.id}/${rule.id}`, rules.id, rule] as const),
);

test.each(everyRule)('%s speaks for a screen, and not for another one with the same words on it', (_, agent, rule) => {
  const screens = SCREENS.filter((recording) => recording.agent === agent);
  const speaks = screens.filter((recording) => speakerOf(recording) === rule.id);
  const words = speaks.map(({ view }) => matchScreen(rule, view)).map((match) => (match.matches ? match.text.replace(/…$/, '') : ''));
  const baits = screens.filter((recording) => !speaks.includes(recording) && words.some((text) => flat(recording).includes(text)));
  expect({ speaks: speaks.length > 0, hasBaits: baits.length > 0 }).toEqual({ speaks: true, hasBaits: true });
  // What is said to have been seen is shown by a recording of the program itself.
  if (rule.provenance === 'seen') expect(speaks.map(({ provenance }) => provenance)).toContain('seen');
});

test('a quotation of every dialog of an agent is not taken for the dialog', () => {
  const quoting = SCREENS.filter(({ name }) => name.includes('quoting'));
  expect(quoting.length).toBeGreaterThan(35);
  expect(
    quoting.filter((recording) =>
      claimsOf(evidenceOf(recording, { withTitle: false }), BUILT_IN).claims.some(({ status }) => status === 'waiting'),
    ),
  ).toEqual([]);
});

test('recordings name no machine', () => {
  const told = SCREENS.filter(({ view }) => /127\.0\.0\.1|\/tmp\/|\/root\b|@[a-z]+:|sk-ant-/.test(view.rows.join('\n')));
  expect(told.map(({ name }) => name)).toEqual([]);
});
