import { VERSION } from '../../base/package.ts';

/**
 * What would make a program believe that it runs somewhere else: other multiplexers, other terminals (whose quirks it would then work
 * around), and coding agents' marks of their own children (Claude Code refuses to start inside itself).
 */
const MISLEADING = [
  /^TMUX/,
  /^STY$/,
  /^WINDOW$/,
  /^ZELLIJ/,
  /^SHPOOL_SESSION_(NAME|DIR)$/,
  /^ZMX_SESSION$/,
  /^DVTM/,
  /^ABDUCO_/,
  /^MOSH_/,
  /^BYOBU_(BACKEND|RUN_DIR|TTY|WINDOWS)$/,
  /^AI_SESSION_(NEW_)?PASSPHRASE$/,
  /^CLAUDECODE$/,
  /^CLAUDE_CODE_(ENTRYPOINT|SSE_PORT|SESSION_ID|CHILD_SESSION|EXECPATH)$/,
  /^CLAUDE_SESSION_ID$/,
  /^CODEX_(SANDBOX|SANDBOX_NETWORK_DISABLED|THREAD_ID|CI)$/,
  /^GEMINI_CLI$/,
  /^OPENCODE$/,
  /^CURSOR_(AGENT|TRACE_ID)$/,
  /^COPILOT_(CLI|AGENT)$/,
  /^AGENT$/,
  /^AI_AGENT$/,
  /^VSCODE_/,
  /^TERM_SESSION_ID$/,
  /^ITERM_/,
  /^LC_TERMINAL/,
  /^KITTY_/,
  /^WEZTERM_/,
  /^ALACRITTY_/,
  /^GHOSTTY_/,
  /^KONSOLE_/,
  /^VTE_VERSION$/,
  /^WT_(SESSION|PROFILE_ID)$/,
  /^GNOME_TERMINAL_/,
  /^TILIX_ID$/,
  /^TERMINATOR_/,
  /^TERMINAL_EMULATOR$/,
  /^COLORFGBG$/,
  /^TERMCAP$/,
  /^WINDOWID$/,
  /^(LINES|COLUMNS)$/,
  /^AI_SESSION(_PANE|_HOOK|_HOOK_SOCKET)?$/,
  // `npm start` and `npx` leave these behind, and a package manager inside the session would take itself for their child.
  /^npm_(lifecycle|package|command|execpath|node_execpath)/,
  /^INIT_CWD$/,
];

export interface PanePlace {
  session: string;
  pane: string;
  cwd: string;
  /** What an agent's hook runs, and where that reports. */
  hook: { program: string; socket: string };
  set?: Readonly<Record<string, string>>;
}

/** The environment of a pane: the creating client's, less what would mislead, plus where the program is now; and last what was asked for by name (`set`). */
export function paneEnvironment(
  client: Readonly<Record<string, string>>,
  { session, pane, cwd, hook, set = {} }: PanePlace,
): Record<string, string> {
  const kept = Object.entries(client).filter(
    ([name, value]) => isPassable(name, value) && !MISLEADING.some((pattern) => pattern.test(name)),
  );
  return {
    ...Object.fromEntries(kept),
    // The user's shell and editors show the logical folder ($PWD), which may lead through symbolic links; POSIX shells check it before they believe it.
    PWD: cwd,
    AI_SESSION: session,
    AI_SESSION_PANE: pane,
    AI_SESSION_HOOK: hook.program,
    AI_SESSION_HOOK_SOCKET: hook.socket,
    TERM: 'xterm-256color',
    COLORTERM: 'truecolor',
    TERM_PROGRAM: 'ai-session',
    TERM_PROGRAM_VERSION: VERSION,
    ...Object.fromEntries(Object.entries(set).filter(([name, value]) => isPassable(name, value))),
  };
}

/** execve(2) takes C strings of the form NAME=VALUE: nothing else gets there whole. */
function isPassable(name: string, value: string): boolean {
  return name !== '' && !name.includes('=') && !name.includes('\0') && !value.includes('\0');
}
