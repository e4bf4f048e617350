/** The protocol this build speaks, and the oldest it still understands. Raise PROTOCOL when an old peer would misread us; adding is not misreading. */
export const PROTOCOL = 1;
export const OLDEST_PROTOCOL = 1;

/**
 * The first message each way. Its shape never changes, and it is never refused for its version: two strangers can always say who they are.
 * (tmux exempts its version message from the version check for the same reason.)
 */
export interface Hello {
  hello: {
    protocol: number;
    oldest: number;
    /** The version of the package, for people. */
    build: string;
    pid: number;
    /** Random for each process, so that a re-used pid is not taken for the same daemon. */
    instance: string;
  };
}

/** The newest protocol both sides understand, or null when there is none. */
export function negotiate(ours: { protocol: number; oldest: number }, theirs: { protocol: number; oldest: number }): number | null {
  const common = Math.min(ours.protocol, theirs.protocol);
  return common >= ours.oldest && common >= theirs.oldest ? common : null;
}

/** Reads a hello from the wire, or null when it is none. Written by hand: it must load nothing and never change. */
export function readHello(value: unknown): Hello['hello'] | null {
  const hello = (value as { hello?: Record<string, unknown> } | null)?.hello;
  if (typeof hello !== 'object' || hello === null) return null;
  const { protocol, oldest, build, pid, instance } = hello;
  const isWhole = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
  if (!isWhole(protocol) || !isWhole(oldest) || !isWhole(pid) || typeof build !== 'string' || typeof instance !== 'string') return null;
  return { protocol, oldest, build: build.slice(0, 100), pid, instance: instance.slice(0, 100) };
}
