import { closeSync, fsyncSync, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Vault } from '../vault/vault.ts';
import type { Codec } from './codec.ts';
import { type JournalFile, journalFileName, journalFiles, SEGMENT_FRAMES, SEGMENT_STORED_BYTES } from './files.ts';
import { appendFrame, readFrames } from './segment.ts';
import { readTail } from './tail.ts';

export interface SealJob {
  folder: string;
  /** What the journal's files are, for their keys. */
  purpose: string;
  /** The tail that has ended. Those before it that are still there are sealed first. */
  tail: number;
}

/**
 * Compresses ended tails into the last segment, and removes them. Whatever moment it is killed at, every byte is in a frame or in a tail, and
 * one that is in both is known by its number.
 */
export function sealTails({ folder, purpose, tail: last }: SealJob, { codec, vault }: { codec: Codec; vault: Vault | null }): void {
  const { segments, tails } = journalFiles(folder);
  const failures: Error[] = [];
  for (const tail of tails) {
    if (tail.tail > last) break;
    try {
      sealOne(tail, segments, { folder, purpose, codec, vault });
    } catch (error) {
      // It stays as it is, and holds up nobody.
      failures.push(error as Error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

function sealOne(
  tail: JournalFile,
  segments: JournalFile[],
  { folder, purpose, codec, vault }: { folder: string; purpose: string; codec: Codec; vault: Vault | null },
): void {
  const latest = segments.at(-1);
  const { frames, size, isWhole } = latest ? readFrames(latest.path) : { frames: [], size: 0, isWhole: false };
  // Sealed before, and a crash came before it was removed?
  if (!frames.some((frame) => frame.tail === tail.tail)) {
    const block = readTail(tail.path, purpose, vault);
    // What is behind a torn frame, or a damaged one, stays as it is: somebody may still mend it.
    const isRoom = latest && isWhole && size < SEGMENT_STORED_BYTES && frames.length < SEGMENT_FRAMES;
    const path = isRoom ? latest.path : join(folder, journalFileName('segment', tail.tail, block.start));
    if (block.entries.length > 0) {
      appendFrame(path, { block, tail: tail.tail, at: isRoom ? size : 0, purpose, codec, vault });
      if (!isRoom) {
        segments.push({ is: 'segment', path, tail: tail.tail, start: block.start });
        syncFolder(folder);
      }
    }
  }
  unlinkSync(tail.path);
}

/** So that a power cut cannot take a new file's name. */
export function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
