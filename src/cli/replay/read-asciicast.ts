/**
 * Reads an asciicast v2, ours or asciinema's, line by line (with or without their newlines): the first line at once, the events as they
 * are asked for. Whatever is wrong with it, be it made with intent, is an `AsciicastError` whose message is one sentence for people.
 * Events that nobody knows are passed over, as the format wants; time never goes back.
 */
export function readAsciicast(lines: Iterable<string>): Asciicast {
  const iterator = lines[Symbol.iterator]();
  const first = iterator.next();
  if (first.done) throw new AsciicastError('The recording is empty.');
  return { header: headerFrom(first.value), events: eventsFrom(iterator) };
}

export interface Asciicast {
  header: AsciicastHeader;
  /** To be gone through once. */
  events: Generator<AsciicastEvent>;
}

export interface AsciicastHeader {
  cols: number;
  rows: number;
  /** Seconds since 1970. */
  timestamp: number | null;
  title: string | null;
  command: string | null;
  env: Readonly<Record<string, string>>;
  /** Pauses longer than so many seconds are to be shown as this. */
  idleLimitSeconds: number | null;
}

/** `seconds` since the recording began. */
export type AsciicastEvent =
  | { is: 'output'; seconds: number; text: string }
  | { is: 'input'; seconds: number; text: string }
  | { is: 'resize'; seconds: number; cols: number; rows: number }
  | { is: 'marker'; seconds: number; label: string };

/** The recording cannot be played. */
export class AsciicastError extends Error {
  override readonly name = 'AsciicastError';
}

function headerFrom(line: string): AsciicastHeader {
  const header = parsed(line, 1);
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw new AsciicastError('This is no asciicast recording: its first line should be a JSON object.');
  const { version, width, height, timestamp, title, command, env, idle_time_limit } = header as Record<string, unknown>;
  if (version !== 2) throw new AsciicastError(`This is asciicast version ${shown(version)}: only version 2 can be played.`);
  return {
    ...sizeFrom(width, height, 1),
    timestamp: numberFrom(timestamp, 'timestamp'),
    title: textFrom(title, 'title'),
    command: textFrom(command, 'command'),
    env: envFrom(env),
    idleLimitSeconds: numberFrom(idle_time_limit, 'idle_time_limit'),
  };
}

function* eventsFrom(lines: Iterator<string>): Generator<AsciicastEvent> {
  let seconds = 0;
  for (let number = 2, next = lines.next(); !next.done; number++, next = lines.next()) {
    if (next.value.length < BLANK_LINE_LIMIT && next.value.trim() === '') continue;
    const event = parsed(next.value, number);
    if (!Array.isArray(event) || event.length !== 3)
      throw new AsciicastError(`Line ${number} of the recording is no event: it should be [seconds, "code", "data"].`);
    const [time, code, data] = event as unknown[];
    if (typeof time !== 'number' || !Number.isFinite(time) || time < 0 || time > SECONDS_LIMIT)
      throw new AsciicastError(`Line ${number} of the recording has no time: it begins with ${shown(time)}.`);
    if (typeof code !== 'string' || typeof data !== 'string')
      throw new AsciicastError(`Line ${number} of the recording is no event: it should be [seconds, "code", "data"].`);
    seconds = Math.max(seconds, time);
    switch (code) {
      case 'o':
        yield { is: 'output', seconds, text: data };
        break;
      case 'i':
        yield { is: 'input', seconds, text: data };
        break;
      case 'm':
        yield { is: 'marker', seconds, label: data };
        break;
      case 'r': {
        const size = /^(\d{1,9})x(\d{1,9})$/.exec(data);
        yield { is: 'resize', seconds, ...sizeFrom(size ? Number(size[1]) : data, size ? Number(size[2]) : data, number) };
        break;
      }
    }
  }
}

function parsed(line: string, number: number): unknown {
  if (line.length > LINE_LIMIT) throw new AsciicastError(`Line ${number} of the recording is longer than 16 MiB.`);
  try {
    return JSON.parse(line);
  } catch {
    throw new AsciicastError(
      number === 1
        ? 'This is no asciicast recording: its first line should be a JSON object.'
        : `Line ${number} of the recording is not JSON.`,
    );
  }
}

function sizeFrom(cols: unknown, rows: unknown, number: number): { cols: number; rows: number } {
  const isSize = (size: unknown): size is number => Number.isInteger(size) && (size as number) >= 1 && (size as number) <= SIZE_LIMIT;
  if (isSize(cols) && isSize(rows)) return { cols, rows };
  const size = isSize(cols) ? rows : cols;
  throw new AsciicastError(`Line ${number} of the recording has a size of ${shown(size)}: it should be from 1 to ${SIZE_LIMIT}.`);
}

function numberFrom(value: unknown, name: string): number | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
  throw new AsciicastError(`The recording's ${name} is ${shown(value)}: it should be a number.`);
}

function textFrom(value: unknown, name: string): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return value;
  throw new AsciicastError(`The recording's ${name} is ${shown(value)}: it should be text.`);
}

function envFrom(value: unknown): Record<string, string> {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value))
    throw new AsciicastError(`The recording's env is ${shown(value)}: it should be an object.`);
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** A value of the file in a message: short, and without what a terminal would act upon. */
function shown(value: unknown): string {
  const json = (JSON.stringify(value) ?? 'missing').replace(/[\x7f-\x9f]/g, '?');
  return json.length > 40 ? `${json.slice(0, 40)}...` : json;
}

/** Code units. The largest event of a journal is far smaller. */
const LINE_LIMIT = 16 << 20;
const BLANK_LINE_LIMIT = 1024;
/** Of columns and rows, as for a pane. */
const SIZE_LIMIT = 2000;
/** Three hundred years. */
const SECONDS_LIMIT = 1e10;
