import type { Command } from 'commander';
import { printJson, say, UsageError } from '../output.ts';
import { takeTarget, wholeNumber, withDaemon, withTarget } from '../session.ts';

interface Options {
  target?: string;
  maxBytes?: number;
  json?: boolean;
}

export function define(command: Command): void {
  withTarget(command)
    .usage('NAME [N|last] [options]')
    .argument('[name]', 'the session, running or gone')
    .argument('[n]', 'the number of the command, as in: ai-session history NAME')
    .option('--max-bytes <n>', 'print at most so much, from both ends (default 65536)', wholeNumber('The limit', { min: 0, max: 8 << 20 }))
    .option('--json', 'print the command and its output as JSON')
    .action(async (name: string | undefined, n: string | undefined, options: Options) => {
      const operands = [name, n].filter((operand) => operand !== undefined);
      const { session, rest } = takeTarget(operands, options);
      const [which = 'last'] = rest;
      if (which !== 'last' && !/^[1-9]\d{0,8}$/.test(which))
        throw new UsageError(`"${which}" is no number of a command. List them with: ai-session history NAME`);
      const answer = await withDaemon((daemon) =>
        daemon.call('command.output', {
          session,
          ...(which !== 'last' && { command: Number(which) }),
          ...(options.maxBytes !== undefined && { maxBytes: options.maxBytes }),
        }),
      );
      if (options.json) return printJson(answer);
      process.stdout.write(answer.output);
      if (answer.truncated) say(`[${answer.truncated.bytes} bytes were left out. More of it: --max-bytes N]`);
    });
}
