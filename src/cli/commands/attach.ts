import type { Command } from 'commander';
import { attach } from '../attach/attach.ts';
import { refuseNesting } from '../attach/nesting.ts';
import { UsageError } from '../output.ts';
import { withDaemon, withTarget } from '../session.ts';

export function define(command: Command): void {
  withTarget(command)
    .argument('[name]', 'the session; the one used last when none is given')
    .option('-r, --read-only', 'look, and type nothing')
    .option('-d, --detach-others', 'detach everybody else')
    .option('--json', 'errors as JSON')
    .action(async (operand: string | undefined, options: { target?: string; readOnly?: boolean; detachOthers?: boolean }) => {
      const session = options.target ?? operand;
      if (!process.stdin.isTTY || !process.stdout.isTTY) {
        throw new UsageError(
          'attach needs a terminal. To read a session from a script: ai-session capture NAME; to follow what happens: ai-session events --json',
        );
      }
      refuseNesting(session ?? 'the last session');
      process.exitCode = await withDaemon((daemon) =>
        attach(daemon, { session, readOnly: options.readOnly ?? false, detachOthers: options.detachOthers ?? false }),
      );
    });
}
