import { ConnectionError } from '../client/connection.ts';

/** A replaced daemon is followed by the one of whoever replaced it. After so long nobody is about to start one, so we do. */
export const REPLACER_MS = 5000;
/** So many daemons lost within this time, and the next would be lost too. */
const LOSSES_LIMIT = 10;
const LOSSES_MS = 30_000;

/** Counts the daemons that a client has lost. */
export class Losses {
  readonly #at: number[] = [];

  /** Throws ConnectionError when it was too often. */
  count(): void {
    const now = Date.now();
    this.#at.push(now);
    if (this.#at.filter((at) => at > now - LOSSES_MS).length > LOSSES_LIMIT)
      throw new ConnectionError('lost', 'The daemon was lost again and again. See why with: ai-session daemon logs');
  }
}
