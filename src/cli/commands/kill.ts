import type { Command } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { plain, printJson, say, UsageError } from '../output.ts';
import { checkStatus, STATUS_NAMES, withDaemon } from '../session.ts';

interface Options {
  target?: string;
  all?: boolean;
  status?: string;
  force?: boolean;
  json?: boolean;
}

export function define(command: Command): void {
  command
    .usage('NAME... [options]')
    .argument('[names...]', 'the sessions')
    .option('-t, --target <name>', 'a session, as tmux takes it')
    .option('--all', 'all sessions')
    .option('--status <status>', `all sessions that are ${STATUS_NAMES}`)
    .option('--force', 'SIGKILL at once, instead of SIGHUP and SIGTERM first')
    .option('--json', 'print what was ended, and how')
    .addHelpText(
      'after',
      '\nEnds everything that a running session has started, and looks whether it is gone. A session that has ended is forgotten.',
    )
    .action(async (names: string[], options: Options) => {
      const named = options.target === undefined ? names : [options.target, ...names];
      const isMany = options.all === true || options.status !== undefined;
      if (options.all && options.status !== undefined)
        throw new UsageError('Use --all or --status, not both: --status alone takes all sessions of that status.');
      checkStatus(options.status);
      if (isMany && named.length > 0) throw new UsageError('Name sessions, or use --all or --status, not both.');
      if (!isMany && named.length === 0) throw new UsageError('Kill which session? Name it, or use --all.');
      const killed = await withDaemon(async (daemon) => {
        const sessions = isMany
          ? (await daemon.call('session.list', {})).sessions
              .filter(({ status }) => options.all || status === options.status)
              .map(({ id }) => id)
          : named;
        if (sessions.length === 0) return [];
        return (await daemon.call('session.kill', { sessions, force: options.force ?? false })).killed;
      });
      if (options.json) printJson(killed);
      for (const { name, survivors } of killed.filter(({ survivors }) => survivors.length > 0)) {
        if (!options.json) say(`Session "${plain(name)}": these processes are still there: ${survivors.join(', ')}`);
        process.exitCode = EXIT.failure;
      }
    });
}
