import { readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

export interface GitHead {
  /** Null when no branch is checked out. */
  branch: string | null;
  /** Null in a repository without a commit. */
  commit: string | null;
}

/**
 * What is checked out where this folder lies, or null outside of a repository. Read from git's files (gitrepository-layout(5)): git itself would
 * run whatever the repository's configuration names (core.fsmonitor), and a snapshot must not run anything.
 */
export function gitHead(folder: string): GitHead | null {
  const git = gitFolder(folder);
  if (!git) return null;
  const head = read(join(git, 'HEAD'))?.trim();
  if (!head) return null;
  const ref = /^ref: (refs\/.+)$/.exec(head)?.[1];
  if (!ref) return { branch: null, commit: asCommit(head) };
  // A worktree has its own HEAD; branches are in the repository that it belongs to.
  const common = resolve(git, read(join(git, 'commondir'))?.trim() ?? '.');
  const loose = [git, common].map((each) => read(join(each, ref))).find((text) => text !== null);
  const packed = loose ? null : read(join(common, 'packed-refs'))?.match(new RegExp(`^([0-9a-f]{40,64}) ${escaped(ref)}$`, 'm'))?.[1];
  return { branch: ref.replace(/^refs\/heads\//, ''), commit: asCommit(loose?.trim() ?? packed ?? '') };
}

function gitFolder(folder: string): string | null {
  for (let at = resolve(folder); ; at = dirname(at)) {
    const path = join(at, '.git');
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isDirectory()) return path;
    const pointer = found?.isFile() ? /^gitdir: (.+)$/m.exec(read(path) ?? '')?.[1] : undefined;
    if (pointer) return resolve(at, pointer);
    if (at === dirname(at)) return null;
  }
}

/** Nobody's refs are this long. */
const LIMIT_BYTES = 16 << 20;

function read(path: string): string | null {
  try {
    const { size } = statSync(path);
    return size <= LIMIT_BYTES && statSync(path).isFile() ? readFileSync(path, 'utf8') : null;
  } catch {
    return null;
  }
}

function asCommit(text: string): string | null {
  return /^[0-9a-f]{40}([0-9a-f]{24})?$/.test(text) ? text : null;
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
