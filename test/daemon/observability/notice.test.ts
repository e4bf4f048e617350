import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bodyOf, environmentOf, type Notice, oneLine, terminalBytes, textOf } from '../../../src/daemon/observability/notice.ts';

const notice = (more: Partial<Notice>): Notice => ({
  session: '$1',
  name: 'api',
  status: 'waiting',
  because: 'the screen shows "Yes"',
  since: 0,
  isTest: false,
  ...more,
});

test('what terminals, programs and webhooks are given', () => {
  const one = notice({});
  expect(textOf(one)).toBe('"api" waits for you: the screen shows "Yes"');
  expect(Buffer.from(terminalBytes(one, { bell: true, osc9: true })).toString()).toBe(
    '\x1b]9;"api" waits for you: the screen shows "Yes"\x1b\\\x07',
  );
  expect(Buffer.from(terminalBytes(one, { bell: true, osc9: false })).toString()).toBe('\x07');
  expect(environmentOf(notice({ status: 'failed', because: 'a\nb' }))).toEqual({
    AI_SESSION_NAME: 'api',
    AI_SESSION_ID: '$1',
    AI_SESSION_STATUS: 'failed',
    AI_SESSION_BECAUSE: 'a b',
    AI_SESSION_SINCE: '1970-01-01T00:00:00.000Z',
    AI_SESSION_TEXT: '"api" failed: a b',
  });
  expect(JSON.parse(bodyOf(notice({ status: 'done' }), 'here'))).toEqual({
    text: '"api" is done: the screen shows "Yes"',
    status: 'done',
    session: '$1',
    name: 'api',
    because: 'the screen shows "Yes"',
    since: '1970-01-01T00:00:00.000Z',
    host: 'here',
    test: false,
  });
});

test('whatever a name or a reason has in it, a terminal is written one OSC 9 and one bell, of a bounded length', () => {
  const hostile = fc.string({
    unit: fc.oneof(fc.constantFrom('\x07', '\x1b', '\x9c', '\x1b\\', '\0', '\r\n', '\u202e', '\ud800'), fc.string()),
  });
  fc.assert(
    fc.property(hostile, hostile, (name, because) => {
      const bytes = terminalBytes(notice({ name, because }), { bell: true, osc9: true });
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
      const [, said] = /^\x1b\]9;(.*)\x1b\\\x07$/s.exec(text)!;
      expect(said).toMatch(/^"[^\p{Cc}\p{Cs}]{1,199}$/u);
      for (const value of Object.values(environmentOf(notice({ name, because })))) expect(value).not.toContain('\0');
    }),
  );
});

test('a long text is cut at a character', () => {
  expect(oneLine('😀'.repeat(300))).toBe(`${'😀'.repeat(199)}…`);
  expect(oneLine('x'.repeat(10_000_000), 5)).toBe('xxxx…');
});
