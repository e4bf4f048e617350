import type { Command } from 'commander';
import { printJson, UsageError } from '../output.ts';
import { takeTarget, withDaemon, withTarget } from '../session.ts';

export function define(command: Command): void {
  withTarget(command)
    .usage('NAME NEW-NAME')
    .argument('[names...]', 'the session and its new name')
    .option('--json', 'print the session as JSON')
    .action(async (names: string[], options: { target?: string; json?: boolean }) => {
      const { session, rest } = takeTarget(names, options);
      const [name, ...more] = rest;
      if (name === undefined || more.length > 0) throw new UsageError('Rename it to what? As in: ai-session rename OLD NEW');
      const renamed = await withDaemon((daemon) => daemon.call('session.rename', { session, name }));
      if (options.json) printJson(renamed);
    });
}
