import type { Command } from 'commander';
import { printJson, UsageError } from '../output.ts';
import { columns, rows, takeTarget, withDaemon, withTarget } from '../session.ts';

interface Options {
  target?: string;
  x?: number;
  y?: number;
  json?: boolean;
}

export function define(command: Command): void {
  withTarget(command)
    .usage('NAME -x COLS -y ROWS')
    .argument('[name]', 'the session')
    .option('-x <cols>', 'width in columns', columns)
    .option('-y <rows>', 'height in rows', rows)
    .option('--json', 'print the session as JSON')
    .addHelpText('after', '\nThe size holds until a client attaches, types, or changes its own size.')
    .action(async (name: string | undefined, options: Options) => {
      const { session } = takeTarget(name === undefined ? [] : [name], options);
      if (options.x === undefined && options.y === undefined) throw new UsageError('Which size? Give -x COLS, -y ROWS or both.');
      const resized = await withDaemon(async (daemon) => {
        const now = await daemon.call('session.get', { session });
        return await daemon.call('pane.resize', { session: now.id, cols: options.x ?? now.cols, rows: options.y ?? now.rows });
      });
      if (options.json) printJson(resized);
    });
}
