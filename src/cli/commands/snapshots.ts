import type { Command } from 'commander';
import { ago, plain, print, printJson, say, UsageError } from '../output.ts';
import { withDaemon, withTarget } from '../session.ts';

interface Options {
  target?: string;
  remove?: string[];
  json?: boolean;
}

export function define(command: Command): void {
  withTarget(command)
    .argument('[name]', 'only of this session, by name or id')
    .option('--remove <id...>', 'forget these, by id or label')
    .option('--json', 'print JSON')
    .action(run);
}

async function run(operand: string | undefined, { target, remove, json }: Options): Promise<void> {
  const session = target ?? operand;
  if (remove && session !== undefined) throw new UsageError(`"${session}" and --remove: give one of them.`);
  await withDaemon(async (daemon) => {
    if (remove) {
      for (const snapshot of remove) await daemon.call('snapshot.remove', { snapshot });
      return;
    }
    const { snapshots } = await daemon.call('snapshot.list', session === undefined ? {} : { session });
    if (json) return printJson(snapshots);
    if (snapshots.length === 0) return say('No snapshots. Make one with: ai-session snapshot NAME [LABEL]');
    for (const { id, label, at, name, session, cwd, git } of snapshots) {
      const where = git ? `  ${git.branch ?? 'no branch'}@${git.commit?.slice(0, 12) ?? 'no commit'}` : '';
      print(
        `${id.padEnd(4)}  ${plain(name)} (${session})  ${ago(Date.now() - at)} ago  ${plain(cwd)}${plain(where)}${label === null ? '' : `  ${plain(label)}`}`,
      );
    }
  });
}
