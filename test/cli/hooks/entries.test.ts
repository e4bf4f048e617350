import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Hooks, hooksIn, OddShapeError, withHooks, withoutHooks } from '../../../src/cli/hooks/entries.ts';
import { JsonTextError, parseJsonText } from '../../../src/cli/hooks/json-text.ts';

const hook = (event: string) => ({ type: 'command', command: `test -x "$AI_SESSION_HOOK" && "$AI_SESSION_HOOK" it ${event}`, timeout: 5 });
const hooksOf = (...events: string[]): Hooks => new Map(events.map((event) => [event, hook(event)]));
const HOOKS = hooksOf('Start', 'Stop');
const group = (event: string) => ({ hooks: [hook(event)] });

describe('what is installed', () => {
  test('in a file that was not there', () => {
    const text = withHooks(null, hooksOf('Stop'));
    expect(text).toBe(
      `{
  "hooks": {
    "Stop": [
      {
        "hooks": [
          {
            "type": "command",
            "command": "test -x \\"$AI_SESSION_HOOK\\" && \\"$AI_SESSION_HOOK\\" it Stop",
            "timeout": 5
          }
        ]
      }
    ]
  }
}
`,
    );
    expect(withoutHooks(text)).toBeNull();
    expect(withoutHooks(withHooks(' \n', HOOKS))).toBeNull();
  });

  test('comes after what others have, in the style of the file, and their comments stay where they were', () => {
    const before = `// Mine.
{
\t"model": "big", // the slow one
\t"hooks": {
\t\t/* Rings. */
\t\t"Stop": [
\t\t\t{ "hooks": [{ "type": "command", "command": "ring" }] } // at night
\t\t]
\t}
}`;
    const after = withHooks(before, HOOKS);
    expect(after).toBe(`// Mine.
{
\t"model": "big", // the slow one
\t"hooks": {
\t\t/* Rings. */
\t\t"Stop": [
\t\t\t{ "hooks": [{ "type": "command", "command": "ring" }] }, // at night
\t\t\t{
\t\t\t\t"hooks": [
\t\t\t\t\t{
\t\t\t\t\t\t"type": "command",
\t\t\t\t\t\t"command": ${JSON.stringify(hook('Stop').command)},
\t\t\t\t\t\t"timeout": 5
\t\t\t\t\t}
\t\t\t\t]
\t\t\t}
\t\t],
\t\t"Start": [
\t\t\t{
\t\t\t\t"hooks": [
\t\t\t\t\t{
\t\t\t\t\t\t"type": "command",
\t\t\t\t\t\t"command": ${JSON.stringify(hook('Start').command)},
\t\t\t\t\t\t"timeout": 5
\t\t\t\t\t}
\t\t\t\t]
\t\t\t}
\t\t]
\t}
}`);
    expect(withoutHooks(after)).toBe(before);
  });

  test('is what another version installed, brought up to date in its place', () => {
    const old: Hooks = new Map([
      ['Gone', { command: '"$AI_SESSION_HOOK" old' }],
      ['Stop', { command: 'exec "$AI_SESSION_HOOK" old', async: true }],
    ]);
    const theirs = { hooks: [{ type: 'command', command: 'theirs' }] };
    const before = JSON.stringify({ hooks: { Stop: [theirs] } }, null, 2);
    const grown = JSON.parse(withHooks(before, old)) as { hooks: { Stop: unknown[] } };
    grown.hooks.Stop.push(theirs, group('Stop'));
    const after = withHooks(JSON.stringify(grown, null, 2), HOOKS);
    expect(JSON.parse(after)).toEqual({ hooks: { Stop: [theirs, group('Stop'), theirs], Start: [group('Start')] } });
    expect(hooksIn(after).map(({ event }) => event)).toEqual(['Stop', 'Start']);
    const onlyOld = withHooks(null, hooksOf('Gone'));
    expect(withHooks(onlyOld, HOOKS)).toBe(withHooks(null, HOOKS));
  });

  test('goes alone out of a group that somebody has put another hook in', () => {
    const theirs = { type: 'command', command: 'echo $AI_SESSION_HOOK_SOCKET' };
    const shared = { hooks: { Stop: [{ matcher: 'x', hooks: [hook('Stop'), theirs] }] } };
    expect(JSON.parse(withoutHooks(JSON.stringify(shared))!)).toEqual({ hooks: { Stop: [{ matcher: 'x', hooks: [theirs] }] } });
  });

  test('does not pull what follows into a remark, when it goes', () => {
    const ours = JSON.stringify(group('Stop'));
    expect(withoutHooks(`{"hooks": {"Stop": [1, // one\n${ours}]}}`)).toBe('{"hooks": {"Stop": [1 // one\n]}}');
    expect(withoutHooks(`{"hooks": {"Stop": [ // none\n${ours}, 2]}}`)).toBe('{"hooks": {"Stop": [ // none\n 2]}}');
  });

  test.each([
    ['an empty object', '{}'],
    ['an empty object in a file with an end', '{}\n'],
    ['an empty object of two lines', '{\n}\n'],
    ['no hooks', '{"hooks": {}}'],
    ['no hooks, in lines', '{\n  "hooks": {\n  }\n}\n'],
    ['an event without hooks', '{ "hooks": { "Stop": [] } }'],
    ['nothing but a comment', '{ // nothing yet\n}'],
    ['a remark before the end', '{"a": 1 // one\n}'],
    ['commas at the end', '{\n  "a": [1,],\n  "hooks": {"Stop": [{},],},\n}\n'],
    ['what looks like a comment', '{"u": "http://x"}'],
    ['a byte order mark and the ends of lines of another system', '\uFEFF{\r\n    "a": 1\r\n}\r\n'],
    ['a key with an escape', '{"h\\u006foks": {"St\\u006fp": []}}'],
    ['a comment before and after', '/* a */ {} // z'],
  ])('leaves no trace where there was %s', (_, before) => {
    const after = withHooks(before, HOOKS);
    expect(hooksIn(after)).toEqual([
      { event: expect.any(String), command: expect.stringMatching(/Start$|Stop$/) },
      { event: expect.any(String), command: expect.stringMatching(/Start$|Stop$/) },
    ]);
    expect(withHooks(after, HOOKS)).toBe(after);
    expect(withoutHooks(after)).toBe(before);
  });
});

