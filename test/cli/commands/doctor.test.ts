import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, test, vi } from 'vitest';
import { define } from '../../../src/cli/commands/doctor.ts';
import { pathsFor } from '../../../src/config/paths.ts';
import { encodeJson, FrameDecoder } from '../../../src/wire/frame.ts';
import { Rig, ROOT } from '../../support/rig.ts';

interface Check {
  check: string;
  status: 'ok' | 'warn' | 'fail';
  found: string;
  fix: string | null;
}

const HOLD = join(ROOT, 'native', 'bin', 'hold');

/** A folder of this test, with the parts of a rig that doctor looks at. Most of what it finds needs no daemon. */
class Place implements Disposable {
  readonly home = mkdtempSync(join(tmpdir(), 'ais-'));
  readonly paths = pathsFor({ AI_SESSION_HOME: this.home });

  makeRun(): this {
    mkdirSync(this.paths.run, { mode: 0o700 });
    return this;
  }

  [Symbol.dispose](): void {
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** What doctor finds in this home, as a script reads it. It runs in this process, which is faster by a second, and is asked in its own words. */
async function examine(
  { home }: { home: string },
  environment: Record<string, string> = {},
): Promise<{ code: number; checks: Check[]; of(check: string): Check[] }> {
  const ours = { AI_SESSION_HOME: home, AI_SESSION: '', TMUX: '', STY: '', LANG: 'C.UTF-8', LC_ALL: '', LC_CTYPE: '', ...environment };
  for (const [name, value] of Object.entries(ours)) vi.stubEnv(name, value);
  vi.stubEnv('ZELLIJ', undefined);
  const written = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const exitCode = process.exitCode;
  try {
    process.exitCode = 0;
    const command = new Command('doctor').exitOverride();
    define(command);
    await command.parseAsync(['--json'], { from: 'user' });
    const checks = JSON.parse(written.mock.calls.map(([text]) => text).join('')) as Check[];
    return { code: Number(process.exitCode), checks, of: (wanted) => checks.filter(({ check }) => check === wanted) };
  } finally {
    process.exitCode = exitCode;
    written.mockRestore();
    vi.unstubAllEnvs();
  }
}

/** A private socket with somebody behind it, for as long as `work` runs. */
async function listening(path: string, meet: (socket: Socket) => void, work: () => Promise<void>): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    meet(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  chmodSync(path, 0o600);
  try {
    await work();
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

describe('a machine that is well', () => {
  test('passes, whether a daemon runs or not, and doctor starts none and leaves nothing', async () => {
    await using rig = await Rig.start();
    const leftovers = () => readdirSync(tmpdir()).filter((name) => name.startsWith('ai-doctor-'));
    const before = leftovers();
    const { code, checks } = await examine(rig);
    expect(code).toBe(0);
    expect(checks.map(({ check }) => check)).toEqual([
      'node',
      'hold',
      'pty',
      'lock',
      'node-pty',
      'home',
      'settings',
      'daemon',
      'files',
      'processes',
      'ptys',
      'locale',
      'terminal',
      'nesting',
      ...checks.filter(({ check }) => check === 'logout').map(({ check }) => check),
    ]);
    const ours = new Set(['node', 'hold', 'pty', 'lock', 'node-pty', 'home', 'settings', 'daemon', 'locale', 'terminal', 'nesting']);
    expect(checks.filter(({ check, status, fix }) => ours.has(check) && (status !== 'ok' || fix !== null))).toEqual([]);
    // What is not well has a fix, and what is well has none.
    expect(checks.filter(({ status, fix }) => (status === 'ok') !== (fix === null))).toEqual([]);
    expect(checks.find(({ check }) => check === 'daemon')!.found).toBe('not running; the first command that needs it starts it');
    expect([existsSync(rig.paths.socket), existsSync(rig.paths.log), leftovers().filter((name) => !before.includes(name))]).toEqual([
      false,
      false,
      [],
    ]);

    const client = await rig.connect();
    const { puppet } = await rig.puppet(client);
    const { code: again, of } = await examine(rig);
    expect([again, of('daemon')[0]!.status, of('holders')]).toEqual([
      0,
      'ok',
      [{ check: 'holders', status: 'ok', found: '1, each with its session', fix: null }],
    ]);
    expect(of('daemon')[0]!.found).toMatch(
      new RegExp(`^pid ${client.daemon.pid} answers \\(version ${client.daemon.build.replaceAll('.', '\\.')}, 1 sessions on hold\\)$`),
    );
    expect(puppet.pid).toBeGreaterThan(0);
  });

  test('is told of in one line for each check', async () => {
    await using rig = await Rig.start();
    const { code, stdout } = await rig.run(['doctor'], { environment: { LANG: 'C' } });
    const lines = stdout.trimEnd().split('\n');
    expect([
      code,
      lines[0],
      lines.filter((line) => line.includes('locale')),
      lines[lines.findIndex((line) => line.includes('locale')) + 1],
    ]).toEqual([
      0,
      `ok    node        Node ${process.versions.node} at ${process.execPath}`,
      ['warn  locale      "C" is not UTF-8'],
      '                  fix: export LANG=C.UTF-8',
    ]);
    expect(lines.filter((line) => !/^(ok {4}|warn {2}|FAIL {2})\S+ +\S|^ {18}fix: \S/.test(line))).toEqual([]);
  });
});

describe('the native programs', () => {
  test('that were not built are missed, and node-pty stands in for them', async () => {
    using place = new Place();
    const { code, of } = await examine(place, { AI_SESSION_HOLD: '/missing/hold' });
    expect({ code, hold: of('hold'), nodePty: of('node-pty') }).toEqual({
      code: 0,
      hold: [
        {
          check: 'hold',
          status: 'warn',
          found: '"/missing/hold" was not built: programs end with the daemon',
          fix: expect.stringContaining('npm rebuild ai-session'),
        },
      ],
      nodePty: [{ check: 'node-pty', status: 'ok', found: 'stands in for hold: a PTY was made and a program ran on it', fix: null }],
    });
  });

  test.each<[string, string, string]>([
    ['ends without a word', '#!/bin/sh\nexit 1\n', 'said ""'],
    ['says something else', '#!/bin/sh\necho hello\n', 'said "hello"'],
    ['fails at its socket', '#!/bin/sh\necho err socket 13\n', 'failed at "socket" (errno 13)'],
    ['says that all is well and makes no socket', '#!/bin/sh\necho ok 1\n', 'connect ENOENT'],
    ['cannot be run', 'no program', 'said ""'],
  ])('are run: a holder that %s fails', async (_, script, why) => {
    using place = new Place();
    const hold = join(place.home, 'hold');
    writeFileSync(hold, script, { mode: script.startsWith('#!') ? 0o755 : 0o644 });
    const { code, of } = await examine(place, { AI_SESSION_HOLD: hold });
    expect([code, of('hold').map(({ status }) => status)]).toEqual([1, ['fail']]);
    expect(of('hold')[0]!.found).toContain(why);
  });

  test('say when there are no PTYs', async () => {
    using place = new Place();
    const hold = join(place.home, 'hold');
    writeFileSync(hold, '#!/bin/sh\necho err pty 28\n', { mode: 0o755 });
    const { code, of } = await examine(place, { AI_SESSION_HOLD: hold });
    expect([code, of('pty').map(({ status, found }) => [status, found])]).toEqual([1, [['fail', 'no PTY can be made (errno 28)']]]);
  });
});

describe('the home', () => {
  test('that is too long for sockets fails', async () => {
    using place = new Place();
    const { code, of } = await examine(place, { AI_SESSION_HOME: `/tmp/${'x'.repeat(120)}` });
    expect([code, of('home')[0]!.status, of('daemon')]).toEqual([1, 'fail', []]);
    expect(of('home')[0]!.found).toContain('bytes too long');
  });

  test('that others can reach fails, and the fix mends it', async () => {
    using place = new Place();
    place.makeRun();
    chmodSync(place.paths.run, 0o755);
    const { code, of } = await examine(place);
    expect([code, of('home')]).toEqual([
      1,
      [
        {
          check: 'home',
          status: 'fail',
          found: `The folder "${place.paths.run}" is open to others (mode 755)`,
          fix: `chmod go= "${place.paths.run}"`,
        },
      ],
    ]);
    execFileSync('sh', ['-c', of('home')[0]!.fix!]);
    expect((await examine(place)).of('home')[0]!.status).toBe('ok');
  });

  test('that cannot be made fails, and one that can is not made', async () => {
    using place = new Place();
    writeFileSync(join(place.home, 'file'), '');
    const bad = await examine(place, { AI_SESSION_HOME: join(place.home, 'file', 'home') });
    expect([bad.code, bad.of('home')[0]!.status]).toEqual([1, 'fail']);
    const good = await examine(place, { AI_SESSION_HOME: join(place.home, 'new', 'home') });
    expect([good.code, good.of('home')[0]!.found, existsSync(join(place.home, 'new'))]).toEqual([
      0,
      `${join(place.home, 'new', 'home')} will be made on first use`,
      false,
    ]);
  });

  test('with settings that are not taken says which', async () => {
    using place = new Place();
    writeFileSync(place.paths.config, 'prefixx: C-a\nscrollback: { lines: many }\n');
    const { code, of } = await examine(place);
    expect([code, of('settings').map(({ status, fix }) => [status, fix])]).toEqual([
      0,
      [
        ['warn', `edit ${place.paths.config}`],
        ['warn', `edit ${place.paths.config}`],
      ],
    ]);
    expect(of('settings')[0]!.found).toContain('no setting "prefixx"; did you mean "prefix"?');
  });
});

describe('the daemon', () => {
  test('that is something else fails', async () => {
    using place = new Place();
    place.makeRun();
    await listening(
      place.paths.socket,
      (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
      async () => {
        const { code, of } = await examine(place);
        expect([code, of('daemon')[0]!.status]).toEqual([1, 'fail']);
      },
    );
    rmSync(place.paths.socket, { force: true });
  });

  test('of another version is to be restarted', async () => {
    using place = new Place();
    place.makeRun();
    const hello = { hello: { protocol: 1, oldest: 1, build: '99.0.0', pid: 4242, instance: 'x' } };
    const answers: Record<string, object> = {
      'daemon.status': { pid: 4242, version: '99.0.0', sessions: 0, backend: 'hold' },
      'session.list': { sessions: [] },
    };
    const meet = (socket: Socket) => {
      const decoder = new FrameDecoder(1 << 20);
      socket.write(encodeJson(hello));
      socket.on('data', (chunk: Buffer) => {
        for (const frame of decoder.push(chunk)) {
          const { id, method } = (frame as { value: { id?: number; method: string } }).value;
          if (id !== undefined) socket.write(encodeJson({ jsonrpc: '2.0', id, result: answers[method] }));
        }
      });
    };
    await listening(place.paths.socket, meet, async () => {
      const { code, of } = await examine(place);
      expect([code, of('daemon').map(({ status, fix }) => [status, fix])]).toEqual([
        0,
        [['warn', 'ai-session daemon restart (programs run on)']],
      ]);
      expect(of('daemon')[0]!.found).toMatch(/^pid 4242 answers \(version 99\.0\.0, 0 sessions on hold\), and this is \d/);
    });
    rmSync(place.paths.socket, { force: true });
  });

  test('knows each holder, one of no session is told of, and the fix ends it', async () => {
    await using rig = await Rig.start();
    await rig.connect();
    const socket = join(rig.paths.run, 'p777.sock');
    const orphan: ChildProcess = spawn(HOLD, [socket, '80', '24', '0', '/', '--', 'sleep', '1000'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: rig.environment,
    });
    const isGone = new Promise((resolve) => orphan.once('exit', resolve));
    await new Promise((resolve, reject) => {
      orphan.once('error', reject);
      orphan.stdout!.once('data', resolve);
    });
    const stale = join(rig.paths.run, 'p778.sock');
    writeFileSync(stale, '');
    const { code, of } = await examine(rig);
    const byFound = of('holders').sort((a, b) => a.found.localeCompare(b.found));
    expect([code, byFound]).toEqual([
      0,
      [
        {
          check: 'holders',
          status: 'warn',
          found: `"${stale}" is of no session`,
          fix: `end the process that listens there, or, when there is none: rm "${stale}"`,
        },
        {
          check: 'holders',
          status: 'warn',
          found: `pid ${orphan.pid} holds a program of no session at "${socket}"`,
          fix: `kill ${orphan.pid}`,
        },
      ],
    ]);
    process.kill(orphan.pid!);
    await isGone;
    rmSync(stale);
    expect(statSync(socket, { throwIfNoEntry: false })).toBeUndefined();
    expect((await examine(rig)).of('holders')).toEqual([{ check: 'holders', status: 'ok', found: '0, each with its session', fix: null }]);
  });

  test('lists what was lost with its holder, and the fix brings it back', async () => {
    await using rig = await Rig.start();
    const client = await rig.connect();
    const events = await rig.events();
    const { session } = await rig.puppet(client, { name: 'gone' });
    process.kill(session.holderPid!, 'SIGKILL');
    await events.next(({ event }) => event === 'session.ended');
    const { of } = await examine(rig);
    expect(of('sessions')).toEqual([
      { check: 'sessions', status: 'warn', found: 'lost with their holders: "gone"', fix: 'ai-session restore --all' },
    ]);
    await rig.run(of('sessions')[0]!.fix!.split(' ').slice(1));
    expect((await examine(rig)).of('sessions')).toEqual([]);
  });

  test('that has stopped has left its programs for the next one', async () => {
    await using rig = await Rig.start();
    await rig.puppet(await rig.connect());
    await rig.run(['daemon', 'stop']);
    const { code, of } = await examine(rig);
    expect([code, of('daemon')[0]!.status, of('holders').map(({ found }) => found)]).toEqual([
      0,
      'ok',
      ['1 hold programs for the next daemon'],
    ]);
  });
});

test('being inside a session or another multiplexer is told of', async () => {
  using place = new Place();
  const { code, of } = await examine(place, { AI_SESSION: '$3', TMUX: '/tmp/tmux-0/default,1,0' });
  expect([code, of('nesting').map(({ status, found }) => [status, found])]).toEqual([
    0,
    [
      ['warn', 'inside session $3: attach and new refuse to show a session here'],
      ['warn', 'inside tmux: it may take the prefix key before a session does'],
    ],
  ]);
});

test('on a terminal, the terminal is looked at', async () => {
  await using rig = await Rig.start();
  const terminal = await rig.terminal(['doctor'], { cols: 200, rows: 60, environment: { TERM: 'dumb', COLORTERM: 'truecolor' } });
  await terminal.shows('ok    colours     COLORTERM=truecolor');
  await terminal.shows('warn  terminal    TERM is "dumb": what is attached to cannot be drawn');
});
