import { closeSync, existsSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { LOCKED } from '../base/daemon-start.ts';
import type { Paths } from '../config/paths.ts';
import { openKeyring } from './persistence/vault/keys.ts';
import { isSealedBlob, type Vault } from './persistence/vault/vault.ts';

/**
 * The keys of this home, or null where nothing is encrypted. A daemon without its keys does not start: it could read nothing, and would write
 * plain text beside what is sealed. Throws a sentence.
 */
export async function unlockHome(paths: Paths, say: (text: string) => void): Promise<Vault | null> {
  const { AI_SESSION_PASSPHRASE: given } = process.env;
  // No program of a session gets it, and no child of ours.
  delete process.env.AI_SESSION_PASSPHRASE;
  const keyring = await openKeyring(paths.home, { passphrase: () => given || askedFor(say) });
  if (keyring) return keyring.vault;
  const sealed = someSealedFile(paths);
  if (sealed)
    throw new Error(`"${sealed}" is encrypted, and the keyring "${join(paths.metadata, 'keyring.json')}" is not there. Put it back.`);
  return null;
}

async function askedFor(say: (text: string) => void): Promise<string> {
  say(LOCKED);
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) {
    lines.close();
    process.stdin.destroy();
    return line;
  }
  throw new Error('History is encrypted with a passphrase, and nobody gave it. Set AI_SESSION_PASSPHRASE, or run a command on a terminal.');
}

function someSealedFile({ sessions }: Paths): string | null {
  const head = Buffer.alloc(16);
  const names = existsSync(sessions) ? readdirSync(sessions) : [];
  for (const name of names) {
    for (const file of ['screen.vt', 'launch.json']) {
      const path = join(sessions, name, file);
      let fd: number;
      try {
        fd = openSync(path, 'r');
      } catch {
        continue;
      }
      readSync(fd, head, 0, head.length, 0);
      closeSync(fd);
      if (isSealedBlob(head)) return path;
    }
  }
  return null;
}
