/** What two texts differ in, line by line: each line that is only in the first after "-", and only in the second after "+". */
export function changedLines(before: string, after: string): string[] {
  const [allOld, allNow] = [linesOf(before), linesOf(after)];
  const shorter = Math.min(allOld.length, allNow.length);
  let start = 0;
  while (start < shorter && allOld[start] === allNow[start]) start++;
  let end = 0;
  while (end < shorter - start && allOld.at(-1 - end) === allNow.at(-1 - end)) end++;
  const old = allOld.slice(start, allOld.length - end);
  const now = allNow.slice(start, allNow.length - end);
  if (old.length * now.length > PAIRS_LIMIT) return [...old.map((line) => `- ${line}`), ...now.map((line) => `+ ${line}`)];
  // The longest sequence that both have, from each pair of places on.
  const width = now.length + 1;
  const common = new Uint32Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i--)
    for (let j = now.length - 1; j >= 0; j--)
      common[i * width + j] =
        old[i] === now[j] ? common[(i + 1) * width + j + 1]! + 1 : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
  const changed: string[] = [];
  for (let i = 0, j = 0; i < old.length || j < now.length; ) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      i++;
      j++;
    } else if (j === now.length || (i < old.length && common[(i + 1) * width + j]! >= common[i * width + j + 1]!))
      changed.push(`- ${old[i++]}`);
    else changed.push(`+ ${now[j++]}`);
  }
  return changed;
}

/** Above it the search would take seconds, and nobody reads so many lines. */
const PAIRS_LIMIT = 4_000_000;

function linesOf(text: string): string[] {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  return lines;
}
