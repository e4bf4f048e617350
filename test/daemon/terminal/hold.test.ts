import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeToHolder, type FromHolder, HoldReader, inputHeader } from '../../../src/daemon/terminal/hold-protocol.ts';
import { SpawnError } from '../../../src/daemon/terminal/pty.ts';
import { PtyRig, type Started } from '../../support/pty.ts';

const RING = 262_144;

/** Waits for this line from the test, on a FIFO, so that nothing is echoed on the terminal. */
const GO = 'read go < go';

/** What is left of a daemon killed with -9: nothing is said, the connection just ends. */
async function crash({ pty, output }: Started): Promise<void> {
  await pty.release();
  output.lostBecause = 'crashed';
}

test('a program survives its daemons in the middle of a flood, every byte once', async () => {
  await using rig = new PtyRig();
  const go = rig.fifo('go');
  const first = await rig.shell('hold', `stty -opost; printf ready; ${GO}; seq 1 400000; exit 9`);
  await first.output.shows('ready');
  const { pid } = first.pty;
  const all: Buffer[] = [];
  let length = 0;
  let epoch = 1;
  let current: Started = first;
  const expected = `ready${Array.from({ length: 400_000 }, (_, i) => `${i + 1}\n`).join('')}`;
  await writeFile(go, '\n');
  for (;;) {
    // Each daemon dies at some point of its 200 KB, having acknowledged less than it had, as one does that dies before it has written.
    const { pty, output } = current;
    const from = output.first ?? length;
    output.onData = (end) => {
      if ((end - from) % 3 > 0) pty.acknowledge(end - Math.floor((end - from) / 10));
    };
    await output.until(() => output.exited !== null || output.length > 200_000 + epoch);
    // Only a part of it had reached the journal.
    const kept = output.exited ? output.length : Math.floor(output.length * 0.9) + 1;
    all.push(output.bytes.subarray(0, kept));
    length += kept;
    if (output.exited) break;
    await crash(current);
    current = await rig.adopt(current, { epoch: ++epoch, offset: length, prepare: (next) => (next.next = length) });
    expect({ pid: current.pty.pid, gap: (current.pty as { gap?: unknown }).gap }).toEqual({ pid, gap: null });
  }
  expect(current.output.exited).toEqual({ code: 9, signal: null });
  expect(Buffer.concat(all).toString('latin1') === expected).toBe(true);
  expect(epoch).toBeGreaterThan(8);
});

test('an exit is kept, with the output, until a daemon has dismissed it', async () => {
  await using rig = new PtyRig();
  const started = await rig.shell('hold', 'head -c 50000 /dev/zero | tr "\\0" x; exit 42');
  await crash(started);
  for (let epoch = 2; epoch < 5; epoch++) {
    const next = await rig.adopt(started, { epoch, offset: 0 });
    expect(await next.output.ends()).toEqual({ code: 42, signal: null });
    expect(next.output.length).toBe(50_000);
    await crash(next);
  }
  const last = await rig.adopt(started, { epoch: 9, offset: 0 });
  await last.output.ends();
  expect(existsSync(started.socketPath)).toBe(true);
  last.pty.dismiss();
  await last.pty.release();
  expect(existsSync(started.socketPath)).toBe(false);
  expect(rig.processes()).toEqual([]);
  await expect(rig.adopt(started, { epoch: 10 })).rejects.toThrow(`No holder is listening at "${started.socketPath}"`);
});

test('a dismissal before the exit counts from the exit on', async () => {
  await using rig = new PtyRig();
  const { pty, output, socketPath } = await rig.shell('hold', 'printf ready; read line; exit 1');
  await output.shows('ready');
  pty.dismiss();
  pty.write(Buffer.from('\n'));
  expect(await output.ends()).toEqual({ code: 1, signal: null });
  await pty.release();
  expect(existsSync(socketPath)).toBe(false);
});

