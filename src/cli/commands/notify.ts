import type { Command } from 'commander';
import type { CallResult } from '../../wire/calls.ts';
import { EXIT } from '../exit-codes.ts';
import { ago, plain, print, printJson, say, style, UsageError } from '../output.ts';
import { withDaemon, withTarget } from '../session.ts';

interface Options {
  target?: string;
  json?: boolean;
}

export function define(command: Command): void {
  command
    .argument('[verb]', 'test, or nothing')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nThe settings are those that begin with "notify." in config.yaml; they count at once.')
    .action(async (verb: string | undefined, options: Options) => {
      if (verb !== undefined)
        throw new UsageError(`"${verb}" is nothing that notify can do. Use "ai-session notify" or "ai-session notify test".`);
      await status(options);
    });
  withTarget(command.command('test'))
    .description('tell something now by every channel that is on, and say how it went')
    .exitOverride()
    .argument('[name]', 'the session that it seems to come from')
    .option('--json', 'print JSON')
    // As each verb has its own, "notify test --json" would be taken by the other one.
    .action((name: string | undefined, _: Options, verb: Command) => test(name, verb.optsWithGlobals()));
}

async function status({ json }: Options): Promise<void> {
  const now = await withDaemon((daemon) => daemon.call('notify.status', {}));
  if (json) return printJson(now);
  const { on, holdSeconds, longSeconds, channels, problems, outcomes } = now;
  const long = on.includes('done') ? `; done is what took ${longSeconds} s` : '';
  print(on.length === 0 ? 'on       nothing' : `on       ${on.join(', ')}, when it has been so for ${holdSeconds} s${long}`);
  for (const { channel, isOn, canWork, note } of channels) {
    const line = `${channel.padEnd(8)} ${isOn ? 'on ' : 'off'}  ${plain(note)}`.trimEnd();
    print(isOn && canWork ? line : style('dim', line));
  }
  for (const problem of problems) print(`problem  ${plain(problem)}`);
  for (const line of outcomes.map(lineOf)) print(line);
}

function lineOf({ at, channel, outcome, because, text }: CallResult<'notify.status'>['outcomes'][number]): string {
  const why = because === null ? '' : ` (${plain(because)})`;
  return `${`${ago(Date.now() - at)} ago`.padEnd(8)} ${channel.padEnd(8)} ${outcome}${why}: ${plain(text)}`;
}

async function test(name: string | undefined, { target, json }: Options): Promise<void> {
  if (name !== undefined && target !== undefined) throw new UsageError(`"${name}" is one word too many: -t names the session.`);
  const session = target ?? name;
  const done = await withDaemon((daemon) => daemon.call('notify.test', { ...(session !== undefined && { session }) }));
  const isBad = done.results.length === 0 || done.results.some(({ outcome }) => outcome === 'failed');
  if (isBad) process.exitCode = EXIT.failure;
  if (json) return printJson(done);
  if (done.results.length === 0) say('No channel is on. Turn one on in config.yaml, such as "notify: {bell: true}".');
  for (const { channel, outcome, because } of done.results)
    print(`${channel.padEnd(8)} ${outcome}${because === null ? '' : `: ${plain(because)}`}`);
}
