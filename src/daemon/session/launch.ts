import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../persistence/atomic-file.ts';
import { isSealedBlob, type Vault } from '../persistence/vault/vault.ts';

/**
 * What a program was started with besides its command: to start it again on another day. Environments have secrets in them, so the file is
 * 0600 in a folder that is 0700, and sealed where encryption is on.
 */
export interface Launch {
  /** The creating client's environment, and what was set by name. */
  env: Record<string, string>;
  set: Record<string, string>;
  openFiles: number | null;
  /** The command was the user's shell, because none was given. */
  isShell: boolean;
}

/** For a session whose own was not kept: the daemon's environment has to do. */
export function ownLaunch(): Launch {
  return { env: process.env as Record<string, string>, set: {}, openFiles: null, isShell: false };
}

export const launchPurpose = (session: string): string => `launch|${session}`;

export function writeLaunch(folder: string, session: string, vault: Vault | null, launch: Launch): void {
  const file = Buffer.from(JSON.stringify({ version: 1, ...launch }));
  writeFileAtomic(join(folder, 'launch.json'), vault?.isOn ? vault.sealBlob(launchPurpose(session), file) : file);
}

/** Null when there is none, or it cannot be opened: then the daemon's own environment has to do. */
export function readLaunch(folder: string, session: string, vault: Vault | null): Launch | null {
  try {
    let file: Buffer = readFileSync(join(folder, 'launch.json'));
    if (isSealedBlob(file)) {
      if (!vault) return null;
      file = vault.openBlob(launchPurpose(session), file);
    }
    const { version, env, set, openFiles, isShell } = JSON.parse(file.toString('utf8')) as Launch & { version: number };
    return version === 1 ? { env, set, openFiles, isShell } : null;
  } catch {
    return null;
  }
}
