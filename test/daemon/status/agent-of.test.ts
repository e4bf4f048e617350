import { expect, test } from 'vitest';
import { agentOf } from '../../../src/daemon/status/agent-of.ts';
import { BUILT_IN } from './recordings.ts';

test.each([
  ['claude', 'claude'],
  ['/usr/local/bin/claude --resume', 'claude'],
  ['node /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js', 'claude'],
  ['node --max-old-space-size=4096 /home/me/.npm/bin/claude', 'claude'],
  ['/home/me/.local/share/claude/claude.exe', 'claude'],
  ['bun /x/node_modules/@anthropic-ai/claude-code/cli.mjs', 'claude'],
  ['npx @openai/codex', 'codex'],
  ['npx -y @openai/codex@latest --full-auto', 'codex'],
  ['npm exec @openai/codex', 'codex'],
  ['npm exec -- @google/gemini-cli', 'gemini'],
  ['pnpm dlx @google/gemini-cli', 'gemini'],
  ['npx -p @google/gemini-cli gemini', 'gemini'],
  ['/x/node_modules/@openai/codex-linux-x64/vendor/bin/codex resume', 'codex'],
  ['node -r ./hook.js /x/bin/gemini', 'gemini'],
  ['-codex', 'codex'],
  ['python3 -m aider --model gpt-4o', 'aider'],
  ['/home/me/venv/bin/python3.12 /home/me/venv/bin/aider', 'aider'],
  ['uvx --python 3.12 aider-chat', 'aider'],
  ['uv tool run aider', 'aider'],
  ['opencode', 'opencode'],
  ['node /x/bin/copilot', 'copilot'],
  ['sudo -u me env TERM=xterm claude', 'claude'],
  ['nice -n 5 codex', 'codex'],
  ['bash -lc claude', 'claude'],
  ['sh /usr/local/bin/claude', 'claude'],
])('"%s" is %s', (line, id) => {
  expect(agentOf([line.split(' ')], BUILT_IN)?.rules.id).toBe(id);
});

test.each([
  'vim claude.ts',
  'tail -f codex',
  'grep -r claude .',
  'node server.js claude',
  'node --eval claude',
  'python3 -c aider',
  'git clone https://github.com/openai/codex',
  'claude-squad',
  'bash',
  'bash -l',
  'npm install @openai/codex',
  'less /x/node_modules/@openai/codex/README.md',
  'cat gemini',
  '',
])('"%s" is no agent', (line) => {
  expect(agentOf([line.split(' ')], BUILT_IN)).toBeNull();
});

test('a command in a string is looked into, and only for its first word', () => {
  const of = (script: string) => agentOf([['sh', '-c', script]], BUILT_IN)?.rules.id ?? null;
  expect([of('FOO=1 BAR=2 codex --yolo'), of('"claude" -c'), of('echo claude'), of('')]).toEqual(['codex', 'claude', null, null]);
});

test('the first program that is known counts, and says by which name', () => {
  const found = agentOf([[], ['make'], ['node', '/x/bin/gemini'], ['claude']], BUILT_IN);
  expect([found?.rules.agent, found?.because]).toEqual(['Gemini CLI', '"gemini" runs in the foreground']);
});

test('launchers that launch each other for ever are given up', () => {
  expect(agentOf([Array.from({ length: 10_000 }, () => 'sudo')], BUILT_IN)).toBeNull();
});
