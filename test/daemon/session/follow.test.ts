import { createConnection } from 'node:net';
import { expect, test } from 'vitest';
import { encodeJson, FrameDecoder } from '../../../src/wire/frame.ts';
import { Rig } from '../../support/rig.ts';

test('the size follows the client that typed last, and the other one sees the screen cropped', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client);
  await puppet.catches('SIGWINCH');
  const big = await rig.watch(client, session.id, { cols: 100, rows: 30 });
  expect((await puppet.nextSignal()).size).toEqual([100, 30]);
  const small = await rig.watch(client, session.id, { cols: 40, rows: 12 });
  expect((await puppet.nextSignal()).size).toEqual([40, 12]);
  puppet.print('\x1b[2J\x1b[Hhello from forty columns');
  await big.shows('hello from forty columns');
  await small.shows('hello from forty columns');

  big.type('x');
  expect((await puppet.nextSignal()).size).toEqual([100, 30]);
  puppet.print(`\x1b[2J\x1b[H${'0123456789'.repeat(9)}END`);
  await big.shows(`${'0123456789'.repeat(9)}END`);
  // The small one is shown the part around the cursor.
  await small.shows('END');
  expect(small.text).not.toContain('0123456789'.repeat(5));
});

test('a mouse report or an answer of the terminal does not make a client the one whose size counts', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session } = await rig.puppet(client);
  const first = await rig.watch(client, session.id, { cols: 100, rows: 30 });
  await rig.watch(client, session.id, { cols: 60, rows: 20 });
  first.type('\x1b[<0;5;5M\x1b[I\x1b[?62;22c');
  expect(await client.call('session.get', { session: session.id })).toMatchObject({ cols: 60, rows: 20 });
});

test('a viewer smaller than 20x5 never shrinks a pane, and a reader leads nobody', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client, { cols: 90, rows: 25 });
  const tiny = await rig.watch(client, session.id, { cols: 2, rows: 1 });
  const reader = await rig.watch(client, session.id, { cols: 50, rows: 15, readOnly: true });
  tiny.type('a');
  reader.type('b');
  expect(await client.call('session.get', { session: session.id })).toMatchObject({ cols: 90, rows: 25, attached: 2 });
  await puppet.raw();
  puppet.reads();
  tiny.type('c');
  await client.call('pane.write', { session: session.id, input: ['!'] });
  // What the reader typed never came.
  expect((await puppet.input(3)).toString()).toBe('ac!');
});

test('a client that changes its size takes the pane with it', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client);
  const watcher = await rig.watch(client, session.id);
  await puppet.catches('SIGWINCH');
  await watcher.resize(70, 20);
  expect((await puppet.nextSignal()).size).toEqual([70, 20]);
});

test('after a change of size the terminal is shown what the screen has, and its scrollback stays as it was', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client);
  puppet.print(`${Array.from({ length: 40 }, (_, n) => `line ${n}`).join('\r\n')}\r\n${'─'.repeat(80)}`);
  const watcher = await rig.watch(client, session.id);
  await watcher.shows('─'.repeat(80));
  const before = watcher.screen.linesScrolled;
  await watcher.resize(50, 24);
  // A terminal that reflows in its own way, or was sent bytes meant for the old size.
  watcher.screen.feed(Buffer.from('\x1b[Hgarbage that the program never wrote'), false);
  const snapshots = () => watcher.frames.filter(({ kind }) => kind === 'snapshot').length;
  await watcher.shows(() => snapshots() === 2);
  expect(watcher.text).toBe((await client.call('pane.capture', { session: session.id })).lines.join('\n').trimEnd());
  expect(watcher.screen.linesScrolled - before).toBeLessThanOrEqual(1);
});

test('whenever somebody joins a flood, every byte is in the snapshot or after it', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const session = await client.call('session.create', {
    command: [
      '/bin/sh',
      '-c',
      'read go; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo "number $i and \x1b[3$((i%8))mcolour\x1b[m"; done; echo THE""END; read stop',
    ],
    cwd: rig.home,
    env: rig.environment,
  });
  const first = await rig.watch(client, session.id);
  first.type('\n');
  const joiners = [];
  for (let n = 0; n < 12; n++) joiners.push(await rig.watch(await rig.connect(), session.id));
  await Promise.all([first, ...joiners].map((watcher) => watcher.shows('THEEND')));
  for (const joiner of joiners) expect(joiner.text).toBe(first.text);
  // From the last snapshot on, what came is exactly what the positions say: not a byte less, not one twice.
  for (const { frames } of joiners) {
    const from = frames.findLastIndex(({ kind }) => kind === 'snapshot');
    const live = frames.slice(from + 1);
    const bytes = live.reduce((sum, frame) => sum + frame.bytes.length, 0);
    expect(bytes).toBe((live.at(-1) ?? frames[from]!).offset - frames[from]!.offset);
  }
});

test('one that joins in the middle of what is held back has it after the snapshot, once', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client);
  const first = await rig.watch(client, session.id);
  // It may become a question to us.
  puppet.print('one\x1b]75');
  await first.shows('one');
  const second = await rig.watch(await rig.connect(), session.id);
  puppet.print('99;x\x07two');
  await second.shows('onetwo');
  const [snapshot, ...live] = second.frames;
  expect(snapshot).toMatchObject({ kind: 'snapshot', offset: 3 });
  expect(Buffer.concat(live.map(({ bytes }) => bytes)).toString()).toBe('\x1b]7599;x\x07two');
  expect(live.at(-1)!.offset).toBe('one\x1b]7599;x\x07two'.length);
});

