import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { RotatingFile } from './rotating-file.ts';

export type Fields = Record<string, unknown>;

/** The daemon's log: one JSON object a line, the moment it happens. */
export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  /** Returns the incident's id, which is what the outside is told about a bug. */
  incident(message: string, error: unknown, fields?: Fields): string;
  close(): void;
}

export function openLog(path: string, level: 'debug' | 'info' | 'warn' | 'error'): Log {
  const file = new RotatingFile(path);
  const out = pino(
    { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    file,
  );
  return {
    debug: (message, fields) => out.debug(fields ?? {}, message),
    info: (message, fields) => out.info(fields ?? {}, message),
    warn: (message, fields) => out.warn(fields ?? {}, message),
    incident(message, error, fields) {
      const incident = randomBytes(4).toString('hex');
      out.error({ ...fields, incident, err: error instanceof Error ? error : { message: String(error) } }, message);
      return incident;
    },
    close: () => file.close(),
  };
}
