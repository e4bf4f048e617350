import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { paneEnvironment } from '../../../src/daemon/session/environment.ts';

const { version } = createRequire(import.meta.url)('../../../package.json') as { version: string };

const PLACE = { session: '$3', pane: '%7', cwd: '/work', hook: { program: '/run/report', socket: '/run/h7.sock' } };

/** What every pane has, whatever its client had. */
const OURS = {
  PWD: '/work',
  AI_SESSION: '$3',
  AI_SESSION_PANE: '%7',
  AI_SESSION_HOOK: '/run/report',
  AI_SESSION_HOOK_SOCKET: '/run/h7.sock',
  TERM: 'xterm-256color',
  COLORTERM: 'truecolor',
  TERM_PROGRAM: 'ai-session',
  TERM_PROGRAM_VERSION: version,
};

test('a pane is told where it is, also when its client had nothing', () => {
  expect(paneEnvironment({}, PLACE)).toEqual(OURS);
});

test('what the client had is passed on as it is', () => {
  const kept = {
    PATH: '/usr/bin',
    HOME: '/home/me',
    LANG: 'C.UTF-8',
    EDITOR: 'vi -e',
    EMPTY: '',
    MULTI: 'a\nb',
    'BASH_FUNC_x%%': '() { :; }',
    AI_SESSION_HOME: '/x',
    AI_SESSION_PREFIX: 'C-a',
    ANTHROPIC_API_KEY: 'k',
    CLAUDE_CONFIG_DIR: '/c',
    CODEX_HOME: '/d',
    npm_config_registry: 'r',
    SSH_AUTH_SOCK: '/s',
    DISPLAY: ':0',
    AGENTS: '2',
  };
  expect(paneEnvironment(kept, PLACE)).toEqual({ ...kept, ...OURS });
});

describe('what would make a program believe that it runs elsewhere is left out', () => {
  test.each([
    ...['TMUX', 'TMUX_PANE', 'TMUX_TMPDIR', 'STY', 'WINDOW', 'ZELLIJ', 'ZELLIJ_SESSION_NAME', 'BYOBU_TTY', 'MOSH_IP'],
    ...['CLAUDECODE', 'CLAUDE_CODE_ENTRYPOINT', 'CLAUDE_CODE_SSE_PORT', 'CODEX_SANDBOX', 'GEMINI_CLI', 'OPENCODE', 'AGENT', 'AI_AGENT'],
    ...['VSCODE_INJECTION', 'ITERM_SESSION_ID', 'KITTY_WINDOW_ID', 'WEZTERM_PANE', 'VTE_VERSION', 'WT_SESSION', 'COLORFGBG', 'WINDOWID'],
    ...['LINES', 'COLUMNS', 'TERMCAP', 'npm_lifecycle_event', 'npm_package_name', 'INIT_CWD'],
  ])('%s', (name) => {
    expect(paneEnvironment({ [name]: 'x' }, PLACE)).toEqual(OURS);
  });
});

test("the client's own terminal and place are replaced", () => {
  const outer = {
    TERM: 'dumb',
    COLORTERM: '',
    TERM_PROGRAM: 'other',
    TERM_PROGRAM_VERSION: '1',
    PWD: '/elsewhere',
    AI_SESSION: '$1',
    AI_SESSION_PANE: '%1',
    AI_SESSION_HOOK: '/elsewhere/report',
    AI_SESSION_HOOK_SOCKET: '/elsewhere/h1.sock',
  };
  expect(paneEnvironment(outer, PLACE)).toEqual(OURS);
});

test.each([
  ['', 'x'],
  ['A=B', 'x'],
  ['=A', 'x'],
  ['A\0B', 'x'],
  ['A', 'x\0y'],
])('what execve cannot take is left out: %j=%j', (name, value) => {
  expect(paneEnvironment({ [name]: value, OK: '1' }, PLACE)).toEqual({ OK: '1', ...OURS });
});

test('"__proto__" is a name like any other', () => {
  const environment = paneEnvironment(JSON.parse('{"__proto__":"x","A":"1"}'), PLACE);
  expect(Object.getPrototypeOf(environment)).toBe(Object.prototype);
  expect(environment.A).toBe('1');
});
