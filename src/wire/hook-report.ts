import { z } from 'zod';

/**
 * What `native/report` writes to a pane's hook socket: this as one line of JSON, and then the agent's payload as it is, until the end of the
 * stream. A byte is answered when it has been read, and nothing else, so nothing can be learned or done there but to report.
 */
export const HOOK_REPORT = z.object({
  /** As in the agent's file of rules. */
  agent: z.string().max(64),
  event: z.string().max(64),
  /** Milliseconds since 1970. */
  at: z.int().min(0),
  /** The reporter's parent, its parent and so on: pid, and the beginning of the command line with a NUL after each word. None where the system does not tell. */
  ancestors: z.array(z.tuple([z.int().min(1), z.string().max(256)])).max(24),
});

export type HookReport = z.output<typeof HOOK_REPORT> & {
  /** What the agent gave its hook, if it was JSON. */
  payload: unknown;
};

export const HOOK_HEADER_LIMIT_BYTES = 64 << 10;
export const HOOK_PAYLOAD_LIMIT_BYTES = 1 << 20;

/** Null for what no reporter of ours would write. A payload that is no JSON is null, and the event counts all the same. */
export function readHookReport(bytes: Buffer): HookReport | null {
  const end = bytes.subarray(0, HOOK_HEADER_LIMIT_BYTES).indexOf(0x0a);
  if (end < 0) return null;
  const header = HOOK_REPORT.safeParse(parse(bytes.toString('utf8', 0, end)));
  return header.success ? { ...header.data, payload: parse(bytes.toString('utf8', end + 1)) } : null;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
