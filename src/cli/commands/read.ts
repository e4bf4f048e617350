import type { Command } from 'commander';
import { printJson, say } from '../output.ts';
import { takeTarget, wholeNumber, withDaemon, withTarget } from '../session.ts';

interface Options {
  target?: string;
  since?: string;
  lines?: number;
  maxBytes?: number;
  json?: boolean;
}

export function define(command: Command): void {
  withTarget(command)
    .argument('[name]', 'the session, running or long gone')
    .option('--since <cursor>', 'from there on; without it the last lines')
    .option(
      '-n, --lines <n>',
      'at most so many lines (200 when there is no cursor)',
      wholeNumber('The number of lines', { min: 1, max: 100_000 }),
    )
    .option('--max-bytes <n>', 'at most so much text (65536)', wholeNumber('The number of bytes', { min: 1, max: 4 << 20 }))
    .option('--json', 'print JSON: lines, cursor, what was left out')
    .addHelpText(
      'after',
      '\nThe lines go to standard output; the cursor to go on from, and what was left out, to standard error.\nA line that is not complete yet is printed without its end: what comes after the cursor continues it.',
    )
    .action(run);
}

async function run(operand: string | undefined, options: Options): Promise<void> {
  const { session } = takeTarget(operand === undefined ? [] : [operand], options);
  const { since, lines, maxBytes } = options;
  const read = await withDaemon((daemon) =>
    daemon.call('pane.read', {
      session,
      ...(since !== undefined && { since }),
      ...(lines !== undefined && { lines }),
      ...(maxBytes !== undefined && { maxBytes }),
    }),
  );
  if (options.json) return printJson(read);
  if (read.lines.length > 0) process.stdout.write(`${read.lines.join('\n')}${read.isOpen && !process.stdout.isTTY ? '' : '\n'}`);
  say(`cursor ${read.cursor}`);
  if (read.note) say(read.note);
}
