import type { Command } from 'commander';
import { print, printJson, UsageError } from '../output.ts';
import { takeTarget, withDaemon, withTarget } from '../session.ts';

interface Options {
  target?: string;
  json?: boolean;
}

export function define(command: Command): void {
  withTarget(command)
    .argument('[name]', 'the session')
    .argument('[label]', 'what to call it')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nScreen, environment, folder and the commit that is checked out. Come back with: ai-session restore --from ID')
    .action(run);
}

async function run(first: string | undefined, second: string | undefined, { target, json }: Options): Promise<void> {
  const operands = [first, second].filter((operand) => operand !== undefined);
  const { session, rest } = takeTarget(operands, target === undefined ? {} : { target });
  if (rest.length > 1) throw new UsageError(`"${rest[1]}" is one word too many. Put a label of several words in quotes.`);
  const [label] = rest;
  const snapshot = await withDaemon((daemon) => daemon.call('snapshot.create', { session, ...(label !== undefined && { label }) }));
  if (json) printJson(snapshot);
  else print(snapshot.id);
}