test('a client that does not read slows nobody, and starts again from a snapshot when it does', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const session = await client.call('session.create', {
    command: ['/bin/sh', '-c', 'read go; seq 1 600000; echo THE""END; read stop'],
    cwd: rig.home,
    env: rig.environment,
  });
  const lazy = createConnection(rig.paths.socket);
  const decoder = new FrameDecoder(64 << 20);
  lazy.write(encodeJson({ hello: { protocol: 1, oldest: 1, build: 'test', pid: 1, instance: 'test' } }));
  lazy.write(encodeJson({ jsonrpc: '2.0', id: 1, method: 'pane.attach', params: { session: session.id, cols: 80, rows: 24 } }));
  const kinds: string[] = [];
  const texts: string[] = [];
  const hasEnded = new Promise<void>((resolve) => {
    lazy.on('data', (chunk: Buffer) => {
      for (const frame of decoder.push(chunk)) {
        if (frame.kind === 'json') {
          if ('result' in (frame.value as object)) lazy.pause();
          continue;
        }
        kinds.push(frame.kind);
        texts.push(Buffer.from(frame.bytes).toString('latin1'));
        if (texts.at(-1)!.includes('THEEND')) resolve();
      }
    });
  });
  const watcher = await rig.watch(client, session.id);
  watcher.type('\n');
  // The program ends its flood although one of its viewers reads nothing.
  await watcher.shows('THEEND');
  lazy.resume();
  await hasEnded;
  expect(kinds[0]).toBe('snapshot');
  expect(kinds.filter((kind) => kind === 'snapshot').length).toBeGreaterThan(1);
  lazy.destroy();
});

test('queries are answered once: by us while nobody is attached, by one terminal when several are', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client);
  await puppet.raw();
  puppet.reads();
  puppet.print('\x1b[6n');
  expect((await puppet.input(6)).toString()).toBe('\x1b[1;1R');

  const one = await rig.watch(client, session.id);
  const two = await rig.watch(client, session.id);
  const reader = await rig.watch(client, session.id, { readOnly: true });
  puppet.print('\x1b[c\x1b[5nasked');
  for (const watcher of [one, two, reader]) await watcher.shows('asked');
  const sees = (watcher: typeof one) =>
    Buffer.concat(watcher.frames.filter(({ kind }) => kind === 'bytes').map(({ bytes }) => bytes)).toString();
  // The one that came last leads, and only its terminal hears the question.
  expect({ one: sees(one), two: sees(two), reader: sees(reader) }).toEqual({ one: 'asked', two: '\x1b[c\x1b[5nasked', reader: 'asked' });
  await client.call('pane.write', { session: session.id, input: ['!'] });
  expect((await puppet.input(1)).toString()).toBe('!');

  await two.detach();
  await one.detach();
  await reader.detach();
  puppet.print('\x1b[5n');
  expect((await puppet.input(4)).toString()).toBe('\x1b[0n');
});

test('whether reports are understood is answered by us alone, before any terminal says what it is', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client);
  await puppet.raw();
  puppet.reads();
  const question = '\x1b]7501;?\x1b\\';
  puppet.print(`${question}\x1b[c`);
  const attributes = '\x1b[?62;22c';
  expect((await puppet.input(question.length + attributes.length)).toString()).toBe(question + attributes);

  const watcher = await rig.watch(client, session.id);
  puppet.print(`${question}\x1b[casked`);
  await watcher.shows('asked');
  const sees = Buffer.concat(watcher.frames.filter(({ kind }) => kind === 'bytes').map(({ bytes }) => bytes)).toString();
  expect(sees).toBe('\x1b[casked');
  expect((await puppet.input(question.length)).toString()).toBe(question);
});

test('what an earlier daemon answered is not answered again', async () => {
  await using rig = await Rig.start();
  const first = await rig.connect();
  const { session, puppet } = await rig.puppet(first);
  await puppet.raw();
  puppet.reads();
  puppet.print('\x1b[5n');
  expect((await puppet.input(4)).toString()).toBe('\x1b[0n');
  process.kill(first.daemon.pid, 'SIGKILL');
  puppet.print('\x1b[6n');
  const second = await rig.connect();
  expect((await puppet.input(6)).toString()).toBe('\x1b[1;1R');
  await second.call('pane.write', { session: session.id, input: ['!'] });
  expect((await puppet.input(1)).toString()).toBe('!');
});

test('input that the program does not read neither blocks the daemon nor is lost', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client);
  await puppet.raw();
  const text = Array.from({ length: 100_000 }, (_, n) => `${n}`.padStart(9, '0')).join('\n');
  expect(await client.call('pane.write', { session: session.id, input: [text], as: 'text' })).toEqual({ bytes: text.length });
  expect((await client.call('session.list', {})).sessions).toHaveLength(1);
  puppet.reads();
  expect((await puppet.input(text.length)).toString()).toBe(text);
});

test('detaching the others leaves one', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session } = await rig.puppet(client);
  const before = await rig.watch(client, session.id);
  await rig.watch(client, session.id, { detachOthers: true });
  expect(await before.ended).toEqual({ stream: 1, because: 'taken over', exitCode: null, signal: null });
  expect((await client.call('session.get', { session: session.id })).attached).toBe(1);
});

test('attach without a name takes the session used last', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session: a } = await rig.puppet(client, { name: 'a' });
  await rig.puppet(client, { name: 'b' });
  await (await rig.watch(client, a.id)).detach();
  const latest = await client.follow({ cols: 80, rows: 24 }, { snapshot: () => {}, bytes: () => {}, ended: () => {} });
  expect(latest.session.name).toBe('a');
});
