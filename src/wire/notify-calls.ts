import { z } from 'zod';

/** How somebody is told. */
export const CHANNELS = ['bell', 'osc9', 'desktop', 'command', 'webhook'] as const;

export type Channel = (typeof CHANNELS)[number];

/** `skipped`: there was nobody to tell. */
const outcome = {
  channel: z.enum(CHANNELS),
  outcome: z.enum(['sent', 'failed', 'skipped']),
  /** Why it failed or was skipped; who got it. */
  because: z.string().nullable(),
};

/** Telling people what sessions do. */
export const NOTIFY_CALLS = {
  'notify.status': {
    since: 1,
    does: 'Say what people are told of and how, and how that went the last times.',
    params: z.object({}),
    result: z.object({
      on: z.array(z.string()),
      holdSeconds: z.number(),
      longSeconds: z.number(),
      channels: z.array(
        z.object({
          channel: z.enum(CHANNELS),
          isOn: z.boolean(),
          /** Whether it could tell somebody now, as far as can be seen. */
          canWork: z.boolean(),
          note: z.string(),
        }),
      ),
      /** What of the settings was not taken. */
      problems: z.array(z.string()),
      /** The newest first. */
      outcomes: z.array(
        z.object({ ...outcome, at: z.number(), session: z.string(), name: z.string(), status: z.string(), text: z.string() }),
      ),
    }),
  },
  'notify.test': {
    since: 1,
    does: 'Tell something now, by every channel that is on, and say how it went.',
    params: z.object({ session: z.string().optional() }),
    result: z.object({ text: z.string(), results: z.array(z.object(outcome)) }),
  },
};
