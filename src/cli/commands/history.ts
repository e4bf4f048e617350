import type { Command } from 'commander';
import type { CallResult } from '../../wire/calls.ts';
import { ago, plain, print, printJson, style } from '../output.ts';
import { takeTarget, wholeNumber, withDaemon, withTarget } from '../session.ts';

interface Options {
  target?: string;
  last?: number;
  json?: boolean;
}

type Info = CallResult<'command.list'>['commands'][number];

export function define(command: Command): void {
  withTarget(command)
    .argument('[name]', 'the session, running or gone')
    .option('-n, --last <n>', 'so many of the last (default 50)', wholeNumber('The number of commands', { min: 1, max: 100_000 }))
    .option('--json', 'print them as JSON')
    .addHelpText('after', '\nWhat one of them printed: ai-session show NAME [N]')
    .action(async (operand: string | undefined, options: Options) => {
      const { session } = takeTarget(operand === undefined ? [] : [operand], options);
      const { last } = options;
      const answer = await withDaemon((daemon) => daemon.call('command.list', { session, ...(last !== undefined && { last }) }));
      if (options.json) printJson(answer);
      else for (const each of answer.commands) print(row(each));
    });
}

function row({ n, text, startedAt, endedAt, exitCode, because }: Info): string {
  const took = endedAt === null ? 'runs' : spent(endedAt - startedAt);
  const code = endedAt === null ? '' : exitCode === null ? '?' : String(exitCode);
  const [line = '', ...more] = (text ?? '(not known)').trimEnd().split('\n');
  const what = `${plain(line)}${more.length > 0 ? style('dim', ` (+${more.length} lines)`) : ''}`;
  const shown = code === '0' || code === '' ? code.padStart(3) : style('red', code.padStart(3));
  const why = because ? style('dim', `  [${plain(because)}]`) : '';
  return `${String(n).padStart(4)}  ${shown}  ${took.padStart(7)}  ${`${ago(Date.now() - startedAt)} ago`.padStart(8)}  ${what}${why}`;
}

function spent(ms: number): string {
  return ms < 1000 ? `${ms}ms` : ms < 60_000 ? `${(ms / 1000).toFixed(1)}s` : ago(ms);
}
