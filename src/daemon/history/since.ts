/**
 * A point in time as people write it, as milliseconds since 1970: `10m`, `2h30m` and the like are that long before `now`; dates and times
 * (`2026-11-21`, `2026-11-21T14:00`, `14:30`) are local unless they say `Z` or `+01:00`; `today` and `yesterday` are their first moment. A
 * time of day that has not come yet is yesterday's.
 */
export function parseSince(text: string, now: number): Since {
  const trimmed = text.trim();
  const at = byName(trimmed, now) ?? byDuration(trimmed, now) ?? byClock(trimmed, now) ?? byDate(trimmed);
  if (at !== null) return { ok: true, at };
  return { ok: false, problem: `Time ${JSON.stringify(text)} is not understood: use 10m, 2h, 2026-11-21T14:00 or 14:30` };
}

export type Since = { ok: true; at: number } | { ok: false; problem: string };

function byName(text: string, now: number): number | null {
  const date = new Date(now);
  switch (text.toLowerCase()) {
    case 'now':
      return now;
    case 'today':
      return date.setHours(0, 0, 0, 0);
    case 'yesterday':
      // Not 24 hours before: days have 23 or 25 twice a year.
      return new Date(date.getFullYear(), date.getMonth(), date.getDate() - 1).getTime();
    default:
      return null;
  }
}

function byDuration(text: string, now: number): number | null {
  if (!/^(?:\d{1,9}(?:\.\d{1,3})?(?:ms|[wdhms]) ?)+$/i.test(`${text} `)) return null;
  let long = 0;
  for (const [, count, unit] of text.toLowerCase().matchAll(/([\d.]+)(ms|[wdhms])/g)) long += Number(count) * UNITS[unit!]!;
  // Before the first moment that a Date can hold there is nothing.
  return Math.max(-LAST_MOMENT, Math.round(now - long));
}

function byClock(text: string, now: number): number | null {
  const match = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(text);
  if (!match) return null;
  const [hours, minutes, seconds] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
  if (hours > 23 || minutes > 59 || seconds > 59) return null;
  const date = new Date(now);
  const onDay = (day: number) => new Date(date.getFullYear(), date.getMonth(), day, hours, minutes, seconds).getTime();
  const today = onDay(date.getDate());
  return today > now ? onDay(date.getDate() - 1) : today;
}

function byDate(text: string): number | null {
  const match = DATE.exec(text);
  if (!match) return null;
  const part = (group: number) => Number(match[group] ?? 0);
  const [year, month, day, hours, minutes, seconds] = [part(1), part(2), part(3), part(4), part(5), part(6)];
  const milliseconds = Number((match[7] ?? '').slice(0, 3).padEnd(3, '0'));
  const zone = match[8];
  // A Date takes the 31st of February for the 3rd of March.
  if (month < 1 || month > 12 || day < 1 || day > new Date(Date.UTC(year, month, 0)).getUTCDate()) return null;
  if (hours > 23 || minutes > 59 || seconds > 59) return null;
  if (zone === undefined) return new Date(year, month - 1, day, hours, minutes, seconds, milliseconds).getTime();
  const offsetMinutes = minutesOf(zone);
  if (offsetMinutes === null) return null;
  return Date.UTC(year, month - 1, day, hours, minutes, seconds, milliseconds) - offsetMinutes * 60_000;
}

/** Of `Z`, `+01:00`, `-0930` or `+01`. */
function minutesOf(zone: string): number | null {
  if (zone.toUpperCase() === 'Z') return 0;
  const [, sign, hours, minutes = '0'] = /^([+-])(\d{2}):?(\d{2})?$/.exec(zone)!;
  if (Number(hours) > 23 || Number(minutes) > 59) return null;
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}

const DATE = /^([1-9]\d{3})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s?(Z|[+-]\d{2}(?::?\d{2})?)?)?$/i;

const SECOND = 1000;
const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: SECOND,
  m: 60 * SECOND,
  h: 3600 * SECOND,
  d: 86_400 * SECOND,
  w: 7 * 86_400 * SECOND,
};
const LAST_MOMENT = 8_640_000_000_000_000;
