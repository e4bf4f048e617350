import type { Command } from 'commander';
import type { CallParams } from '../../wire/calls.ts';
import { askSecret } from '../ask.ts';
import { print, printJson, say, UsageError } from '../output.ts';
import { withDaemon } from '../session.ts';
import { replaceDaemon } from './daemon.ts';

interface Options {
  passphrase?: boolean;
  keyFile?: string | boolean;
  osKeyring?: boolean;
  json?: boolean;
}

type Change = CallParams<'encryption.change'>;

export function define(command: Command): void {
  const verb = (name: string, summary: string) => command.command(name).description(summary).exitOverride().option('--json', 'print JSON');
  verb('status', 'say whether history is encrypted on the disk').action(status);
  withSource(verb('enable', 'encrypt history, with what is there already')).action((options: Options) => change('enable', options));
  withSource(verb('rotate', 'a new key for what comes, and for what is there')).action((options: Options) => change('rotate', options));
  verb('disable', 'decrypt what is there, and encrypt no more').action((options: Options) => change('disable', options));
}

function withSource(verb: Command): Command {
  return verb
    .option('--key-file [path]', 'unlocked by a file (default: "key" in the home), so that nobody has to be asked')
    .option('--passphrase', 'unlocked by a passphrase, asked for when the daemon starts, or AI_SESSION_PASSPHRASE')
    .option('--os-keyring', 'unlocked by the keyring of the desktop')
    .addHelpText('after', '\nNames, commands, folders and titles of sessions are not encrypted. Lost keys cannot be brought back.');
}

async function status({ json }: Options): Promise<void> {
  const now = await withDaemon((daemon) => daemon.call('encryption.status', {}));
  if (json) return printJson(now);
  if (now.source === null) return print('History is not encrypted.');
  const by = { 'key-file': `the key file "${now.keyFile}"`, passphrase: 'a passphrase', 'os-keyring': 'the keyring of the desktop' }[
    now.source
  ];
  print(`${now.isOn ? 'History is encrypted' : 'Encryption is off'}; the keys are unlocked by ${by}.`);
  print(
    `${now.keys.length === 1 ? 'One key' : `${now.keys.length} keys`}, the current one since ${new Date(now.keys[0]!.createdAt).toLocaleString('sv-SE')}.`,
  );
  if (now.left === null) print('What was written before is being brought up to date.');
  else if (now.left > 0) print(`${now.left} files could not be brought up to date. See: ai-session daemon logs`);
}

async function change(action: Change['action'], options: Options): Promise<void> {
  const asked = [
    options.keyFile !== undefined && 'key-file',
    options.passphrase && 'passphrase',
    options.osKeyring && 'os-keyring',
  ] as const;
  const sources = asked.filter((source) => typeof source === 'string');
  if (sources.length > 1) throw new UsageError(`--${sources[0]} and --${sources[1]}: give one of them.`);
  const source = sources[0] ?? (action === 'enable' ? 'key-file' : undefined);
  const passphrase = await withDaemon(async (daemon) => {
    const now = await daemon.call('encryption.status', {});
    const old = now.source === 'passphrase' ? await askSecret('Passphrase: ') : undefined;
    const fresh = source === 'passphrase' ? await newSecret(old) : undefined;
    await daemon.call('encryption.change', {
      action,
      ...(source !== undefined && { source }),
      ...(old !== undefined && { passphrase: old }),
      ...(fresh !== undefined && { newPassphrase: fresh }),
      ...(typeof options.keyFile === 'string' && { keyFile: options.keyFile }),
    });
    return fresh ?? old;
  });
  // The next daemon writes with the new keys, and brings what is there up to date.
  if (passphrase !== undefined) process.env.AI_SESSION_PASSPHRASE = passphrase;
  await replaceDaemon();
  const now = await withDaemon((daemon) => daemon.call('encryption.status', {}));
  if (options.json) return printJson(now);
  if (action === 'disable') say('Encryption is off. What was encrypted is being decrypted.');
  else
    say(
      `History is encrypted from now on${now.keyFile === null ? '' : ` with the key file "${now.keyFile}"; keep a copy of it elsewhere`}. What is there already is being brought up to date.`,
    );
}

/** AI_SESSION_NEW_PASSPHRASE serves scripts. */
async function newSecret(old: string | undefined): Promise<string> {
  const { AI_SESSION_NEW_PASSPHRASE: given, AI_SESSION_PASSPHRASE: current } = process.env;
  if (given) return given;
  if (old === undefined && current) return current;
  const first = await askSecret('New passphrase: ', { isNew: true });
  if ((await askSecret('Once more: ', { isNew: true })) !== first) throw new UsageError('The two are not the same. Nothing was changed.');
  return first;
}
