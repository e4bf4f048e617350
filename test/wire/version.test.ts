import { describe, expect, test } from 'vitest';
import { negotiate, OLDEST_PROTOCOL, PROTOCOL, readHello } from '../../src/wire/version.ts';

test('this build speaks protocol 1', () => {
  expect([PROTOCOL, OLDEST_PROTOCOL]).toEqual([1, 1]);
});

describe('two sides agree on the newest protocol that both understand', () => {
  test.each<[ours: [oldest: number, newest: number], theirs: [oldest: number, newest: number], common: number | null]>([
    [[1, 1], [1, 1], 1],
    [[1, 3], [1, 1], 1],
    [[1, 1], [1, 3], 1],
    [[2, 5], [3, 4], 4],
    [[3, 5], [1, 3], 3],
    [[3, 5], [1, 2], null],
    [[1, 2], [3, 5], null],
    [[2, 2], [2, 2], 2],
    [[0, 0], [0, 1], 0],
    // A range that is upside down has nothing in it.
    [[5, 3], [1, 9], null],
    [[1, 9], [5, 3], null],
  ])('%j and %j: %j', ([ourOldest, ours], [theirOldest, theirs], common) => {
    const [us, them] = [
      { protocol: ours, oldest: ourOldest },
      { protocol: theirs, oldest: theirOldest },
    ];
    expect([negotiate(us, them), negotiate(them, us)]).toEqual([common, common]);
  });
});

const HELLO = { protocol: 7, oldest: 2, build: '1.2.3', pid: 99, instance: 'abcd' };

describe('a hello', () => {
  test('has five members, and its shape never changes', () => {
    expect(readHello({ hello: HELLO })).toEqual({ protocol: 7, oldest: 2, build: '1.2.3', pid: 99, instance: 'abcd' });
  });

  test('may carry more, which is left out', () => {
    expect(readHello({ hello: { ...HELLO, features: ['x'] }, also: 1 })).toEqual(HELLO);
  });

  test('is cut where it is too long', () => {
    const long = 'x'.repeat(1_000_000);
    expect(readHello({ hello: { ...HELLO, build: long, instance: long } })).toEqual({
      ...HELLO,
      build: 'x'.repeat(100),
      instance: 'x'.repeat(100),
    });
  });

  test.each<[string, unknown]>([
    ['null', null],
    ['undefined', undefined],
    ['a number', 1],
    ['a string', 'hello'],
    ['an array', [HELLO]],
    ['an empty object', {}],
    ['a hello that is null', { hello: null }],
    ['a hello that is a string', { hello: 'hello' }],
    ['a hello that is an empty array', { hello: [] }],
    ...Object.keys(HELLO).map((name): [string, unknown] => [`no ${name}`, { hello: { ...HELLO, [name]: undefined } }]),
    ...['protocol', 'oldest', 'pid'].flatMap((name) =>
      [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '1', null, [1], {}, true].map((value): [string, unknown] => [
        `${name} ${JSON.stringify(value)}`,
        { hello: { ...HELLO, [name]: value } },
      ]),
    ),
    ...['build', 'instance'].flatMap((name) =>
      [1, null, ['x'], {}].map((value): [string, unknown] => [`${name} ${JSON.stringify(value)}`, { hello: { ...HELLO, [name]: value } }]),
    ),
  ])('is not %s', (_, value) => {
    expect(readHello(value)).toBeNull();
  });
});
