import type { Command } from 'commander';
import { printJson, UsageError } from '../output.ts';
import { takeTarget, withDaemon, withTarget } from '../session.ts';

interface Options {
  target?: string;
  escapes?: boolean;
  join?: boolean;
  start?: number | '-';
  end?: number | '-';
  json?: boolean;
}

export function define(command: Command): void {
  withTarget(command)
    .argument('[name]', 'the session')
    .option('-e, --escapes', 'with colours and attributes as escape sequences')
    .option('-J, --join', 'join wrapped lines and keep trailing spaces')
    .option('-S, --start <line>', 'first line: 0 is the top of the screen, -5 five lines above it, - the oldest', line)
    .option('-E, --end <line>', 'last line, counted the same way; - is the bottom of the screen', line)
    .option('--json', 'print JSON: lines, cursor, size, title')
    .action(async (name: string | undefined, options: Options) => {
      const { session } = takeTarget(name === undefined ? [] : [name], options);
      const captured = await withDaemon((daemon) =>
        daemon.call('pane.capture', {
          session,
          escapes: options.escapes ?? false,
          join: options.join ?? false,
          ...(options.start !== undefined && { start: options.start }),
          ...(options.end !== undefined && { end: options.end }),
        }),
      );
      if (options.json) printJson(captured);
      else
        process.stdout.write(
          withoutEmptyEnd(captured.lines)
            .map((text) => `${text}\n`)
            .join(''),
        );
    });
}

/** The empty rows below the last line of a screen tell nobody anything; `--json` has every row. */
function withoutEmptyEnd(lines: readonly string[]): readonly string[] {
  return lines.slice(0, lines.findLastIndex((line) => line.trim() !== '') + 1);
}

function line(text: string): number | '-' {
  if (text === '-') return '-';
  if (!/^[+-]?\d{1,9}$/.test(text)) throw new UsageError(`Line "${text}" is not a whole number or "-".`);
  return Number(text);
}
