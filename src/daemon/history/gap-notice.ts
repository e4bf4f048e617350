import type { Gap } from '../persistence/journal/entry.ts';

/** What stands where bytes are missing: `1,234,567 bytes were not kept: budget`. */
export function gapNotice({ offset, to, because }: Gap): string {
  const count = String(to - offset).replace(/\B(?=(\d{3})+$)/g, ',');
  return `${count} ${to - offset === 1 ? 'byte was' : 'bytes were'} not kept: ${because}`;
}
