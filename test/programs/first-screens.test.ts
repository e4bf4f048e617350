import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Rig } from '../support/rig.ts';
import { CLAUDE, CODEX, CODEX_SIGN_IN, furnish, GEMINI, GEMINI_TRUST, type Program } from './programs.ts';

interface FirstScreen {
  what: string;
  program: Program;
  agent: string;
  state: 'waiting' | 'done';
  /** The rule that says so; either of two where an agent comes to report it a moment after it has drawn it. */
  rule: RegExp;
  /** The agent whose hooks are installed before it starts. */
  hooks?: string;
}

/** As these, without what a folder of theirs would have said. */
const CLAUDE_TRUST: Program = {
  ...CLAUDE,
  files: () => ({ '.claude.json': JSON.stringify({ hasCompletedOnboarding: true, theme: 'dark' }) }),
};
const GEMINI_SIGN_IN: Program = {
  ...GEMINI,
  environment: {},
  files: (work) => ({ '.gemini/trustedFolders.json': JSON.stringify({ [work]: 'TRUST_FOLDER' }) }),
};

const FIRST_SCREENS: readonly FirstScreen[] = [
  { what: 'Claude Code in a new folder', program: CLAUDE_TRUST, agent: 'claude', state: 'waiting', rule: /^claude\/choice$/ },
  { what: 'Claude Code, ready', program: CLAUDE, agent: 'claude', state: 'done', rule: /^claude\/star$/ },
  { what: 'Codex, signed out', program: CODEX_SIGN_IN, agent: 'codex', state: 'waiting', rule: /^codex\/choice$/ },
  {
    what: 'Codex with hooks that nobody has trusted',
    program: CODEX,
    agent: 'codex',
    state: 'waiting',
    rule: /^codex\/choice$/,
    hooks: 'codex',
  },
  { what: 'Codex, ready', program: CODEX, agent: 'codex', state: 'done', rule: /^(osc-7501\/idle|codex\/composer)$/ },
  { what: 'Gemini CLI in a new folder', program: GEMINI_TRUST, agent: 'gemini', state: 'waiting', rule: /^gemini\/choice$/ },
  { what: 'Gemini CLI, signed out', program: GEMINI_SIGN_IN, agent: 'gemini', state: 'waiting', rule: /^gemini\/choice$/ },
  { what: 'Gemini CLI, ready', program: GEMINI, agent: 'gemini', state: 'done', rule: /^gemini\/ready$/ },
];

test.for(FIRST_SCREENS)('$what: is $state', async ({ program, agent, state, rule, hooks }) => {
  await using rig = await Rig.start();
  const home = join(rig.home, 'me');
  const { work } = furnish(home, program);
  const environment = { ...program.environment, HOME: home };
  if (hooks) expect((await rig.run(['hooks', 'install', hooks], { environment })).code).toBe(0);
  const size = ['-x', '100', '-y', '30'];
  expect((await rig.run(['new', 'it', '-d', '-c', work, ...size, '--', ...program.command], { environment })).code).toBe(0);

  const { code, stdout } = await rig.run(['wait', 'it', '--for', `state=${state}`, '--for', 'exit', '--timeout', '50', '--json']);
  const explained = JSON.parse((await rig.run(['explain', 'it', '--json'])).stdout) as {
    status: string;
    agent: { id: string } | null;
    because: { rule: string };
  };
  const seen = { code, state: explained.status, agent: explained.agent?.id, rule: explained.because.rule };
  expect(seen, `${stdout}${(await rig.run(['screen', 'it'])).stdout}`).toEqual({
    code: 0,
    state,
    agent,
    rule: expect.stringMatching(rule),
  });
});