test('an older daemon is refused, a newer one takes over', async () => {
  await using rig = new PtyRig();
  const first = await rig.shell('hold', 'stty -echo; printf ready; exec cat', { epoch: 5 });
  await first.output.shows('ready');
  await expect(rig.adopt(first, { epoch: 4 })).rejects.toThrow('A newer daemon has this program (its epoch is 5, ours is 4)');
  expect(first.output.lostBecause).toBe(null);
  const second = await rig.adopt(first, { epoch: 6, offset: 5 });
  await first.output.until(({ lostBecause }) => lostBecause !== null);
  expect(first.output.lostBecause).toBe('A newer daemon has taken the program over');
  // What the old one still says goes nowhere.
  first.pty.write(Buffer.from('old\n'));
  expect(await first.pty.signal('SIGKILL', 'program')).toBe(false);
  second.pty.write(Buffer.from('new\n'));
  await second.output.shows('new');
  expect(second.output.text).toBe('new\r\n');
  // The same daemon may come again.
  const again = await rig.adopt(second, { epoch: 6, offset: 5 });
  await again.output.shows('new');
  await expect(rig.adopt(first, { epoch: 5 })).rejects.toThrow('A newer daemon has this program');
});

test('what an earlier daemon acknowledged is marked as a replay, and what it was only sent is not', async () => {
  await using rig = new PtyRig();
  const first = await rig.shell('hold', 'stty -echo; printf before; read line; printf after; exec cat');
  await first.output.shows('before');
  first.pty.acknowledge(5);
  // Answers come in order, so the acknowledgement has arrived when this does.
  await first.pty.foreground();
  await first.pty.foreground();
  await crash(first);
  const second = await rig.adopt(first, { offset: 2 });
  await second.output.shows('fore');
  second.pty.write(Buffer.from('\n'));
  await second.output.shows('after');
  expect(second.output.replays).toEqual([
    [2, true],
    [5, false],
  ]);
});

test('a daemon is told where the stream starts when older bytes are gone', async () => {
  await using rig = new PtyRig();
  const first = await rig.shell('hold', `stty -opost -echo; head -c ${RING} /dev/zero | tr '\\0' x; printf 0123456789; exec cat`);
  first.output.onData = (end) => first.pty.acknowledge(end);
  await first.output.until(({ next }) => next === RING + 10);
  await first.pty.foreground();
  await crash(first);
  const starts: number[] = [];
  const second = await rig.adopt(first, { offset: 1, starts: (offset) => starts.push(offset) });
  await second.output.until(({ next }) => next === RING + 10);
  // What was acknowledged is kept as long as there is room for it.
  expect({ starts, gap: second.pty.gap, first: second.output.first }).toEqual({ starts: [10], gap: { from: 1, to: 10 }, first: 10 });
  await crash(second);
  const third = await rig.adopt(first, { epoch: 3, offset: 'oldest' });
  await third.output.until(({ next }) => next === RING + 10);
  expect({ gap: third.pty.gap, first: third.output.first }).toEqual({ gap: null, first: 10 });
  await expect(rig.adopt(first, { epoch: 4, offset: RING + 11 })).rejects.toThrow(`The program has not written ${RING + 11} bytes yet`);
  // A refused daemon has not taken anything over.
  expect(third.output.lostBecause).toBe(null);
});

test('a full ring blocks the program without a daemon, and an attach at its end frees it', async () => {
  await using rig = new PtyRig();
  const go = rig.fifo('go');
  const first = await rig.shell('hold', `stty -opost; printf ready; ${GO}; head -c 1000000 /dev/zero | tr '\\0' x; : > done`);
  await first.output.shows('ready');
  await writeFile(go, '\n');
  // Nobody acknowledges, so exactly the ring arrives.
  await first.output.until(({ length }) => length === RING);
  await crash(first);
  expect(existsSync(join(rig.directory, 'done'))).toBe(false);
  const second = await rig.adopt(first, { offset: RING });
  second.output.onData = (end) => second.pty.acknowledge(end);
  await second.output.ends();
  expect({ first: second.output.first, next: second.output.next }).toEqual({ first: RING, next: 1_000_005 });
});

