import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseSince } from '../../src/base/since.ts';

const zone = process.env.TZ;
beforeAll(() => {
  process.env.TZ = 'Europe/Berlin';
});
afterAll(() => {
  if (zone === undefined) delete process.env.TZ;
  else process.env.TZ = zone;
});

/** A quarter past two in the afternoon in Berlin. */
const NOW = Date.UTC(2026, 10, 21, 13, 15, 30);

test.each([
  ['10m', '2026-11-21T13:05:30.000Z'],
  ['2h30m', '2026-11-21T10:45:30.000Z'],
  ['1d', '2026-11-20T13:15:30.000Z'],
  ['90s', '2026-11-21T13:14:00.000Z'],
  ['1.5h', '2026-11-21T11:45:30.000Z'],
  ['1w 2D', '2026-11-12T13:15:30.000Z'],
  ['250ms', '2026-11-21T13:15:29.750Z'],
  ['now', '2026-11-21T13:15:30.000Z'],
  ['today', '2026-11-20T23:00:00.000Z'],
  ['Yesterday', '2026-11-19T23:00:00.000Z'],
  ['14:10', '2026-11-21T13:10:00.000Z'],
  ['14:15:31', '2026-11-20T13:15:31.000Z'],
  ['9:00', '2026-11-21T08:00:00.000Z'],
  ['23:30', '2026-11-20T22:30:00.000Z'],
  ['2026-11-21', '2026-11-20T23:00:00.000Z'],
  ['2026-07-01T14:00', '2026-07-01T12:00:00.000Z'],
  ['2026-11-21 14:00:05', '2026-11-21T13:00:05.000Z'],
  ['2026-11-21T14:00:05.1239', '2026-11-21T13:00:05.123Z'],
  ['2026-11-21T14:00Z', '2026-11-21T14:00:00.000Z'],
  ['2026-11-21T14:00:00.5-05:30', '2026-11-21T19:30:00.500Z'],
  ['2024-02-29', '2024-02-28T23:00:00.000Z'],
  [' 5m ', '2026-11-21T13:10:30.000Z'],
])('"%s" is %s', (text, expected) => {
  const since = parseSince(text, NOW);
  expect(since.ok && new Date(since.at).toISOString()).toBe(expected);
});

test('days have 23 or 25 hours twice a year', () => {
  const afterSpring = Date.UTC(2026, 2, 30, 10);
  expect(parseSince('yesterday', afterSpring)).toEqual({ ok: true, at: Date.UTC(2026, 2, 28, 23) });
  expect(parseSince('12:30', Date.UTC(2026, 2, 29, 10))).toEqual({ ok: true, at: Date.UTC(2026, 2, 28, 11, 30) });
});

test.each([
  '',
  'x',
  '10',
  '-5m',
  '10y',
  '5m!',
  '2026-02-29',
  '2026-13-01',
  '2026-11-21T24:00',
  '25:00',
  '14:60',
  '2026-11-21T14:00+25:00',
  '0099-01-01',
  '1h 2',
])('about "%s" it says what can be written', (text) => {
  expect(parseSince(text, NOW)).toEqual({
    ok: false,
    problem: `Time "${text}" is not understood: use 10m, 2h, 2026-11-21T14:00 or 14:30`,
  });
});
