import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CLIENT_FRAME_LIMIT_BYTES,
  DAEMON_FRAME_LIMIT_BYTES,
  encodeJson,
  encodeStream,
  encodeStreamHeader,
  type Frame,
  FrameDecoder,
  FrameError,
} from '../../src/wire/frame.ts';

const LIMIT = 4096;

function decodeAll(chunks: readonly Uint8Array[], limitBytes = LIMIT): Frame[] {
  const decoder = new FrameDecoder(limitBytes);
  return chunks.flatMap((chunk) => [...decoder.push(Buffer.from(chunk))].map(copied));
}

/** Payloads may share memory with the chunk, so a copy is what is compared. */
function copied(frame: Frame): Frame {
  return frame.kind === 'json' ? frame : { ...frame, bytes: Uint8Array.from(frame.bytes) };
}

/** A frame by hand: what the outside relies on, independent of our own encoder. */
function raw(kind: number, body: string | readonly number[], length?: number): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body);
  const header = Buffer.alloc(5);
  header.writeUInt32BE(length ?? bytes.length + 1, 0);
  header[4] = kind;
  return Buffer.concat([header, bytes]);
}

test('the limits are 8 MiB from a client and 256 MiB from a daemon', () => {
  expect([CLIENT_FRAME_LIMIT_BYTES, DAEMON_FRAME_LIMIT_BYTES]).toEqual([8_388_608, 268_435_456]);
});

describe('the layout is pinned', () => {
  test('of JSON', () => {
    expect(encodeJson({ a: 'é' }).toString('hex')).toBe(`0000000b01${Buffer.from('{"a":"é"}').toString('hex')}`);
  });

  test('of output and input', () => {
    const frame = encodeStream({ kind: 'bytes', stream: 0x01020304, offset: 0x1fffffffffffff, bytes: Buffer.from('hi') });
    expect(frame.toString('hex')).toBe('0000000f' + '02' + '01020304' + '001fffffffffffff' + '6869');
  });

  test('of a snapshot', () => {
    const frame = encodeStream({ kind: 'snapshot', stream: 1, offset: 2, bytes: Buffer.alloc(0) });
    expect(frame.toString('hex')).toBe('0000000d' + '03' + '00000001' + '0000000000000002');
  });

  test('of a header whose payload is sent apart', () => {
    expect(encodeStreamHeader('bytes', 7, 9, 1000).toString('hex')).toBe('000003f5' + '02' + '00000007' + '0000000000000009');
  });
});

const frames: fc.Arbitrary<Frame> = fc.oneof(
  fc.jsonValue().map((value) => ({ kind: 'json' as const, value: JSON.parse(JSON.stringify(value)) })),
  fc.record({
    kind: fc.constantFrom('bytes' as const, 'snapshot' as const),
    stream: fc.nat(0xffffffff),
    offset: fc.maxSafeNat(),
    bytes: fc.uint8Array({ maxLength: 300 }),
  }),
);

function encode(frame: Frame): Buffer {
  return frame.kind === 'json' ? encodeJson(frame.value) : encodeStream(frame);
}

/** Cuts bytes at the given fractions of their length. */
function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const points = [...new Set([0, ...at.map((fraction) => Math.floor(fraction * bytes.length)), bytes.length])].sort((a, b) => a - b);
  return points.slice(1).map((end, i) => bytes.subarray(points[i], end));
}

