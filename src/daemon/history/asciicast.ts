import type { Entry } from '../persistence/journal/entry.ts';
import { markPattern } from '../terminal/marks.ts';
import { gapNotice } from './gap-notice.ts';
import { inPieces } from './pieces.ts';

/**
 * A recording as asciicast v2 (https://docs.asciinema.org/manual/asciicast/v2), in strings of about 64 KiB. Output is text there: a
 * character that is cut comes whole with its last byte, and bytes that are none become U+FFFD. A gap is a marker. What was typed is not in
 * the journal. Time never goes back, even if the clock did.
 */
export function asciicast(entries: Iterable<Entry>, options: AsciicastOptions): Generator<string> {
  return inPieces(jsonOf(entries, options));
}

export interface AsciicastOptions {
  /** The size that counts until an entry says otherwise. */
  cols: number;
  rows: number;
  title?: string;
  command?: string;
  /** TERM and SHELL are taken, the rest is nobody's business. */
  env?: Readonly<Record<string, string | undefined>>;
}

function* jsonOf(entries: Iterable<Entry>, options: AsciicastOptions): Generator<string> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let size = { cols: options.cols, rows: options.rows };
  let began: number | null = null;
  let hasHeader = false;
  let seconds = 0;
  for (const entry of entries) {
    began ??= entry.at;
    if (!hasHeader) {
      // Sizes before the first output are the recording's.
      if (entry.is === 'resize') size = entry;
      if (entry.is === 'resize' || entry.is === 'input') continue;
      yield headerOf(options, size, began);
      hasHeader = true;
    }
    seconds = Math.max(seconds, (entry.at - began) / 1000);
    switch (entry.is) {
      case 'output': {
        const text = decoder.decode(entry.bytes, { stream: true }).replace(SHELL_MARK, '');
        if (text) yield eventOf(seconds, 'o', text);
        break;
      }
      case 'resize':
        yield eventOf(seconds, 'r', `${entry.cols}x${entry.rows}`);
        break;
      case 'gap': {
        const rest = decoder.decode();
        if (rest) yield eventOf(seconds, 'o', rest);
        yield eventOf(seconds, 'm', gapNotice(entry));
        break;
      }
      case 'input':
        break;
      default: {
        const never: never = entry;
        throw new Error(`What is ${JSON.stringify(never)}?`);
      }
    }
  }
  if (!hasHeader) yield headerOf(options, size, began);
  const rest = decoder.decode();
  if (rest) yield eventOf(seconds, 'o', rest);
}

/** What our shells say to us is for nobody else. One that is cut between two entries stays, which terminals do not show either. */
const SHELL_MARK = new RegExp(markPattern('[\\da-f]{24}'), 'g');

function headerOf(
  { title, command, env = {} }: AsciicastOptions,
  { cols, rows }: { cols: number; rows: number },
  at: number | null,
): string {
  const header = {
    version: 2,
    width: cols,
    height: rows,
    ...(at === null ? {} : { timestamp: Math.floor(at / 1000) }),
    ...(title === undefined ? {} : { title }),
    ...(command === undefined ? {} : { command }),
    env: { TERM: env.TERM ?? 'xterm-256color', ...(env.SHELL === undefined ? {} : { SHELL: env.SHELL }) },
  };
  return `${JSON.stringify(header)}\n`;
}

function eventOf(seconds: number, code: string, data: string): string {
  return `[${seconds}, "${code}", ${JSON.stringify(data)}]\n`;
}
