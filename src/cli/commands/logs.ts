import type { Command } from 'commander';
import { moment, readHistory } from '../history.ts';
import { UsageError } from '../output.ts';
import { takeTarget, wholeNumber, withDaemon, withTarget } from '../session.ts';

interface Options {
  target?: string;
  follow?: boolean;
  since?: number;
  lines?: number;
  raw?: boolean;
  text?: boolean;
  ansi?: boolean;
  json?: boolean;
}

const FORMATS = ['raw', 'text', 'ansi', 'json'] as const;

export function define(command: Command): void {
  withTarget(command)
    .argument('[name]', 'the session, running or long gone')
    .option('-f, --follow', 'go on as it is written, until the program ends')
    .option('--since <time>', 'from then on: 10m, 2h, 14:30, yesterday, 2026-11-21T14:00', moment)
    .option('-n, --lines <n>', 'only the last lines', wholeNumber('The number of lines', { min: 0, max: 1_000_000 }))
    .option('--text', 'lines of text, as a person would have read them')
    .option('--ansi', 'the same with colours and links (the default on a terminal)')
    .option('--raw', 'the bytes as the program wrote them')
    .option('--json', 'one JSON object a line, with time and offset')
    .addHelpText('after', '\nA name means the session that has it now, or else the last one that had it; ids ($3) are never used again.')
    .action(run);
}

async function run(operand: string | undefined, options: Options): Promise<void> {
  const { session } = takeTarget(operand === undefined ? [] : [operand], options);
  const asked = FORMATS.filter((format) => options[format]);
  if (asked.length > 1) throw new UsageError(`--${asked[0]} and --${asked[1]}: give one of them.`);
  const isTerminal = process.stdout.isTTY && !process.env.NO_COLOR;
  const { follow = false, since, lines } = options;
  await withDaemon((daemon) =>
    readHistory(
      daemon,
      {
        session,
        format: asked[0] ?? (isTerminal ? 'ansi' : 'text'),
        follow,
        ...(since !== undefined && { since }),
        ...(lines !== undefined && { lines }),
      },
      (bytes) => process.stdout.write(bytes),
    ),
  );
}