test('input that was typed just before the daemon let go still arrives', async () => {
  await using rig = new PtyRig();
  const go = rig.fifo('go');
  const first = await rig.shell('hold', `stty raw -echo; printf ready; ${GO}; head -c 60100 | wc -c; exec cat`);
  await first.output.shows('ready');
  first.pty.write(Buffer.alloc(60_000, 'a'));
  await crash(first);
  const second = await rig.adopt(first, { offset: 5 });
  expect(second.pty.inputWaiting).toBeGreaterThan(40_000);
  second.pty.write(Buffer.alloc(100, 'b'));
  second.pty.write(Buffer.alloc(70_000, 'c'));
  await writeFile(go, '\n');
  await second.output.shows('60100');
  await second.output.until(({ length }) => length >= 70_000);
  expect(second.pty.inputWaiting).toBe(0);
});

test('a socket that vanished is made again on SIGUSR1, and one that is there is left alone', async () => {
  await using rig = new PtyRig();
  const started = await rig.shell('hold', 'printf ready; exec cat');
  await started.output.shows('ready');
  const { ino, mode } = statSync(started.socketPath);
  expect(mode & 0o777).toBe(0o600);
  process.kill(started.pty.holderPid!, 'SIGUSR1');
  // An answer from the holder shows that it has seen the signal, which came before the question.
  await started.pty.foreground();
  expect(statSync(started.socketPath).ino).toBe(ino);
  unlinkSync(started.socketPath);
  process.kill(started.pty.holderPid!, 'SIGUSR1');
  await started.pty.foreground();
  expect(started.output.lostBecause).toBe(null);
  const next = await rig.adopt(started);
  await next.output.shows('ready');
});

test('a holder never takes or removes what is not its own socket', async () => {
  await using rig = new PtyRig();
  const taken = join(rig.directory, '1.sock');
  writeFileSync(taken, 'mine');
  const error = await rig.shell('hold', 'true').catch((error: unknown) => error);
  expect(error).toBeInstanceOf(SpawnError);
  expect((error as Error).message).toBe('The program "/bin/sh" could not be started (socket): address already in use');
  expect(readFileSync(taken, 'utf8')).toBe('mine');
  unlinkSync(taken);

  const { pty, output, socketPath } = await rig.shell('hold', 'printf ready; read line');
  await output.shows('ready');
  renameSync(socketPath, `${socketPath}.away`);
  writeFileSync(socketPath, 'mine');
  pty.dismiss();
  pty.write(Buffer.from('\n'));
  await output.ends();
  await pty.release();
  expect(readFileSync(socketPath, 'utf8')).toBe('mine');
  unlinkSync(socketPath);
});

test('a failed start leaves no process, no socket and no descriptor', async () => {
  await using rig = new PtyRig();
  // Only exec can tell that its loader is not there.
  const program = readFileSync('/bin/true', 'latin1').replace(/ld-(linux|musl)/g, 'no-$1');
  writeFileSync(join(rig.directory, 'elf'), program, { encoding: 'latin1', mode: 0o755 });
  // Measured after a start that went well, by when Node has closed its side of the ones before.
  const openFiles = async () => {
    const { output, pty } = await rig.shell('hold', 'true');
    await output.ends();
    pty.dismiss();
    await pty.release();
    return readdirSync('/proc/self/fd').length;
  };
  const before = await openFiles();
  const errors = [
    await rig.start('hold', ['./elf']).catch((error: unknown) => error),
    await rig.start('hold', ['true', 'x'.repeat(200_000)]).catch((error: unknown) => error),
    await rig.start('hold', ['true'], { binary: join(rig.directory, 'no-holder') }).catch((error: unknown) => error),
  ] as SpawnError[];
  expect(errors.map(({ name, reason, message }) => [name, reason, message])).toEqual([
    ['SpawnError', 'not-executable', 'Not executable: "./elf" (the interpreter or loader that it names is not there)'],
    ['SpawnError', 'failed', 'The arguments and environment of "true" are longer than the system allows'],
    ['SpawnError', 'failed', expect.stringMatching(/^The holder ".*no-holder" could not be started: spawn .* ENOENT$/)],
  ]);
  expect(rig.processes()).toEqual([]);
  expect(readdirSync(rig.directory)).toEqual(['elf']);
  expect(await openFiles()).toBe(before);
});

