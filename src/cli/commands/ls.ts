import type { Command } from 'commander';
import type { SessionInfo } from '../../wire/calls.ts';
import { ago, plain, print, printJson, say, style, UsageError } from '../output.ts';
import { checkStatus, megabytes, STATUS_NAMES, withDaemon } from '../session.ts';

interface Options {
  all?: boolean;
  json?: boolean;
  format?: string;
  status?: string;
  template?: string;
}

export function define(command: Command): void {
  command
    .option('-a, --all', 'also sessions that are gone and whose history is kept')
    .option('--json', 'print JSON')
    .option('--format <format>', 'table, json or csv')
    .option('--status <status>', `only sessions that are ${STATUS_NAMES}`)
    .option('-F, --template <text>', 'a line for each session, as in: "{name} {status} {cwd}"')
    .action(run);
}

async function run(options: Options): Promise<void> {
  const format = options.json ? 'json' : (options.format ?? 'table');
  if (!['table', 'json', 'csv'].includes(format)) throw new UsageError(`"${format}" is no format: use table, json or csv.`);
  checkStatus(options.status);
  if (options.all && (options.template !== undefined || options.status !== undefined || format === 'csv'))
    throw new UsageError('--all goes with a table or JSON only.');
  const { sessions, archived } = await withDaemon(async (daemon) => ({
    ...(await daemon.call('session.list', {})),
    archived: options.all ? (await daemon.call('history.list', {})).sessions : [],
  }));
  if (options.all && format === 'json') return printJson({ sessions, archived });
  const shown = sessions.filter(({ status }) => options.status === undefined || status === options.status);
  if (options.template !== undefined) for (const session of shown) print(fill(options.template, session));
  else if (format === 'json') printJson(shown);
  else if (format === 'csv') printCsv(shown);
  else if (shown.length === 0 && archived.length === 0)
    say(sessions.length === 0 ? 'No sessions. Start one with: ai-session new' : `No session is ${options.status}.`);
  else {
    for (const line of table(shown, Date.now())) print(line);
    if (archived.length > 0)
      print(style('dim', `${shown.length > 0 ? '\n' : ''}gone, with their history kept (logs, search, restore, gc):`));
    for (const { name, id, command, archivedAt, bytes, exitCode } of archived)
      print(
        [
          style('bold', plain(name)),
          id,
          exitCode === null ? 'ended' : `exited ${exitCode}`,
          clip(plain(command.join(' ')), 32),
          `${ago(Date.now() - archivedAt)} ago`,
          megabytes(bytes),
        ].join('  '),
      );
  }
}

const COLUMNS = ['NAME', 'ID', 'STATUS', 'STATE', 'COMMAND', 'CWD', 'SIZE', 'CLIENTS', 'AGE', 'ACTIVE'];

function table(sessions: readonly SessionInfo[], now: number): string[] {
  const lines = sessions.map((session) => [
    plain(session.name),
    session.id,
    statusOf(session),
    session.state?.status ?? '-',
    clip(plain(session.command.join(' ')), 32),
    clipStart(plain(shortFolder(session.cwd)), 36),
    `${session.cols}x${session.rows}`,
    String(session.attached),
    ago(now - session.createdAt),
    ago(now - session.activeAt),
  ]);
  const widths = COLUMNS.map((title, i) => Math.max(title.length, ...lines.map((line) => width(line[i]!))));
  const row = (cells: readonly string[], paint: (text: string, i: number) => string) =>
    cells.map((cell, i) => paint(i === cells.length - 1 ? cell : cell + ' '.repeat(widths[i]! - width(cell)), i)).join('  ');
  return [
    row(COLUMNS, (text) => style('dim', text)),
    ...lines.map((line, n) =>
      row(line, (text, i) => {
        const { [n]: session } = sessions;
        if (i === 0) return style('bold', text);
        if (i === 2) return style(colourOf(session!), text);
        return i === 3 && session!.state?.status === 'waiting' ? style('yellow', text) : text;
      }),
    ),
  ];
}

function statusOf({ status, exitCode, signal }: SessionInfo): string {
  if (status !== 'exited') return status;
  return `exited ${signal ?? exitCode}`;
}

function colourOf({ status, exitCode }: SessionInfo): 'green' | 'dim' | 'red' {
  return status === 'running' || status === 'starting' ? 'green' : status === 'exited' && exitCode === 0 ? 'dim' : 'red';
}

function shortFolder(folder: string): string {
  const { HOME } = process.env;
  return HOME && (folder === HOME || folder.startsWith(`${HOME}/`)) ? `~${folder.slice(HOME.length)}` : folder;
}

function clip(text: string, limit: number): string {
  return [...text].length <= limit ? text : `${[...text].slice(0, limit - 1).join('')}…`;
}

function clipStart(text: string, limit: number): string {
  return [...text].length <= limit ? text : `…${[...text].slice(1 - limit).join('')}`;
}

/** Cells on a terminal, near enough for a table: wide East Asian characters and emoji are two. */
function width(text: string): number {
  let cells = 0;
  for (const character of text) {
    if (/\p{Mn}|\p{Me}|\u200d/u.test(character)) continue;
    cells += /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u.test(
      character,
    )
      ? 2
      : 1;
  }
  return cells;
}

function fill(template: string, session: SessionInfo): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => {
    const facts = { ...session, state: session.state?.status ?? null };
    if (!Object.hasOwn(facts, name)) throw new UsageError(`A session has no "{${name}}". It has: ${Object.keys(facts).join(', ')}.`);
    const value = facts[name as keyof SessionInfo];
    return plain(Array.isArray(value) ? value.join(' ') : String(value ?? ''));
  });
}

function printCsv(sessions: readonly SessionInfo[]): void {
  const fields = [
    'name',
    'id',
    'pane',
    'status',
    'exitCode',
    'signal',
    'command',
    'role',
    'cwd',
    'pid',
    'cols',
    'rows',
    'attached',
    'createdAt',
    'activeAt',
  ] as const;
  // Columns are only ever added at the end.
  print([...fields, 'state'].join(','));
  for (const session of sessions) print([...fields.map((field) => csv(session[field])), csv(session.state?.status ?? null)].join(','));
}

/** RFC 4180. */
function csv(value: string | number | readonly string[] | null): string {
  const text = Array.isArray(value) ? value.join(' ') : String(value ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
