import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { oneLine } from './notice.ts';

export type Sent = { ok: true } | { ok: false; because: string };

/** What somebody is told by takes a second; a script that telephones takes longer. */
const LIMIT_MS = 30_000;
const AT_ONCE = 4;
const WAITING_LIMIT = 50;
/** From its end to the end of what it said. */
const LAST_WORDS_MS = 200;
/** Of what it says why it failed. */
const SAID_BYTES = 2048;

/**
 * A group of processes that ends with us however we end: descriptor 3 is a pipe whose other end we have, and when that closes the group is
 * killed. What the program leaves in the background is ended with it. The program itself has neither the pipe nor the guard's pid.
 */
const GUARDED = `{ read -r _ <&3; kill -KILL 0; } </dev/null >/dev/null 2>&1 &
guard=$!
exec 3<&-
"$@"
code=$?
kill "$guard"
exit "$code"`;

/** Programs that tell somebody something: a few at a time, for a limited time, with nothing of ours but what they are given. */
export class Children implements Disposable {
  readonly #limitMs: number;
  readonly #running = new Set<ChildProcess>();
  readonly #waiting: (() => void)[] = [];
  #isClosed = false;

  constructor({ limitMs = LIMIT_MS }: { limitMs?: number } = {}) {
    this.#limitMs = limitMs;
  }

  run(argv: readonly string[], env: Record<string, string>): Promise<Sent> {
    if (this.#isClosed) return Promise.resolve({ ok: false, because: 'the daemon is stopping' });
    if (this.#waiting.length >= WAITING_LIMIT)
      return Promise.resolve({ ok: false, because: `${WAITING_LIMIT} others wait already: they take too long` });
    return new Promise((resolve) => {
      const start = () => this.#start(argv, env, resolve);
      if (this.#running.size < AT_ONCE) start();
      else this.#waiting.push(start);
    });
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const child of this.#running) killGroup(child);
    for (const start of this.#waiting.splice(0)) start();
  }

  #start(argv: readonly string[], env: Record<string, string>, done: (sent: Sent) => void): void {
    if (this.#isClosed) return done({ ok: false, because: 'the daemon is stopping' });
    let child: ChildProcess;
    const covers = coversOfMasters();
    try {
      child = spawn('/bin/sh', ['-c', GUARDED, 'sh', ...argv], {
        cwd: '/',
        env,
        // A session of its own, and so a group: it can be killed as a whole.
        detached: true,
        stdio: ['ignore', 'ignore', 'pipe', 'pipe', ...covers.stdio],
      });
    } catch (error) {
      covers.close();
      return done({ ok: false, because: (error as Error).message });
    }
    covers.close();
    this.#running.add(child);
    let said = '';
    let isLate = false;
    // There are no pipes when we are out of descriptors; then it has failed.
    const guard = child.stdio?.[3];
    guard?.on('error', () => {});
    const limit = setTimeout(() => {
      isLate = true;
      killGroup(child);
    }, this.#limitMs).unref();
    child.stderr
      ?.on('error', () => {})
      .on('data', (chunk: Buffer) => {
        if (said.length < SAID_BYTES) said += chunk.toString('utf8').slice(0, SAID_BYTES);
      });
    const end = (sent: Sent) => {
      if (!this.#running.delete(child)) return;
      clearTimeout(limit);
      guard?.destroy();
      child.stderr?.destroy();
      done(sent);
      this.#waiting.shift()?.();
    };
    child.once('error', (error) => end({ ok: false, because: error.message }));
    child.once('exit', (code, signal) => {
      // What it left in the background goes with it, and its standard error is closed then, unless something has left the group.
      killGroup(child);
      const tell = () => {
        if (code === 0) return end({ ok: true });
        const how = isLate ? `it took longer than ${this.#limitMs / 1000} s, and was ended` : `it ended with ${signal ?? code}`;
        const words = oneLine(said.split('\n').find((line) => line.trim() !== '') ?? '');
        end({ ok: false, because: words ? `${how}: ${words}` : how });
      };
      const patience = setTimeout(tell, LAST_WORDS_MS).unref();
      child.stderr?.once('close', () => {
        clearTimeout(patience);
        tell();
      });
    });
  }
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // All of it has gone.
  }
}

/**
 * PTYs that we own ourselves (pty.backend node-pty) are not close-on-exec: a child would have every terminal open. It gets nothing in the
 * place of each.
 */
function coversOfMasters(): { stdio: ('ignore' | number)[]; close(): void } {
  const highest = highestMaster();
  if (highest < 4) return { stdio: [], close() {} };
  const nothing = openSync('/dev/null', 'r+');
  return { stdio: Array.from({ length: highest - 3 }, () => nothing), close: () => closeSync(nothing) };
}

function highestMaster(): number {
  const folder = process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd';
  const isMaster = (name: string) => {
    // Elsewhere nobody says which is one.
    if (process.platform !== 'linux') return true;
    try {
      return /^\/dev\/(?:pts\/)?ptmx$/.test(readlinkSync(`${folder}/${name}`));
    } catch {
      return false;
    }
  };
  try {
    return Math.max(-1, ...readdirSync(folder).filter(isMaster).map(Number));
  } catch {
    return -1;
  }
}