test('an orphan that left its session is adopted by the holder', async () => {
  await using rig = new PtyRig();
  const alive = rig.fifo('alive');
  rig.fifo('up');
  const { pty, output } = await rig.shell(
    'hold',
    `(setsid sh -c 'trap "" HUP; exec 8> alive; echo up > up; exec sleep 1000' < /dev/null > /dev/null 2>&1 & echo $!); read up < up; printf ready; exec cat`,
  );
  const dies = readFile(alive);
  await output.shows('ready');
  const orphan = Number(output.text.split('\r\n')[0]);
  // Field 4 of stat is the parent (proc(5)).
  const parent = readFileSync(`/proc/${orphan}/stat`, 'latin1').split(') ')[1]!.split(' ')[1];
  expect(Number(parent)).toBe(pty.holderPid);
  process.kill(orphan, 'SIGKILL');
  await dies;
});

test('a holder killed by force hangs the program up, and the daemon knows at once', async () => {
  await using rig = new PtyRig();
  // Read to its end once nobody has it open: then the program has ended.
  const ends = readFile(rig.fifo('alive'), 'utf8');
  const script = `exec 8> alive; sleep 1000 & sleeper=$!; trap 'echo hung up >&8; kill $sleeper; wait $sleeper; exit' HUP; printf ready; while :; do wait $sleeper; done`;
  const { pty, output, socketPath } = await rig.shell('hold', script);
  await output.shows('ready');
  const status = pty.foreground();
  process.kill(pty.holderPid!, 'SIGSTOP');
  const asked = pty.signal('SIGUSR1', 'program');
  process.kill(pty.holderPid!, 'SIGKILL');
  await output.until(({ lostBecause }) => lostBecause !== null);
  expect(output.lostBecause).toBe('The connection to the holder was lost');
  expect(await asked).toBe(false);
  await status;
  expect(await ends).toBe('hung up\n');
  unlinkSync(socketPath);
});

test('a holder told to terminate removes its socket', async () => {
  await using rig = new PtyRig();
  const ends = readFile(rig.fifo('alive'), 'utf8');
  const { pty, output, socketPath } = await rig.shell('hold', 'exec 8> alive; printf ready; exec cat');
  await output.shows('ready');
  process.kill(pty.holderPid!, 'SIGTERM');
  await output.until(({ lostBecause }) => lostBecause !== null);
  expect(existsSync(socketPath)).toBe(false);
  await ends;
});

test('an idle holder is small', async () => {
  await using rig = new PtyRig();
  // Several, since they share the pages of the program itself.
  const holders: Started[] = [];
  for (let i = 0; i < 10; i++) holders.push(await rig.shell('hold', 'printf ready; exec cat'));
  for (const { output } of holders) await output.shows('ready');
  const pid = holders[9]!.pty.holderPid;
  const memory = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(memory)![1]);
  const isStatic = !readFileSync(`/proc/${pid}/maps`, 'latin1').includes('libc');
  console.log(`an idle holder of ten: PSS ${kib('Pss')} KiB, its own ${kib('Private_Dirty')} KiB (${isStatic ? 'static' : 'dynamic'})`);
  if (isStatic) expect(kib('Pss')).toBeLessThan(150);
});

test('a connection that says nothing harms nobody', async () => {
  await using rig = new PtyRig();
  const started = await rig.shell('hold', 'stty -echo; printf ready; exec cat');
  await started.output.shows('ready');
  const silent = Array.from({ length: 12 }, () => connect(started.socketPath));
  for (const socket of silent) socket.on('error', () => {}).write(Buffer.from([22, 0, 0]));
  // Nine or more push the oldest out.
  await Promise.all(silent.slice(0, 4).map((socket) => new Promise((resolve) => socket.resume().once('close', resolve))));
  started.pty.write(Buffer.from('still here\n'));
  await started.output.shows('still here');
  for (const socket of silent) socket.destroy();
});

