import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { VaultError } from '../../../../src/daemon/persistence/vault/cipher.ts';
import { enableEncryption, type KeySource, openKeyring, rotate } from '../../../../src/daemon/persistence/vault/keys.ts';

let top: string;
let home: string;
let keyring: string;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'vault-'));
  home = join(top, 'home');
  keyring = join(home, 'metadata', 'keyring.json');
  mkdirSync(home, { mode: 0o700 });
});
afterEach(() => {
  rmSync(top, { recursive: true, force: true });
});

/** Scrypt at the least cost there is: the real one takes a fifth of a second each time. */
const passphrase = (text: string): KeySource => ({ kind: 'passphrase', passphrase: text, cost: 2 });
/** Code and sentence of a refusal, with the folder of this test left out; null when there was none. */
async function refusal(action: () => unknown): Promise<[string, string] | null> {
  try {
    await action();
    return null;
  } catch (error) {
    if (!(error instanceof VaultError)) throw error;
    return [error.code, error.message.replaceAll(top, '')];
  }
}

// The tools belong to the desktop; a script that keeps secrets in files stands for the one of Linux.
describe.runIf(process.platform === 'linux')('the OS keyring', () => {
  const source: KeySource = { kind: 'os-keyring' };
  const path = process.env.PATH;
  afterEach(() => {
    process.env.PATH = path;
  });

  function install(script: string): string {
    const bin = join(top, 'bin');
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, 'secret-tool'), `#!/bin/sh\n${script}`, { mode: 0o755 });
    process.env.PATH = `${bin}:${path}`;
    return join(bin, 'kept');
  }

  const GOOD = `
echo "$*" >> "$0.log"
mkdir -p "\${0%/*}/kept"
for last; do :; done
case "$1" in
  store) cat > "\${0%/*}/kept/$last" ;;
  lookup) cat "\${0%/*}/kept/$last" 2>/dev/null ;;
  clear) rm "\${0%/*}/kept/$last" ;;
esac`;

  test('keeps one secret, which is never among the arguments of a process', async () => {
    const kept = install(GOOD);
    const { vault } = await enableEncryption(home, source);
    const blob = vault.sealBlob('p', Buffer.from('x'));
    expect((await openKeyring(home, {}))?.vault.openBlob('p', blob).toString()).toBe('x');
    const [account] = readdirSync(kept);
    const secret = readFileSync(join(kept, account!), 'utf8');
    expect(secret).toMatch(/^[0-9a-f]{64}$/);
    const log = readFileSync(join(top, 'bin', 'secret-tool.log'), 'utf8');
    expect(log.split('\n')[0]).toBe(`store --label=ai-session service ai-session account ${account}`);
    expect([log.includes(secret), readFileSync(keyring, 'utf8').includes(secret)]).toEqual([false, false]);
  });

  test('has the new secret before the old one goes', async () => {
    const kept = install(GOOD);
    await enableEncryption(home, source);
    const [before] = readdirSync(kept);
    await rotate(home, {}, source);
    const [after] = readdirSync(kept);
    expect([readdirSync(kept).length, before === after, (await openKeyring(home, {}))?.keys.length]).toEqual([1, false, 2]);
    await rotate(home, {}, passphrase('correct horse'));
    expect(readdirSync(kept)).toEqual([]);
  });

  test('that lost the entry, or has another, is said', async () => {
    const kept = install(GOOD);
    await enableEncryption(home, source);
    const [account] = readdirSync(kept);
    writeFileSync(join(kept, account!), '00'.repeat(32));
    expect((await refusal(() => openKeyring(home, {})))?.[0]).toBe('wrong-key');
    rmSync(join(kept, account!));
    expect(await refusal(() => openKeyring(home, {}))).toEqual([
      'unavailable',
      `The OS keyring cannot be used: it has no entry "${account}" of "ai-session". Start or unlock it, or use a passphrase or a key file.`,
    ]);
  });

  test.each<[string, string | null, string]>([
    [
      'is not installed',
      null,
      '"secret-tool" is not installed. Install it (Debian and Ubuntu: libsecret-tools, Fedora and Arch: libsecret)',
    ],
    [
      'finds no desktop',
      'echo "secret-tool: Cannot autolaunch D-Bus without X11 \\$DISPLAY" >&2; exit 1',
      '"secret-tool" said "Cannot autolaunch D-Bus without X11 $DISPLAY". Start or unlock it',
    ],
  ])('whose tool %s is said, and nothing is made', async (_, script, sentence) => {
    if (script === null) process.env.PATH = join(top, 'nothing');
    else install(script);
    expect(await refusal(() => enableEncryption(home, source))).toEqual([
      'unavailable',
      `The OS keyring cannot be used: ${sentence}, or use a passphrase or a key file.`,
    ]);
    expect(existsSync(keyring)).toBe(false);
  });

  test('that does not keep what it was given is not trusted with it', async () => {
    install('cat > /dev/null; [ "$1" = lookup ] && echo 00; exit 0');
    expect(await refusal(() => enableEncryption(home, source))).toEqual([
      'unavailable',
      'The OS keyring did not keep what was stored. Use a passphrase or a key file.',
    ]);
  });
});
