import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { writeFileAtomic } from './atomic-file.ts';

/**
 * What is on disk of a session: `sessions/{n}/state.json`. The format has its own version, because it outlives every socket. A change that an
 * older reader would misread raises VERSION and adds a named step to MIGRATIONS.
 */
const VERSION = 1;

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
  /** The saved screen (`screen.vt`) stands for every byte before this offset; null when there is none. */
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
const MIGRATIONS: Record<number, (record: Record<string, unknown>) => Record<string, unknown>> = {};

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
