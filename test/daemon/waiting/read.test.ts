import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Connection } from '../../../src/client/connection.ts';
import { Rig } from '../../support/rig.ts';
import { SEED } from '../history/streams.ts';

/** Waits until a puppet has printed this. */
async function prints(client: Connection, puppet: { print(text: string): void }, text: string): Promise<void> {
  const { after } = await client.call('pane.screen', { session: 'a' });
  puppet.print(`${text}\x1b]0;seen\x07!`);
  await client.call('pane.wait', { sessions: ['a'], conditions: [{ is: 'text', text: '!' }], after: [after] });
}

test('what came since a cursor is read once, line by line, and a line without an end goes on where it was', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  await prints(client, puppet, '\x1b[31mone\x1b[m\ntwo\nthr');
  const first = await client.call('pane.read', { session: 'a' });
  expect(first).toEqual({
    session: '$1',
    name: 'a',
    pane: '%1',
    lines: ['one', 'two', 'thr!'],
    isOpen: true,
    cursor: expect.stringMatching(/^%1:\d+$/),
    leftOut: null,
    note: null,
  });
  expect(await client.call('pane.read', { session: 'a', since: first.cursor })).toMatchObject({
    lines: [],
    isOpen: false,
    cursor: first.cursor,
  });
  await prints(client, puppet, ' ee \nfour ');
  const second = await client.call('pane.read', { session: 'a', since: first.cursor });
  expect(second).toMatchObject({ lines: [' ee', 'four !'], isOpen: true });
  puppet.exit(0);
  await client.call('pane.wait', { sessions: ['a'], conditions: [{ is: 'exit' }] });
  expect(await client.call('pane.read', { session: 'a', lines: 1 })).toMatchObject({
    lines: ['four !'],
    leftOut: 'before',
    note: expect.stringContaining('ai-session logs a'),
  });
  // Archived, and in another daemon.
  await client.call('session.kill', { sessions: ['a'] });
  await rig.run(['daemon', 'restart']);
  const next = await rig.connect();
  expect(await next.call('pane.read', { session: 'a', since: first.cursor })).toMatchObject({
    lines: [' ee', 'four !'],
    cursor: second.cursor,
  });
  await expect(next.call('pane.read', { session: 'a', since: '%1:9999' })).rejects.toMatchObject({ code: 'bad-params' });
});

test('it is bounded, and says how to get the rest', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  const lines = Array.from({ length: 3000 }, (_, n) => `line ${n} ${'o'.repeat(20)}`);
  await prints(client, puppet, `${lines.join('\n')}\nlong ${'x'.repeat(3000)}\n`);
  const read = (params: object) => client.call('pane.read', { session: 'a', ...params });
  // From a cursor on: all of it, in as many reads as it takes.
  const all: string[] = [];
  let since = '%1:0';
  for (;;) {
    const { lines: some, cursor, leftOut, note } = await read({ since, maxBytes: 5000, lines: 400 });
    expect(some.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0)).toBeLessThanOrEqual(5000);
    expect(some.length).toBeLessThanOrEqual(400);
    all.push(...some);
    since = cursor;
    if (leftOut === null) break;
    expect(note).toBe(`There is more. Read on with: ai-session read a --since ${cursor}`);
  }
  expect(all).toEqual([...lines, `long ${'x'.repeat(3000)}`, '!']);
  // The last lines: 200 of them, unless that is too much.
  expect((await read({})).lines).toEqual([...lines, `long ${'x'.repeat(3000)}`, '!'].slice(-200));
  expect(await read({ maxBytes: 3090 })).toMatchObject({
    lines: [lines.at(-2), lines.at(-1), `long ${'x'.repeat(3000)}`, '!'],
    leftOut: 'before',
  });
  // A single line that is too long: what is left of it is in the logs, and what comes after it is read as ever.
  const { cursor } = await read({ since: '%1:0', lines: 3000, maxBytes: 1 << 20 });
  const long = await read({ since: cursor, maxBytes: 100 });
  expect(long).toMatchObject({
    lines: [`long ${'x'.repeat(95)}`],
    leftOut: 'end of line',
    note: expect.stringContaining('ai-session logs a'),
  });
  expect(await read({ since: long.cursor })).toMatchObject({ lines: ['!'], leftOut: null });
  expect(await read({ lines: 2, maxBytes: 1 })).toMatchObject({ lines: ['!'], leftOut: 'before' });
});

test('without history it is refused with the way out', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  await rig.puppet(client, { name: 'a', history: false });
  await expect(client.call('pane.read', { session: 'a' })).rejects.toMatchObject({
    code: 'not-found',
    message: expect.stringContaining('keeps no history'),
  });
});

test('waiting and reading in any order, from cursor to cursor, give every word once', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  let start = '%1:0';
  let next = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom('print', 'wait', 'read', 'twice'), fc.constantFrom('', ' ', '\n', '\x1b[31m', 'ä')), {
        minLength: 1,
        maxLength: 25,
      }),
      async (steps) => {
        let printed = 0;
        let waited = next;
        let [waitFrom, readFrom] = [start, start];
        const words: string[] = [];
        const read = async () => {
          const result = await client.call('pane.read', { session: 'a', since: readFrom });
          readFrom = result.cursor;
          words.push(...(result.lines.join('\n').match(/<\d+>|<\d*$|^\d*>/g) ?? []));
        };
        const first = next;
        for (const [what, more] of steps) {
          if (what === 'print' || what === 'twice') {
            for (let n = what === 'twice' ? 2 : 1; n > 0; n--) {
              puppet.print(`<${next++}>${more}`);
              printed++;
            }
          } else if (what === 'wait' && waited < next) {
            const pattern = `<${waited++}>`;
            const result = await client.call('pane.wait', {
              sessions: ['a'],
              conditions: [{ is: 'text', text: pattern }],
              after: [waitFrom],
            });
            expect(result.matched?.text).toBe(pattern);
            // Nothing that was found is found again.
            waitFrom = result.cursor!;
          } else if (what === 'read') await read();
        }
        puppet.print('.');
        const last = await client.call('pane.wait', { sessions: ['a'], conditions: [{ is: 'text', text: '.' }], after: [waitFrom] });
        await read();
        start = last.cursor!;
        const pieces = words.join('').match(/<\d+>/g) ?? [];
        expect(pieces).toEqual(Array.from({ length: printed }, (_, n) => `<${first + n}>`));
        for (let n = first; n < waited; n++)
          expect(
            await client.call('pane.wait', {
              sessions: ['a'],
              conditions: [{ is: 'text', text: `<${n}>` }],
              after: [waitFrom],
              timeoutMs: 0,
            }),
          ).toMatchObject({ outcome: 'timeout' });
      },
    ),
    { seed: SEED, numRuns: 40 },
  );
});