describe('encode and decode agree', () => {
  test('however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(frames, { maxLength: 8 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 }),
        (sent, at) => {
          const chunks = cut(Buffer.concat(sent.map(encode)), at);
          expect(decodeAll(chunks, 1 << 20)).toEqual(sent);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('byte by byte', () => {
    const sent: Frame[] = [
      { kind: 'json', value: { method: 'x', params: ['ü', null] } },
      { kind: 'bytes', stream: 3, offset: 0, bytes: Uint8Array.from([0, 255, 27]) },
      { kind: 'snapshot', stream: 3, offset: 3, bytes: new Uint8Array() },
      { kind: 'json', value: null },
    ];
    const bytes = Buffer.concat(sent.map(encode));
    expect(decodeAll([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(sent);
  });

  test('a frame is given out with its last byte, not later', () => {
    const decoder = new FrameDecoder(LIMIT);
    const bytes = encodeJson({ whole: true });
    expect([...decoder.push(bytes.subarray(0, -1))]).toEqual([]);
    expect(decoder.isMidFrame).toBe(true);
    expect([...decoder.push(bytes.subarray(-1))]).toEqual([{ kind: 'json', value: { whole: true } }]);
    expect(decoder.isMidFrame).toBe(false);
  });
});

describe('a hostile peer', () => {
  test.each<[string, Buffer, string]>([
    ['a length of 0', raw(1, '', 0), 'frame of 0 bytes, the limit is 4096'],
    ['the greatest length', raw(1, '', 0xffffffff), 'frame of 4294967295 bytes, the limit is 4096'],
    ['one byte over the limit', raw(1, '', LIMIT + 1), 'frame of 4097 bytes, the limit is 4096'],
    ['kind 0', raw(0, '{}'), 'frame of unknown kind 0'],
    ['kind 4', raw(4, '{}'), 'frame of unknown kind 4'],
    ['kind 255', raw(255, '{}'), 'frame of unknown kind 255'],
    ['JSON cut short', raw(1, '{"a":'), 'frame is not JSON'],
    ['no JSON at all', raw(1, 'hello'), 'frame is not JSON'],
    ['an empty JSON frame', raw(1, ''), 'frame is not JSON'],
    ['two JSON texts in one frame', raw(1, '{}{}'), 'frame is not JSON'],
    ['invalid UTF-8', raw(1, [0x22, 0xff, 0xfe, 0x22]), 'frame is not JSON'],
    ['an overlong encoding', raw(1, [0x22, 0xc0, 0xaf, 0x22]), 'frame is not JSON'],
    ['a lone surrogate in UTF-8', raw(1, [0x22, 0xed, 0xa0, 0x80, 0x22]), 'frame is not JSON'],
    ['a stream frame without its header', raw(2, [0, 0, 0, 1]), 'bytes frame of only 4 bytes'],
    ['a snapshot with half of its offset', raw(3, [0, 0, 0, 1, 0, 0, 0, 0]), 'snapshot frame of only 8 bytes'],
    ['an offset past what a number holds', raw(2, [0, 0, 0, 1, 0, 0x20, 0, 0, 0, 0, 0, 0]), 'stream offset out of range'],
    ['the greatest offset', raw(2, [0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 255]), 'stream offset out of range'],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n'), 'frame of 1195725856 bytes, the limit is 4096'],
  ])('is refused for %s', (_, bytes, message) => {
    const refusal = (() => {
      try {
        return decodeAll([bytes]);
      } catch (error) {
        return error;
      }
    })();
    expect(refusal).toBeInstanceOf(FrameError);
    expect((refusal as FrameError).message).toContain(message);
  });

  test('a frame of exactly the limit is taken', () => {
    const text = JSON.stringify('x'.repeat(LIMIT - 3));
    expect(decodeAll([raw(1, text)])).toEqual([{ kind: 'json', value: 'x'.repeat(LIMIT - 3) }]);
  });

  test('brackets a million deep end the connection at most, not the process', () => {
    const deep = raw(1, '['.repeat(1_000_000) + ']'.repeat(1_000_000));
    const outcome = (() => {
      try {
        return decodeAll([deep], CLIENT_FRAME_LIMIT_BYTES);
      } catch (error) {
        return error;
      }
    })();
    // Some versions of Node parse it, others run out of stack: either is an answer.
    expect(Array.isArray(outcome) || outcome instanceof FrameError).toBe(true);
  });

  test('"__proto__" is a plain member and changes no other object', () => {
    const [frame] = decodeAll([raw(1, '{"__proto__":{"isAdmin":true},"constructor":{"prototype":{"isAdmin":true}}}')]);
    const { value } = frame as { value: object };
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor']);
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined();
  });

  test('what comes before a bad frame is still given out', () => {
    const decoder = new FrameDecoder(LIMIT);
    const heard: Frame[] = [];
    expect(() => {
      for (const frame of decoder.push(Buffer.concat([encodeJson(1), encodeJson(2), raw(9, '')]))) heard.push(frame);
    }).toThrow(FrameError);
    expect(heard).toEqual([
      { kind: 'json', value: 1 },
      { kind: 'json', value: 2 },
    ]);
  });

  test('an over-long frame is refused by its header, before any of it has to be kept', () => {
    const decoder = new FrameDecoder(LIMIT);
    const header = raw(2, [], LIMIT + 1);
    expect([...decoder.push(header.subarray(0, 3))]).toEqual([]);
    expect(() => [...decoder.push(header.subarray(3, 4))]).toThrow(FrameError);
  });

  test('a frame that dribbles in is joined a few times, not once a byte', () => {
    // 1 MiB in pieces of 16 bytes: joining at every piece would copy 32 GiB and take many seconds.
    const frame = encodeStream({ kind: 'bytes', stream: 1, offset: 0, bytes: Buffer.alloc(1 << 20, 'x') });
    const decoder = new FrameDecoder(2 << 20);
    let copies = 0;
    const allocate = Buffer.allocUnsafe;
    Buffer.allocUnsafe = ((...args: Parameters<typeof allocate>) => {
      copies++;
      return allocate(...args);
    }) as typeof allocate;
    try {
      const got: Frame[] = [];
      for (let at = 0; at < frame.length; at += 16) got.push(...decoder.push(frame.subarray(at, at + 16)));
      expect(got.map((one) => one.kind !== 'json' && one.bytes.length)).toEqual([1 << 20]);
    } finally {
      Buffer.allocUnsafe = allocate;
    }
    expect(copies).toBeLessThan(20);
  });
});
