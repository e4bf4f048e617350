import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { plain, print, printJson, say, UsageError } from '../output.ts';
import { takeTarget, timeoutMs, withDaemon, withTarget } from '../session.ts';

interface Options {
  target?: string;
  timeout?: number;
  json?: boolean;
}

export function define(command: Command): void {
  withTarget(command)
    .usage('NAME TEXT [options]')
    .argument('[name]', 'the session')
    .argument('[text]', 'a prompt, of any number of lines; "-" reads it from standard input')
    .option('--timeout <seconds>', 'how long to wait for an effect of Enter (default 5)', timeoutMs({ maxSeconds: 3600 }))
    .option('--json', 'print the outcome as JSON')
    .addHelpText(
      'after',
      `
The text is pasted as one thing where the program takes pastes; Enter is pressed when it has arrived, and once more if nothing came of it.

Exits with 0 when the text has left the prompt after Enter, or the screen changed where no text was to be seen, and with 1 when not ("stalled"):
then the screen is printed.`,
    )
    .action(run);
}

async function run(name: string | undefined, text: string | undefined, options: Options): Promise<void> {
  const operands = [name, text].filter((operand) => operand !== undefined);
  const { session, rest } = takeTarget(operands, options);
  const [given] = rest;
  if (given === undefined) throw new UsageError('Submit what? Give the text, as in: ai-session submit NAME "explain this repository"');
  const written = given === '-' ? readFileSync(0, 'utf8') : given;
  if (written.trim() === '') throw new UsageError('The text is empty. To press Enter alone: ai-session send NAME Enter');
  const { timeout } = options;
  const result = await withDaemon((daemon) =>
    daemon.call('pane.submit', { session, text: written, ...(timeout !== undefined && { timeoutMs: timeout }) }),
  );
  if (options.json) printJson(result);
  else if (result.screen) {
    for (const row of result.screen) print(row);
    say(`[stalled: ${plain(result.evidence)}]`);
  }
  if (result.outcome === 'stalled') process.exitCode = EXIT.failure;
}
