import { basename } from 'node:path';
import type { SpawnError } from '../terminal/pty.ts';

/** The program of a session that was given none. */
export function shell(settings: { 'shell.command': string | null }, env: Readonly<Record<string, string>>): [string] {
  return [settings['shell.command'] ?? (env.SHELL || '/bin/sh')];
}

/** A login shell is told so by a "-" before its name (login(1)); the holder takes argv as it is, so the shell's own option is used. */
export function loginName(argv: [string, ...string[]], isLogin: boolean): [string, ...string[]] {
  const isKnown = /^(ba|z|fi|k|mk|t?c|da)?sh$/.test(basename(argv[0]));
  return isLogin && isKnown ? [argv[0], '-l', ...argv.slice(1)] : argv;
}

/** tmux takes a line of shell as one argument; here that is a program of that name. */
export function shellHint(argv: readonly string[], { reason }: SpawnError): string {
  return argv.length === 1 && reason === 'no-such-command' && /\s/.test(argv[0]!)
    ? `. For a line of shell, write: -- sh -c ${JSON.stringify(argv[0])}`
    : '';
}

/** A name as it has to be typed in a shell. */
export function quote(name: string): string {
  return /^[\w.+@-]+$/.test(name) ? name : JSON.stringify(name);
}
