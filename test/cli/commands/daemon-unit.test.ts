import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { define, type UnitParts, unitFor } from '../../../src/cli/commands/daemon-unit.ts';
import { pathsFor } from '../../../src/config/paths.ts';
import { ROOT } from '../../support/rig.ts';

const PARTS: UnitParts = {
  system: 'systemd',
  node: '/opt/node/bin/node',
  daemon: '/opt/ai-session/bin/ai-session-daemon',
  lock: '/opt/ai-session/native/bin/lock',
  home: '/home/me/.ai-session',
  homeSetting: null,
};

/** Every character that means something to systemd, to a shell or to XML. */
const NASTY = `/tmp/a b%h"c'$HOME\\x20;<é&>`;

/** The settings of a unit, comments left out. */
const settings = (text: string) => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

describe('a systemd unit', () => {
  test('starts the daemon under its lock, and leaves the programs when it stops', () => {
    const { path, text } = unitFor(PARTS);
    expect(path).toBe('.config/systemd/user/ai-session.service');
    expect(settings(text)).toEqual([
      '[Unit]',
      'Description=ai-session daemon',
      '[Service]',
      'Type=exec',
      'ExecStartPre=-/bin/mkdir -p -m 0700 /home/me/.ai-session',
      'ExecStart=/opt/ai-session/native/bin/lock /home/me/.ai-session /opt/node/bin/node /opt/ai-session/bin/ai-session-daemon --locked',
      'WorkingDirectory=/',
      'Restart=on-failure',
      'RestartSec=2',
      'SuccessExitStatus=75',
      'KillMode=process',
      'OOMPolicy=continue',
      'TasksMax=infinity',
      '[Install]',
      'WantedBy=default.target',
    ]);
    expect(text).toMatch(/#.*ends the daemon alone[\s\S]*\nKillMode=process\n/);
  });

  test('lets the daemon take a file for a lock where the program for it was not built', () => {
    expect(settings(unitFor({ ...PARTS, lock: null }).text)).toContain(
      'ExecStart=/opt/node/bin/node /opt/ai-session/bin/ai-session-daemon',
    );
  });

  test('names the home only when it is not the usual one', () => {
    expect(unitFor(PARTS).text).not.toContain('Environment=');
    expect(settings(unitFor({ ...PARTS, homeSetting: '/srv/ais' }).text)).toContain('Environment=AI_SESSION_HOME=/srv/ais');
  });

  test('has every word quoted as systemd reads it', () => {
    const { text } = unitFor({ ...PARTS, lock: null, node: NASTY, home: '/h\n', homeSetting: NASTY });
    const quoted = `/tmp/a b%%h\\"c'$HOME\\\\x20;<é&>`;
    expect(settings(text)).toEqual(
      expect.arrayContaining([
        `Environment="AI_SESSION_HOME=${quoted}"`,
        // After the colon "$" is a character.
        `ExecStart=:/usr/bin/env "${quoted}" /opt/ai-session/bin/ai-session-daemon`,
        'ExecStartPre=-/bin/mkdir -p -m 0700 "/h\\x0a"',
      ]),
    );
  });

  test('has a program with spaces quoted together with its colon', () => {
    const { text } = unitFor({ ...PARTS, lock: '/a b/$c/lock' });
    expect(text).toContain('ExecStart=":/a b/$c/lock" /home/me/.ai-session /opt/node/bin/node');
  });

  const analyze = spawnSync('systemd-analyze', ['--version']).status === 0;
  // Where there is no systemd there is nobody to ask; the literal tests above stand alone then.
  describe.runIf(analyze)('as systemd itself reads it', () => {
    let top: string;
    let parts: UnitParts;
    let plain: UnitParts;

    beforeAll(() => {
      top = mkdtempSync(join(tmpdir(), 'unit-'));
      const strange = join(top, `a b%h"c'$HOME\\x20;é`);
      mkdirSync(strange);
      symlinkSync(process.execPath, join(strange, 'node'));
      parts = { ...PARTS, lock: null, node: join(strange, 'node'), daemon: join(strange, 'daemon'), home: strange, homeSetting: strange };
      // One that systemd itself has to start.
      mkdirSync(join(top, 'a b%h$HOME;é'));
      symlinkSync(process.execPath, join(top, 'a b%h$HOME;é', 'node'));
      plain = { ...parts, node: join(top, 'a b%h$HOME;é', 'node') };
    });
    afterAll(() => rmSync(top, { recursive: true, force: true }));

    const verify = (text: string) => {
      const file = join(top, 'ai-session.service');
      writeFileSync(file, text);
      const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--user', '--man=no', file], {
        encoding: 'utf8',
        env: { ...process.env, XDG_RUNTIME_DIR: top, SYSTEMD_LOG_LEVEL: 'warning' },
      });
      return { status, said: stderr.split('\n').filter((line) => line.includes('ai-session.service')) };
    };

    test('it is accepted, and a program with a strange name is found', () => {
      expect(verify(unitFor(parts).text)).toEqual({ status: 0, said: [] });
      expect(verify(unitFor(plain).text)).toEqual({ status: 0, said: [] });
    });

    test('one whose program is not there is not, so that the check says something', () => {
      const { status, said } = verify(unitFor({ ...plain, node: `${plain.node}-gone` }).text);
      expect(status).not.toBe(0);
      expect(said.join('\n')).toContain('is not executable');
    });

    test('a setting that is unknown is named', () => {
      expect(verify(unitFor(parts).text.replace('OOMPolicy=', 'OOMPolitics=')).said.join()).toContain('OOMPolitics');
    });
  });
});

