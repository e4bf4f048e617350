import type { Command } from 'commander';
import { plain, print, printJson, say, UsageError } from '../output.ts';
import { megabytes, wholeNumber, withDaemon, withTarget } from '../session.ts';

interface Options {
  target?: string;
  all?: boolean;
  keepDays?: number;
  dryRun?: boolean;
  json?: boolean;
}

export function define(command: Command): void {
  withTarget(command)
    .argument('[name]', 'only this archived session')
    .option(
      '--keep-days <n>',
      'what was archived so long ago goes (default: history.keep_days)',
      wholeNumber('The number of days', { min: 0, max: 36_500 }),
    )
    .option('--all', 'everything that is archived')
    .option('--dry-run', 'say what would go, and keep it')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nSessions that are in the list are never touched: end them first, with: ai-session kill')
    .action(run);
}

async function run(operand: string | undefined, { target, all, keepDays, dryRun, json }: Options): Promise<void> {
  const session = target ?? operand;
  if (session !== undefined && (all || keepDays !== undefined))
    throw new UsageError(`"${session}" and --all or --keep-days: give one of them.`);
  const result = await withDaemon((daemon) =>
    daemon.call('history.collect', {
      ...(session !== undefined && { session }),
      ...(keepDays !== undefined && { keepDays }),
      all: all ?? false,
      isDryRun: dryRun ?? false,
    }),
  );
  if (json) return printJson(result);
  for (const { id, name, bytes } of result.collected) print(`${id}  ${plain(name)}  ${megabytes(bytes)}`);
  const count = result.collected.length;
  say(`${count === 1 ? 'One session' : `${count} sessions`} ${dryRun ? 'would be' : 'were'} forgotten, ${megabytes(result.bytes)}.`);
}