test('a holder that is stopped does not keep a daemon waiting for its welcome', async () => {
  await using rig = new PtyRig();
  const started = await rig.shell('hold', 'printf ready; exec cat');
  await started.output.shows('ready');
  const { holderPid } = started.pty;
  await crash(started);
  process.kill(holderPid!, 'SIGSTOP');
  const error = await rig.adopt(started).catch((error: unknown) => error);
  process.kill(holderPid!, 'SIGCONT');
  expect(error).toMatchObject({ name: 'HolderError', reason: 'silent', message: `The holder at "${started.socketPath}" does not answer` });
  // Nothing is lost by it: whoever asks later has the program.
  await (await rig.adopt(started, { epoch: 3 })).output.shows('ready');
  const nobody = await rig.adopt({ ...started, socketPath: `${started.socketPath}.not` }).catch((error: unknown) => error);
  expect(nobody).toMatchObject({ name: 'HolderError', reason: 'gone' });
});

test('a holder that is stopped does not keep a daemon from letting go', async () => {
  await using rig = new PtyRig();
  const started = await rig.shell('hold', 'stty raw -echo; printf ready; exec cat');
  await started.output.shows('ready');
  process.kill(started.pty.holderPid!, 'SIGSTOP');
  // More frames than the system queues for it.
  for (let i = 0; i < 20_000; i++) started.pty.write(Buffer.from('x'));
  await crash(started);
  process.kill(started.pty.holderPid!, 'SIGCONT');
  await (await rig.adopt(started)).output.shows('ready');
});

test('input that was typed key by key while nobody read costs what its bytes cost', async () => {
  await using rig = new PtyRig();
  const go = rig.fifo('go');
  const { pty, output } = await rig.shell('hold', `stty raw -echo; printf ready; ${GO}; head -c 400000 | md5sum; exec cat`);
  await output.shows('ready');
  const keys = Buffer.from(Array.from({ length: 400_000 }, (_, i) => 97 + ((i * 7) % 26)));
  const key = Buffer.alloc(1);
  const memoryBefore = process.memoryUsage().rss;
  for (const byte of keys) {
    key[0] = byte;
    pty.write(key);
  }
  expect(pty.inputWaiting).toBe(400_000);
  // The window alone is sent as it was typed; a Buffer for each of the others would be 40 MB.
  console.log(`400,000 keys wait in ${Math.round((process.memoryUsage().rss - memoryBefore) / 1024)} KiB`);
  const before = process.cpuUsage();
  await writeFile(go, '\n');
  await output.shows(createHash('md5').update(keys).digest('hex'));
  const { user, system } = process.cpuUsage(before);
  // Some 0.2 s. Taking each key from the front of a long list took 12 s.
  expect((user + system) / 1e6).toBeLessThan(3);
  expect(pty.inputWaiting).toBe(0);
});

/* ---- The protocol ---- */

/** Pinned by literals, apart from the code under test. */
function frame(type: number, ...parts: [bytes: number, value: number | bigint][]): Buffer {
  const payload = Buffer.concat(
    parts.map(([bytes, value]) => {
      const part = Buffer.alloc(8);
      part.writeBigUInt64LE(BigInt(value));
      return part.subarray(0, bytes);
    }),
  );
  const header = Buffer.alloc(5);
  header.writeUInt32LE(payload.length + 1);
  header[4] = type;
  return Buffer.concat([header, payload]);
}

const attachFrame = frame(1, [1, 1], [8, 7], [8, 0xffff_ffff_ffff_ffffn]);
const input = (length: number) => Buffer.concat([inputHeader(length), Buffer.alloc(length, 'i')]);

