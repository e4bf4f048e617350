import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * Whether a program has a shell in it that takes lines, and tells nobody how they end. `edited`: it edits lines by itself, so it takes one only
 * while the kernel does not; a terminal that is back in the kernel's hands belongs to something else, as ssh's question for a password.
 */
export type Host = 'edited' | 'any';

/**
 * By its command line. The list is short on purpose: what is typed into a program that does something else with it does harm. A program that was
 * told what to run (`ssh host make`) hosts nothing but that.
 */
export function hostOf(argv: readonly string[], depth = 0): Host | null {
  const [program = '', ...words] = argv;
  const name = basename(program).replace(/^-/, '');
  if (program === '' || depth > DEEPEST) return null;
  const inner = (rest: readonly string[]) => hostOf(rest, depth + 1);
  // A script is known by its own name.
  if (INTERPRETERS.test(name) && words[0] !== undefined && !words[0].startsWith('-')) return inner(words);
  if (SHELLS.test(name)) {
    const isTold = words.some((word) => /^-[a-z]*c$/.test(word)) || operands(words, TAKES.shell).length > 0;
    return isTold ? null : /^(?:ba|z|fi)sh$/.test(name) && !words.includes('--noediting') ? 'edited' : 'any';
  }
  if (/^(?:i?python[\d.]*|node)$/.test(name)) return words.every((word) => /^-/.test(word) && !TOLD.test(word)) ? 'any' : null;
  switch (name) {
    case 'ssh': {
      const [, ...command] = operands(words, TAKES.ssh);
      return command.length === 0 || inner(command.join(' ').split(' ')) ? 'edited' : null;
    }
    // It draws on the alternate screen, where prompts cannot be told from other programs, unless it was told not to.
    case 'mosh':
    case 'mosh-client':
      return 'edited';
    case 'docker':
    case 'podman':
    case 'kubectl': {
      const at = words.findIndex((word) => word === 'exec' || word === 'run');
      const rest = words.slice(at + 1);
      const hasTerminal = at >= 0 && rest.some((word) => /^(?:-[a-z]*t[a-z]*|--tty)$/.test(word));
      // What an image runs by itself is not known from here.
      return hasTerminal && (words[at] === 'run' || rest.some((word) => inner([word]) !== null)) ? 'edited' : null;
    }
    case 'su':
      return words.some((word) => /^(?:-[a-z]*c|--command(?:=.*)?|--session-command(?:=.*)?)$/.test(word)) ? null : 'edited';
    case 'sudo':
    case 'doas': {
      const command = operands(words, TAKES.sudo);
      const isShell = words.some((word) => /^(?:-[a-zA-Z]*[is]|--login|--shell)$/.test(word));
      return (command.length === 0 ? isShell : inner(command)) ? 'edited' : null;
    }
    default:
      return null;
  }
}

/** The command line of a process; nothing where there is no /proc, and of one that has ended. */
export function commandLineOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}

/** `sudo su - someone` and the like. */
const DEEPEST = 3;
const SHELLS = /^(?:ba|z|fi|da|a|k|)sh$/;
const INTERPRETERS = /^(?:(?:ba|z|da|a|k|)sh|python[\d.]*|perl|ruby|node)$/;
/** Options by which a program is told what to run. */
const TOLD = /^(?:-[a-zA-Z]*[cmep]|--eval|--print)$/;
/** Options that take the next word. */
const TAKES = {
  shell: /^(?:[-+][oO]|--rcfile|--init-file|-C|--init-command)$/,
  ssh: /^-[A-Za-z]*[BbcDEeFIiJLlmOopQRSWw]$/,
  sudo: /^(?:-[a-zA-Z]*[CDghpRrtTuU]|--(?:user|group|host|prompt|chdir|chroot))$/,
};

/** From the first word that is no option on, as these programs read them. */
function operands(words: readonly string[], takes: RegExp): readonly string[] {
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === '--') return words.slice(i + 1);
    if (takes.test(word)) i++;
    else if (!/^[-+]./.test(word)) return words.slice(i);
  }
  return [];
}
