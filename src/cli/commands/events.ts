import type { Command } from 'commander';
import type { Event } from '../../wire/events.ts';
import { plain, print, style } from '../output.ts';
import { withDaemon } from '../session.ts';

export function define(command: Command): void {
  command.option('--json', 'one JSON object a line').action(async ({ json }: { json?: boolean }) => {
    await withDaemon(async (daemon) => {
      // In place before we ask, so that the first event cannot slip past.
      const isLost = new Promise<never>((_, reject) => {
        daemon.onLost = reject;
      });
      let isStopping = false;
      daemon.onEvent = (event) => {
        print(json ? JSON.stringify(event) : describe(event));
        isStopping ||= event.event === 'daemon.stopping';
      };
      await daemon.call('event.follow', {});
      await isLost.catch((error) => {
        // An orderly stop has been told as an event.
        if (!isStopping) throw error;
      });
    });
  });
}

function describe({ seq: _, at, event, ...facts }: Event): string {
  const { name, ...rest } = facts as Record<string, unknown>;
  const details = Object.entries(rest).map(([key, value]) => `${key}=${plain(String(value))}`);
  return [
    style('dim', new Date(at).toLocaleTimeString('en-GB')),
    event.padEnd(16),
    name === undefined ? '' : style('bold', plain(String(name))),
    style('dim', details.join(' ')),
  ]
    .join('  ')
    .trimEnd();
}
