import type { AgentRules, Rules } from './rules.ts';

export interface FoundAgent {
  rules: AgentRules;
  /** By which word of which command line. */
  because: string;
}

/**
 * The agent among the programs in the foreground of a pane, by their command lines; the first that is known. An argument is not enough:
 * `vim claude.ts` is no agent. Node, npx, Python and shells are looked through to what they run.
 */
export function agentOf(argvs: readonly (readonly string[])[], rules: Rules): FoundAgent | null {
  for (const argv of argvs) {
    const names = namesOf(argv);
    for (const agent of rules.agents) {
      const name = names.find((one) => agent.programs.includes(one));
      if (name !== undefined) return { rules: agent, because: `"${name}" runs in the foreground` };
    }
  }
  return null;
}

/** Programs that run another one, and their options that take a word. */
const LAUNCHERS: Readonly<Record<string, readonly string[]>> = {
  node: ['-r', '--require', '--import', '--loader', '-C', '--conditions', '--title'],
  bun: [],
  bunx: [],
  deno: [],
  tsx: [],
  npx: ['-p', '--package', '-w', '--workspace', '--prefix'],
  npm: ['-p', '--package', '-w', '--workspace', '--prefix'],
  pnpm: ['-C', '--dir', '--package'],
  yarn: ['-p', '--package'],
  uvx: ['--from', '--with', '--python', '-p'],
  uv: ['--from', '--with', '--python', '-p', '--directory'],
  pipx: ['--spec', '--python'],
  python: ['-W', '-X'],
  env: ['-u', '--unset', '-C', '--chdir'],
  sudo: ['-u', '--user', '-g', '--group', '-h', '--host'],
  nice: ['-n'],
  nohup: [],
  time: [],
  command: [],
  exec: ['-a'],
  ionice: ['-c', '-n'],
  stdbuf: ['-i', '-o', '-e'],
  caffeinate: [],
};
/** Words by which a package manager is told to run something. */
const RUN_WORDS = ['run', 'exec', 'x', 'dlx', 'tool', '--'];
const SHELLS = ['sh', 'bash', 'zsh', 'fish', 'dash', 'ksh', 'ash'];
/** A launcher that launches a launcher … does so a few times. */
const DEEPEST = 5;

/** All names under which a command line can be known, most specific last. */
function namesOf(argv: readonly string[], depth = 0): string[] {
  const [program, ...words] = argv;
  if (!program || depth > DEEPEST) return [];
  const name = baseName(program);
  const names = [...packagesIn(program), name];
  if (SHELLS.includes(name)) {
    const option = words.findIndex((word) => /^-[a-z]*c$/.test(word));
    const script = words.slice(0, 1).filter((word) => !word.startsWith('-'));
    return [...names, ...namesOf(option < 0 ? script : firstCommand(words[option + 1] ?? ''), depth + 1)];
  }
  const launcher = name.replace(/^(?:python|pypy)[\d.]*$/, 'python');
  if (!Object.hasOwn(LAUNCHERS, launcher)) return names;
  const rest = launched(words, LAUNCHERS[launcher]!);
  return [...names, ...namesOf(rest, depth + 1)];
}

/** The words from the program on that a launcher runs. */
function launched(words: readonly string[], withValue: readonly string[]): readonly string[] {
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    // Code in an argument is no program's name.
    if (['-e', '--eval', '-p', '--print', '-c'].includes(word) && !withValue.includes(word)) return [];
    if (withValue.includes(word)) i++;
    else if (!word.startsWith('-') && !RUN_WORDS.includes(word) && !/^[A-Za-z_]\w*=/.test(word)) return words.slice(i);
  }
  return [];
}

/** The words of the first command in a line for a shell, without what is assigned before it. Quotes around words are dropped. */
function firstCommand(line: string): string[] {
  const words = line.trim().split(/[\s;&|]+/);
  const first = words.findIndex((word) => !/^[A-Za-z_]\w*=/.test(word));
  return first < 0 ? [] : words.slice(first).map((word) => word.replace(/^["']|["']$/g, ''));
}

function baseName(path: string): string {
  const name = path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1).replace(/^-/, '');
  return name.replace(/\.(?:exe|cmd|[cm]?js|ts|py)$/i, '');
}

/** `@openai/codex@latest` is a package, and so is what lies in `node_modules/@openai/codex/`. */
function packagesIn(word: string): string[] {
  const path = word.replaceAll('\\', '/');
  const installed = [...path.matchAll(/node_modules\/((?:@[^/]+\/)?[^/@.][^/]*)\//g)].map(([, name]) => name!);
  const asked = /^((?:@[\w.-]+\/)?[\w.-]+)@[\w.^~*-]+$|^(@[\w.-]+\/[\w.-]+)$/.exec(path);
  const name = asked?.[1] ?? asked?.[2];
  return name ? [...installed, name] : installed;
}
