import type { Command } from 'commander';
import { printJson } from '../output.ts';
import { takeTarget, withDaemon, withTarget } from '../session.ts';

export function define(command: Command): void {
  withTarget(command)
    .argument('[name]', 'the session')
    .option(
      '--json',
      'print JSON: lines, size, cursor, title, what is highlighted, a hash of what is visible, and the cursor for wait --after',
    )
    .action(async (name: string | undefined, options: { target?: string; json?: boolean }) => {
      const { session } = takeTarget(name === undefined ? [] : [name], options);
      const screen = await withDaemon((daemon) => daemon.call('pane.screen', { session }));
      if (options.json) return printJson(screen);
      const last = screen.lines.findLastIndex((line) => line !== '');
      process.stdout.write(
        screen.lines
          .slice(0, last + 1)
          .map((line) => `${line}\n`)
          .join(''),
      );
    });
}
