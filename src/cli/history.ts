import { parseSince } from '../base/since.ts';
import type { Connection } from '../client/connection.ts';
import type { CallParams } from '../wire/calls.ts';
import { UsageError } from './output.ts';

/** A moment in the past as people write it, in milliseconds since 1970. */
export function moment(text: string): number {
  const since = parseSince(text, Date.now());
  if (!since.ok) throw new UsageError(`${since.problem}.`);
  return since.at;
}

/** Hands on what a session printed, piece by piece, until that is all. Rejects when the daemon goes away before. */
export async function readHistory(
  daemon: Connection,
  params: CallParams<'history.read'>,
  take: (bytes: Uint8Array) => void,
): Promise<{ id: string; name: string }> {
  let end!: () => void;
  const isComplete = new Promise<void>((resolve) => {
    end = resolve;
  });
  const isLost = new Promise<never>((_, reject) => {
    daemon.onLost = reject;
  });
  const { session } = await daemon.read(params, { snapshot: take, bytes: take, ended: end });
  await Promise.race([isComplete, isLost]);
  return session;
}
