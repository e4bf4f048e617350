import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compareVersions } from '../base/compare-versions.ts';
import { VERSION } from '../base/package.ts';
import type { Paths } from '../config/paths.ts';
import { plain, say } from './output.ts';

const DAY_MS = 86_400_000;

/**
 * Says that the daemon is of another version, to a person and not to a script, and once a day: it works all the same. What was said when is
 * written beside the sockets, where a file may be lost without harm.
 */
export function hintAtVersion(daemon: { build: string }, { run }: Paths): void {
  if (daemon.build === VERSION || !process.stderr.isTTY || process.argv.includes('--json')) return;
  const file = join(run, 'version-hint.json');
  const hint = { daemon: daemon.build, client: VERSION };
  const said = read(file);
  if (said && said.daemon === hint.daemon && said.client === hint.client && Math.abs(Date.now() - said.at) < DAY_MS) return;
  const theirs = plain(daemon.build);
  say(
    compareVersions(daemon.build, VERSION) < 0
      ? `The daemon is ai-session ${theirs}; this is ${VERSION}. Replace it without ending programs: ai-session daemon upgrade`
      : `The daemon is the newer ai-session ${theirs}; this is ${VERSION}. Use that version here too.`,
  );
  try {
    writeFileSync(file, `${JSON.stringify({ ...hint, at: Date.now() })}\n`, { mode: 0o600 });
  } catch {
    // A full disk, say: then it is said again.
  }
}

function read(file: string): { daemon: unknown; client: unknown; at: number } | null {
  try {
    const said = JSON.parse(readFileSync(file, 'utf8')) as { daemon: unknown; client: unknown; at: unknown } | null;
    return said && typeof said.at === 'number' ? { ...said, at: said.at } : null;
  } catch {
    return null;
  }
}
