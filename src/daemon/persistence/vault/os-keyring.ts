import { execFile } from 'node:child_process';
import { VaultError } from './cipher.ts';

/** A keyring that is locked asks the person first. */
const LIMIT_MS = 60_000;
const SERVICE = 'ai-session';
const INSTEAD = 'or use a passphrase or a key file';

/**
 * One secret in the keyring of the operating system, by the tool that comes with it: the Secret Service (libsecret) on Linux, the login
 * keychain on macOS. `account` and `secret` are hexadecimal, so no tool has anything to misread. `find` returns the secret. Throws
 * VaultError `unavailable`, as where there is no desktop.
 */
export function osKeyring(action: 'store' | 'find' | 'remove', account: string, secret = ''): Promise<string> {
  const { command, args, input, install } = process.platform === 'darwin' ? keychain(account, secret) : secretService(account, secret);
  return new Promise((resolve, reject) => {
    const child = execFile(command, args[action], { timeout: LIMIT_MS }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout.trim());
      if (error.code === 'ENOENT') return refuse(`"${command}" is not installed. ${install}, ${INSTEAD}.`);
      if (error.killed)
        return refuse(`"${command}" did not answer within ${LIMIT_MS / 1000} s. Unlock the keyring and try again, ${INSTEAD}.`);
      const said = stderr.trim().split('\n')[0]?.replace(`${command}: `, '');
      // Both tools find nothing without a word or with one of their own; the words are for people.
      refuse(`${said ? `"${command}" said "${said}"` : `it has no entry "${account}" of "${SERVICE}"`}. Start or unlock it, ${INSTEAD}.`);
    });
    const refuse = (why: string) => reject(new VaultError('unavailable', `The OS keyring cannot be used: ${why}`));
    // A tool that ends without reading has said why by its exit.
    child.stdin?.on('error', () => {});
    child.stdin?.end(action === 'store' ? input : '');
  });
}

// The secret goes by standard input, since every process can read the arguments of every other.

function secretService(account: string, secret: string) {
  const entry = ['service', SERVICE, 'account', account];
  return {
    command: 'secret-tool',
    args: { store: ['store', '--label=ai-session', ...entry], find: ['lookup', ...entry], remove: ['clear', ...entry] },
    input: secret,
    install: 'Install it (Debian and Ubuntu: libsecret-tools, Fedora and Arch: libsecret)',
  };
}

function keychain(account: string, secret: string) {
  const entry = ['-a', account, '-s', SERVICE];
  return {
    command: '/usr/bin/security',
    args: { store: ['-i'], find: ['find-generic-password', ...entry, '-w'], remove: ['delete-generic-password', ...entry] },
    input: `add-generic-password -U ${entry.join(' ')} -w ${secret}\n`,
    install: 'It comes with macOS: repair that',
  };
}
