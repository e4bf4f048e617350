// Runs test/programs: editors, shells and agents in sessions. It needs them on this machine, and the agents it fetches itself, into a folder
// that is removed afterwards.
//
//   AI_SESSION_TEST_AGENTS=folder   uses the agents installed there, and leaves them
import { spawnSync } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Exact, so that a red test is news about us and not about them. Newer ones are tried by changing these. */
const AGENTS = {
  '@anthropic-ai/claude-code': '2.1.197',
  '@openai/codex': '0.169.0',
  '@google/gemini-cli': '0.61.0',
};
const PROGRAMS = ['vim', 'htop', 'less', 'bash', 'zsh', 'fish'];

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const missing = PROGRAMS.filter((name) => !isOnPath(name));
if (missing.length > 0) {
  console.error(
    `These tests need ${missing.join(', ')}, not found on PATH. Get all they need with: apt-get install vim htop less zsh fish`,
  );
  process.exit(1);
}
const given = process.env.AI_SESSION_TEST_AGENTS;
const folder = given || mkdtempSync(join(tmpdir(), 'ais-agents-'));
try {
  process.exitCode = (given ? 0 : install(folder)) || test(folder);
} finally {
  if (!given) rmSync(folder, { recursive: true, force: true });
}

function install(folder) {
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies: AGENTS }));
  // Install scripts are asked for by name: Claude Code's puts its program in place, and the user may have turned them off.
  const status = run('npm', ['install', '--ignore-scripts=false', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder });
  if (status !== 0)
    console.error(
      'The agents could not be installed. Tests with agents from elsewhere: AI_SESSION_TEST_AGENTS=folder npm run test:programs',
    );
  return status;
}

function test(folder) {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const args = [vitest, 'run', '--config', 'vitest.programs.config.ts', ...process.argv.slice(2)];
  return run(process.execPath, args, { cwd: root, env: { ...process.env, AI_SESSION_TEST_AGENTS: folder } });
}

/** The exit code; 1 when there is none. */
function run(command, args, options) {
  return spawnSync(command, args, { stdio: 'inherit', ...options }).status ?? 1;
}

function isOnPath(name) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return statSync(join(folder, name)).isFile();
    } catch {
      return false;
    }
  });
}
