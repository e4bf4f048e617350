import type { Command } from 'commander';
import type { CallResult } from '../../wire/calls.ts';
import { ago, plain, print, printJson, style } from '../output.ts';
import { takeTarget, withDaemon, withTarget } from '../session.ts';

interface Options {
  target?: string;
  json?: boolean;
}

type Explanation = CallResult<'pane.explain'>;
type Considered = Explanation['considered'][number];

export function define(command: Command): void {
  withTarget(command)
    .argument('[name]', 'the session')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nIn the list: + it decided, ~ it will when it has held for a while, - it lost, x it is not believed any more, . it says nothing.',
    )
    .action(async (operand: string | undefined, options: Options) => {
      const { session } = takeTarget(operand === undefined ? [] : [operand], options);
      const found = await withDaemon((daemon) => daemon.call('pane.explain', { session }));
      if (options.json) printJson(found);
      else for (const line of linesOf(found)) print(line);
    });
}

function linesOf({ name, status, because, since, recheckAt, agent, considered }: Explanation): string[] {
  const now = Date.now();
  const will = recheckAt === null ? '' : `; looked at again in ${Math.max(0, recheckAt - now)} ms at the latest`;
  return [
    `${style('bold', plain(name))} is ${style('bold', status)} since ${ago(now - since)}: ${plain(because.text)}`,
    style('dim', `  by ${because.source}, rule ${plain(because.rule)}${will}`),
    agent
      ? `  agent: ${plain(agent.name)}, ${plain(agent.because)} (rules: ${plain(agent.file)})`
      : '  agent: none that is known runs in the foreground',
    ...considered.map(lineOf),
  ];
}

const SIGNS: Record<Considered['verdict'], string> = { won: '+', settling: '~', lost: '-', expired: 'x', silent: '.' };

function lineOf({ verdict, source, rule, status, text, ageMs, why }: Considered): string {
  const age = ageMs === null ? '' : `, ${ago(ageMs)} ago`;
  const what = [text && plain(text), plain(why)].filter(Boolean).join(': ');
  const line = `  ${SIGNS[verdict]} ${source.padEnd(12)} ${(status ?? '').padEnd(8)} ${plain(rule)}${age}: ${what}`;
  return verdict === 'silent' ? style('dim', line) : line;
}