describe('a launchd list', () => {
  const python = spawnSync('python3', ['-c', 'import plistlib']).status === 0;
  const read = (text: string) =>
    JSON.parse(
      execFileSync('python3', ['-c', 'import json,plistlib,sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))'], {
        input: text,
        encoding: 'utf8',
      }),
    );

  // Python's own reader of property lists is the one that is found everywhere.
  test.runIf(python)('reads back as what was meant, whatever the paths', () => {
    const { path, text } = unitFor({ ...PARTS, system: 'launchd', node: `${NASTY}\r\n]]>`, homeSetting: NASTY });
    expect(path).toBe('Library/LaunchAgents/ai-session.daemon.plist');
    expect(read(text)).toEqual({
      Label: 'ai-session.daemon',
      ProgramArguments: [PARTS.lock, PARTS.home, `${NASTY}\r\n]]>`, PARTS.daemon, '--locked'],
      EnvironmentVariables: { AI_SESSION_HOME: NASTY },
      WorkingDirectory: '/',
      RunAtLoad: true,
      KeepAlive: { SuccessfulExit: false },
      ThrottleInterval: 30,
      AbandonProcessGroup: true,
      ProcessType: 'Interactive',
    });
  });

  test.runIf(python)('has no environment for the usual home', () => {
    expect(read(unitFor({ ...PARTS, system: 'launchd', lock: null }).text)).not.toHaveProperty('EnvironmentVariables');
  });

  test('refuses what XML cannot hold', () => {
    expect(() => unitFor({ ...PARTS, system: 'launchd', node: '/a\x07b' })).toThrow(
      'A property list cannot hold the path "/a\\u0007b": it has a control character.',
    );
  });
});

describe('the command', () => {
  let home: string;
  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'ais-'));
  });
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  async function unit(words: string[], set: string | undefined): Promise<{ out: string; err: string }> {
    vi.stubEnv('AI_SESSION_HOME', set);
    const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const err = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    try {
      const command = new Command('unit').exitOverride();
      define(command);
      await command.parseAsync(words, { from: 'user' });
      const said = (spy: typeof out) => spy.mock.calls.map(([text]) => text).join('');
      return { out: said(out), err: said(err) };
    } finally {
      out.mockRestore();
      err.mockRestore();
      vi.unstubAllEnvs();
    }
  }

  test('prints the unit of this installation, and makes the folder that is locked', async () => {
    const at = join(home, 'new');
    const { out, err } = await unit(['--systemd'], at);
    const real = realpathSync(at);
    expect(settings(out)).toEqual(
      expect.arrayContaining([
        `Environment=AI_SESSION_HOME=${at}`,
        `ExecStart=${join(ROOT, 'native/bin/lock')} ${real} ${process.execPath} ${join(ROOT, 'bin/ai-session-daemon')} --locked`,
      ]),
    );
    expect(err).toContain(`Write this to "${join(homedir(), '.config/systemd/user/ai-session.service')}", then run:\n`);
    expect(err).toMatch(/^ {2}loginctl enable-linger \S+$/m);
  });

  test('locks the folder that a link leads to, as a client does', async () => {
    const [to, link] = [join(home, 'to'), join(home, 'link')];
    mkdirSync(to, { mode: 0o700 });
    symlinkSync(to, link);
    const { out } = await unit(['--systemd'], link);
    expect(out).toContain(`/lock ${realpathSync(to)} `);
    expect(out).toContain(`AI_SESSION_HOME=${link}\n`);
  });

  test('as JSON it is one value', async () => {
    const { out, err } = await unit(['--launchd', '--json'], home);
    expect(err).toBe('');
    const value = JSON.parse(out);
    expect(Object.keys(value)).toEqual(['system', 'path', 'unit', 'install']);
    expect(value.system).toBe('launchd');
    expect(value.install).toEqual([expect.stringMatching(/^launchctl bootstrap gui\/\d+ ".*\.plist"$/)]);
  });

  test('is for one system at a time', async () => {
    await expect(unit(['--systemd', '--launchd'], home)).rejects.toThrow('give one of the two');
  });

  test('refuses a home that no socket fits in', async () => {
    await expect(unit([], `/${'x'.repeat(120)}`)).rejects.toThrow('Set AI_SESSION_HOME to a shorter path.');
  });
});

test('what the unit starts is a daemon that runs in the foreground and ends with 0', async () => {
  const home = mkdtempSync(join(tmpdir(), 'ais-'));
  const paths = pathsFor({ AI_SESSION_HOME: home });
  const lock = join(ROOT, 'native/bin/lock');
  const child = spawn(lock, [home, process.execPath, join(ROOT, 'bin/ai-session-daemon'), '--locked'], {
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, AI_SESSION_HOME: home },
  });
  try {
    await new Promise((resolve, reject) => {
      child.stdout.once('data', resolve);
      child.once('exit', (code) => reject(new Error(`It ended with ${code}.`)));
    });
    expect(JSON.parse(readFileSync(paths.daemonJson, 'utf8')).pid).toBe(child.pid);
    // A second one is told that the lock is taken, which the unit takes for success.
    expect(spawnSync(lock, [home, 'true']).status).toBe(75);
    child.kill('SIGTERM');
    expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(0);
    expect(existsSync(paths.daemonJson)).toBe(false);
  } finally {
    child.kill('SIGKILL');
    rmSync(home, { recursive: true, force: true });
  }
});
