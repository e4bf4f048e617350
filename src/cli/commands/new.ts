import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { attach, prefixFrom } from '../attach/attach.ts';
import { refuseNesting } from '../attach/nesting.ts';
import { print, printJson, UsageError } from '../output.ts';
import { columns, rows, withDaemon } from '../session.ts';

interface Options {
  session?: string;
  detached?: boolean;
  directory?: string;
  env: Record<string, string>;
  x?: number;
  y?: number;
  role?: string;
  history: boolean;
  restart?: 'never' | 'ask' | 'always';
  json?: boolean;
}

export function define(command: Command, argv: string[]): void {
  command
    .usage('[NAME] [options] [-- COMMAND ARG...]')
    .argument('[name]', 'the name; one is made from the folder when none is given')
    .option('-s, --session <name>', 'the name, as tmux takes it')
    .option('-d, --detached', 'do not attach')
    .option('-c, --directory <dir>', 'the working directory')
    .option('-e, --env <k=v>', 'set an environment variable; may be repeated', variable, {})
    .option('-x <cols>', 'width when detached (default 80)', columns)
    .option('-y <rows>', 'height when detached (default 24)', rows)
    .option('--role <role>', 'what this session is for, shown in lists')
    .option('--no-history', 'keep nothing of what it prints on the disk')
    .option('--restart <policy>', 'after a reboot: never, ask (the default) or always', restartPolicy)
    .option('--json', 'print the session as JSON, and do not attach')
    .addHelpText('after', '\nThe command is run as it is, with no shell between; without one you get your own shell ($SHELL).')
    .action((name: string | undefined, options: Options) => run(name, options, argv));
}

async function run(operand: string | undefined, options: Options, argv: string[]): Promise<void> {
  if (operand !== undefined && options.session !== undefined)
    throw new UsageError(`Two names, "${operand}" and "${options.session}": give one. A command goes after "--".`);
  const name = options.session ?? operand;
  const isAttached = !options.detached && !options.json && process.stdin.isTTY && process.stdout.isTTY;
  if (isAttached) {
    // Before there is a session that nobody would be attached to.
    refuseNesting(name ?? 'a new session');
    prefixFrom(process.env);
  }
  const openFiles = softOpenFiles();
  await withDaemon(async (daemon) => {
    const session = await daemon.call('session.create', {
      ...(name !== undefined && { name }),
      command: argv,
      cwd: options.directory === undefined ? logicalFolder() : resolve(options.directory),
      env: process.env as Record<string, string>,
      set: options.env,
      // A terminal that does not know its size says 0, as a serial line does.
      cols: (isAttached ? process.stdout.columns : options.x) || 80,
      rows: (isAttached ? process.stdout.rows : options.y) || 24,
      ...(options.role !== undefined && { role: options.role }),
      ...(openFiles !== null && { openFiles }),
      ...(!options.history && { history: false }),
      ...(options.restart && { restart: options.restart }),
    });
    if (options.json) printJson(session);
    else if (isAttached) process.exitCode = await attach(daemon, { session: session.id, readOnly: false, detachOthers: false });
    else print(session.name);
  });
}

function restartPolicy(text: string): 'never' | 'ask' | 'always' {
  if (text !== 'never' && text !== 'ask' && text !== 'always')
    throw new UsageError(`"${text}" is no restart policy: use never, ask or always.`);
  return text;
}

function variable(text: string, before: Record<string, string>): Record<string, string> {
  const split = text.indexOf('=');
  if (split < 1) throw new UsageError(`"${text}" is not of the form NAME=VALUE.`);
  return { ...before, [text.slice(0, split)]: text.slice(split + 1) };
}

/** The folder as the shell shows it ($PWD), which may lead through symbolic links, when it is this folder. */
function logicalFolder(): string {
  const { PWD } = process.env;
  try {
    const [shown, real] = [statSync(PWD ?? ''), statSync('.')];
    if (shown.ino === real.ino && shown.dev === real.dev) return PWD!;
  } catch {
    // No PWD, or it points nowhere.
  }
  try {
    return process.cwd();
  } catch {
    throw new UsageError('The folder you are in has been removed. Go to another one, or name one with -c DIR.');
  }
}

/**
 * The user's own soft limit on open files. Node raises its limit to the hard one as it starts and everything it starts inherits that: programs
 * that use select(2) or close every possible descriptor then misbehave. The shell that started us still has the right one.
 */
function softOpenFiles(): number | null {
  try {
    const match = /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${process.ppid}/limits`, 'utf8'));
    return match ? Number(match[1]) : null;
  } catch {
    return null;
  }
}