describe('what is refused', () => {
  test('what is endless', () => {
    expect(() => withHooks('['.repeat(200_000), HOOKS)).toThrow(JsonTextError);
  });

  test.each([
    ['[]', OddShapeError, 'it is a list, and not an object'],
    ['"x"', OddShapeError, 'it is a string, and not an object'],
    ['{"hooks": []}', OddShapeError, '"hooks" is a list, and not an object'],
    ['{"hooks": null}', OddShapeError, '"hooks" is a number, true, false or null, and not an object'],
    ['{"hooks": {"Stop": {}}}', OddShapeError, '"hooks.Stop" is an object, and not a list'],
    ['{"hooks": {}, "hooks": {}}', OddShapeError, '"hooks" is there twice'],
    ['{"hooks": {"Stop": [], "Stop": []}}', OddShapeError, '"hooks.Stop" is there twice'],
    ['{', JsonTextError, 'it ends too early in line 1'],
    ['{"a": 1\n "b": 2}', JsonTextError, '""" is where a comma should be, in line 2'],
    ['{a: 1}', JsonTextError, '"a" is where a key should be, in line 1'],
    ['{"a" 1}', JsonTextError, 'a colon is missing in line 1'],
    ['{"a": "x\n"}', JsonTextError, 'a string does not end in line 1'],
    ['{"a": "\\q"}', JsonTextError, 'a string has a wrong escape in line 1'],
    ['{"a": 01}', JsonTextError, '"0" is out of place in line 1'],
    ['{"a": nul}', JsonTextError, '"n" is out of place in line 1'],
    ['{} {}', JsonTextError, '"{" is out of place in line 1'],
    ['{,}', JsonTextError, '"," is where a key should be, in line 1'],
    ['{} /* x', JsonTextError, 'a comment does not end in line 1'],
    ['{} / x', JsonTextError, '"/" is out of place in line 1'],
    ['model = "big"', JsonTextError, '"m" is out of place in line 1'],
    ['['.repeat(200), JsonTextError, 'too much lies in one another in line 1'],
  ])('%#: %s', (text, kind, message) => {
    const install = () => withHooks(text, HOOKS);
    expect(install).toThrow(kind);
    expect(install).toThrow(message);
  });
});

/* ---- Settings of any kind ---- */

