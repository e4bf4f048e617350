import { createHash, randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Pty, SpawnError } from '../../../src/daemon/terminal/pty.ts';
import { PtyRig, type Started } from '../../support/pty.ts';

/** A script that runs until a trap ends it: `wait` is what a shell lets a signal interrupt. The sleeper is there before the script says anything. */
const waiting = (script: string) => `sleep 1000 & sleeper=$!; ${script}; while :; do wait $sleeper; done`;
const END = 'kill $sleeper; wait $sleeper; exit 0';

/** Starts `cat` and shows that it runs: until then its loader may have files open. */
async function startCat(rig: PtyRig, backend: Pty['backend']): Promise<Started> {
  const started = await rig.start(backend, ['cat']);
  started.pty.write(Buffer.from('x\n'));
  await started.output.shows('x\r\nx\r\n');
  return started;
}

describe.each(['hold', 'node-pty'] as const)('a PTY of %s', (backend) => {
  test('starts a program with its arguments, directory and size', async () => {
    await using rig = new PtyRig();
    const script = 'for word; do printf "[%s]" "$word"; done; pwd; stty size';
    const { output } = await rig.start(backend, ['sh', '-c', script, 'name', 'a b', '', '*', "it's"], { cols: 123, rows: 45 });
    expect(await output.ends()).toEqual({ code: 0, signal: null });
    expect(output.text).toBe(`[a b][][*][it's]${realpathSync(rig.directory)}\r\n45 123\r\n`);
  });

  test('gives the program exactly the environment that was asked for', async () => {
    await using rig = new PtyRig();
    const { output } = await rig.start(backend, ['env'], {
      env: { ...rig.env, EMPTY: '', ÜMLAUT: 'ö=ä', 'odd name': '1' },
      openFiles: 200,
    });
    await output.ends();
    const text = output.bytes.toString('utf8').trimEnd().split('\r\n').sort();
    expect(text).toEqual(['EMPTY=', 'LANG=C.UTF-8', `PATH=${rig.env.PATH}`, `PTY_RIG=${rig.directory}`, 'odd name=1', 'ÜMLAUT=ö=ä'].sort());
  });

  test('lowers the soft limit of open files', async () => {
    await using rig = new PtyRig();
    const { output } = await rig.shell(backend, 'ulimit -S -n; ulimit -H -n', { openFiles: 200 });
    await output.ends();
    const [soft, hard] = output.text.split('\r\n');
    expect({ soft, isHardHigher: Number(hard) > 200 || hard === 'unlimited' }).toEqual({ soft: '200', isHardHigher: true });
  });

  test('passes all 256 byte values both ways', async () => {
    await using rig = new PtyRig();
    const { pty, output } = await rig.shell(backend, 'stty raw -echo; printf ready; exec cat');
    await output.shows('ready');
    const bytes = Uint8Array.from({ length: 256 }, (_, value) => value);
    pty.write(bytes);
    await output.until(() => output.length === 5 + 256);
    expect(output.bytes.subarray(5).equals(bytes)).toBe(true);
  });

  test('erases whole characters of a line', async () => {
    await using rig = new PtyRig();
    const { pty, output } = await rig.shell(backend, 'stty -echo; printf ready; read line; printf "<%s>" "$line"');
    await output.shows('ready');
    pty.write(Buffer.from('aä\x7fb\n'));
    await output.ends();
    expect(output.text).toContain('<ab>');
  });

  test('delivers all of the output of a program that ends while the event loop is busy', async () => {
    await using rig = new PtyRig();
    for (let run = 0; run < 5; run++) {
      // The first fits in the kernel's buffer, so that the program ends unread; the second does not, and ends with much unread.
      for (const size of [9_000, 43_000]) {
        const { output } = await rig.shell(backend, `head -c ${size} /dev/zero | tr '\\0' x; printf end; exit 7`);
        const busyMs = run === 0 ? 1000 : 60;
        for (const from = performance.now(); performance.now() - from < busyMs; );
        expect(await output.ends()).toEqual({ code: 7, signal: null });
        expect({ length: output.length, tail: output.bytes.subarray(-4).toString() }).toEqual({ length: size + 3, tail: 'xend' });
      }
    }
  });

  test('keeps output and exit back while it is paused, and loses none of it', async () => {
    await using rig = new PtyRig();
    const { pty, output } = await rig.shell(backend, `printf ready; read go; printf 'some output'; exit 5`);
    await output.shows('ready');
    pty.pause();
    const before = output.length;
    pty.write(Buffer.from('\n'));
    // A whole other program, as the measure of time.
    await (await rig.shell(backend, 'printf other')).output.ends();
    expect({ length: output.length, exited: output.exited }).toEqual({ length: before, exited: null });
    pty.resume();
    expect(await output.ends()).toEqual({ code: 5, signal: null });
    expect(output.text.endsWith('some output')).toBe(true);
  });

  test('blocks a program that is not read, and lets it go on', async () => {
    await using rig = new PtyRig();
    const size = 2_000_000;
    const script = `printf ready; read go; head -c ${size} /dev/zero | tr '\\0' x; : > done; exit 3`;
    const slow = await rig.shell(backend, script);
    await slow.output.shows('ready');
    slow.output.onData = (end) => slow.pty.acknowledge(end);
    slow.pty.pause();
    const before = slow.output.length;
    slow.pty.write(Buffer.from('\n'));
    // Another program writes as much, is read, and ends. That is time enough.
    mkdirSync(join(rig.directory, 'other'));
    const fast = await rig.shell(backend, `head -c ${size} /dev/zero | tr '\\0' x; : > done`, { cwd: join(rig.directory, 'other') });
    fast.output.onData = (end) => fast.pty.acknowledge(end);
    fast.pty.acknowledge(fast.output.length);
    await fast.output.ends();
    expect({ length: slow.output.length, isDone: existsSync(join(rig.directory, 'done')) }).toEqual({ length: before, isDone: false });
    slow.pty.resume();
    expect(await slow.output.ends()).toEqual({ code: 3, signal: null });
    // The terminal echoed the line that was typed.
    expect(slow.output.length).toBe(before + '\r\n'.length + size);
  });

  test('gives a program no descriptors but its terminal', async () => {
    await using rig = new PtyRig();
    const all: Started[] = [];
    for (let i = 0; i < 3; i++) all.push(await startCat(rig, backend));
    for (const { pty } of all) {
      expect(readdirSync(`/proc/${pty.pid}/fd`).sort()).toEqual(['0', '1', '2']);
      // Field 8 of stat: its terminal has it in the foreground, so it is a session leader with a controlling terminal.
      expect(await pty.foreground()).toEqual({ pgid: pty.pid, cwd: realpathSync(rig.directory) });
    }
  });

  test('gives a program no terminal of another, wherever its descriptor is', async () => {
    await using rig = new PtyRig();
    const fillers = Array.from({ length: 40 }, () => openSync('/dev/null', 'r'));
    await startCat(rig, backend);
    for (const fd of fillers) closeSync(fd);
    // With the lower numbers free again, the next program starts while there is a gap below the first one's descriptor.
    const { pty } = await startCat(rig, backend);
    expect(readdirSync(`/proc/${pty.pid}/fd`).sort()).toEqual(['0', '1', '2']);
  });

  test('starts a program with every signal at its default and none blocked', async () => {
    await using rig = new PtyRig();
    // It has no handlers of its own.
    const { pty } = await startCat(rig, backend);
    const status = readFileSync(`/proc/${pty.pid}/status`, 'latin1');
    expect(status.match(/Sig(Blk|Ign|Cgt):\t\w+/g)).toEqual([
      'SigBlk:\t0000000000000000',
      'SigIgn:\t0000000000000000',
      'SigCgt:\t0000000000000000',
    ]);
  });

  test('tells the program of a new size', async () => {
    await using rig = new PtyRig();
    const { pty, output } = await rig.shell(backend, waiting(`trap 'stty size' WINCH; printf ready`));
    await output.shows('ready');
    pty.resize(101, 31);
    await output.shows('31 101\r\n');
  });

  test.each([
    { cols: 0, rows: 0, shown: '1 1\r\n' },
    { cols: 65_535, rows: 65_535, shown: '65535 65535\r\n' },
    { cols: 70_000, rows: -1, shown: '1 65535\r\n' },
    { cols: Number.NaN, rows: 2.9, shown: '2 1\r\n' },
  ])('brings $cols x $rows cells into what a terminal can have', async ({ cols, rows, shown }) => {
    await using rig = new PtyRig();
    const { pty, output } = await rig.shell(backend, waiting(`trap 'stty size' WINCH; printf ready`));
    await output.shows('ready');
    pty.resize(cols, rows);
    await output.shows(shown);
  });

  test('signals the program, its group or the foreground group', async () => {
    await using rig = new PtyRig();
    // With job control the inner shell is a group of its own, in the foreground.
    writeFileSync(join(rig.directory, 'inner'), waiting(`trap 'echo inner usr1' USR1; trap '${END}' USR2; echo up`));
    const script = waiting(`set -m; trap 'echo outer usr1' USR1; trap '${END}' TERM; sh inner; echo inner is over`);
    const { pty, output } = await rig.start(backend, ['bash', '-c', script]);
    await output.shows('up\r\n');
    expect((await pty.foreground())?.pgid).not.toBe(pty.pid);
    expect(await pty.signal('SIGUSR1', 'foreground')).toBe(true);
    await output.shows('inner usr1\r\n');
    expect(await pty.signal('SIGUSR2', 'foreground')).toBe(true);
    await output.shows('inner is over\r\n');
    expect(output.text).not.toContain('outer');
    expect(await pty.signal('SIGUSR1', 'program')).toBe(true);
    await output.shows('outer usr1\r\n');
    expect(await pty.signal('SIGTERM', 'program')).toBe(true);
    await output.ends();
  });

  test('signals every process of the group', async () => {
    await using rig = new PtyRig();
    writeFileSync(join(rig.directory, 'inner'), waiting('echo up'));
    const { pty, output } = await rig.shell(backend, 'sh inner & other=$!; while :; do wait $other; done');
    await output.shows('up\r\n');
    // Stopping and going on hurts nobody; if any of them outlived the third, the rig would find it.
    expect(await pty.signal('SIGSTOP', 'group')).toBe(true);
    expect(await pty.signal('SIGCONT', 'group')).toBe(true);
    expect(await pty.signal('SIGKILL', 'group')).toBe(true);
    expect(await output.ends()).toEqual({ code: null, signal: 'SIGKILL' });
  });

  test.each([
    { script: 'exit 0', exit: { code: 0, signal: null } },
    { script: 'exit 255', exit: { code: 255, signal: null } },
    { script: 'kill -TERM $$', exit: { code: null, signal: 'SIGTERM' } },
    { script: 'kill -KILL $$', exit: { code: null, signal: 'SIGKILL' } },
    { script: 'kill -35 $$', exit: { code: 163, signal: null } },
  ])('tells how "$script" ended', async ({ script, exit }) => {
    await using rig = new PtyRig();
    const { output } = await rig.shell(backend, script);
    expect(await output.ends()).toEqual(exit);
  });

  test('takes a megabyte of input for a program that does not read yet, and loses none of it', async () => {
    await using rig = new PtyRig();
    const fifo = rig.fifo('go');
    const { pty, output } = await rig.shell(
      backend,
      `stty raw -echo; printf ready; read go < go; head -c 1048576 | md5sum; printf over; exec cat`,
    );
    await output.shows('ready');
    const input = randomBytes(1 << 20);
    pty.write(input.subarray(0, 1000));
    pty.write(input.subarray(1000));
    // Everything else still works.
    expect(await pty.foreground()).toEqual({ pgid: pty.pid, cwd: realpathSync(rig.directory) });
    pty.resize(90, 30);
    expect(pty.inputWaiting).toBeGreaterThan(900_000);
    await writeFile(fifo, 'go\n');
    await output.shows(createHash('md5').update(input).digest('hex'));
    await output.shows('over');
    expect(pty.inputWaiting).toBe(0);
  });

  test('does not lose the input that came just before another', async () => {
    await using rig = new PtyRig();
    const { pty, output } = await rig.shell(backend, 'stty raw -echo; printf ready; exec cat');
    await output.shows('ready');
    const buffer = Buffer.alloc(3);
    for (let i = 0; i < 500; i++) {
      // The same buffer again: what was written before must not change.
      buffer.write(`${i % 10}${i % 7};`);
      pty.write(buffer);
    }
    const expected = Array.from({ length: 500 }, (_, i) => `${i % 10}${i % 7};`).join('');
    await output.until(() => output.length === 5 + expected.length);
    expect(output.text.slice(5)).toBe(expected);
  });

  test('leaves other terminals alone when a program that has ended is written to, resized and signalled', async () => {
    await using rig = new PtyRig();
    const { pty, output } = await rig.shell(backend, 'stty raw; printf ready; read -r never < /dev/null; exit 0');
    pty.write(Buffer.alloc(200_000, 'old'));
    await output.ends();
    // These get the descriptors that the first one had.
    const others = [];
    for (let i = 0; i < 3; i++)
      others.push(await rig.shell(backend, 'stty -echo; printf ready; read line; stty size; printf "<%s>" "$line"'));
    for (const other of others) await other.output.shows('ready');
    pty.write(Buffer.from('injected\n'));
    pty.resize(7, 7);
    expect(await pty.signal('SIGKILL', 'program')).toBe(false);
    expect(await pty.signal('SIGKILL', 'group')).toBe(false);
    expect(await pty.signal('SIGKILL', 'foreground')).toBe(false);
    expect({ foreground: await pty.foreground(), waiting: pty.inputWaiting }).toEqual({ foreground: null, waiting: 0 });
    for (const other of others) {
      other.pty.write(Buffer.from('mine\n'));
      await other.output.ends();
      expect(other.output.text).toBe('ready24 80\r\n<mine>');
    }
  });

  test('follows the program to another directory', async () => {
    await using rig = new PtyRig();
    mkdirSync(join(rig.directory, 'sub dir'));
    const { pty, output } = await rig.shell(
      backend,
      `cd 'sub dir'; echo there; read line; cd ..; rmdir 'sub dir'; mkdir gone; cd gone; rmdir ../gone; echo nowhere; read line`,
    );
    await output.shows('there');
    expect(await pty.foreground()).toEqual({ pgid: pty.pid, cwd: join(realpathSync(rig.directory), 'sub dir') });
    pty.write(Buffer.from('\n'));
    await output.shows('nowhere');
    expect(await pty.foreground()).toEqual({ pgid: pty.pid, cwd: null });
  });

  test('stays with a program that closes its terminal and opens it again', async () => {
    await using rig = new PtyRig();
    const fifo = rig.fifo('go');
    const { output } = await rig.shell(backend, `printf first; exec <&- >&- 2>&-; read go < go; printf second > /dev/tty; exit 4`);
    await output.shows('first');
    await writeFile(fifo, 'go\n');
    expect(await output.ends()).toEqual({ code: 4, signal: null });
    expect(output.text).toBe('firstsecond');
  });

  test.each(['sleep 1000', 'yes background'])(
    'tells the exit although "%s" in the background keeps the terminal open',
    async (background) => {
      await using rig = new PtyRig();
      // Read to its end once nobody has it open: then the one in the background has died.
      const alive = rig.fifo('alive');
      rig.fifo('up');
      const dies = readFile(alive);
      const script = `(trap '' HUP; exec 8> alive; echo up > up; exec ${background}) & read up < up; echo $!; exit 6`;
      const { pty, output } = await rig.shell(backend, script);
      output.onData = (end) => pty.acknowledge(end);
      expect(await output.ends()).toEqual({ code: 6, signal: null });
      // `yes` ends by itself when its terminal is gone.
      if (background === 'sleep 1000') process.kill(Number(output.text), 'SIGKILL');
      await dies;
    },
  );

  test.each([
    { argv: ['no-such-program-here'], reason: 'no-such-command', message: 'No such command: "no-such-program-here"' },
    { argv: [''], reason: 'no-such-command', message: 'No such command: ""' },
    { argv: ['./missing'], reason: 'no-such-command', message: 'No such command: "./missing"' },
    { argv: ['./plain'], reason: 'not-executable', message: 'Not executable: "./plain"' },
    { argv: ['./'], reason: 'not-executable', message: 'Not executable: "./"' },
    {
      argv: ['./orphan'],
      reason: 'not-executable',
      message: 'Not executable: "./orphan" (its first line asks for "/nope/interpreter", which is not there)',
    },
    { argv: ['true'], cwd: '/nope', reason: 'no-such-directory', message: 'No such directory: "/nope"' },
    { argv: ['true'], cwd: '/etc/passwd', reason: 'no-such-directory', message: 'Not a directory: "/etc/passwd"' },
    { argv: ['true'], path: '/nope', reason: 'no-such-command', message: 'No such command: "true"' },
    { argv: ['true', 'a\0b'], reason: 'failed', message: 'A NUL byte cannot be passed to a program: "a\\u0000b"' },
  ])('says why $argv cannot be started ($reason)', async ({ argv, cwd, path, reason, message }) => {
    await using rig = new PtyRig();
    writeFileSync(join(rig.directory, 'plain'), 'text');
    writeFileSync(join(rig.directory, 'orphan'), '#!/nope/interpreter -x\n', { mode: 0o755 });
    const rest = { ...(cwd ? { cwd } : {}), ...(path ? { env: { ...rig.env, PATH: path } } : {}) };
    const error = await rig.start(backend, argv as [string, ...string[]], rest).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(SpawnError);
    expect({ reason: (error as SpawnError).reason, message: (error as SpawnError).message }).toEqual({ reason, message });
  });

  test('finds the program in the PATH it is given, past what it may not run', async () => {
    await using rig = new PtyRig();
    for (const name of ['first', 'second']) mkdirSync(join(rig.directory, name));
    writeFileSync(join(rig.directory, 'first', 'tool'), 'not executable');
    writeFileSync(join(rig.directory, 'second', 'tool'), '#!/bin/sh\nprintf found', { mode: 0o755 });
    const { output } = await rig.start(backend, ['tool'], { env: { ...rig.env, PATH: 'first:second' } });
    await output.ends();
    expect(output.text).toBe('found');
  });

  test('ends or keeps the program on release, and says nothing more', async () => {
    await using rig = new PtyRig();
    // Read to its end once nobody has it open: then the program has ended.
    const alive = rig.fifo('alive');
    const ends = readFile(alive, 'utf8');
    const { pty, output } = await rig.shell(backend, waiting(`exec 8> alive; trap 'echo hung up >&8; ${END}' HUP; printf ready`));
    await output.shows('ready');
    await pty.release();
    await pty.release();
    pty.write(Buffer.from('x'));
    expect(await pty.signal('SIGHUP', 'program')).toBe(false);
    if (backend === 'hold') process.kill(pty.pid, 'SIGHUP');
    expect(await ends).toBe('hung up\n');
    expect({ exited: output.exited, lost: output.lostBecause }).toEqual({ exited: null, lost: null });
    output.lostBecause = 'released';
    if (backend === 'hold') {
      const next = await rig.adopt({ pty, output, socketPath: join(rig.directory, '1.sock') });
      expect(await next.output.ends()).toEqual({ code: 0, signal: null });
    }
  });
});
