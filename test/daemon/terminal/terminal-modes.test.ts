import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PtyRig, type Started } from '../../support/pty.ts';

describe('what a program has set its terminal to', () => {
  test.each([
    { stty: 'sane', modes: { echo: true, canonical: true } },
    { stty: '-echo', modes: { echo: false, canonical: true } },
    { stty: '-icanon', modes: { echo: true, canonical: false } },
    { stty: 'raw -echo', modes: { echo: false, canonical: false } },
  ])('is told after stty $stty', async ({ stty, modes }) => {
    await using rig = new PtyRig();
    const { pty, output } = await rig.shell('hold', `stty ${stty}; printf ready; exec cat`);
    await output.shows('ready');
    expect(await pty.terminalModes()).toEqual(modes);
  });

  test('is not known by node-pty, nor of a program that has ended', async () => {
    await using rig = new PtyRig();
    const cat = await rig.shell('node-pty', 'printf ready; exec cat');
    await cat.output.shows('ready');
    expect(await cat.pty.terminalModes()).toBeNull();
    const ended = await rig.shell('hold', 'exit 0');
    await ended.output.ends();
    expect(await ended.pty.terminalModes()).toBeNull();
  });

  test('is asked of no holder that would hang up', async () => {
    await using rig = new PtyRig();
    const socketPath = join(rig.directory, 'old.sock');
    const heard: Buffer[] = [];
    const sockets: Socket[] = [];
    // A holder of version 1, as far as it matters here: it greets, and answers a question for the foreground group (type 6) with 77.
    const old = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      socket.on('data', (bytes) => {
        heard.push(bytes);
        if (bytes[4] === 1)
          socket.write(Buffer.from(`2b0000004101${'07000000'.repeat(2)}${'00'.repeat(24)}5000180000${'00'.repeat(4)}`, 'hex'));
        if (bytes[4] === 6)
          socket.write(Buffer.from(`1e00000046${bytes.toString('hex', 5, 9)}4d00000000${'50001800'}${'00'.repeat(16)}`, 'hex'));
      });
    }).listen(socketPath);
    await once(old, 'listening');
    const { pty, output } = await rig.adopt({ socketPath } as Started);
    expect(await pty.terminalModes()).toBeNull();
    expect(await pty.foreground()).toEqual({ pgid: 77, cwd: null });
    expect(heard.map((bytes) => bytes[4])).toEqual([1, 6]);
    await pty.release();
    output.lostBecause = 'released';
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => old.close(resolve));
  });

  test.each([
    { daemon: 1, spoken: 1 },
    { daemon: 2, spoken: 2 },
    { daemon: 9, spoken: 2 },
  ])('a daemon of version $daemon is greeted with version $spoken', async ({ daemon, spoken }) => {
    await using rig = new PtyRig();
    const started = await rig.shell('hold', 'printf ready; exec cat');
    await started.output.shows('ready');
    await started.pty.release();
    started.output.lostBecause = 'released';
    const socket = connect(started.socketPath);
    socket.write(Buffer.from(`12000000010${daemon}0700000000000000${'ff'.repeat(8)}`, 'hex'));
    const [welcome] = (await once(socket, 'data')) as [Buffer];
    expect([welcome[4], welcome[5]]).toEqual([65, spoken]);
    socket.destroy();
    const next = await rig.adopt(started, { epoch: 8 });
    await next.output.shows('ready');
  });
});
