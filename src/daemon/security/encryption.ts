import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../base/log.ts';
import type { Paths } from '../../config/paths.ts';
import type { CallInput } from '../../wire/calls.ts';
import { WireError } from '../../wire/errors.ts';
import { writeFileAtomic } from '../persistence/atomic-file.ts';
import type { Journals } from '../persistence/journal/journals.ts';
import { readSessionRecord } from '../persistence/records.ts';
import { VaultError } from '../persistence/vault/cipher.ts';
import {
  describeKeyring,
  disableEncryption,
  enableEncryption,
  forgetKeys,
  type KeySource,
  rotate,
  type Unlock,
} from '../persistence/vault/keys.ts';
import { isSealedBlob, KEY_ID_BYTES, type Vault } from '../persistence/vault/vault.ts';
import type { Handlers } from '../subsystem.ts';

type Calls = 'encryption.status' | 'encryption.change';

/** Where a blob's header has the id of its key. */
const BLOB_KEY_AT = 8;

export interface EncryptionParts {
  paths: Paths;
  log: Log;
  /** As this daemon unlocked it at its start. */
  vault: Vault | null;
  journals: Journals;
  /** What the blobs of a session are, for their keys: file name to purpose. */
  blobsOf(session: string, pane: string): Record<string, string>;
  purposeOf(session: string, pane: string): string;
}

/**
 * Encryption at rest, turned on and off. The keyring changes at once; what this daemon writes goes on as before until the next one, which the
 * client starts, has unlocked it. That one then brings what is on the disk up to date, file by file, in the background.
 */
export class Encryption {
  readonly #parts: EncryptionParts;
  #left: number | null = null;

  constructor(parts: EncryptionParts) {
    this.#parts = parts;
  }

  readonly calls: Pick<Handlers, Calls> = {
    'encryption.status': () => {
      const keyring = describeKeyring(this.#parts.paths.home);
      return {
        isOn: keyring?.isOn ?? false,
        source: keyring?.source ?? null,
        keyFile: keyring?.keyFile ?? null,
        keys: keyring?.keys ?? [],
        left: this.#left,
      };
    },
    'encryption.change': async (params) => {
      try {
        await this.#change(params);
      } catch (error) {
        if (error instanceof VaultError)
          throw new WireError(error.code === 'wrong-key' ? 'denied' : 'bad-params', error.message, { reason: error.code });
        throw error;
      }
      return {};
    },
  };

  async #change({ action, source, passphrase, newPassphrase, keyFile }: CallInput<'encryption.change'>): Promise<void> {
    const { home } = this.#parts.paths;
    const unlock: Unlock = {
      passphrase: () => {
        if (passphrase === undefined) throw new VaultError('wrong-key', 'The passphrase is needed.');
        return passphrase;
      },
    };
    const wanted = source === undefined ? undefined : sourceOf(source, newPassphrase, keyFile);
    if (action === 'enable') await enableEncryption(home, wanted ?? sourceOf('key-file', undefined, keyFile), unlock);
    else if (action === 'rotate') await rotate(home, unlock, wanted);
    else await disableEncryption(home, unlock);
  }

  /** Seals, or opens, what was written before encryption was changed. Whatever moment it ends at, the next daemon goes on with it. */
  async bringUpToDate(): Promise<void> {
    const { paths, log, vault, journals, blobsOf, purposeOf } = this.#parts;
    if (!vault) return;
    let left = 0;
    for (const name of readdirSync(paths.sessions)) {
      if (!/^\d+$/.test(name)) continue;
      const folder = join(paths.sessions, name);
      try {
        const { id, pane, earlierPanes } = readSessionRecord(join(folder, 'state.json'));
        for (const [file, purpose] of Object.entries(blobsOf(id, pane))) left += resealBlob(join(folder, file), purpose, vault) ? 0 : 1;
        for (const each of [...earlierPanes, pane]) {
          const reseal = join(folder, 'panes', each.slice(1), 'journal');
          left += await journals.reseal({ reseal, purpose: purposeOf(id, each) });
        }
      } catch (error) {
        left++;
        log.warn('a session could not be brought up to date with encryption', { folder, because: (error as Error).message });
      }
    }
    this.#left = left;
    if (left > 0) log.warn('some files are not as encryption would have them now', { files: left });
    // Only when this daemon, which writes plain, has found nothing sealed.
    else if (!vault.isOn) {
      await forgetKeys(paths.home);
      log.info('nothing is encrypted any more: the keys are forgotten');
    }
  }
}

function sourceOf(kind: KeySource['kind'], passphrase: string | undefined, keyFile: string | undefined): KeySource {
  if (kind === 'key-file') return { kind, ...(keyFile !== undefined && { path: keyFile }) };
  if (kind === 'os-keyring') return { kind };
  if (passphrase === undefined) throw new VaultError('unusable', 'A passphrase is needed.');
  return { kind, passphrase };
}

/** Whether the file is now as it would be written today, or is not there. */
function resealBlob(path: string, purpose: string, vault: Vault): boolean {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return true;
  }
  const isSealed = isSealedBlob(bytes);
  const hasCurrentKey = isSealed && bytes.subarray(BLOB_KEY_AT, BLOB_KEY_AT + KEY_ID_BYTES).equals(vault.secrets().keys[0]!.id);
  if (vault.isOn ? hasCurrentKey : !isSealed) return true;
  try {
    const plain = isSealed ? vault.openBlob(purpose, bytes) : bytes;
    writeFileAtomic(path, vault.isOn ? vault.sealBlob(purpose, plain) : plain);
    return true;
  } catch {
    return false;
  }
}
