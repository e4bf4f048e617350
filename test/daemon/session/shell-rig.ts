import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { integrate } from '../../../src/daemon/session/shell-integration.ts';
import { TestTerminal } from '../../support/terminal.ts';
import { isAlive } from '../../support/trees.ts';

export const SHELL_FOLDER = join(import.meta.dirname, '..', '..', '..', 'shell');
export const NONCE = 'n0nce';

export type Kind = 'bash' | 'zsh' | 'fish';

export function isInstalled(kind: Kind): boolean {
  return process.env.PATH!.split(':').some((folder) => existsSync(join(folder, kind)));
}

/** Prompts count themselves, so that a test sees on any screen that the next one is there. */
export const COUNTING_RC: Record<Kind, string> = {
  bash: 'n=0 PS1=\'$((++n))> \' PS2="more> "\n',
  zsh: 'n=0 PS1=\'$((++n))> \' PS2="more> "; setopt promptsubst\n',
  fish: 'set -g fish_greeting; set -g n 0\nfunction fish_prompt; set -g n (builtin math $n + 1); echo "$n> "; end\nfunction fish_title; end\n',
};

export const READING = "sh -c 'echo ready; read line; echo went; exec sleep 1000'";

/** A home of its own with the user's files in it. Ends by showing that no process of its shells is left. */
export class ShellRig implements AsyncDisposable {
  readonly root = mkdtempSync(join(tmpdir(), 'shell-'));
  readonly home = join(this.root, 'home');
  readonly log = join(this.root, 'log');
  readonly #shells: Shell[] = [];

  constructor() {
    mkdirSync(this.home);
    writeFileSync(this.log, '', { mode: 0o600 });
  }

  /** Writes a file of the user's, named from their home. */
  write(name: string, text: string): void {
    const path = join(this.home, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }

  /** What the shell reads when it starts: prompts that count, and `more`. */
  writeRc(kind: Kind, more = ''): void {
    // Where it is missing, fish starts a program that fills it from all manual pages.
    if (kind === 'fish') this.write('.local/share/fish/generated_completions/none', '');
    this.write({ bash: '.bashrc', zsh: '.zshrc', fish: '.config/fish/config.fish' }[kind], `${COUNTING_RC[kind]}${more}\n`);
  }

  async start(argv: [string, ...string[]], options: StartOptions = {}): Promise<Shell> {
    const { isIntegrated = true, env: more = {}, folder = SHELL_FOLDER, log = this.log } = options;
    const env: Record<string, string> = { PATH: process.env.PATH!, HOME: this.home, LANG: 'C.UTF-8', TERM: 'xterm-256color', ...more };
    const integration = isIntegrated ? integrate({ argv, env, folder, log, nonce: NONCE })! : { argv, env };
    const terminal = await TestTerminal.open({
      argv: integration.argv as [string, ...string[]],
      env: integration.env,
      cwd: this.home,
      cols: 100,
      rows: 200,
    });
    const shell = new Shell(terminal, argv[0], log);
    this.#shells.push(shell);
    return shell;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { terminal } of this.#shells) await terminal[Symbol.asyncDispose]();
    const left = this.#processes();
    for (const pid of left) process.kill(pid, 'SIGKILL');
    rmSync(this.root, { recursive: true, force: true });
    if (left.length > 0) throw new Error(`processes were left behind: ${left.join(' ')}`);
  }

  #processes(): number[] {
    return readdirSync('/proc').flatMap((name) => {
      try {
        const isOurs = /^\d+$/.test(name) && readFileSync(`/proc/${name}/environ`, 'latin1').includes(`HOME=${this.home}`);
        return isOurs && isAlive(Number(name)) ? [Number(name)] : [];
      } catch {
        return [];
      }
    });
  }
}

export interface StartOptions {
  isIntegrated?: boolean;
  env?: Record<string, string>;
  folder?: string;
  log?: string;
}

export class Shell {
  readonly terminal: TestTerminal;
  readonly #kind: string;
  readonly #log: string;

  constructor(terminal: TestTerminal, kind: string, log: string) {
    this.terminal = terminal;
    this.#kind = kind;
    this.#log = log;
  }

  /** The number of the prompt at which the shell reads a line, or 0. zsh and fish show it before they do, and could lose what comes meanwhile. */
  get prompt(): number {
    if (this.#kind !== 'bash' && !this.terminal.screen.keyModes.bracketedPaste) return 0;
    return Number(/(?:^|\n)(\d+)>$/.exec(this.terminal.text)?.[1] ?? 0);
  }

  /** Waits for the first prompt, or for another one than `before`. */
  async prompts(before = 0): Promise<void> {
    await this.terminal.shows(() => this.prompt > before);
  }

  /** Types a line, and waits for the prompt after it, or for that many prompts. */
  async enter(line: string, prompts = 1): Promise<void> {
    const before = this.prompt;
    this.terminal.type(`${line}\r`);
    await this.prompts(before + prompts - 1);
  }

  /** Starts a program that could only have read its line in the foreground, where keys reach it as signals. */
  async startsReading(): Promise<void> {
    this.terminal.type(`${READING}\r`);
    await this.terminal.shows(/\nready$/);
    this.terminal.type('go\r');
    await this.terminal.shows(/\nwent$/);
  }

  /** The lines of the log without their nonce, which each must have. A TIME is `time` here, a PID `pid`. Marks come after the line they belong to, so what shows on the screen is in here. */
  get events(): string[][] {
    const lines = readFileSync(this.#log, 'utf8').split('\n');
    if (lines.pop() !== '') throw new Error('the last line has no end');
    return lines.map((line) => {
      const [kind, nonce, ...fields] = line.split('\t');
      if (nonce !== NONCE || !/^(ready|start|end)$/.test(kind!)) throw new Error(`a line that is none of ours: "${line}"`);
      const named = fields.map((field) => (/^\d{10}\.\d{6}$/.test(field) ? 'time' : field === `${this.terminal.pid}` ? 'pid' : field));
      return [kind!, ...named];
    });
  }

  /** Command and status of each command that has ended. */
  get ended(): [command: string, status: string][] {
    const events = this.events;
    return events.flatMap((event) => {
      if (event[0] !== 'end') return [];
      const start = events.find(([kind, number]) => kind === 'start' && number === event[1]);
      return [[start?.[4] ?? 'no start', event[3]!]];
    });
  }

  /** The marks on the screen, without their nonce. */
  get marks(): string[] {
    const found = this.terminal.written.toString('latin1').matchAll(/\x1b\]633;([^\x07]*);([^;\x07]*)\x07/g);
    return [...found].map(([, mark, nonce]) => (nonce === NONCE ? mark! : `${mark} of ${nonce}`));
  }
}
