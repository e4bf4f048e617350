import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Connection } from '../../src/client/connection.ts';
import { connect } from '../../src/client/daemon.ts';
import { type Paths, pathsFor } from '../../src/config/paths.ts';
import type { CallParams, SessionInfo } from '../../src/wire/calls.ts';
import type { Event } from '../../src/wire/events.ts';
import { Inbox } from './inbox.ts';
import { type Puppet, PuppetTheatre } from './puppet.ts';
import { TestTerminal } from './terminal.ts';
import { isAlive } from './trees.ts';
import { Watcher } from './watcher.ts';

export const ROOT = join(import.meta.dirname, '..', '..');

export interface Ran {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A home of its own, a real daemon in it, clients and terminals. When it ends, it shows that nothing it started is left. */
export class Rig implements AsyncDisposable {
  /** Short: a socket's path has 107 bytes. */
  readonly home = mkdtempSync(join(tmpdir(), 'ais-'));
  readonly paths: Paths = pathsFor({ AI_SESSION_HOME: this.home });
  readonly environment: Record<string, string>;
  readonly #theatre: PuppetTheatre;
  readonly #connections: Connection[] = [];
  readonly #terminals: TestTerminal[] = [];
  readonly #followings: Following[] = [];

  static async start({ config, environment = {} }: { config?: string; environment?: Record<string, string> } = {}): Promise<Rig> {
    return new Rig(await PuppetTheatre.open(), config, environment);
  }

  private constructor(theatre: PuppetTheatre, config: string | undefined, environment: Record<string, string>) {
    this.#theatre = theatre;
    if (config !== undefined) writeFileSync(this.paths.config, config);
    const { PATH = '', HOME = '', USER = 'tester' } = process.env;
    this.environment = {
      PATH,
      HOME,
      USER,
      LANG: 'C.UTF-8',
      SHELL: '/bin/bash',
      TERM: 'xterm-256color',
      AI_SESSION_HOME: this.home,
      ...environment,
    };
  }

  /** A client of this home's daemon, which is started when it does not run. */
  async connect(options: { start?: boolean } = {}): Promise<Connection> {
    const before = { ...process.env };
    // The client hands its own environment to the daemon that it starts.
    Object.assign(process.env, this.environment);
    try {
      const connection = await connect(this.paths, options);
      this.#connections.push(connection);
      return connection;
    } finally {
      for (const name of Object.keys(this.environment)) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    }
  }

  /** Starts a puppet in a new session. */
  async puppet(
    client: Connection,
    params: Partial<CallParams<'session.create'>> = {},
  ): Promise<{ session: SessionInfo; puppet: Puppet; again(): Promise<Puppet> }> {
    const { command, enters, again } = this.#theatre.cast();
    const session = await client.call('session.create', { command, cwd: this.home, env: this.environment, ...params });
    return { session, puppet: await enters, again };
  }

  cast(...argv: string[]) {
    return this.#theatre.cast(...argv);
  }

  /** Events from now on. */
  async events(): Promise<Inbox<Event>> {
    const client = await this.connect();
    const inbox = new Inbox<Event>();
    client.onEvent = (event) => inbox.put(event);
    client.onLost = (error) => inbox.close(error);
    await client.call('event.follow', {});
    return inbox;
  }

  /** A client that follows a session on a screen of its own, as an attached terminal would. */
  watch(client: Connection, session: string, options: Partial<CallParams<'pane.attach'>> = {}): Promise<Watcher> {
    return Watcher.attach(client, { session, cols: 80, rows: 24, ...options });
  }

  /** Runs the command line as a user's script would. */
  run(
    args: readonly string[],
    { input = '', environment = {}, cwd = this.home }: { input?: string; environment?: Record<string, string>; cwd?: string } = {},
  ): Promise<Ran> {
    const child = spawn(process.execPath, [join(ROOT, 'bin', 'ai-session'), ...args], {
      cwd,
      env: { ...this.environment, ...environment },
      stdio: 'pipe',
    });
    const ran = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text) => (ran.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (ran.stderr += text));
    child.stdin.on('error', () => {}).end(input);
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve({ code, signal, ...ran }));
    });
  }

  /** The command line as `run` runs it, for a command that goes on: what it prints can be waited for. It is ended with the rig. */
  async follow(args: readonly string[]): Promise<Following> {
    const child = spawn(process.execPath, [join(ROOT, 'bin', 'ai-session'), ...args], {
      cwd: this.home,
      env: this.environment,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const following = new Following(child);
    this.#followings.push(following);
    return following;
  }

  /** A real terminal with a program in it: the command line, unless another is named. */
  async terminal(
    args: readonly string[],
    options: { cols?: number; rows?: number; environment?: Record<string, string>; command?: [string, ...string[]] } = {},
  ): Promise<TestTerminal> {
    const terminal = await TestTerminal.open({
      argv: options.command ?? [process.execPath, join(ROOT, 'bin', 'ai-session'), ...args],
      env: { ...this.environment, ...options.environment },
      cwd: this.home,
      cols: options.cols ?? 80,
      rows: options.rows ?? 24,
    });
    this.#terminals.push(terminal);
    return terminal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.close();
    for (const following of this.#followings) following.kill();
    for (const following of this.#followings) await following.ended;
    for (const terminal of this.#terminals) await terminal[Symbol.asyncDispose]();
    const stopped = (await this.#stop()) ?? (await this.run(['daemon', 'stop', '--kill-sessions', '--json']));
    await this.#theatre[Symbol.asyncDispose]();
    const left = processesOf(this.home);
    for (const { pid } of left) process.kill(pid, 'SIGKILL');
    const log = readLog(this.paths.log);
    rmSync(this.home, { recursive: true, force: true });
    if (stopped.code !== 0) throw new Error(`the daemon could not be stopped: ${stopped.stderr}`);
    if (left.length > 0) throw new Error(`left behind: ${JSON.stringify(left)}`);
    const incidents = log.filter((line) => line.includes('"incident"'));
    if (incidents.length > 0 && !this.expectsIncidents) throw new Error(`incidents in the daemon's log:\n${incidents.join('\n')}`);
  }

  /** What `daemon stop` does with a daemon that runs, without a process of its own; null when it takes more than that. */
  async #stop(): Promise<{ code: number; stderr: string } | null> {
    try {
      const client = await connect(this.paths, { start: false });
      const isLost = new Promise<void>((resolve) => {
        client.onLost = () => resolve();
      });
      const { pid, survivors } = await client.call('daemon.stop', { killSessions: true });
      await isLost;
      while (isAlive(pid)) await new Promise(setImmediate);
      return { code: survivors.length, stderr: `survivors: ${survivors.join()}` };
    } catch {
      return null;
    }
  }

  /** Set by a test that makes the daemon meet a bug on purpose. */
  expectsIncidents = false;
}

/** A command line that goes on, and what it has printed so far. */
export class Following {
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();
  text = '';
  /** The exit code; null when it was killed. */
  readonly ended: Promise<number | null>;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.text += text;
      for (const check of this.#waiting) check();
    });
    this.ended = new Promise((resolve) => child.once('close', resolve));
  }

  /** Waits until this has been printed. */
  async shows(wanted: string): Promise<void> {
    await new Promise<void>((resolve) => {
      const check = () => {
        if (!this.text.includes(wanted)) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Every process whose environment names this home. */
export function processesOf(home: string): { pid: number; command: string }[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    try {
      if (!readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(`AI_SESSION_HOME=${home}`)) return [];
      return [{ pid: Number(name), command: readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' ').trim() }];
    } catch {
      return [];
    }
  });
}

function readLog(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}
