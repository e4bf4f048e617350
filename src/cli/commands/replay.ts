import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { RESET_TERMINAL } from '../../wire/terminal-reset.ts';
import { moment, readHistory } from '../history.ts';
import { say, UsageError } from '../output.ts';
import { AsciicastError, readAsciicast } from '../replay/read-asciicast.ts';
import { takeTarget, withDaemon, withTarget } from '../session.ts';

interface Options {
  target?: string;
  speed: number;
  idle: number;
  since?: number;
}

export function define(command: Command): void {
  withTarget(command)
    .argument('[name]', 'the session, running or long gone; or a recording: a file that ends in .cast')
    .option('--speed <n>', 'how much faster than it was, as 2 or 0.5', positive('Speed'), 1)
    .option('--idle <seconds>', 'the longest pause', positive('The longest pause'), 2)
    .option('--since <time>', 'from then on: 10m, 2h, 14:30, yesterday, 2026-11-21T14:00', moment)
    .addHelpText('after', '\nC-c ends it.')
    .action(run);
}

async function run(operand: string | undefined, options: Options): Promise<void> {
  const { session } = takeTarget(operand === undefined ? [] : [operand], options);
  const { since, speed, idle } = options;
  let recording: string;
  if (session.endsWith('.cast') && existsSync(session)) recording = readFileSync(session, 'utf8');
  else {
    const pieces: Uint8Array[] = [];
    const params = { session, format: 'asciicast' as const, ...(since !== undefined && { since }) };
    await withDaemon((daemon) => readHistory(daemon, params, (bytes) => pieces.push(bytes)));
    recording = Buffer.concat(pieces).toString('utf8');
  }
  try {
    await play(recording, { speed, idle });
  } catch (error) {
    if (error instanceof AsciicastError) throw new UsageError(error.message);
    throw error;
  }
}

async function play(recording: string, { speed, idle }: { speed: number; idle: number }): Promise<void> {
  const { header, events } = readAsciicast(linesOf(recording));
  const { columns = 0, rows = 0, isTTY } = process.stdout;
  if (isTTY && (columns < header.cols || rows < header.rows))
    say(`This was ${header.cols}x${header.rows}, and your terminal is ${columns}x${rows}: it may not look as it did.`);
  // Whatever is left of modes and colours when it ends, or is ended.
  const restore = () => isTTY && process.stdout.write(`${RESET_TERMINAL}\r\n`);
  process.once('SIGINT', () => {
    restore();
    process.exit(130);
  });
  let at = 0;
  for (const event of events) {
    const pause = Math.min(idle, (event.seconds - at) / speed);
    at = event.seconds;
    if (isTTY && pause > 0) await delay(pause * 1000);
    if (event.is === 'output') process.stdout.write(event.text);
  }
  restore();
}

function* linesOf(text: string): Generator<string> {
  for (let from = 0; from < text.length; ) {
    const end = text.indexOf('\n', from);
    yield text.slice(from, end === -1 ? undefined : end);
    if (end === -1) return;
    from = end + 1;
  }
}

function positive(what: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!(value > 0 && value <= 1000)) throw new UsageError(`${what} "${text}" is not a number above 0, up to 1000.`);
    return value;
  };
}
