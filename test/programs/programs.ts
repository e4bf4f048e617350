import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The agents' folder, as `npm run test:programs` made it. */
const AGENTS = process.env.AI_SESSION_TEST_AGENTS;
if (!AGENTS) throw new Error('AI_SESSION_TEST_AGENTS names no folder with the agents. Start this suite with: npm run test:programs');

/** A program that people run in a terminal, and what can be relied on in its screens whatever its version. */
export interface Program {
  name: string;
  command: readonly string[];
  environment: Readonly<Record<string, string>>;
  /** Files in its home, by path, given the folder it is started in. */
  files(work: string): Readonly<Record<string, string>>;
  /** What its first screen shows. */
  ready: RegExp;
  /** What a person types then, and what shows that it was understood. */
  keys: string;
  answer: RegExp;
  /** The screen has been drawn for 72 columns and 22 rows. `keys` have been typed. */
  isRedrawn(rows: readonly string[]): boolean;
  /** What is typed after a change of size, for a program that says nothing by itself. */
  askSize?: string;
  /** Where everything is the same whenever one looks; the rest of a screen is clocks and meters. */
  isLasting(row: string): boolean;
  /** It asks the terminal to mark pastes while it waits for input. */
  marksPastes: boolean;
  /** What brings it to where it takes a paste; null when it takes none. */
  beforePaste: string | null;
}

const plain = { environment: {}, files: () => ({}), isLasting: () => true, marksPastes: true, beforePaste: null };

const shell = {
  ...plain,
  ready: /^ready> ?$/m,
  keys: 'expr 40 + 2\r',
  answer: /^42\nready> ?$/m,
  askSize: 'stty size\r',
  isRedrawn: (rows: readonly string[]) => rows.includes('22 72'),
  beforePaste: '',
};

/** Nothing an agent does here may reach the world: whatever it asks for is refused at once. */
const offline = {
  HTTP_PROXY: 'http://127.0.0.1:9',
  HTTPS_PROXY: 'http://127.0.0.1:9',
  http_proxy: 'http://127.0.0.1:9',
  https_proxy: 'http://127.0.0.1:9',
};

const agent = (name: string) => [join(AGENTS, 'node_modules', '.bin', name)];

export const BASH: Program = {
  ...shell,
  name: 'bash',
  command: ['bash'],
  files: () => ({ '.bashrc': "PS1='ready> '\n" }),
};

export const ZSH: Program = {
  ...shell,
  name: 'zsh',
  command: ['zsh'],
  files: () => ({ '.zshrc': "PS1='ready> '\n" }),
};

export const FISH: Program = {
  ...shell,
  name: 'fish',
  command: ['fish'],
  files: () => ({ '.config/fish/config.fish': "function fish_prompt; echo -n 'ready> '; end\n" }),
};

export const VIM: Program = {
  ...plain,
  name: 'vim',
  command: ['vim', 'greeting.txt'],
  files: () => ({
    // A paste that is not known as one would be indented again.
    '.vimrc': 'set nocompatible mouse=a autoindent laststatus=2 statusline=%f\\ %{&columns}x%{&lines}\n',
    'work/greeting.txt': 'hello world\nsecond line\nthird line\n',
  }),
  ready: /^hello world\n[\s\S]*greeting\.txt 100x30$/m,
  keys: 'Atyped\x1b',
  answer: /^hello worldtyped$/m,
  isRedrawn: (rows) => /^greeting\.txt 72x22$/.test(rows[20]!),
  beforePaste: 'Go',
};

export const HTOP: Program = {
  ...plain,
  name: 'htop',
  command: ['htop'],
  ready: /^F1Help/m,
  // The search's own line takes the place of the keys.
  keys: '/zebra',
  answer: /Search: ?zebra/,
  isRedrawn: (rows) => /Search: ?zebra/.test(rows[21]!) && rows.findIndex((row) => /^ *PID/.test(row)) === rows.findIndex(isHtopHeader),
  marksPastes: false,
  isLasting: (row) => isHtopHeader(row) || /Search:|F1Help/.test(row),
};

export const LESS: Program = {
  ...plain,
  name: 'less',
  command: ['less', 'numbers.txt'],
  files: () => ({ 'work/numbers.txt': Array.from({ length: 300 }, (_, n) => `line ${n + 1}\n`).join('') }),
  ready: /^line 1\n[\s\S]*^line 29\n/m,
  keys: '50g',
  answer: /^line 50\n[\s\S]*^line 78\n:/m,
  marksPastes: false,
  isRedrawn: (rows) => rows[0] === 'line 50' && rows[20] === 'line 70',
};