test.each([
  { what: 'a frame of no length', said: [attachFrame, Buffer.from([0, 0, 0, 0])] },
  { what: 'a frame past the limit', said: [attachFrame, Buffer.from([1, 0, 1, 0])] },
  { what: 'an unknown type', said: [attachFrame, frame(9)] },
  { what: 'a second attach', said: [attachFrame, attachFrame] },
  { what: 'an acknowledgement of what was not sent', said: [attachFrame, frame(2, [8, 6])] },
  { what: 'an acknowledgement cut short', said: [attachFrame, frame(2, [4, 0])] },
  { what: 'a size cut short', said: [attachFrame, frame(4, [2, 80])] },
  { what: 'a question for modes cut short', said: [attachFrame, frame(8, [2, 1])] },
  { what: 'a dismissal before the exit', said: [attachFrame, frame(7)] },
  { what: 'more input than the window', said: [attachFrame, input(60_000), input(60_000)] },
  { what: 'input before the attach', said: [frame(3, [1, 7])] },
  { what: 'an attach cut short', said: [frame(1, [1, 1], [8, 7])] },
  { what: 'an attach of version 0', said: [frame(1, [1, 0], [8, 7], [8, 0])] },
])('$what ends the connection and nothing else', async ({ said }) => {
  await using rig = new PtyRig();
  const go = rig.fifo('go');
  // It does not read its terminal until it is told, so nothing of the input is taken at first.
  const started = await rig.shell('hold', `stty raw -echo; printf ready; ${GO}; exec cat > /dev/null`);
  await started.output.shows('ready');
  await crash(started);
  const socket = connect(started.socketPath);
  const closed = new Promise((resolve) => socket.on('error', () => {}).once('close', resolve));
  socket.resume();
  for (const part of said) socket.write(part);
  await closed;
  await writeFile(go, '\n');
  const next = await rig.adopt(started, { epoch: 7 });
  await next.output.shows('ready');
  expect(await next.pty.foreground()).toMatchObject({ pgid: started.pty.pid });
});

test('the frames to a holder are these', () => {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  expect({
    attach: hex(encodeToHolder({ is: 'attach', epoch: 2 ** 40 + 1, offset: 2 ** 33 + 2 })),
    oldest: hex(encodeToHolder({ is: 'attach', epoch: 0, offset: 'oldest' })),
    ack: hex(encodeToHolder({ is: 'ack', offset: 2 ** 33 + 258 })),
    resize: hex(encodeToHolder({ is: 'resize', cols: 258, rows: 3 })),
    signal: hex(encodeToHolder({ is: 'signal', id: 258, signal: 15, to: 'foreground' })),
    status: hex(encodeToHolder({ is: 'status', id: 7 })),
    modes: hex(encodeToHolder({ is: 'modes', id: 8 })),
    done: hex(encodeToHolder({ is: 'done' })),
    input: hex(inputHeader(65_535)),
  }).toEqual({
    attach: '12000000010201000000000100000200000002000000',
    oldest: '1200000001020000000000000000ffffffffffffffff',
    ack: '09000000020201000002000000',
    resize: '050000000402010300',
    signal: '0700000005020100000f02',
    status: '050000000607000000',
    modes: '050000000808000000',
    done: '0100000007',
    input: '0000010003',
  });
});

/** The messages that come out when the bytes come in these chunks, with the pieces of data joined again. */
function read(bytes: Buffer, cuts: number[]): FromHolder[] {
  const messages: FromHolder[] = [];
  const reader = new HoldReader((message) => {
    const last = messages.at(-1);
    // A view of a chunk whose memory the test owns, so it may be kept.
    if (message.is === 'data' && last?.is === 'data' && last.offset + last.bytes.length === message.offset) {
      messages[messages.length - 1] = { ...last, bytes: Buffer.concat([last.bytes, message.bytes]) };
    } else messages.push(message.is === 'data' ? { ...message, bytes: Buffer.from(message.bytes) } : message);
  });
  let from = 0;
  for (const cut of [...cuts, bytes.length].sort((a, b) => a - b)) {
    reader.push(bytes.subarray(from, cut));
    from = cut;
  }
  return messages;
}

