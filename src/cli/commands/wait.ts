import type { Command } from 'commander';
import type { Connection } from '../../client/connection.ts';
import type { CallParams, CallResult } from '../../wire/calls.ts';
import { WireError } from '../../wire/errors.ts';
import { STATUSES } from '../../wire/pane-status.ts';
import { acrossDaemons } from '../across-daemons.ts';
import { EXIT } from '../exit-codes.ts';
import { plain, print, printJson, say, style, UsageError } from '../output.ts';
import { withTarget } from '../session.ts';

interface Options {
  target?: string;
  for: string[];
  timeout?: number;
  after: string[];
  any?: boolean;
  all?: boolean;
  json?: boolean;
}

type Params = CallParams<'pane.wait'>;
type Result = CallResult<'pane.wait'>;

export function define(command: Command): void {
  const collect = (value: string, before: string[]) => [...before, value];
  withTarget(command)
    .usage('NAME... --for CONDITION [options]')
    .argument('[names...]', 'the sessions')
    .option('--for <condition>', 'what to wait for; of several any one will do', collect, [])
    .option('--timeout <s>', 'give up after so many seconds; without it the wait has no end', seconds)
    .option('--after <cursor>', 'begin there, not now: nothing is missed between two calls', collect, [])
    .option('--any', 'in any of the sessions (the default)')
    .option('--all', 'in all of them')
    .option('--json', 'print JSON: outcome, session, condition, matched, cursor')
    .addHelpText('after', HELP)
    .action(run);
}

const HELP = `
Conditions:
  exit         the program has ended
  idle[=MS]    it has printed nothing for so many milliseconds (1000), from now or its last byte on
  text=STR     it prints this, letter case included
  regex=RE     it prints a line that this JavaScript regular expression matches
  prompt       its shell is at the prompt (bash, zsh, fish)
  command      a command has ended in its shell; --json has its exit code in "matched"
  state=S      it does this, now or later: ${STATUSES.slice(0, 6).join(', ')},
               ${STATUSES.slice(6).join(', ')}; see "ai-session explain"
  change       the visible screen is another one; the cursor's place and blinking do not count

Only what is printed from now on counts, or after the cursor that "wait --json", "read" and "screen --json" print. Text is what a person
reads: without colours, one line where the terminal has wrapped it. Each state of a line that CR or a like replaces counts, and what has
been printed of a line that is not complete yet: in a regular expression $ matches at the end of that too.

Exit codes: 0 it is so; 124 the time is over; 3 the program ended first (with --all one of them), or there is no such session.`;

async function run(names: string[], options: Options): Promise<void> {
  const sessions = options.target === undefined ? names : [options.target, ...names];
  if (sessions.length === 0) throw new UsageError('Wait for which session? Name it, or list them with: ai-session ls');
  if (options.for.length === 0)
    throw new UsageError(
      'Wait for what? Use --for exit, idle, text=STR, regex=RE, prompt, command, state=S or change: ai-session help wait',
    );
  if (options.any && options.all) throw new UsageError('--any and --all: give one of them.');
  const { timeout } = options;
  const result = await wait(
    {
      sessions,
      conditions: options.for.map(condition),
      all: options.all ?? false,
      after: options.after,
      ...(timeout !== undefined && { timeoutMs: Math.round(timeout * 1000) }),
    },
    options.json ?? false,
  );
  process.exitCode = { matched: EXIT.ok, timeout: EXIT.timedOut, ended: EXIT.notFound }[result.outcome];
  if (options.json) printJson(result);
  else tell(result);
}

/**
 * The mark is asked for in the same breath as the wait, so both begin at the same byte. With it the wait goes on in the next daemon, which reads
 * what came meanwhile, and what a text that was cut in two began with.
 */
async function wait(params: Params, isQuiet: boolean): Promise<Result> {
  let marks: CallResult<'pane.mark'>['marks'] | null = null;
  const names = () => marks!.map(({ name }) => `"${plain(name)}"`).join(', ');
  const ask = async (daemon: Connection, waitedMs: number): Promise<Result> => {
    if (!marks) {
      const { sessions, after = [], conditions } = params;
      const marked = daemon.call('pane.mark', { sessions, after, picture: conditions.some(({ is }) => is === 'change') });
      marked.then(
        (result) => (marks = result.marks),
        () => {},
      );
      return await daemon.call('pane.wait', params);
    }
    const { timeoutMs } = params;
    const result = await daemon.call('pane.wait', {
      ...params,
      sessions: marks.map(({ session }) => session),
      after: marks.map(({ cursor }) => cursor),
      ...(timeoutMs !== undefined && { timeoutMs: Math.max(0, timeoutMs - waitedMs) }),
      waitedMs,
    });
    return { ...result, elapsedMs: result.elapsedMs + waitedMs };
  };
  try {
    return await acrossDaemons({
      ask,
      notice: isQuiet ? null : '[lost the daemon; the wait goes on with the next one]',
      stopped: ({ message }) => message.replace('is stopping.', 'was stopped; programs run on.'),
    });
  } catch (error) {
    if (marks && error instanceof WireError && error.code === 'not-found')
      throw new WireError('not-found', `The daemon was lost, and now there is no session ${names()} any more. See: ai-session ls --all`);
    throw error;
  }
}

function tell({ outcome, all }: Result): void {
  const name = (one: Result['all'][number]) => style('bold', plain(one.name));
  for (const one of all.filter(({ outcome }) => outcome === 'matched'))
    print([name(one), plain(one.condition!), ...(one.matched ? [plain(one.matched.line)] : [])].join('  '));
  if (outcome === 'timeout') say(`The time is over. Wait on from there with: --after ${all.map(({ cursor }) => cursor).join(' --after ')}`);
  if (outcome !== 'ended') return;
  for (const { name, exitCode } of all.filter(({ outcome }) => outcome === 'ended')) {
    say(`Session "${plain(name)}" has ended${typeof exitCode === 'number' ? ` (exit ${exitCode})` : ''}, and it did not come to that.`);
    say(`See why with: ai-session logs ${plain(name)}`);
  }
}

function condition(text: string): Params['conditions'][number] {
  const [, is, value] = /^([a-z]+)(?:=(.*))?$/s.exec(text) ?? [];
  if ((is === 'exit' || is === 'change' || is === 'prompt' || is === 'command') && value === undefined) return { is };
  if (is === 'idle' && value === undefined) return { is };
  if (is === 'idle' && /^\d{1,9}$/.test(value!) && Number(value) > 0) return { is, ms: Number(value) };
  if (is === 'idle') throw new UsageError(`"${text}": idle takes whole milliseconds, as in idle=500.`);
  if (is === 'text' && value !== undefined) return { is, text: value };
  if (is === 'regex' && value !== undefined) return { is, pattern: value };
  if (is === 'state' && value !== undefined) {
    const status = STATUSES.find((known) => known === value);
    if (!status) throw new UsageError(`"${value}" is no state: use ${STATUSES.join(', ')}.`);
    return { is, status };
  }
  throw new UsageError(`"${text}" cannot be waited for: use exit, idle, idle=MS, text=STR, regex=RE, prompt, command, state=S or change.`);
}

function seconds(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value > 2_000_000)
    throw new UsageError(`"${text}" is no time in seconds: use a number up to 2000000.`);
  return value;
}
