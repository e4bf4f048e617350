import { createWriteStream } from 'node:fs';
import type { Command } from 'commander';
import { moment, readHistory } from '../history.ts';
import { say, UsageError } from '../output.ts';
import { takeTarget, withDaemon, withTarget } from '../session.ts';

interface Options {
  target?: string;
  format: string;
  output?: string;
  since?: number;
  redact?: boolean;
}

const FORMATS = ['asciicast', 'text', 'html', 'json'] as const;

export function define(command: Command): void {
  withTarget(command)
    .argument('[name]', 'the session, running or long gone')
    .option('--format <format>', 'asciicast (a recording that asciinema plays), text, html or json', 'asciicast')
    .option('-o, --output <file>', 'into this file, which must not be there yet')
    .option('--since <time>', 'from then on: 10m, 2h, 14:30, yesterday, 2026-11-21T14:00', moment)
    .option('--redact', 'take out what looks like a password, token or key (text and json)')
    .addHelpText('after', '\nWhat a program printed may have secrets in it: passwords, tokens, keys. Look before you share.')
    .action(run);
}

async function run(operand: string | undefined, options: Options): Promise<void> {
  const { session } = takeTarget(operand === undefined ? [] : [operand], options);
  const format = FORMATS.find((known) => known === options.format);
  if (!format) throw new UsageError(`"${options.format}" is no format: use ${FORMATS.join(', ')}.`);
  const { since, output, redact } = options;
  const params = { session, format, redact: redact ?? false, ...(since !== undefined && { since }) };
  await withDaemon(async (daemon) => {
    if (output === undefined) return void (await readHistory(daemon, params, (bytes) => process.stdout.write(bytes)));
    const file = createWriteStream(output, { flags: 'wx', mode: 0o600 });
    const isWritten = new Promise<void>((resolve, reject) => {
      file.once('finish', resolve);
      file.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          new UsageError(
            error.code === 'EEXIST' ? `"${output}" is there already: name another file.` : `Cannot write "${output}": ${error.message}`,
          ),
        ),
      );
    });
    await Promise.race([isWritten, readHistory(daemon, params, (bytes) => file.write(bytes))]);
    file.end();
    await isWritten;
    say(`Written to "${output}". It may have secrets in it: look before you share.`);
  });
}
