import { type Context, createContext, Script } from 'node:vm';

/**
 * Does work that may take for ever, as a regular expression may: past the limit it is broken off, and false is returned. What the work
 * was changing is then half changed. Starting it costs a tenth of a millisecond.
 */
export function withinTime(limitMs: number, work: () => void): boolean {
  // Nothing else of Node can stop a regular expression on this thread; a thread for it would answer later than the limit for a wake-up.
  context ??= createContext({});
  context.work = work;
  try {
    script.runInContext(context, { timeout: limitMs });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return false;
    throw error;
  } finally {
    context.work = null;
  }
}

const script = new Script('work()');
let context: Context | null = null;
