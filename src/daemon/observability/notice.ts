/** What people can be told of a session. */
export type NoticeStatus = 'waiting' | 'failed' | 'done';

export interface Notice {
  session: string;
  name: string;
  status: NoticeStatus;
  /** A sentence, made of what programs print and people type: anything can be in it. */
  because: string;
  /** Milliseconds since 1970. */
  since: number;
  isTest: boolean;
}

const SAYS: Record<NoticeStatus, string> = { waiting: 'waits for you', failed: 'failed', done: 'is done' };

/** Characters of a notice. More than that is no notice. */
const LIMIT = 200;

/** The whole of it in one line. It begins with a quote: terminals take an OSC 9 that begins with a digit for a command. */
export function textOf({ name, status, because, isTest }: Notice): string {
  return oneLine(`"${name}" ${isTest ? 'would be told of' : SAYS[status]}: ${because}`);
}

/** A text that is safe to write to a terminal, or to hand to a program: one line, without controls, of a bounded length. */
export function oneLine(text: string, limit = LIMIT): string {
  const clean = text
    .slice(0, limit * 8)
    // Halves of a pair, as of an emoji that was cut, have no UTF-8.
    .replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim();
  const characters = [...clean];
  return characters.length > limit ? `${characters.slice(0, limit - 1).join('')}…` : clean;
}

/** What a terminal is written. */
export function terminalBytes(notice: Notice, { bell, osc9 }: { bell: boolean; osc9: boolean }): Uint8Array {
  return Buffer.from(`${osc9 ? `\x1b]9;${textOf(notice)}\x1b\\` : ''}${bell ? '\x07' : ''}`);
}

/** What a command finds in its environment. */
export function environmentOf(notice: Notice): Record<string, string> {
  return {
    AI_SESSION_NAME: oneLine(notice.name),
    AI_SESSION_ID: notice.session,
    AI_SESSION_STATUS: notice.status,
    AI_SESSION_BECAUSE: oneLine(notice.because, 1000),
    AI_SESSION_SINCE: new Date(notice.since).toISOString(),
    AI_SESSION_TEXT: textOf(notice),
    ...(notice.isTest && { AI_SESSION_TEST: '1' }),
  };
}

/** What a webhook gets. Slack, Mattermost and others show `text`. */
export function bodyOf(notice: Notice, host: string): string {
  const { session, name, status, because, since, isTest } = notice;
  return JSON.stringify({
    text: textOf(notice),
    status,
    session,
    name: oneLine(name),
    because: oneLine(because, 1000),
    since: new Date(since).toISOString(),
    host,
    test: isTest,
  });
}
