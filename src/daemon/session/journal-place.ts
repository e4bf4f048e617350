import { join } from 'node:path';

/** Where a pane's journal is, below its session's folder, and what its files are for their keys. */
export function journalPlace({ folder, session, pane }: { folder: string; session: string; pane: string }): {
  folder: string;
  purpose: string;
} {
  return { folder: join(folder, 'panes', pane.slice(1), 'journal'), purpose: `journal|${session}|${pane}` };
}
