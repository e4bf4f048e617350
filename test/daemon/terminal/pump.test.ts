import { expect, test } from 'vitest';
import { Emulator } from '../../../src/daemon/terminal/emulator.ts';
import { Pump } from '../../../src/daemon/terminal/pump.ts';
import { Screen } from '../../../src/daemon/terminal/screen.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function screenOf(pump: Pump, more: Partial<ConstructorParameters<typeof Screen>[0]> = {}): Screen {
  return new Screen({ cols: 80, rows: 24, scrollbackLines: 100, answer: () => {}, pump, ...more });
}

test('a flood on one screen does not keep a byte on another waiting', async () => {
  const pump = new Pump();
  const flooded = screenOf(pump);
  const quiet = screenOf(pump);
  flooded.feed(Buffer.from('0123456789 some words of a log\r\n'.repeat(160_000)), false);
  expect(flooded.bytesWaiting).toBeGreaterThan(5_000_000);
  await turn();
  quiet.feed(Buffer.from('$'), false);
  let turns = 0;
  while (quiet.bytesWaiting > 0) {
    await turn();
    turns++;
  }
  expect(turns).toBeLessThanOrEqual(3);
  expect(flooded.bytesWaiting).toBeGreaterThan(1_000_000);
  expect(quiet.lines({ from: 0, to: 0 })).toEqual(['$']);
  flooded.dispose();
  quiet.dispose();
});

test('one turn of the event loop is given back after about a millisecond', async () => {
  let now = 0;
  const pump = new Pump({ now: () => now });
  let slices = 0;
  const busy = {
    slice: () => {
      slices++;
      now += 0.25;
      return slices < 20;
    },
  };
  pump.add(busy);
  await turn();
  expect(slices).toBe(4);
  await turn();
  expect(slices).toBe(8);
  while (!pump.isIdle) await turn();
  expect(slices).toBe(20);
});

test('screens take turns, slice by slice', async () => {
  let now = 0;
  const pump = new Pump({ now: () => now });
  const order: string[] = [];
  const worker = (name: string, length: number) => ({
    slice: () => {
      order.push(name);
      now += 0.5;
      return --length > 0;
    },
  });
  pump.add(worker('a', 3));
  pump.add(worker('b', 1));
  pump.add(worker('c', 2));
  while (!pump.isIdle) await turn();
  expect(order).toEqual(['a', 'b', 'c', 'a', 'c', 'a']);
});

test('an idle screen has no timer and no immediate', async () => {
  const pump = new Pump();
  const screen = screenOf(pump);
  expect(pump.isIdle).toBe(true);
  screen.feed(Buffer.from('x'), false);
  expect(pump.isIdle).toBe(false);
  await turn();
  expect(pump.isIdle).toBe(true);
  screen.feed(Buffer.from('y'), false);
  screen.settle();
  expect(pump.isIdle).toBe(true);
  screen.feed(Buffer.from('z'), false);
  screen.dispose();
  expect(pump.isIdle).toBe(true);
  expect(process.getActiveResourcesInfo().filter((name) => name === 'Immediate')).toEqual([]);
});

test('one who throws in its turn does not stop the others', async () => {
  const pump = new Pump();
  const errors: unknown[] = [];
  const [ours] = [(error: unknown) => errors.push(error)];
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', ours!);
  let served = 0;
  pump.add({
    slice: () => {
      throw new Error('mine');
    },
  });
  pump.add({ slice: () => ++served < 3 });
  while (!pump.isIdle) await turn();
  process.removeAllListeners('uncaughtException');
  for (const listener of before) process.on('uncaughtException', listener);
  expect(served).toBe(3);
  expect(errors).toEqual([new Error('mine')]);
});

test('a stream that is slow to parse gets smaller slices, and whole ones again when it is over', async () => {
  const pump = new Pump({ now: () => 0 });
  let now = 0;
  let costPerByteMs = 0.01;
  const parse = Emulator.prototype.parse;
  const slices: number[] = [];
  Emulator.prototype.parse = (bytes) => {
    slices.push(bytes.length);
    now += bytes.length * costPerByteMs;
  };
  try {
    const screen = screenOf(pump, { now: () => now });
    screen.feed(new Uint8Array(50_000), false);
    while (!pump.isIdle) await turn();
    // 41 ms, then what fits into 8 ms.
    expect(slices.slice(0, 4)).toEqual([4096, 800, 800, 800]);
    costPerByteMs = 1;
    screen.feed(new Uint8Array(2000), false);
    while (!pump.isIdle) await turn();
    expect(slices.slice(-3, -1)).toEqual([256, 256]);
    costPerByteMs = 0;
    slices.length = 0;
    screen.feed(new Uint8Array(20_000), false);
    while (!pump.isIdle) await turn();
    expect(slices).toEqual([256, 512, 1024, 2048, 4096, 4096, 4096, 3872]);
    screen.dispose();
  } finally {
    Emulator.prototype.parse = parse;
  }
});

test('an emulator that breaks costs the picture, and nothing escapes', async () => {
  const parse = Emulator.prototype.parse;
  Emulator.prototype.parse = function (bytes, isAnswering) {
    if (Buffer.from(bytes).includes('POISON')) throw new Error('broken');
    parse.call(this, bytes, isAnswering);
  };
  try {
    const pump = new Pump();
    const errors: unknown[] = [];
    const screen = screenOf(pump, { onPoison: (error) => errors.push(error) });
    screen.feed(Buffer.from('before\r\n'.repeat(30)), false);
    screen.settle();
    const scrolled = screen.linesScrolled;
    screen.feed(Buffer.from('POISON'), false);
    while (!pump.isIdle) await turn();
    screen.feed(Buffer.from('after'), false);
    while (!pump.isIdle) await turn();
    expect(errors).toEqual([new Error('broken')]);
    expect([screen.cols, screen.rows, screen.lines({ from: 0, to: 0 })]).toEqual([80, 24, ['after']]);
    expect(screen.linesScrolled).toBe(scrolled);
    screen.dispose();
  } finally {
    Emulator.prototype.parse = parse;
  }
});

test('draining is told once, when the queue falls to its mark', () => {
  let drains = 0;
  const screen = screenOf(new Pump(), { drainBytes: 10, onDrain: () => drains++ });
  screen.feed(Buffer.from('short'), false);
  screen.settle();
  expect(drains).toBe(0);
  screen.feed(Buffer.from('x'.repeat(100_000)), false);
  screen.settle();
  expect(drains).toBe(1);
  screen.dispose();
});
