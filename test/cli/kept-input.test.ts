import { expect, test } from 'vitest';
import { KeptInput } from '../../src/cli/attach/kept-input.ts';

const text = (input: Uint8Array[]) => Buffer.concat(input).toString();

test('what is typed while nobody is there is kept in order, and once', () => {
  const kept = new KeptInput();
  for (const key of 'abc') expect(kept.keep(Buffer.from(key))).toBe(true);
  expect(text(kept.take())).toBe('abc');
  expect(kept.take()).toEqual([]);
});

test('what no daemon has read comes first, and what one has read does not come again', () => {
  const kept = new KeptInput();
  const isRead = [kept.sent(Buffer.from('read')), kept.sent(Buffer.from('unread ')), kept.sent(Buffer.from('unread '))];
  isRead[0]!();
  kept.keep(Buffer.from('typed'));
  expect(text(kept.take())).toBe('unread unread typed');
  // What is sent again counts anew, and an answer that comes late counts for nothing.
  kept.sent(Buffer.from('once more'));
  isRead[1]!();
  expect(text(kept.take())).toBe('once more');
});

test('over a mebibyte nothing more is kept, so that there is no hole; the next time there is room again', () => {
  const kept = new KeptInput();
  expect(kept.keep(Buffer.alloc(1 << 20))).toBe(true);
  expect(kept.keep(Buffer.from('x'))).toBe(false);
  expect(text(kept.take())).toHaveLength(1 << 20);
  expect(kept.keep(Buffer.alloc((1 << 20) + 1))).toBe(false);
  expect(kept.keep(Buffer.from('x'))).toBe(false);
  expect(kept.take()).toEqual([]);
  expect(kept.keep(Buffer.from('x'))).toBe(true);
});
