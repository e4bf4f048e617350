import { z } from 'zod';
import { STATUSES } from './pane-status.ts';

/** What a pane is doing, and how that is known. */
export const STATUS_CALLS = {
  'pane.explain': {
    since: 1,
    does: 'Say what a pane is doing, and every piece of evidence for and against it.',
    params: z.object({ session: z.string() }),
    result: z.object({
      session: z.string(),
      name: z.string(),
      pane: z.string(),
      status: z.enum(STATUSES),
      because: z.object({ source: z.string(), rule: z.string(), text: z.string() }),
      /** Milliseconds since 1970. */
      since: z.number(),
      /** When it may change though nothing is heard. */
      recheckAt: z.number().nullable(),
      /** The agent that runs there, by which program, and the file of its rules. */
      agent: z.object({ id: z.string(), name: z.string(), because: z.string(), since: z.number(), file: z.string() }).nullable(),
      /** Most trusted first. */
      considered: z.array(
        z.object({
          source: z.string(),
          rule: z.string(),
          status: z.enum(STATUSES).nullable(),
          text: z.string(),
          at: z.number().nullable(),
          ageMs: z.number().nullable(),
          verdict: z.enum(['won', 'lost', 'settling', 'expired', 'silent']),
          why: z.string(),
        }),
      ),
    }),
  },
};
