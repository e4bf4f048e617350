import { styleText } from 'node:util';
import { ConnectionError } from '../client/connection.ts';
import { DaemonError } from '../client/daemon.ts';
import { WireError } from '../wire/errors.ts';
import { EXIT } from './exit-codes.ts';

/** What the person typed cannot be done: one sentence, and exit code 2 unless another fits. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly exitCode: number;
  constructor(message: string, exitCode: number = EXIT.usage) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Standard output is data, standard error is words. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, process.stdout.isTTY ? 2 : 0));
}

export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Says what went wrong, as a sentence or as JSON, and returns the exit code. A bug keeps its stack. */
export function report(error: unknown, isJson: boolean): number {
  const known = describe(error);
  if (!known) {
    say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return EXIT.failure;
  }
  const { code, exitCode, message, data } = known;
  if (isJson) process.stderr.write(`${JSON.stringify({ error: { code, message, exitCode, ...data } })}\n`);
  else say(plain(message));
  return exitCode;
}

function describe(error: unknown): { code: string; exitCode: number; message: string; data?: object } | null {
  if (error instanceof WireError) return { code: error.code, exitCode: error.exitCode, message: error.message, data: error.data };
  if (error instanceof UsageError) return { code: 'usage', exitCode: error.exitCode, message: error.message };
  if (error instanceof DaemonError)
    return {
      code: `daemon-${error.reason}`,
      exitCode: error.reason === 'unsafe' ? EXIT.denied : error.reason === 'home' ? EXIT.usage : EXIT.noDaemon,
      message: error.message,
    };
  if (error instanceof ConnectionError) return { code: `connection-${error.reason}`, exitCode: EXIT.noDaemon, message: error.message };
  return null;
}

type Style = Parameters<typeof styleText>[0];

/** Colour where standard output is a terminal and NO_COLOR is not set. */
export function style(format: Style, text: string): string {
  return process.stdout.isTTY && !process.env.NO_COLOR && process.env.TERM !== 'dumb' ? styleText(format, text) : text;
}

/** Text from a program, with its control characters made visible: a title must not be able to write to somebody else's terminal. */
export function plain(text: string): string {
  return text.replace(
    /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu,
    (character) => `\\x${character.codePointAt(0)!.toString(16).padStart(2, '0')}`,
  );
}

/** Milliseconds as a person says them: 5s, 12m, 3h, 4d. */
export function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86400)}d`;
}
