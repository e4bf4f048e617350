import { linkSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';

/**
 * The lock for machines where `native/lock` could not be built: a file that names its owner by pid and start time. A file is weaker than a
 * descriptor, since a dead owner's has to be taken away; that is done by renaming, so that of two who find it stale only one gets it.
 */
export function takeFileLock(path: string): (() => void) | null {
  const owner = identity(process.pid);
  const mine = `${path}.${process.pid}`;
  writeFileSync(mine, owner, { mode: 0o600 });
  try {
    for (let tries = 0; tries < 3; tries++) {
      try {
        linkSync(mine, path);
        return () => {
          if (read(path) === owner) unlinkSync(path);
        };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const found = read(path);
      const pid = Number(found?.split(' ')[0]);
      if (found !== null && pid > 0 && identity(pid) === found) return null;
      const aside = `${mine}.stale`;
      try {
        renameSync(path, aside);
      } catch {
        continue;
      }
      // Somebody may have taken it between our look and the rename; then it is put back.
      if (read(aside) !== found) linkSync(aside, path);
      unlinkSync(aside);
    }
    return null;
  } finally {
    unlinkSync(mine);
  }
}

/** A process by pid and start time, since pids come again; "gone" never equals what an owner wrote. */
function identity(pid: number): string {
  try {
    if (process.platform !== 'linux') {
      process.kill(pid, 0);
      return `${pid} alive`;
    }
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return `${pid} gone`;
  }
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
