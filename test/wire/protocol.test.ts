import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { CALLS } from '../../src/wire/calls.ts';
import { OLDEST_PROTOCOL, PROTOCOL } from '../../src/wire/version.ts';
import { incompatibilities, type Protocol, type Schema } from './compatibility.ts';

/** The calls as they are now: params as a client sends them, results as it gets them. */
const NOW = Object.fromEntries(
  Object.entries(CALLS).map(([name, { params, result }]) => [
    name,
    { params: z.toJSONSchema(params, { io: 'input' }), result: z.toJSONSchema(result, { io: 'output' }) },
  ]),
) as Protocol;

const frozen = (protocol: number) => join(import.meta.dirname, `protocol-${protocol}.json`);

/**
 * A new protocol is frozen by removing nothing and running this test once with FREEZE=1: what is in the file then is promised to every client
 * that speaks it. Biome gives the file its form.
 */
test.runIf(process.env.FREEZE)('the protocol is frozen', () => {
  writeFileSync(frozen(PROTOCOL), `${JSON.stringify(NOW, null, 2)}\n`);
});

const protocols = Array.from({ length: PROTOCOL - OLDEST_PROTOCOL + 1 }, (_, n) => OLDEST_PROTOCOL + n);

test.each(protocols)('a client of protocol %i can do everything that it could', (protocol) => {
  expect(existsSync(frozen(protocol)), `Freeze protocol ${protocol}: FREEZE=1 npx vitest run test/wire/protocol.test.ts`).toBe(true);
  const problems = incompatibilities(JSON.parse(readFileSync(frozen(protocol), 'utf8')) as Protocol, NOW);
  const advice = `Clients of protocol ${protocol} are out there: keep what they use and add beside it. If that cannot be, raise PROTOCOL and OLDEST_PROTOCOL in src/wire/version.ts, and freeze the new one with FREEZE=1.`;
  expect(problems, advice).toEqual([]);
});

const TEXT: Schema = { type: 'string' };
const object = (properties: Record<string, Schema>, required: string[] = Object.keys(properties)): Schema => ({
  type: 'object',
  properties,
  required,
});
const calls = (params: Schema, result: Schema = object({})): Protocol => ({ 'a.call': { params, result } });

describe('a client can go on when', () => {
  test.each<[string, Protocol, Protocol]>([
    ['nothing changed', calls(object({ a: TEXT })), calls(object({ a: TEXT }))],
    ['there is another call', {}, calls(object({}))],
    ['there is another param that may be left out', calls(object({})), calls(object({ a: TEXT }, []))],
    ['a param may be left out', calls(object({ a: TEXT })), calls(object({ a: TEXT }, []))],
    ['a param takes more', calls(object({ a: { type: 'integer' } })), calls(object({ a: { type: 'number' } }))],
    ['a param takes another word', calls({ type: 'string', enum: ['x'] }), calls({ type: 'string', enum: ['x', 'y'] })],
    ['a param takes any word', calls({ type: 'string', enum: ['x'] }), calls(TEXT)],
    ['a param takes another kind too', calls({ type: 'integer' }), calls({ anyOf: [TEXT, { type: 'integer' }] })],
    ['a limit is wider', calls({ type: 'integer', minimum: 2, maximum: 5 }), calls({ type: 'integer', minimum: 1, maximum: 6 })],
    ['a limit is no more', calls({ type: 'string', maxLength: 5 }), calls(TEXT)],
    ['an answer has more', calls({}, object({ a: TEXT })), calls({}, object({ a: TEXT, b: TEXT }))],
    ['an answer has another word', calls({}, { type: 'string', enum: ['x'] }), calls({}, { type: 'string', enum: ['x', 'y'] })],
    ['an answer is never null any more', calls({}, { anyOf: [TEXT, { type: 'null' }] }), calls({}, TEXT)],
  ])('%s', (_, was, is) => {
    expect(incompatibilities(was, is)).toEqual([]);
  });
});

describe('a client is left behind when', () => {
  test.each<[string, Protocol, Protocol, string]>([
    ['a call is gone', calls({}), {}, 'The call "a.call" is gone.'],
    ['a param is gone', calls(object({ a: TEXT }, [])), calls(object({})), 'a.call param "a" is gone.'],
    ['a new param has to be given', calls(object({})), calls(object({ a: TEXT })), 'a.call param "a" has to be given now.'],
    ['a param has to be given now', calls(object({ a: TEXT }, [])), calls(object({ a: TEXT })), 'a.call param "a" has to be given now.'],
    ['a param is of another kind', calls(TEXT), calls({ type: 'number' }), 'a.call param took string and takes number.'],
    [
      'a param takes whole numbers only',
      calls({ type: 'number' }),
      calls({ type: 'integer' }),
      'a.call param took number and takes integer.',
    ],
    [
      'a param takes a word less',
      calls({ type: 'string', enum: ['x', 'y'] }),
      calls({ type: 'string', enum: ['x'] }),
      'a.call param no longer takes "y".',
    ],
    [
      'a param takes some words only',
      calls(TEXT),
      calls({ type: 'string', enum: ['x'] }),
      'a.call param took any string and takes only "x".',
    ],
    ['a param takes a kind less', calls({ anyOf: [TEXT, { type: 'integer' }] }), calls(TEXT), 'a.call param no longer takes integer.'],
    [
      'a limit is tighter',
      calls({ type: 'integer', maximum: 6 }),
      calls({ type: 'integer', maximum: 5 }),
      'a.call param has a maximum of 5, and had 6.',
    ],
    ['there is a limit', calls(TEXT), calls({ type: 'string', minLength: 1 }), 'a.call param has a minLength of 1, and had none.'],
    ['there is a pattern', calls(TEXT), calls({ type: 'string', pattern: '^a' }), 'a.call param has another pattern: ^a.'],
    [
      'what is in a list is of another kind',
      calls({ type: 'array', items: TEXT }),
      calls({ type: 'array', items: { type: 'integer' } }),
      'a.call param items took string and takes integer.',
    ],
    ['something in an answer is gone', calls({}, object({ a: TEXT })), calls({}, object({})), 'a.call result "a" is gone.'],
    [
      'something in an answer may be missing',
      calls({}, object({ a: TEXT })),
      calls({}, object({ a: TEXT }, [])),
      'a.call result "a" may be missing now.',
    ],
    ['an answer is of another kind', calls({}, TEXT), calls({}, { type: 'number' }), 'a.call result was string and is number.'],
    ['an answer may be null', calls({}, TEXT), calls({}, { anyOf: [TEXT, { type: 'null' }] }), 'a.call result may be null now.'],
    [
      'deep in an answer something is gone',
      calls({}, object({ a: { type: 'array', items: object({ b: TEXT }) } })),
      calls({}, object({ a: { type: 'array', items: object({}) } })),
      'a.call result "a" items "b" is gone.',
    ],
  ])('%s', (_, was, is, problem) => {
    expect(incompatibilities(was, is)).toEqual([problem]);
  });
});