export const CLAUDE: Program = {
  ...plain,
  name: 'claude',
  command: agent('claude'),
  environment: {
    ...offline,
    ANTHROPIC_API_KEY: 'sk-ant-aaaaaaaaaaaaaaaaaaaa',
    // With an address of its own it does not look for another one, for five seconds.
    ANTHROPIC_BASE_URL: 'http://127.0.0.1:9',
    DISABLE_AUTOUPDATER: '1',
    CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL: '1',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  },
  files: (work) => ({
    '.claude.json': JSON.stringify({
      hasCompletedOnboarding: true,
      theme: 'dark',
      customApiKeyResponses: { approved: ['aaaaaaaaaaaaaaaaaaaa'], rejected: [] },
      projects: { [work]: { hasTrustDialogAccepted: true } },
    }),
  }),
  ready: /^─{100}\n❯/m,
  keys: 'hello there',
  answer: /^─{100}\n❯.hello there$/m,
  isRedrawn: (rows) => /^─{72}\n❯.hello there\n─{72}$/m.test(rows.join('\n')),
  beforePaste: '',
};

const codex = {
  ...plain,
  command: agent('codex'),
  environment: offline,
};

export const CODEX: Program = {
  ...codex,
  name: 'codex',
  files: (work) => ({
    '.codex/auth.json': JSON.stringify({ OPENAI_API_KEY: 'sk-aaaaaaaaaaaaaaaaaaaa' }),
    '.codex/config.toml': `check_for_update_on_startup = false\n[tui]\nanimations = false\n[projects."${work}"]\ntrust_level = "trusted"\n`,
  }),
  // The model is known when it has given up on the network: nothing changes by itself after that.
  ready: /^› [\s\S]* · ~\/work/m,
  keys: 'hello there',
  answer: /^› hello there$/m,
  isRedrawn: (rows) => rows.slice(14, 21).includes('› hello there') && rows[21] !== '',
  beforePaste: '',
};

export const CODEX_SIGN_IN: Program = {
  ...codex,
  name: 'codex, signed out',
  files: () => ({ '.codex/config.toml': 'check_for_update_on_startup = false\n[tui]\nanimations = false\n' }),
  // It is deaf for a moment after it has drawn the menu, on any terminal, so nothing is typed here.
  ready: /^> 1\. /m,
  keys: '',
  answer: /^> 1\. /m,
  isRedrawn: (rows) => rows.some((row) => row.startsWith('> 1. ')),
};

const gemini = {
  ...plain,
  command: agent('gemini'),
  environment: { ...offline, GEMINI_API_KEY: 'aaaaaaaaaaaaaaaaaaaaaaaa' },
};
const geminiSettings = JSON.stringify({
  security: { auth: { selectedType: 'gemini-api-key' } },
  general: { enableAutoUpdate: false, enableAutoUpdateNotification: false },
});

export const GEMINI: Program = {
  ...gemini,
  name: 'gemini',
  files: (work) => ({ '.gemini/settings.json': geminiSettings, '.gemini/trustedFolders.json': JSON.stringify({ [work]: 'TRUST_FOLDER' }) }),
  ready: /^▄{100}\n > {3}\S/m,
  keys: 'hello there',
  // The hint above the line goes away a moment later, in a picture of its own.
  answer: /\n\n─{100}\n.*\n▄{100}\n > hello there$/m,
  isRedrawn: (rows) => /^▄{72}\n > hello there\n▀{72}$/m.test(rows.join('\n')),
  beforePaste: '',
};

export const GEMINI_TRUST: Program = {
  ...gemini,
  name: 'gemini, in a new folder',
  files: () => ({ '.gemini/settings.json': geminiSettings }),
  ready: /untrusted[\s\S]*● 1\. /,
  keys: '\x1b[B',
  answer: /● 2\. /,
  isRedrawn: (rows) => /● 2\. /.test(rows.join('\n')) && rows.some((row) => /^ ╰─+╯$/.test(row) && row.length <= 72),
};

export const PROGRAMS: readonly Program[] = [BASH, ZSH, FISH, VIM, HTOP, LESS, CLAUDE, CODEX, CODEX_SIGN_IN, GEMINI, GEMINI_TRUST];

/** A home with the program's files in it, and in it the folder where the program is started. */
export function furnish(home: string, program: Program): { work: string } {
  const work = join(home, 'work');
  mkdirSync(work, { recursive: true });
  for (const [path, text] of Object.entries(program.files(work))) {
    const file = join(home, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  return { work };
}

function isHtopHeader(row: string): boolean {
  return /^ *PID +USER/.test(row);
}
