import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ResumedLines, type ResumePoint, ResumePoints } from '../../../src/daemon/history/index/resume.ts';
import type { Entry } from '../../../src/daemon/persistence/journal/entry.ts';
import { anyBytes, entriesOf, SEED } from './streams.ts';

/** Restores that come without a save before them: after one that was restored already, its column is not known to one who resumes. */
function withoutStaleRestores(bytes: Buffer): Buffer {
  let isSaved = false;
  const text = bytes.toString('latin1').replace(/\x1b7|\x1b8|\x1b\[[su]/g, (sequence) => {
    if (sequence === '\x1b7' || sequence === '\x1b[s') isSaved = true;
    else if (!isSaved) return '';
    else isSaved = false;
    return sequence;
  });
  return Buffer.from(text, 'latin1');
}

const linesOf = (entries: readonly Entry[], from?: ResumePoint) => {
  const lines = new ResumedLines(from);
  return [...entries.flatMap((entry) => lines.push(entry)), ...lines.flush()];
};

const stream = fc.tuple(fc.array(anyBytes(), { minLength: 1, maxLength: 4 }), fc.array(fc.nat(), { maxLength: 6 }), fc.nat(3));

test('from any resume point on, the lines are those that come from the beginning', () => {
  let resumed = 0;
  fc.assert(
    fc.property(stream, ([parts, cuts, resizes]) => {
      const entries = entriesOf(withoutStaleRestores(Buffer.concat(parts)), cuts);
      for (let i = 0; i < resizes; i++) {
        const at = Math.floor(((i + 1) * entries.length) / 4);
        entries.splice(at, 0, { is: 'resize', at: 0, offset: entries[at]?.offset ?? 0, cols: 5 + i * 30, rows: 3 });
      }
      const whole = linesOf(entries);
      const points = new ResumePoints();
      for (const [i, entry] of entries.entries()) {
        const before = points.point;
        points.push(entry);
        const { point } = points;
        if (point === before) continue;
        resumed++;
        const rest = entries.slice(i).flatMap((entry): Entry[] => {
          if (entry.is !== 'output' || entry.offset >= point.offset) return [entry];
          return [{ ...entry, offset: point.offset, bytes: entry.bytes.subarray(point.offset - entry.offset) }];
        });
        // One that begins in the entry before: a sequence that was cut.
        const previous = entries[i - 1];
        if (point.offset < (entry.offset ?? 0) && previous?.is === 'output')
          rest.unshift({ ...previous, offset: point.offset, bytes: previous.bytes.subarray(point.offset - previous.offset) });
        if (point.offset < (entry.offset ?? 0) && (previous?.is !== 'output' || previous.offset > point.offset)) continue;
        expect(linesOf(rest, point)).toEqual(whole.filter(({ offset }) => offset >= point.offset));
      }
    }),
    { seed: SEED, numRuns: 5000 },
  );
  expect(resumed).toBeGreaterThan(1000);
});

test.each<[string, string]>([
  ['the alternate screen', '\x1b[?1049h\x1b[Hpicture\nmore\x1b[K'],
  ['line drawing', '\x1b(0lqk\n'],
  ['the other character set', '\x1b)0\x0e\n'],
  ['insert mode', '\x1b[4h\n'],
  ['a saved drawing set', '\x1b(0\x1b7\x1b8\x1b(B\n'],
])('%s is known to one who resumes', (_, before) => {
  const after = 'lqk\x1b[?1049llqk\rx\n\x1b8lqk\n';
  const entries = entriesOf(Buffer.from(before + after), [before.length]);
  const points = new ResumePoints();
  points.push(entries[0]!);
  expect(points.point.offset).toBe(before.length);
  const whole = linesOf(entries).filter(({ offset }) => offset >= before.length);
  expect(linesOf(entries.slice(1), points.point)).toEqual(whole);
  expect(whole.length).toBeGreaterThan(0);
});

test('a control within a sequence is no place to resume at', () => {
  const points = new ResumePoints();
  for (const entry of entriesOf(Buffer.from('ab\x1b[1\n'))) points.push(entry);
  expect(points.point.offset).toBe(0);
});
