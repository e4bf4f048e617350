import type { Command } from 'commander';
import { VERSION } from '../../base/package.ts';
import { DaemonError } from '../../client/daemon.ts';
import { PROTOCOL } from '../../wire/version.ts';
import { print, printJson } from '../output.ts';
import { withDaemon } from '../session.ts';

export function define(command: Command): void {
  command.option('--json', 'print JSON').action(async ({ json }: { json?: boolean }) => {
    const daemon = await withDaemon(async ({ daemon }) => ({ version: daemon.build, protocol: daemon.protocol, pid: daemon.pid }), {
      start: false,
    }).catch((error) => {
      if (error instanceof DaemonError && error.reason === 'not-running') return null;
      throw error;
    });
    if (json) return printJson({ version: VERSION, protocol: PROTOCOL, node: process.version, daemon });
    print(`ai-session ${VERSION} (protocol ${PROTOCOL}, Node ${process.version})`);
    print(daemon ? `daemon ${daemon.version} (protocol ${daemon.protocol}, pid ${daemon.pid})` : 'no daemon is running');
  });
}
