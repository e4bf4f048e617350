import { renameSync, rmSync } from 'node:fs';
import type { Vault } from '../vault/vault.ts';
import type { Codec } from './codec.ts';
import { journalFiles } from './files.ts';
import { syncFolder } from './seal.ts';
import { appendFrame, type FrameInfo, readFrame, readFrames } from './segment.ts';

export interface ResealJob {
  reseal: string;
  purpose: string;
}

/**
 * Writes every segment anew whose frames are not sealed as they would be today: plain where encryption is on, sealed where it is off, or with
 * a key that has been retired. Each file is replaced whole, so that a crash leaves the old one or the new. What cannot be read stays as it is.
 * Returns how many files still are not as they should be.
 */
export function resealSegments({ reseal: folder, purpose }: ResealJob, { codec, vault }: { codec: Codec; vault: Vault | null }): number {
  const isOn = vault?.isOn ?? false;
  const current = isOn ? Buffer.from(vault!.secrets().keys[0]!.id) : null;
  const isRight = ({ isEncrypted, keyId }: FrameInfo) => (current ? isEncrypted && keyId.equals(current) : !isEncrypted);
  let left = 0;
  for (const { path } of journalFiles(folder).segments) {
    const { frames, isWhole } = readFrames(path);
    if (frames.every(isRight)) continue;
    const fresh = `${path}.new`;
    try {
      if (!isWhole) throw new Error('it is damaged');
      let at = 0;
      for (const frame of frames) {
        const block = readFrame(path, frame, purpose, vault);
        at += appendFrame(fresh, { block, tail: frame.tail, at, purpose, codec, vault });
      }
      renameSync(fresh, path);
      syncFolder(folder);
    } catch {
      rmSync(fresh, { force: true });
      left++;
    }
  }
  return left;
}
