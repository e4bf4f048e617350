/**
 * One thing in a pane's journal, in the order in which it happened. `at` is milliseconds since 1970. `offset` is the absolute position in
 * everything the program ever wrote: of the first byte of an output, of the next byte to come for the others. Outputs follow each other
 * without a hole, except where a gap says so.
 */
export type Entry = Output | Resize | InputMark | Gap;

export interface Output {
  is: 'output';
  at: number;
  offset: number;
  bytes: Uint8Array;
}

/** The pane has this size from here on. */
export interface Resize {
  is: 'resize';
  at: number;
  offset: number;
  cols: number;
  rows: number;
}

/** Somebody typed so many bytes. Not which: passwords are typed too. */
export interface InputMark {
  is: 'input';
  at: number;
  offset: number;
  length: number;
}

/** The bytes from `offset` to `to` were never kept, or are no longer. */
export interface Gap {
  is: 'gap';
  at: number;
  offset: number;
  to: number;
  /** `budget`: the oldest were dropped to stay within a limit. `disk`: they could not be written. `holder`: a holder no longer had them. `damage`: what is on disk cannot be read. */
  because: (typeof GAP_REASONS)[number];
}

/** By their place in this list they stand on the disk: a new one goes behind the others. */
export const GAP_REASONS = ['budget', 'disk', 'holder', 'damage'] as const;
