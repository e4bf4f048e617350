import { z } from 'zod';
import { STATUSES } from './pane-status.ts';

/** Waiting for what a program does, and reading what it printed: what an agent does all day. */
export const WAIT_CALLS = {
  'pane.wait': {
    since: 1,
    does: 'Answer when something is so in sessions, by what they print from now on or after a cursor; a client that goes away ends it.',
    params: z.object({
      sessions: z.array(z.string()).min(1).max(100),
      /** Any of them. */
      conditions: z
        .array(
          z.discriminatedUnion('is', [
            z.object({ is: z.literal('exit') }),
            z.object({ is: z.literal('idle'), ms: z.int().min(1).max(2_000_000_000).default(1000) }),
            z.object({ is: z.literal('text'), text: z.string() }),
            z.object({ is: z.literal('regex'), pattern: z.string() }),
            z.object({ is: z.literal('change') }),
            z.object({ is: z.literal('prompt') }),
            z.object({ is: z.literal('command') }),
            z.object({ is: z.literal('state'), status: z.enum(STATUSES) }),
          ]),
        )
        .min(1)
        .max(20),
      /** In every session, rather than in any. */
      all: z.boolean().default(false),
      /** Begins when what was there already has been read. */
      timeoutMs: z.int().min(0).max(2_000_000_000).optional(),
      /** Where to begin, for each session that is not to begin now. */
      after: z.array(z.string()).max(100).default([]),
      /** It was asked so long ago of a daemon that has gone since: `idle` counts from then. */
      waitedMs: z.int().min(0).max(2_000_000_000).optional(),
    }),
    result: z.object({
      /** `ended`: the program did, or with `all` one of them, and nothing had matched. */
      outcome: z.enum(['matched', 'timeout', 'ended']),
      /** What decided it; null after a timeout of several sessions. */
      session: z.string().nullable(),
      name: z.string().nullable(),
      pane: z.string().nullable(),
      condition: z.string().nullable(),
      matched: matched().nullable(),
      /** After what matched, or after all that was looked through: to wait or read from. */
      cursor: z.string().nullable(),
      elapsedMs: z.number(),
      /** When the program has ended. */
      exitCode: z.number().nullable().optional(),
      all: z.array(
        z.object({
          session: z.string(),
          name: z.string(),
          pane: z.string(),
          outcome: z.enum(['matched', 'waiting', 'ended']),
          condition: z.string().nullable(),
          matched: matched().nullable(),
          cursor: z.string(),
          exitCode: z.number().nullable().optional(),
        }),
      ),
    }),
  },
  'pane.mark': {
    since: 1,
    does: 'Say where a wait in these sessions would begin, to ask for the same wait again when the daemon was lost.',
    params: z.object({
      sessions: z.array(z.string()).min(1).max(100),
      after: z.array(z.string()).max(100).default([]),
      /** With the picture of the screen, which a wait for a change needs. */
      picture: z.boolean().default(false),
    }),
    result: z.object({ marks: z.array(z.object({ session: z.string(), name: z.string(), cursor: z.string() })) }),
  },
  'pane.submit': {
    since: 1,
    does: 'Type a prompt, press Enter when it has arrived, and say whether anything came of it.',
    params: z.object({
      session: z.string(),
      text: z
        .string()
        .min(1)
        .max(1 << 20),
      /** For an effect of Enter. */
      timeoutMs: z.int().min(0).max(3_600_000).default(5000),
    }),
    result: z.object({
      outcome: z.enum(['submitted', 'stalled']),
      /** What was seen. */
      evidence: z.string(),
      /** Whether the program took it as a paste. */
      isPasted: z.boolean(),
      /** Of a stalled one. */
      screen: z.array(z.string()).nullable(),
      /** To wait or read from. */
      cursor: z.string(),
    }),
  },
  'pane.read': {
    since: 1,
    does: 'Read what a session printed after a cursor as lines, or the last lines; ended and archived ones too.',
    params: z.object({
      session: z.string(),
      /** Nothing given: the last lines. */
      since: z.string().optional(),
      lines: z.int().min(1).max(100_000).optional(),
      /** Of text. */
      maxBytes: z
        .int()
        .min(1)
        .max(4 << 20)
        .default(64 << 10),
    }),
    result: z.object({
      session: z.string(),
      name: z.string(),
      pane: z.string(),
      lines: z.array(z.string()),
      /** The last of them has no end yet: what comes next continues it. */
      isOpen: z.boolean(),
      /** Every byte before it has been read. */
      cursor: z.string(),
      /** What is missing: `before` the lines, `after` them, or the end of the one line that there is. */
      leftOut: z.enum(['before', 'after', 'end of line']).nullable(),
      /** How to get it, in a sentence. */
      note: z.string().nullable(),
    }),
  },
  'pane.screen': {
    since: 1,
    does: 'Look at the visible screen.',
    params: z.object({ session: z.string() }),
    result: z.object({
      session: z.string(),
      name: z.string(),
      pane: z.string(),
      lines: z.array(z.string()),
      cols: z.number(),
      rows: z.number(),
      cursor: z.object({ x: z.number(), y: z.number(), visible: z.boolean() }),
      title: z.string(),
      alternate: z.boolean(),
      /** What is in inverse video, as the selected row of a menu often is. */
      highlighted: z.array(z.object({ row: z.number(), column: z.number(), text: z.string() })).nullable(),
      /** Another one when the visible cells are others. */
      hash: z.string(),
      /** The cursor for `pane.wait` and `pane.read`: what comes after this screen. */
      after: z.string(),
    }),
  },
};

function matched() {
  return z.object({
    text: z.string(),
    /** As far as it had been written; of a long one the part around it. */
    line: z.string(),
    /** Of the line's first byte. */
    offset: z.number(),
  });
}
