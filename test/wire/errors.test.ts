import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ERRORS, type ErrorBody, type ErrorCode, fromWire, toWire, WireError } from '../../src/wire/errors.ts';

test('codes, JSON-RPC numbers, HTTP statuses and exit codes are what the outside relies on', () => {
  const table = Object.entries(ERRORS).map(([code, { rpc, http, exit }]) => [code, rpc, http, exit]);
  expect(table).toEqual([
    ['bad-request', -32600, 400, 2],
    ['unknown-call', -32601, 404, 2],
    ['bad-params', -32602, 400, 2],
    ['internal', -32603, 500, 1],
    ['not-found', -32001, 404, 3],
    ['denied', -32002, 403, 5],
    ['exists', -32003, 409, 6],
    ['ended', -32004, 409, 7],
    ['spawn-failed', -32005, 422, 8],
    ['busy', -32006, 429, 1],
    ['version', -32007, 426, 4],
  ]);
});

test('each JSON-RPC number belongs to one code, and each code says what it means', () => {
  const numbers = Object.values(ERRORS).map(({ rpc }) => rpc);
  expect(new Set(numbers).size).toBe(numbers.length);
  expect(Object.values(ERRORS).filter(({ means }) => !/^[A-Z].*\.$/.test(means))).toEqual([]);
});

describe('a refusal crosses the wire', () => {
  test('with its number, its words, and its code among the data', () => {
    expect(toWire(new WireError('not-found', 'No session named "x".', { session: 'x' }))).toEqual({
      code: -32001,
      message: 'No session named "x".',
      data: { session: 'x', code: 'not-found' },
    });
  });

  test('and comes out as it went in', () => {
    const codes = fc.constantFrom(...(Object.keys(ERRORS) as ErrorCode[]));
    const data = fc.dictionary(
      fc.string().filter((name) => name !== 'code' && name !== '__proto__'),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(codes, fc.string(), data, (code, message, data) => {
        const there = JSON.parse(JSON.stringify(toWire(new WireError(code, message, data))));
        const { code: codeBack, message: messageBack, data: dataBack } = fromWire(there);
        expect({ code: codeBack, message: messageBack, data: dataBack }).toEqual({ code, message, data: JSON.parse(JSON.stringify(data)) });
      }),
    );
  });

  test('data cannot put another code in its place', () => {
    const body = toWire(new WireError('denied', 'No.', { code: 'internal' }));
    expect([body.data.code, fromWire(body).code]).toEqual(['denied', 'denied']);
  });

  test.each<[string, unknown, string, string, object]>([
    [
      'a code from a newer daemon',
      { code: -32099, message: 'Too hot.', data: { code: 'too-hot', degrees: 90 } },
      'internal',
      'Too hot.',
      { degrees: 90, unknownCode: 'too-hot' },
    ],
    ['no data', { code: -32000, message: 'Strange.' }, 'internal', 'Strange.', { unknownCode: undefined }],
    ['a code that is no string', { code: 1, message: 'Strange.', data: { code: 7 } }, 'internal', 'Strange.', { unknownCode: 7 }],
    ['a name every object has', { code: 1, message: 'Sly.', data: { code: 'toString' } }, 'internal', 'Sly.', { unknownCode: 'toString' }],
    [
      '"__proto__" as the code',
      { code: 1, message: 'Sly.', data: { code: '__proto__' } },
      'internal',
      'Sly.',
      { unknownCode: '__proto__' },
    ],
    ['a message that is no string', { code: -32001, message: 404, data: { code: 'not-found' } }, 'not-found', '404', {}],
  ])('%s reads as what can be known of it', (_, body, code, message, data) => {
    const error = fromWire(body as ErrorBody);
    expect({ code: error.code, message: error.message, data: error.data }).toEqual({ code, message, data });
  });
});

test.each<[ErrorCode, number]>([
  ['not-found', 3],
  ['exists', 6],
  ['internal', 1],
])('a %s refusal ends a command with %i', (code, exit) => {
  expect(new WireError(code, '').exitCode).toBe(exit);
});
