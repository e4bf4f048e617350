import { expect, test } from 'vitest';
import { jsonLines } from '../../../src/daemon/history/json.ts';
import type { Entry } from '../../../src/daemon/persistence/journal/entry.ts';

test('lines, resizes, gaps and marks are objects, one a line, in order', () => {
  const at = Date.UTC(2026, 10, 21, 14, 0, 0, 5);
  const entries: Entry[] = [
    { is: 'resize', at, offset: 0, cols: 80, rows: 24 },
    { is: 'output', at, offset: 0, bytes: Buffer.from('say "hi"\r\n$ ') },
    { is: 'input', at: at + 1000, offset: 12, length: 4 },
    { is: 'gap', at: at + 2000, offset: 12, to: 20, because: 'disk' },
    { is: 'output', at: at + 3000, offset: 20, bytes: Buffer.from('\u2028end') },
  ];
  const text = [...jsonLines(entries)].join('');
  expect(text.endsWith('\n')).toBe(true);
  expect(
    text
      .slice(0, -1)
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual([
    { is: 'resize', at: '2026-11-21T14:00:00.005Z', offset: 0, cols: 80, rows: 24 },
    { at: '2026-11-21T14:00:00.005Z', offset: 0, end: 10, text: 'say "hi"' },
    { is: 'input', at: '2026-11-21T14:00:01.005Z', offset: 12, length: 4 },
    { at: '2026-11-21T14:00:02.005Z', offset: 10, end: 12, text: '$' },
    { is: 'gap', at: '2026-11-21T14:00:02.005Z', offset: 12, to: 20, because: 'disk' },
    { at: '2026-11-21T14:00:03.005Z', offset: 20, end: 26, text: '\u2028end' },
  ]);
});
