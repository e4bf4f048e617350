import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AdoptedPty, adoptHold, startHold } from '../../src/daemon/terminal/hold.ts';
import { startNodePty } from '../../src/daemon/terminal/node-pty.ts';
import type { Exit, Pty, PtyListener, PtySpec } from '../../src/daemon/terminal/pty.ts';

const HOLD = join(import.meta.dirname, '..', '..', 'native', 'bin', 'hold');

/** Writes down what a PTY tells, and lets a test wait for any fact about it. */
export class Recording implements PtyListener {
  readonly #pieces: Uint8Array[] = [];
  #length = 0;
  #text = '';
  #waiting: (() => void)[] = [];
  first: number | null = null;
  /** Offset after the last byte. Pieces must join without gap or overlap. */
  next: number | null = null;
  /** Every change of `isReplay`, as the offset where it began. */
  readonly replays: [from: number, isReplay: boolean][] = [];
  exited: Exit | null = null;
  lostBecause: string | null = null;
  onData: ((end: number) => void) | null = null;

  data(offset: number, bytes: Uint8Array, isReplay: boolean): void {
    if (this.exited || this.lostBecause) throw new Error('data after the end');
    if (this.next !== null && offset !== this.next) throw new Error(`data at ${offset}, expected at ${this.next}`);
    this.first ??= offset;
    this.next = offset + bytes.length;
    this.#pieces.push(bytes);
    this.#length += bytes.length;
    if (this.#text.length < 65_536) this.#text += Buffer.from(bytes).toString('latin1');
    if (this.replays.at(-1)?.[1] !== isReplay) this.replays.push([offset, isReplay]);
    this.onData?.(this.next);
    this.#changed();
  }

  exit(exit: Exit): void {
    if (this.exited || this.lostBecause) throw new Error('a second end');
    this.exited = exit;
    this.#changed();
  }

  lost(because: string): void {
    if (this.exited || this.lostBecause) throw new Error('a second end');
    this.lostBecause = because;
    this.#changed();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  get length(): number {
    return this.#length;
  }

  /** The first 64 KiB or so, one character a byte. */
  get text(): string {
    return this.#text;
  }

  async until(isTrue: (recording: this) => boolean): Promise<this> {
    while (!isTrue(this)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this;
  }

  shows(text: string): Promise<this> {
    return this.until(() => this.#text.includes(text));
  }

  async ends(): Promise<Exit> {
    await this.until(() => this.exited !== null || this.lostBecause !== null);
    if (!this.exited) throw new Error(`lost: ${this.lostBecause}`);
    return this.exited;
  }

  #changed(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

export type Started = { pty: Pty; output: Recording; socketPath: string };

/** A short directory and the programs started in it. Disposing ends them all and shows that nothing is left. */
export class PtyRig {
  readonly directory = mkdtempSync(join(tmpdir(), 'pty-'));
  readonly #started: Started[] = [];
  #count = 0;

  get env(): Record<string, string> {
    return { PATH: process.env.PATH!, LANG: 'C.UTF-8', PTY_RIG: this.directory };
  }

  spec(argv: readonly [string, ...string[]], rest: Partial<PtySpec> = {}): PtySpec {
    return { argv, env: this.env, cwd: this.directory, cols: 80, rows: 24, ...rest };
  }

  async start(
    backend: Pty['backend'],
    argv: readonly [string, ...string[]],
    rest: Partial<PtySpec> & { binary?: string; epoch?: number } = {},
  ): Promise<Started> {
    const { binary = HOLD, epoch = 1, ...spec } = rest;
    const output = new Recording();
    const socketPath = join(this.directory, `${++this.#count}.sock`);
    const pty =
      backend === 'hold'
        ? await startHold({ spec: this.spec(argv, spec), socketPath, epoch, binary }, output)
        : await startNodePty(this.spec(argv, spec), output);
    const started = { pty, output, socketPath };
    this.#started.push(started);
    return started;
  }

  shell(backend: Pty['backend'], script: string, rest: Partial<PtySpec> & { binary?: string; epoch?: number } = {}): Promise<Started> {
    return this.start(backend, ['/bin/sh', '-c', script], rest);
  }

  /** As the next daemon would. */
  async adopt(
    { socketPath }: Started,
    { epoch = 2, offset = 0 as number | 'oldest', starts = (_: number): void => {}, prepare = (_: Recording): void => {} } = {},
  ): Promise<{ pty: AdoptedPty; output: Recording; socketPath: string }> {
    const output = new Recording();
    prepare(output);
    const pty = await adoptHold({ socketPath, epoch, offset, starts }, output);
    const adopted = { pty, output, socketPath };
    this.#started.push(adopted);
    return adopted;
  }

  /** Makes a FIFO: writing to it tells a program to go on, reading it to its end waits until nobody has it open. */
  fifo(name: string): string {
    const path = join(this.directory, name);
    execFileSync('/bin/sh', ['-c', 'exec "$0" "$1"', 'mkfifo', path]);
    return path;
  }

  /** Processes of this rig: programs by their environment, holders by their arguments. */
  processes(): string[] {
    const found: string[] = [];
    for (const pid of readdirSync('/proc')) {
      if (!/^\d+$/.test(pid) || pid === `${process.pid}`) continue;
      try {
        const about = readFileSync(`/proc/${pid}/environ`, 'latin1') + readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        if (about.includes(this.directory) && !isDying(pid))
          found.push(`${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')}`);
      } catch {
        // It ended while we looked.
      }
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { pty, output } of this.#started) {
      if (output.lostBecause) continue;
      pty.resume();
      pty.dismiss();
      if (!output.exited) {
        // Acknowledging is what a daemon does; without it a full ring would keep the exit back.
        output.onData = (end) => pty.acknowledge(end);
        if (output.next) pty.acknowledge(output.next);
        await pty.signal('SIGKILL', 'foreground');
        await pty.signal('SIGKILL', 'group');
        await output.until(() => output.exited !== null || output.lostBecause !== null);
      }
      await pty.release();
    }
    const left = this.processes();
    for (const line of left) process.kill(Number(line.split(' ')[0]), 'SIGKILL');
    const sockets = readdirSync(this.directory).filter((name) => name.endsWith('.sock'));
    rmSync(this.directory, { recursive: true, force: true });
    if (left.length > 0) throw new Error(`Processes were left behind:\n${left.join('\n')}`);
    if (sockets.length > 0) throw new Error(`Sockets were left behind: ${sockets.join(' ')}`);
  }
}

/** SIGKILL cannot be refused, but a loaded machine takes its time over it. Bits of <linux/sched.h>: PF_EXITING 0x4, PF_SIGNALED 0x400. */
function isDying(pid: string): boolean {
  const flags = Number(readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)!.split(' ')[6]);
  const pending = readFileSync(`/proc/${pid}/status`, 'latin1').match(/^(SigPnd|ShdPnd):\t\w+$/gm)!;
  return (flags & 0x404) !== 0 || pending.some((line) => (Number.parseInt(line.slice(-4), 16) & 0x100) !== 0);
}