test('what a holder says is understood however it is cut', () => {
  const u32 = fc.nat(0xffff_ffff);
  const offset = fc.nat(Number.MAX_SAFE_INTEGER - 100_000);
  const message: fc.Arbitrary<{ bytes: Buffer; meaning: FromHolder }> = fc.oneof(
    fc.tuple(offset, fc.uint8Array({ minLength: 1, maxLength: 300 })).map(([at, data]) => {
      const head = frame(67, [8, at]);
      head.writeUInt32LE(9 + data.length);
      return { bytes: Buffer.concat([head, data]), meaning: { is: 'data' as const, offset: at, bytes: Buffer.from(data) } };
    }),
    offset.map((total) => ({ bytes: frame(68, [8, total]), meaning: { is: 'taken' as const, total } })),
    fc.tuple(u32, u32).map(([id, errno]) => ({ bytes: frame(69, [4, id], [4, errno]), meaning: { is: 'signalled' as const, id, errno } })),
    fc
      .tuple(u32, offset)
      .map(([status, end]) => ({ bytes: frame(71, [4, status], [8, end]), meaning: { is: 'exit' as const, status, end } })),
    fc.tuple(u32, offset, fc.string({ unit: 'grapheme', maxLength: 90 })).map(([id, head, cwd]) => {
      const fixed = frame(70, [4, id], [4, 77], [1, 0], [2, 80], [2, 24], [8, head], [8, 5]);
      const bytes = Buffer.concat([fixed, Buffer.from(cwd)]);
      bytes.writeUInt32LE(bytes.length - 4);
      return {
        bytes,
        meaning: { is: 'status' as const, id, foreground: 77, hasExited: false, cols: 80, rows: 24, head, acknowledged: 5, cwd },
      };
    }),
    fc.tuple(u32, offset).map(([pid, start]) => ({
      bytes: frame(65, [1, 1], [4, pid], [4, 9], [8, start], [8, start], [8, 3], [2, 65_535], [2, 1], [1, 1], [4, 6]),
      meaning: {
        is: 'welcome' as const,
        version: 1,
        pid,
        holderPid: 9,
        start,
        head: start,
        seen: 3,
        cols: 65_535,
        rows: 1,
        hasExited: true,
        inputWaiting: 6,
      },
    })),
    fc.tuple(u32, fc.nat(7)).map(([id, flags]) => ({
      bytes: frame(72, [4, id], [1, flags]),
      meaning: { is: 'modes' as const, id, modes: flags % 2 ? { echo: (flags & 2) > 0, canonical: flags > 3 } : null },
    })),
    offset.map((epoch) => ({
      bytes: frame(66, [1, 1], [8, epoch]),
      meaning: { is: 'refused' as const, reason: 'older-epoch' as const, epoch },
    })),
  );
  fc.assert(
    fc.property(fc.array(message, { maxLength: 12 }), fc.array(fc.nat(4000), { maxLength: 40 }), (messages, cuts) => {
      // Two data frames that happen to join would come out as one.
      fc.pre(messages.every(({ meaning }, i) => meaning.is !== 'data' || messages[i - 1]?.meaning.is !== 'data'));
      const bytes = Buffer.concat(messages.map(({ bytes }) => bytes));
      const expected = messages.map(({ meaning }) => meaning);
      expect(
        read(
          bytes,
          cuts.filter((cut) => cut < bytes.length),
        ),
      ).toEqual(expected);
    }),
  );
});

test.each([
  { what: 'no length', bytes: Buffer.from([0, 0, 0, 0, 67]) },
  { what: 'a length past the limit', bytes: Buffer.from([1, 0, 1, 0, 67]) },
  { what: 'an unknown type', bytes: frame(99) },
  { what: 'data without an offset', bytes: frame(67, [4, 0]) },
  { what: 'an exit cut short', bytes: frame(71, [4, 0]) },
])('$what is not the protocol', ({ bytes }) => {
  expect(() => read(bytes, [])).toThrow(expect.objectContaining({ name: 'HoldProtocolError' }));
});
