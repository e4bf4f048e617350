import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { writeFileAtomic } from './atomic-file.ts';

/**
 * What is on disk of a session: `sessions/{n}/state.json`. The format has its own version, because it outlives every socket. A change that an
 * older reader would misread raises VERSION and adds a named step to MIGRATIONS.
 */
export const RECORD_VERSION = 2;
const VERSION = RECORD_VERSION;

const sessionRecord = z.object({
  version: z.literal(VERSION),
  id: z.string().regex(/^\$\d+$/),
  pane: z.string().regex(/^%\d+$/),
  name: z.string(),
  command: z.tuple([z.string()], z.string()),
  cwd: z.string(),
  role: z.string().nullable(),
  cols: z.int().min(1).max(10_000),
  rows: z.int().min(1).max(10_000),
  backend: z.enum(['hold', 'node-pty']),
  pid: z.number().nullable(),
  holderPid: z.number().nullable(),
  /** Which process the pid meant: pids come again. */
  pidIdentity: z.string().nullable(),
  createdAt: z.number(),
  activeAt: z.number(),
  title: z.string(),
  /** Whether its output is kept in a journal. */
  history: z.boolean(),
  /** What becomes of it when its program was lost with the machine. */
  restart: z.enum(['never', 'ask', 'always']),
  /** The conversation of a coding agent in it, by which it can be taken up again. */
  conversation: z.object({ agent: z.string(), id: z.string() }).nullable(),
  /** A shell that tells where commands begin and end; with this nonce, by which its word is told from a program's. Records had none once. */
  shell: z
    .object({ kind: z.enum(['bash', 'zsh', 'fish', 'sh']), nonce: z.string().regex(/^[\w-]{8,64}$/) })
    .nullable()
    .default(null),
  /** Panes that this session had before, from the first: each has a journal of its own. */
  earlierPanes: z.array(z.string().regex(/^%\d+$/)),
  /** When it was started again, and when that ended (null: it runs); the last few. Milliseconds since 1970. */
  restores: z.array(z.object({ at: z.number(), endedAt: z.number().nullable() })),
  /** It is in no list any more, only in searches and logs; milliseconds since 1970. */
  archivedAt: z.number().nullable(),
  /** Of one that a run was given: by it, who asked for the run finds it when the daemon was lost. */
  token: z.string().optional(),
  /** Of a record that was of version 1: the saved screen, which did not describe itself then, stands for every byte before this offset. */
  screenOffset: z.number().nullable(),
  ended: z
    .object({
      how: z.enum(['exited', 'failed', 'lost']),
      exitCode: z.number().nullable(),
      signal: z.string().nullable(),
      at: z.number(),
      because: z.string().nullable(),
    })
    .nullable(),
});

export type SessionRecord = z.output<typeof sessionRecord>;

/** From version n to n + 1, in order: what each did is its name. */
const MIGRATIONS: Record<number, (record: Record<string, unknown>) => Record<string, unknown>> = {
  1: keepsHistory,
};

/** Sessions keep what they print, can be taken up again, and are archived when they end. */
function keepsHistory(record: Record<string, unknown>): Record<string, unknown> {
  // The first builds that wrote version 1 did not know which process a pid meant.
  return {
    pidIdentity: null,
    ...record,
    version: 2,
    history: true,
    restart: 'ask',
    conversation: null,
    earlierPanes: [],
    restores: [],
    archivedAt: null,
  };
}

/** Throws a sentence when the file is damaged or newer than this build; it is left as it is. */
export function readSessionRecord(file: string): SessionRecord {
  let record = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  const version = record.version;
  if (typeof version !== 'number') throw new Error(`${file} is no session record`);
  if (version > VERSION)
    throw new Error(
      `${file} was written by a newer ai-session (record version ${version}, this one knows ${VERSION}); use that one, or move the file away`,
    );
  for (let at = version; at < VERSION; at++) record = MIGRATIONS[at]!(record);
  return sessionRecord.parse(record);
}

export function writeSessionRecord(file: string, record: Omit<SessionRecord, 'version'>): void {
  writeFileAtomic(file, `${JSON.stringify({ version: VERSION, ...record }, null, 1)}\n`);
}
