import { z } from 'zod';

/** Asking again for a run when the daemon was lost before it had answered. */
export const RESUME_CALLS = {
  'command.resumes': {
    since: 1,
    does: 'Say that this daemon knows runs by their tokens, and which session a name means.',
    params: z.object({ session: z.string().optional() }),
    result: z.object({ session: z.string().nullable() }),
  },
};

/** What a run takes so that it can be asked for again. A daemon that does not answer `command.resumes` would run it a second time. */
export function again() {
  return {
    /** The caller's own name for it, which outlives the daemon. */
    token: z
      .string()
      .regex(/^[0-9a-f]{16}$/)
      .optional(),
    /** It was asked for before, of a daemon that has gone since: what became of it is answered, and what never began is run. */
    resume: z.boolean().default(false),
  };
}
