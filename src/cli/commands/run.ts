import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { shellWord } from '../../base/shell-word.ts';
import type { Connection } from '../../client/connection.ts';
import { DaemonError } from '../../client/daemon.ts';
import type { CallResult } from '../../wire/calls.ts';
import { WireError } from '../../wire/errors.ts';
import { type Asking, acrossDaemons } from '../across-daemons.ts';
import { EXIT } from '../exit-codes.ts';
import { plain, printJson, say, UsageError } from '../output.ts';
import { timeoutMs, wholeNumber, withTarget } from '../session.ts';

interface Options {
  target?: string;
  timeout?: number;
  maxTokens?: number;
  maxBytes?: number;
  queue?: boolean;
  interrupt?: boolean;
  fresh?: boolean;
  shell?: boolean;
  json?: boolean;
}

/** About what a token is of output like this. */
const BYTES_PER_TOKEN = 4;

export function define(command: Command, argv: string[]): void {
  withTarget(command)
    .usage('[NAME] [options] -- COMMAND ARG...')
    .argument('[name]', 'the session whose shell is to run it; without one it gets a session to itself, with no shell')
    .option('--timeout <seconds>', 'answer after so long, whatever it does', timeoutMs({ maxSeconds: 604_800 }))
    .option('--interrupt', 'at the timeout, interrupt it (Ctrl-C)')
    .option('--queue', 'wait for what runs in the shell, instead of being refused')
    .option('--fresh', 'no session, no shell: as without NAME')
    .option('--shell', 'COMMAND is a line of shell: its words are joined by blanks, and nothing is quoted')
    .option('--max-bytes <n>', 'print at most so much, from both ends (default 65536)', wholeNumber('The limit', { min: 0, max: 8 << 20 }))
    .option('--max-tokens <n>', 'the same in tokens, of about four bytes', wholeNumber('The limit', { min: 0, max: 2 << 20 }))
    .option('--json', 'print the result as one JSON object')
    .addHelpText(
      'after',
      `
In a session the command runs in its live shell: what it changes (cd, export, functions) stays. One argument is a line of shell, several are
a program and its arguments; "-" reads a script from standard input.

Exits with the command's own code; ${EXIT.timedOut}: the time was over; ${EXIT.notFinished}: it did not begin, it waits for a person, or
it was typed into a shell inside another program (ssh, say), where nobody tells how it ends.`,
    )
    .action((name: string | undefined, options: Options) => run(name, options, argv));
}

async function run(operand: string | undefined, options: Options, argv: string[]): Promise<void> {
  if (argv.length === 0) throw new UsageError('Run what? Give it after "--", as in: ai-session run NAME -- npm test');
  const session = options.target ?? operand;
  if (options.fresh && session !== undefined)
    throw new UsageError(`--fresh starts the program by itself: leave out the session "${plain(session)}".`);
  if (options.maxBytes !== undefined && options.maxTokens !== undefined)
    throw new UsageError('--max-bytes and --max-tokens: give one of them.');
  const maxBytes = options.maxBytes ?? (options.maxTokens === undefined ? undefined : options.maxTokens * BYTES_PER_TOKEN);
  const how = {
    ...(options.timeout !== undefined && { timeoutMs: options.timeout }),
    ...(maxBytes !== undefined && { maxBytes }),
    interrupt: options.interrupt ?? false,
  };
  // Not a secret: others of this user could ask for the result by the session's name as well. node:crypto takes 2 ms to load.
  const token = [1, 2]
    .map(() =>
      Math.floor(Math.random() * 2 ** 32)
        .toString(16)
        .padStart(8, '0'),
    )
    .join('');
  const result = await acrossDaemons({
    ask: session === undefined ? executed({ argv, token, how, options }) : ran({ session, argv, token, how, options }),
    notice: options.json ? null : '[lost the daemon; what was run goes on, and the next daemon is asked for the result]',
    stopped: () =>
      session === undefined
        ? 'The daemon was stopped before the program had ended, and the program runs on. See it with: ai-session ls'
        : `The daemon was stopped before the command had ended, and the command runs on. See it with: ai-session history '${plain(session)}'`,
  });
  if (options.json) printJson(result);
  else tell(result);
  process.exitCode = exitCodeOf(result);
}

