import { UsageError } from '../output.ts';

/** Refuses to attach inside a session: it would show itself in itself, and the prefix would go to the outer one. */
export function refuseNesting(wanted: string): void {
  const inside = process.env.AI_SESSION;
  if (!inside) return;
  throw new UsageError(
    `You are inside session ${inside} already, so "${wanted}" is not attached to here. Make one in the background with: ai-session new -d; or insist with: env -u AI_SESSION ai-session ...`,
  );
}
