import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { readHookReport } from '../../src/wire/hook-report.ts';

const ROOT = join(import.meta.dirname, '..', '..');

beforeAll(() => {
  execFileSync(process.execPath, [join(ROOT, 'scripts', 'build-native.js'), '--sanitize'], { stdio: ['ignore', 2, 2] });
});

/** Somewhere to report to, once it listens. */
class Ear implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'ais-'));
  readonly path = join(this.folder, 'h.sock');
  readonly heard: Promise<Buffer>;
  #hear!: (bytes: Buffer) => void;
  readonly #unread: Socket[] = [];
  /** So many are cut off when they have said everything. */
  deaf = 0;
  /** So many are not even read. */
  frozen = 0;
  readonly #server = createServer({ allowHalfOpen: true }, (socket) => {
    const chunks: Buffer[] = [];
    socket.on('error', () => {});
    if (this.frozen-- > 0) return void this.#unread.push(socket);
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('end', () => {
      if (this.deaf-- > 0) return socket.destroy();
      socket.end('\n');
      this.#hear(Buffer.concat(chunks));
    });
  });

  constructor() {
    this.heard = new Promise((resolve) => {
      this.#hear = resolve;
    });
  }

  listen(): void {
    this.#server.listen(this.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#unread) socket.destroy();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.folder, { recursive: true });
  }
}

interface Ran {
  code: number | null;
  said: string;
  pid: number;
}

function run(program: string, args: readonly string[], { socket, input = '' }: { socket?: string; input?: string | null }): Promise<Ran> {
  const env = { PATH: process.env.PATH, ...(socket !== undefined && { AI_SESSION_HOOK_SOCKET: socket }) };
  const child = spawn(program, args, { env, stdio: [input === null ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding('utf8').on('data', (text) => (said += text));
  child.stdin?.on('error', () => {}).end(input);
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, said, pid: child.pid! })));
}

describe.each([
  ['native', join(ROOT, 'native', 'bin', 'report-asan')],
  ['portable', join(ROOT, 'bin', 'ai-session-report')],
])('%s', (_, program) => {
  test.each([
    ['nothing', null, null],
    ['an empty payload', '', null],
    ['JSON', '{"tool_name":"Bash"}', { tool_name: 'Bash' }],
    ['no JSON', 'oops\n{', null],
    ['almost a megabyte', `[${' '.repeat((1 << 20) - 3)}]`, []],
    ['a megabyte', `[${' '.repeat((1 << 20) - 2)}]`, null],
    ['more than that', `[${' '.repeat(5 << 20)}]`, null],
  ])('%s is reported with the event, its time and by whom, and nothing is said', async (_, input, payload) => {
    await using ear = new Ear();
    ear.listen();
    const before = Date.now();
    expect(await run(program, ['claude', 'Stop'], { socket: ear.path, input })).toMatchObject({ code: 0, said: '' });
    const report = readHookReport(await ear.heard);
    expect(report).toMatchObject({ agent: 'claude', event: 'Stop', payload });
    const commandOf = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').slice(0, 256);
    expect(report!.ancestors[0]).toEqual([process.pid, commandOf(process.pid)]);
    expect(report!.ancestors).toContainEqual([process.ppid, commandOf(process.ppid)]);
    expect(report!.at).toBeGreaterThanOrEqual(before);
    expect(report!.at).toBeLessThanOrEqual(Date.now());
  });

  test.each([
    ['no socket', {}],
    ['an empty name', { socket: '' }],
    ['a name too long for a socket', { socket: `/${'x'.repeat(200)}` }],
  ])('with %s it goes without a word', async (_, place) => {
    expect(await run(program, ['claude', 'Stop'], { ...place, input: '{}' })).toMatchObject({ code: 0, said: '' });
  });

  test.each([[[]], [['claude']], [['claude', 'Stop', 'more']], [['cl"aude', 'Stop']], [['claude', '']], [['claude', 'x'.repeat(65)]]])(
    'the arguments %j are no usage',
    async (args) => {
      expect(await run(program, args, {})).toMatchObject({ code: 64, said: 'Usage: report AGENT EVENT, such as: report claude Stop\n' });
    },
  );

  test('who went away without an answer may not have read it, and the next one hears it', async () => {
    await using ear = new Ear();
    ear.deaf = 2;
    ear.listen();
    expect(await run(program, ['claude', 'Stop'], { socket: ear.path, input: '[1]' })).toMatchObject({ code: 0, said: '' });
    expect(readHookReport(await ear.heard)).toMatchObject({ event: 'Stop', payload: [1] });
  });

  test('one that does not read cannot keep what is larger than a socket holds from the next one', async () => {
    await using ear = new Ear();
    ear.frozen = 1;
    ear.listen();
    const input = `[${' '.repeat(900_000)}]`;
    expect(await run(program, ['claude', 'Stop'], { socket: ear.path, input })).toMatchObject({ code: 0, said: '' });
    expect(readHookReport(await ear.heard)).toMatchObject({ event: 'Stop', payload: [] });
  });

  test('where nobody listens yet, who comes soon hears it', async () => {
    await using ear = new Ear();
    const ran = run(program, ['codex', 'SessionStart'], { socket: ear.path, input: '{}' });
    // The native one lets the agent go on.
    if (program.includes('native')) expect(await ran).toMatchObject({ code: 0, said: '' });
    ear.listen();
    expect(readHookReport(await ear.heard)).toMatchObject({ agent: 'codex', event: 'SessionStart', payload: {} });
    expect(await ran).toMatchObject({ code: 0, said: '' });
  });
});