interface Run {
  argv: string[];
  token: string;
  how: { timeoutMs?: number; maxBytes?: number; interrupt: boolean };
  options: Options;
}

type Ask = Asking<CallResult<'command.run'>>['ask'];

function ran({ session, argv, token, how, options }: Run & { session: string }): Ask {
  const text = textOf(argv, options);
  return once(session, (daemon, { waitedMs, id, resume }) =>
    daemon.call('command.run', { session: id ?? session, text, queue: options.queue ?? false, token, resume, ...left(how, waitedMs) }),
  );
}

function executed({ argv, token, how, options }: Run): Ask {
  const command = options.shell ? [process.env.SHELL || '/bin/sh', '-c', argv.join(' ')] : argv;
  const env = process.env as Record<string, string>;
  return once(undefined, (daemon, { waitedMs, resume }) =>
    daemon.call('command.exec', { command, cwd: process.cwd(), env, token, resume, ...left(how, waitedMs) }),
  );
}

/**
 * Has it run once, however many daemons are asked. It is sent only to a daemon that has said whether it knows tokens; one that does not, and
 * comes after or before a lost one, might run it a second time.
 */
function once(
  session: string | undefined,
  send: (daemon: Connection, how: { waitedMs: number; id: string | null; resume: boolean }) => ReturnType<Ask>,
): Ask {
  let first: { isKnown: boolean; id: string | null } | null = null;
  return async (daemon, waitedMs) => {
    const resume = first !== null;
    const known = await daemon.call('command.resumes', { ...(session !== undefined && { session: first?.id ?? session }) }).catch(unknown);
    if (first && !(first.isKnown && known)) throw new DaemonError('strange', OTHER_VERSION);
    first ??= { isKnown: known !== null, id: known?.session ?? null };
    try {
      return await send(daemon, { waitedMs, id: first.id, resume });
    } catch (error) {
      if (!resume || session === undefined || !(error instanceof WireError && error.code === 'not-found')) throw error;
      throw new WireError('not-found', `The daemon was lost, and now there is no session "${session}" any more. See: ai-session ls --all`);
    }
  };
}

const OTHER_VERSION =
  'The daemon was replaced by one of another version, which cannot say what became of the command. See it with: ai-session history NAME';

/** A daemon from before tokens. */
function unknown(error: unknown): null {
  if (error instanceof WireError && error.code === 'unknown-call') return null;
  throw error;
}

function left(how: Run['how'], waitedMs: number): Run['how'] {
  return how.timeoutMs === undefined ? how : { ...how, timeoutMs: Math.max(0, how.timeoutMs - waitedMs) };
}

function textOf(argv: readonly string[], { shell }: Options): string {
  if (argv.length === 1 && argv[0] === '-') return readFileSync(0, 'utf8');
  return shell || argv.length === 1 ? argv.join(' ') : argv.map(shellWord).join(' ');
}

function tell(result: CallResult<'command.run'>): void {
  process.stdout.write(result.output);
  for (const warning of result.warnings) say(plain(warning));
  if (result.because) say(`[${plain(result.because)}]`);
  const { truncated, session, command } = result;
  if (truncated)
    say(
      `[${truncated.bytes} bytes were left out. All of it: ai-session ${command === null ? `logs '${session.id}'` : `show '${session.id}' ${command} --max-bytes 8388608`}]`,
    );
}

function exitCodeOf({ status, exitCode }: CallResult<'command.run'>): number {
  if (status === 'timed_out') return EXIT.timedOut;
  if (status === 'finished' || status === 'shell_exited') return exitCode ?? EXIT.notFinished;
  return EXIT.notFinished;
}
