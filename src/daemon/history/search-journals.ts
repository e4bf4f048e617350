import { statSync } from 'node:fs';
import { journalFiles } from '../persistence/journal/files.ts';
import { readJournal } from '../persistence/journal/reader.ts';
import type { Vault } from '../persistence/vault/vault.ts';
import { ResumedLines } from './index/resume.ts';
import type { Line } from './lines.ts';
import { type Match, matcherOf, Newest, type SearchPlace, type SearchQuery } from './search.ts';

/** How far it is. */
export interface Reading {
  pane: string;
  /** Panes that have not been searched to the end, this one included: those that were written last come first. */
  left: number;
  /** Null when there are no others than before. */
  matches: Match[] | null;
}

/** Between two reports, by which one knows that it goes on, and of what. */
const REPORT_MS = 50;

/** Reads all that there is. Returns no more matches than one above the limit, from the newest on, and what could not be read. */
export function searchJournals(
  query: SearchQuery & { limit: number },
  { places, vault, report }: { places: readonly SearchPlace[]; vault: Vault | null; report(reading: Reading): void },
): { matches: Match[]; unreadable: string[] } {
  const since = query.since ?? Number.NEGATIVE_INFINITY;
  const matches = matcherOf(query);
  const newest = new Newest(query.limit + 1);
  const unreadable: string[] = [];
  let isChanged = false;
  let reportedAt = 0;

  /** A pane that cannot be read holds up no other. */
  const tried = <T>({ folder }: SearchPlace, work: () => T): T | null => {
    try {
      return work();
    } catch (error) {
      unreadable.push(`${folder}: ${(error as Error).message}`);
      return null;
    }
  };

  // What is left out when the time is over should be old.
  const inOrder = places
    .map((place) => ({ place, writtenAt: tried(place, () => lastWrite(place)) ?? null }))
    .filter(({ writtenAt }) => writtenAt !== null && writtenAt >= since)
    .sort((a, b) => b.writtenAt! - a.writtenAt!);
  for (const [i, { place }] of inOrder.entries()) {
    const said = () => {
      reportedAt = performance.now();
      report({ pane: place.pane, left: inOrder.length - i, matches: isChanged ? newest.matches : null });
      isChanged = false;
    };
    const isDue = () => performance.now() - reportedAt >= REPORT_MS;
    const onDamage = (path: string, error: Error) => unreadable.push(`${path}: ${error.message}`);
    said();
    tried(place, () => {
      for (const line of linesOf(place, { vault, onDamage, alive: () => isDue() && said() })) {
        if (line.at < since || !newest.wants(line.at)) continue;
        // A pattern may take forever with one line: what was found before is told before.
        if (query.isRegex && isDue()) said();
        const found = matches(line.text);
        if (found === -1) continue;
        newest.add(place, line, found);
        isChanged = true;
      }
    });
  }
  return { matches: newest.matches, unreadable };
}

function* linesOf(
  { folder, purpose }: SearchPlace,
  { vault, onDamage, alive }: { vault: Vault | null; onDamage(path: string, error: Error): void; alive(): void },
): Generator<Line> {
  const lines = new ResumedLines();
  for (const entry of readJournal({ folder, purpose, vault }, {}, onDamage)) {
    yield* lines.push(entry);
    alive();
  }
  yield* lines.flush();
}

/** When a pane's journal was written last, as its files say. */
function lastWrite({ folder }: SearchPlace): number {
  const { segments, tails } = journalFiles(folder);
  const latest = [segments.at(-1), tails.at(-1)].flatMap((file) => (file && statSync(file.path, { throwIfNoEntry: false })?.mtimeMs) ?? []);
  return Math.max(0, ...latest);
}
