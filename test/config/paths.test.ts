import { homedir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { holderSocket, homeProblem, pathsFor } from '../../src/config/paths.ts';

test('everything lies below AI_SESSION_HOME', () => {
  expect(pathsFor({ AI_SESSION_HOME: '/h' })).toEqual({
    home: '/h',
    run: '/h/run',
    reporter: '/h/run/report',
    socket: '/h/run/daemon.sock',
    daemonJson: '/h/run/daemon.json',
    lock: '/h/daemon.lock',
    startLog: '/h/run/start.log',
    log: '/h/logs/daemon.log',
    sessions: '/h/sessions',
    snapshots: '/h/snapshots',
    metadata: '/h/metadata',
    config: '/h/config.yaml',
    agents: '/h/agents',
  });
});

test.each([{}, { AI_SESSION_HOME: '' }])('without one it is ~/.ai-session: %j', (environment) => {
  expect(pathsFor(environment).home).toBe(`${homedir()}/.ai-session`);
});

test("a holder's socket is named after its pane", () => {
  expect(holderSocket(pathsFor({ AI_SESSION_HOME: '/h' }), '%12')).toBe('/h/run/p12.sock');
});

describe('a home', () => {
  const problem = (home: string) => homeProblem(pathsFor({ AI_SESSION_HOME: home }));
  // "/run/p9999999.sock" has 18 bytes, and a socket's path 107 on Linux and 103 elsewhere.
  const longest = (process.platform === 'linux' ? 107 : 103) - 18;

  test('is used when its sockets have short enough paths', () => {
    expect([problem('/h'), problem(`/${'x'.repeat(longest - 1)}`)]).toEqual([null, null]);
  });

  test('is refused one byte later, with the excess', () => {
    const home = `/${'x'.repeat(longest)}`;
    expect(problem(home)).toBe(
      `AI_SESSION_HOME "${home}" is 1 bytes too long: a Unix socket's path may have ${longest + 18}. Set AI_SESSION_HOME to a shorter path.`,
    );
  });

  test('is measured in bytes, not in characters', () => {
    expect(problem(`/${'ä'.repeat(Math.ceil(longest / 2))}`)).toContain('bytes too long');
  });

  test.each(['relative', './h', '~/h', 'C:\\h'])('has to be absolute: %s', (home) => {
    expect(problem(home)).toBe(`AI_SESSION_HOME "${home}" is not an absolute path. Set it to one that begins with "/".`);
  });

  test('has no NUL in it', () => {
    expect(problem('/a\0b')).toBe('AI_SESSION_HOME contains a NUL byte.');
  });
});
