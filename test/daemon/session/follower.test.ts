import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Follower } from '../../../src/daemon/session/follower.ts';
import type { Stream } from '../../../src/daemon/subsystem.ts';
import { Screen } from '../../../src/daemon/terminal/screen.ts';

const NOTICE = Buffer.from('\x1b]9;"api" waits for you\x1b\\\x07');

/** A follower of a screen, and all that its terminal is sent. */
function follow({ isLeader, cols = 20 }: { isLeader: boolean; cols?: number }) {
  const screen = new Screen({ cols: 20, rows: 5, scrollbackLines: 10, answer() {} });
  const sent: Buffer[] = [];
  const stream: Stream = {
    id: 1,
    send: (_, __, bytes) => void sent.push(Buffer.from(bytes)),
    bytesWaiting: 0,
    whenDrained() {},
    end() {},
  };
  const follower = new Follower({ stream, screen, cols, rows: 5, readOnly: false, shown: false });
  follower.isLeader = isLeader;
  let offset = 0;
  return {
    screen,
    follower,
    sent: () => Buffer.concat(sent),
    begin: () => follower.show(offset, 'all'),
    print(bytes: Uint8Array) {
      offset += bytes.length;
      screen.feed(bytes, false);
      follower.offer(offset, bytes);
    },
    [Symbol.dispose]() {
      follower.stop();
      screen.dispose();
    },
  };
}

/** Whether a terminal that has read these bytes has no sequence and no character open. */
function isInGap(bytes: Uint8Array): boolean {
  const screen = new Screen({ cols: 20, rows: 5, scrollbackLines: 10, answer() {} });
  screen.feed(bytes, false);
  const isSo = screen.isInGap;
  screen.dispose();
  return isSo;
}

const piece = fc.oneof(
  fc.constantFrom('text', 'ü', '…', '😀', '\x1b[31m', '\x1b[?25l', '\x1b]2;a title\x07', '\x1b]52;c;aGVsbG8=\x1b\\', '\x1b(0', '\x1b7'),
  fc.constantFrom('\x1b[6n', '\x1b[c', '\x1b]11;?\x07', '\x1bP+q544e\x1b\\', '\x1b_Ga=q;\x1b\\', '\x05', '\u009b1m', '\x1bPq#0\x1b\\'),
  // Cut short, interrupted, cancelled.
  fc.constantFrom('\x1b', '\x1b[1', '\x1b]2;half', '\x1bP1$r', '\x1b[1\x1b[2m', '\x18', '\x1a', '\x1b\x1b[m', '\x1b]0;x\x1b', '\r\n'),
);
const stream = fc
  .tuple(fc.array(piece, { maxLength: 12 }), fc.array(fc.nat(200), { maxLength: 6 }), fc.nat(8))
  .map(([pieces, cuts, at]) => {
    const bytes = Buffer.from(pieces.join(''));
    const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
    const chunks = [...places, bytes.length].map((end, i) => bytes.subarray(i === 0 ? 0 : places[i - 1], end));
    return { chunks: chunks.filter(({ length }) => length > 0), at };
  });

test.each([true, false])(
  'a notice comes where no sequence of the program is open, and changes none of its bytes (leader: %s)',
  (isLeader) => {
    let inTheMiddle = 0;
    fc.assert(
      fc.property(stream, ({ chunks, at }) => {
        using plain = follow({ isLeader });
        using told = follow({ isLeader });
        for (const one of [plain, told]) one.begin();
        chunks.forEach((chunk, i) => {
          if (i === at) expect(told.follower.tell(NOTICE)).toBe(true);
          for (const one of [plain, told]) one.print(chunk);
        });
        if (at >= chunks.length) told.follower.tell(NOTICE);
        const place = told.sent().indexOf(NOTICE);
        if (place === -1) {
          expect(told.sent()).toEqual(plain.sent());
          // It waits for as long as something is open, or may be.
          expect([isInGap(told.sent()) && isLeader, at]).toEqual([false, at]);
          return;
        }
        const without = Buffer.concat([told.sent().subarray(0, place), told.sent().subarray(place + NOTICE.length)]);
        expect(without).toEqual(plain.sent());
        expect(isInGap(told.sent().subarray(0, place))).toBe(true);
        if (place > 0 && place + NOTICE.length < told.sent().length) inTheMiddle++;
      }),
      { numRuns: 120 },
    );
    expect(inTheMiddle).toBeGreaterThan(5);
  },
);

test('in the middle of a title it waits for the end of that, and only the latest is said', () => {
  using one = follow({ isLeader: true });
  one.begin();
  const before = one.sent().length;
  one.print(Buffer.from('a\x1b]2;a ti'));
  one.follower.tell(Buffer.from('\x07first'));
  one.follower.tell(NOTICE);
  one.print(Buffer.from('tle \xe2\x80', 'latin1'));
  one.print(Buffer.from('\xa6\x1b', 'latin1'));
  one.print(Buffer.from('\\b\x1b[31m'));
  expect(one.sent().subarray(before).toString()).toBe(`a\x1b]2;a title …\x1b\\${NOTICE}b\x1b[31m`);
});

test('one whose size is another is told between two pictures; one that shows nothing is not told', () => {
  using one = follow({ isLeader: true, cols: 10 });
  expect(one.follower.tell(NOTICE)).toBe(false);
  one.begin();
  one.print(Buffer.from('half a title: \x1b]2;a ti'));
  one.follower.tell(NOTICE);
  expect(one.sent().subarray(-NOTICE.length)).toEqual(NOTICE);
  expect(isInGap(one.sent())).toBe(true);
});
