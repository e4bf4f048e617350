import type { Command } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { plain, print, printJson, say, UsageError } from '../output.ts';
import { withDaemon, withTarget } from '../session.ts';

interface Options {
  target?: string;
  all?: boolean;
  directory?: string;
  from?: string;
  json?: boolean;
}

export function define(command: Command): void {
  withTarget(command)
    .argument('[name]', 'a session that has ended or was lost')
    .option('--all', 'every session whose program was lost with the machine')
    .option('--from <snapshot>', 'a session of its own from a snapshot, by id or label; NAME is what it is called')
    .option('-c, --directory <dir>', 'start it in this folder instead of its own')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nThe same command, folder, environment and screen; coding agents go on with their own conversation.')
    .action(run);
}

async function run(operand: string | undefined, { target, all, directory, from, json }: Options): Promise<void> {
  const session = target ?? operand;
  if (all && session !== undefined) throw new UsageError(`"${session}" and --all: give one of them.`);
  if (all && from !== undefined) throw new UsageError(`--from "${from}" and --all: give one of them.`);
  if (!all && from === undefined && session === undefined)
    throw new UsageError('Which session? Name it, or restore all that were lost with: --all');
  const result = await withDaemon((daemon) =>
    daemon.call('session.restore', {
      ...(from !== undefined && { from }),
      ...(session !== undefined && (from === undefined ? { session } : { name: session })),
      all: all ?? false,
      ...(directory !== undefined && { cwd: directory }),
    }),
  );
  if (json) printJson(result);
  else {
    for (const {
      session: { name, id },
      notes,
    } of result.restored)
      print(`${plain(name)} (${id}): ${notes.map(plain).join('; ')}`);
    for (const { name, because } of result.refused) say(`${plain(name)}: ${plain(because)}`);
    if (result.restored.length + result.refused.length === 0) say('No session was lost.');
  }
  if (result.refused.length > 0) process.exitCode = EXIT.failure;
}
