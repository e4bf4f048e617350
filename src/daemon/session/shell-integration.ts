import { basename, join } from 'node:path';

/**
 * Starts an interactive bash, zsh or fish so that it tells where each command begins and ends; null for anything else, which is left as it is.
 * The shell reads one of the files in `shell/` with the user's own, and tells in two ways.
 *
 * In the log, which is there before (nobody makes it anew when it is gone), a line for each event, its fields separated by tabs:
 *
 *     ready NONCE TIME PID CWD              the first prompt is about to be shown
 *     start NONCE N TIME CWD COMMAND        a line begins to execute; N counts from 1
 *     end   NONCE N TIME STATUS CWD         it has ended, and so have the commands that the user runs before a prompt (bash)
 *
 * TIME is seconds since 1970 with six decimals, or nothing (fish, bash before 5). CWD is $PWD. COMMAND is what was typed, at most 8192
 * characters of it, or nothing where bash's history does not have it. In both, a backslash is `\\`, and tab, newline, CR and other control bytes
 * are `\t`, `\n`, `\r` and `\x1b`; the rest is bytes as they are. A line is read when its newline is there: fish writes 512 bytes at a time.
 * An `end` can be missing (`exit`, `exec`, a hook that was taken away), and so can a `start` (Ctrl-C while it was written).
 *
 * On the screen, in the stream: `ESC ] 633 ; C ; NONCE BEL` behind the line for `start`, `D ; STATUS ; NONCE` behind `end`, and
 * `A ; NONCE` where the prompt is about to be shown. Where the prompt ends (B) only PS1 could tell, and that is the user's.
 */
export function integrate({ argv, env, folder, log, nonce }: IntegrationSpec): Integration | null {
  const [program = '', ...rest] = argv;
  const told: Record<string, string> = { ...env, AI_SESSION_SHELL_LOG: log, AI_SESSION_SHELL_NONCE: nonce };
  switch (basename(program)) {
    case 'bash': {
      const options = optionsOf(rest, { letters: 'il', words: ['--login', '--noediting', '--noprofile'] });
      // In POSIX mode it reads no file that could be named.
      const isPosix = env.POSIXLY_CORRECT !== undefined || (env.SHELLOPTS ?? '').split(':').includes('posix');
      if (!options || isPosix) return null;
      // A login shell takes no --init-file. So it is none, and our file reads what one would.
      const isLogin = options.includes('-l') || options.includes('--login');
      told.AI_SESSION_SHELL_STARTUP = !isLogin ? 'interactive' : options.includes('--noprofile') ? 'nothing' : 'login';
      const others = options.filter((option) => option === '-i' || option === '--noediting');
      return { kind: 'bash', argv: [program, '--init-file', join(folder, 'bash.sh'), ...others], env: told };
    }
    case 'zsh': {
      if (!optionsOf(rest, { letters: 'il', words: ['--interactive', '--login'] })) return null;
      if (env.ZDOTDIR === undefined) delete told.AI_SESSION_SHELL_ZDOTDIR;
      else told.AI_SESSION_SHELL_ZDOTDIR = env.ZDOTDIR;
      return { kind: 'zsh', argv: [...argv], env: { ...told, ZDOTDIR: join(folder, 'zsh') } };
    }
    case 'fish': {
      if (!optionsOf(rest, { letters: 'ilP', words: ['--interactive', '--login', '--private'] })) return null;
      const quoted = join(folder, 'fish.fish').replace(/[\\']/g, '\\$&');
      return { kind: 'fish', argv: [...argv, '--init-command', `source '${quoted}'`], env: told };
    }
    default:
      return null;
  }
}

export interface IntegrationSpec {
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  /** The folder `shell/`. */
  folder: string;
  /** A file that is there, in a folder of ours. */
  log: string;
  /** Of letters and digits. It is what output that only looks like a mark does not have; programs of the same user could find it. */
  nonce: string;
}

export interface Integration {
  kind: 'bash' | 'zsh' | 'fish';
  argv: string[];
  env: Record<string, string>;
}

/** Options one by one (`-il` is `-i` and `-l`); null when there is anything besides those that start the shell as people do by hand. */
function optionsOf(args: readonly string[], known: { letters: string; words: readonly string[] }): string[] | null {
  const options = args.flatMap((arg) => (/^-[a-zA-Z]+$/.test(arg) ? [...arg.slice(1)].map((letter) => `-${letter}`) : [arg]));
  const isKnown = (option: string) => known.words.includes(option) || (option.length === 2 && known.letters.includes(option[1]!));
  return options.every(isKnown) ? options : null;
}
