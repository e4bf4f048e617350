/** What every command exits with; the README has the same table. Refusals by the daemon carry their own number, from `wire/errors.ts`. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  noDaemon: 4,
  denied: 5,
  /** As timeout(1) says it. */
  timedOut: 124,
  /** It goes on or never began, and there is no exit code to give. */
  notFinished: 125,
} as const;
