import type { Command } from 'commander';
import { printJson, UsageError } from '../output.ts';
import { takeTarget, withDaemon, withTarget } from '../session.ts';

interface Options {
  target?: string;
  literal?: boolean;
  enter?: boolean;
  hex?: boolean;
  json?: boolean;
}

export function define(command: Command): void {
  withTarget(command)
    .usage('NAME TEXT|KEY... [options]')
    .argument('[name]')
    .argument('[input...]', 'text, or keys by their tmux names: Enter, C-c, M-x, Up, F5, ...')
    .option('-l, --literal', 'everything is text, no key names')
    .option('--enter', 'press Enter at the end')
    .option('--hex', 'the arguments are bytes in hexadecimal')
    .option('--json', 'print how many bytes were typed')
    .action(async (name: string | undefined, input: string[], options: Options) => {
      const { session, rest } = takeTarget(name === undefined ? [] : [name, ...input], options);
      if (rest.length === 0 && !options.enter)
        throw new UsageError('Send what? Give text or keys, as in: ai-session send NAME "ls -l" Enter');
      if (options.literal && options.hex) throw new UsageError('--literal and --hex exclude each other.');
      const as = options.hex ? 'hex' : options.literal ? 'text' : 'keys';
      const sent = await withDaemon((daemon) => daemon.call('pane.write', { session, input: rest, as, enter: options.enter ?? false }));
      if (options.json) printJson(sent);
    });
}