const json = fc.letrec<{ any: unknown }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom(null, true, 0, -1.5e300, '', 'x', '//', '/* */', '"', '\\', '\u2028', '{', ','),
    fc.string(),
    fc.array(tie('any'), { maxLength: 3 }),
    fc.dictionary(fc.oneof(fc.constantFrom('hooks', 'Stop', 'command', '__proto__'), fc.string()), tie('any'), { maxKeys: 3 }),
  ),
})).any;
const groups = fc.array(
  fc.oneof(
    json,
    fc.record({ matcher: fc.string(), hooks: fc.array(fc.oneof(json, fc.record({ command: fc.string() }))) }, { requiredKeys: [] }),
  ),
  { maxLength: 3 },
);
const settings = fc
  .record({
    others: fc.dictionary(fc.string(), json, { maxKeys: 3 }),
    hooks: fc.option(fc.record({ Start: groups, Other: groups, Stop: groups, notifications: json }, { requiredKeys: [] }), {
      nil: undefined,
    }),
    isFirst: fc.boolean(),
  })
  .map(({ others: { hooks: _, ...others }, hooks, isFirst }) =>
    hooks === undefined ? others : isFirst ? { hooks, ...others } : { ...others, hooks },
  );

const blank = fc.constantFrom(
  '',
  '',
  ' ',
  '\n',
  '\t',
  '\n    ',
  '\r\n',
  ' // a remark, "with" {things}\n',
  '/* one */',
  '\n/* two\n // in it */\n',
);

/** JSON as a person might have left it: white space and comments anywhere, commas at the end. */
function written(value: unknown, next: () => string, comma: () => boolean): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const isList = Array.isArray(value);
  const parts = isList
    ? value.map((item) => `${next()}${written(item, next, comma)}${next()}`)
    : Object.entries(value).map(
        ([key, item]) => `${next()}${JSON.stringify(key)}${next()}:${next()}${written(item, next, comma)}${next()}`,
      );
  const end = parts.length > 0 && comma() ? `,${next()}` : parts.length === 0 ? next() : '';
  return `${isList ? '[' : '{'}${parts.join(',')}${end}${isList ? ']' : '}'}`;
}

const byHand = fc
  .record({
    value: settings,
    blanks: fc.array(blank, { minLength: 1, maxLength: 12 }),
    commas: fc.array(fc.boolean(), { minLength: 1, maxLength: 3 }),
  })
  .map(({ value, blanks, commas }) => {
    let [at, turn] = [0, 0];
    const next = () => blanks[at++ % blanks.length]!;
    return `${next()}${written(value, next, () => commas[turn++ % commas.length]!)}${next()}`;
  });
const byProgram = fc
  .record({ value: settings, indent: fc.constantFrom(0, 2, 3, '\t'), end: fc.constantFrom('', '\n') })
  .map(({ value, indent, end }) => `${JSON.stringify(value, null, indent)}${end}`);

test('to install and to uninstall is to do nothing, whatever the file', () => {
  fc.assert(
    fc.property(fc.oneof(byProgram, byHand), (before) => {
      const after = withHooks(before, HOOKS);
      expect(
        hooksIn(after)
          .map(({ event }) => event)
          .sort(),
      ).toEqual(['Start', 'Stop']);
      expect(withHooks(after, HOOKS)).toBe(after);
      expect(withoutHooks(after)).toBe(before);
    }),
    { numRuns: 500 },
  );
});

test('what an agent reads is what was there, and our hooks after it', () => {
  fc.assert(
    fc.property(byProgram, (before) => {
      const expected = JSON.parse(before) as { hooks?: Record<string, unknown[]> };
      expected.hooks ??= {};
      for (const event of HOOKS.keys()) expected.hooks[event] = [...(expected.hooks[event] ?? []), group(event)];
      expect(JSON.parse(withHooks(before, HOOKS))).toEqual(expected);
    }),
    { numRuns: 300 },
  );
});

test('what is rewritten by the agent loses our hooks, and nothing else but lists that are empty', () => {
  fc.assert(
    fc.property(byProgram, fc.constantFrom(0, 2, '\t'), (before, indent) => {
      const rewritten = JSON.stringify(JSON.parse(withHooks(before, HOOKS)), null, indent);
      const left = JSON.parse(withoutHooks(rewritten) ?? '{}') as { hooks?: Record<string, unknown[]> };
      const expected = JSON.parse(before) as typeof left;
      for (const one of [left, expected]) {
        for (const event of HOOKS.keys()) if (one.hooks?.[event]?.length === 0) delete one.hooks[event];
        if (one.hooks && Object.keys(one.hooks).length === 0) delete one.hooks;
      }
      expect(left).toEqual(expected);
    }),
    { numRuns: 300 },
  );
});

test('any text is read or refused, and nothing else', () => {
  const scraps = fc.array(fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '"a"', '\\', '1', '-', 'true', '//', '/*', '*/', '\n', ' '));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        scraps.map((parts) => parts.join('')),
      ),
      (text) => {
        try {
          parseJsonText(text);
        } catch (error) {
          expect(error).toBeInstanceOf(JsonTextError);
        }
      },
    ),
    { numRuns: 500 },
  );
});
