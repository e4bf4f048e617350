import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { PACKAGE_FOLDER } from '../../base/package.ts';

/**
 * Collects garbage, and returns what that freed to the system: Node does neither by itself while nothing happens. Three pauses of some 20 ms.
 * V8 frees buffers in the background, after it has told which, and makes its own heap smaller when it finds it empty twice.
 */
export function giveMemoryBack(): void {
  collect ??= collector();
  collect();
  setTimeout(() => {
    collect!();
    trim ??= trimmer();
    trim();
  }, FREEING_MS).unref();
}

const FREEING_MS = 1000;

let collect: (() => void) | undefined;
let trim: (() => void) | undefined;

/** V8's own, which it hides unless asked before a context is made. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

/** `native/trim.c`. Where it was not built, freed memory stays with the process until it is used again. */
function trimmer(): () => void {
  try {
    return createRequire(import.meta.url)(TRIM) as () => void;
  } catch {
    return () => {};
  }
}

export const TRIM = join(PACKAGE_FOLDER, 'native', 'bin', 'trim.node');
