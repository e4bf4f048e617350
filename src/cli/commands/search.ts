import type { Command } from 'commander';
import { moment } from '../history.ts';
import { plain, print, printJson, say, style, UsageError } from '../output.ts';
import { wholeNumber, withDaemon } from '../session.ts';

interface Options {
  session?: string;
  since?: number;
  regex?: boolean;
  limit?: number;
  json?: boolean;
}

export function define(command: Command): void {
  command
    .argument('[pattern]', 'text as it stands; case counts only when there are capitals in it')
    .option('-s, --session <name>', 'only in this session, running or long gone')
    .option('--since <time>', 'only what was printed since: 10m, 2h, 14:30, yesterday, 2026-11-21T14:00', moment)
    .option('-E, --regex', 'the pattern is a regular expression')
    .option('-n, --limit <n>', 'at most so many lines (default 50)', wholeNumber('The number of lines', { min: 1, max: 1000 }))
    .option('--json', 'print JSON')
    .addHelpText('after', '\nThe newest first. Exit code 1: nothing was found.')
    .action(run);
}

async function run(pattern: string | undefined, { session, since, regex, limit, json }: Options): Promise<void> {
  if (pattern === undefined) throw new UsageError('What are you looking for? ai-session search PATTERN');
  const found = await withDaemon((daemon) =>
    daemon.call('history.search', {
      pattern,
      isRegex: regex ?? false,
      ...(session !== undefined && { session }),
      ...(since !== undefined && { since }),
      ...(limit !== undefined && { limit }),
    }),
  );
  if (found.matches.length === 0) process.exitCode = 1;
  if (json) return printJson(found);
  for (const { name, session: id, at, text } of found.matches)
    print(`${style('dim', new Date(at).toLocaleString('sv-SE'))}  ${style('bold', plain(name))} (${id})  ${plain(text)}`);
  if (found.note) say(plain(found.note));
  if (found.hasMore) say(`Older ones were left out. See more with: --limit ${Math.min(1000, found.matches.length * 4)}`);
}
