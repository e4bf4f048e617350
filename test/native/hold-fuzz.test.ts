import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { PtyRig } from '../support/pty.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const SANITIZED = join(ROOT, 'native', 'bin', 'hold-asan');

beforeAll(() => {
  execFileSync(process.execPath, [join(ROOT, 'scripts', 'build-native.js'), '--sanitize'], { stdio: ['ignore', 2, 2] });
});

/** A small generator with a seed, so that a finding can be found again (mulberry32, public domain). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function frame(type: number, payload: Uint8Array = Buffer.alloc(0), length = payload.length + 1): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt32LE(length >>> 0);
  header[4] = type;
  return Buffer.concat([header, payload]);
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes;
}

/** Epochs of the attackers stay small, so that the owner can take its program back. */
const attach = (epoch: number, offset = 0xffff_ffff_ffff_ffffn) =>
  frame(1, Buffer.concat([Buffer.from([1]), u64(BigInt(epoch)), u64(offset)]));

/** Each says what a hostile connection sends. Most begin with a true ATTACH, for without one they have no rights at all. */
function attacks(random: (below: number) => number): (() => Buffer[])[] {
  const bytes = (count: number) => Buffer.from(Array.from({ length: count }, () => random(256)));
  const anyFrame = () => frame(random(3) ? random(10) : random(256), bytes(random(40)));
  return [
    () => [bytes(random(200))],
    () => [Buffer.from([255, 255, 255, 255, 1])],
    () => [attach(100).subarray(0, random(22))],
    () => [frame(1, bytes(17))],
    () => [attach(1)],
    () => [attach(100, 1n << 60n)],
    () => [attach(100), attach(101)],
    () => [attach(100), Buffer.from([0, 0, 0, 0, 2])],
    () => [attach(100), Buffer.from([1, 0, 1, 0, 3])],
    () => [attach(100), Buffer.from([255, 255, 255, 255, 3]), bytes(2000)],
    () => [attach(100), frame(2, u64(1n << 62n))],
    () => [attach(100), frame(2, u64(-1n))],
    () => [attach(100), frame(2, u64(0n)), frame(2, bytes(7))],
    () => [attach(100), frame(3, Buffer.alloc(65_535)), frame(3, Buffer.alloc(65_535)), frame(3, Buffer.alloc(65_535))],
    () => [attach(100), frame(3, Buffer.alloc(65_535), 65_536).subarray(0, 30_000)],
    () => [attach(100), ...Array.from({ length: 30 }, () => frame(3, bytes(random(5000))))],
    () => [attach(100), frame(4, Buffer.from([0, 0, 0, 0])), frame(4, Buffer.from([255, 255, 255, 255])), frame(4, bytes(3))],
    // Signals that do not exist, to targets that do not exist.
    () => [
      attach(100),
      frame(5, Buffer.from([1, 0, 0, 0, 0, 0])),
      frame(5, Buffer.from([1, 0, 0, 0, 255, 0])),
      frame(5, Buffer.from([1, 0, 0, 0, 15, 9])),
    ],
    () => [attach(100), ...Array.from({ length: 3000 }, () => frame(6, bytes(4)))],
    () => [attach(100), ...Array.from({ length: 3000 }, () => frame(8, bytes(4)))],
    () => [attach(100), frame(8), frame(8, bytes(3))],
    () => [attach(100), frame(7)],
    () => [attach(100), frame(7, bytes(3))],
    // Real signals would end the program, which is what a client may do.
    () => [attach(100), ...Array.from({ length: 20 }, anyFrame).filter((one) => one[4] !== 5)],
  ];
}

/** Sends each part, some of them byte by byte, and is over when the connection is. */
async function strike(socketPath: string, parts: Buffer[], random: (below: number) => number): Promise<void> {
  const socket: Socket = connect(socketPath);
  const closed = new Promise<void>((resolve) => socket.on('error', () => {}).once('close', () => resolve()));
  await new Promise<void>((resolve) => socket.once('connect', resolve).once('close', () => resolve()));
  // Every second one never reads what it is told.
  if (random(2)) socket.resume();
  for (const part of parts) {
    if (part.length < 60 && random(3) === 0) for (const byte of part) socket.write(Buffer.from([byte]));
    else socket.write(part);
  }
  // Some leave at once with much unread, some say goodbye and wait until the holder has heard all of it.
  if (random(2)) socket.destroy();
  else socket.resume().end();
  await closed;
}

test('hostile connections do not harm a holder or its program', async () => {
  await using rig = new PtyRig();
  const log = join(rig.directory, 'sanitizer');
  const env = { ...rig.env, ASAN_OPTIONS: `log_path=${log}:detect_leaks=0`, UBSAN_OPTIONS: `log_path=${log}:print_stacktrace=1` };
  writeFileSync(
    join(rig.directory, 'program'),
    'stty raw -echo; printf ready; head -c 300000 /dev/zero | tr "\\0" x; exec cat > /dev/null',
  );
  const owner = await rig.start('hold', ['/bin/sh', 'program'], { env, binary: SANITIZED, epoch: 2 });
  await owner.output.shows('ready');
  const { pid } = owner.pty;

  const seed = Number(process.env.FUZZ_SEED ?? 20_261_121);
  const random = randomFrom(seed);
  const all = attacks(random);
  for (let round = 0; round < 100; round++) {
    // Several at once: they take over from each other in the middle of a frame.
    const several = Array.from({ length: 4 }, (_, i) =>
      strike(owner.socketPath, all[i === 0 ? round % all.length : random(all.length)]!(), random),
    );
    await Promise.all(several);
  }
  await owner.output.until(({ lostBecause }) => lostBecause !== null);

  const back = await rig.adopt(owner, { epoch: 1000, offset: 'oldest' });
  back.output.onData = (end) => back.pty.acknowledge(end);
  expect(back.pty.pid).toBe(pid);
  await back.output.until(({ next }) => next === 300_005);
  expect((await back.pty.foreground())?.pgid).toBe(pid);
  expect(await back.pty.signal('SIGTERM', 'group')).toBe(true);
  expect(await back.output.ends()).toEqual({ code: null, signal: 'SIGTERM' });
  back.pty.dismiss();
  await back.pty.release();
  expect(existsSync(owner.socketPath)).toBe(false);
  const findings = readdirSync(rig.directory).filter((name) => name.startsWith('sanitizer'));
  expect(findings.map((name) => readFileSync(join(rig.directory, name), 'utf8'))).toEqual([]);
});
