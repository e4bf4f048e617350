import type { Command } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { printJson, say, UsageError } from '../output.ts';
import { takeTarget, withDaemon, withTarget } from '../session.ts';

interface Options {
  target?: string;
  to?: string;
  json?: boolean;
}

export function define(command: Command): void {
  withTarget(command)
    .usage('NAME SIGNAL')
    .argument('[words...]', 'the session and the signal, by name or number')
    .option('--to <whom>', 'foreground (what has the terminal now), group or program', 'foreground')
    .option('--json', 'print JSON')
    .action(async (words: string[], options: Options) => {
      const { session, rest } = takeTarget(words, options);
      const [signal, ...more] = rest;
      if (signal === undefined || more.length > 0) throw new UsageError('Which signal? As in: ai-session signal NAME INT');
      const { to } = options;
      if (to !== 'foreground' && to !== 'group' && to !== 'program')
        throw new UsageError(`"${to}" is nobody: use foreground, group or program.`);
      const sent = await withDaemon((daemon) => daemon.call('pane.signal', { session, signal, to }));
      if (options.json) printJson(sent);
      if (!sent.delivered) {
        if (!options.json) say(`There was nobody to send ${sent.signal} to.`);
        process.exitCode = EXIT.failure;
      }
    });
}
