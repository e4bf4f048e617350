import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS } from '../../../src/cli/commands.ts';

const bin = join(import.meta.dirname, '..', '..', '..', 'bin', 'ai-session');
const ai = (...args: string[]) =>
  spawnSync(process.execPath, [bin, ...args], { encoding: 'utf8', env: { ...process.env, AI_SESSION_HOME: '/nowhere/at/all' } });

/** Names that a shell could trip over. */
const SESSIONS = ['build', 'my session', 'user@host', 'päivä', "it's", 'a$b`c', 'back\\slash', 'tab=x', 'two  spaces'];

let folder: string;
let listener: Server;
const scripts: Record<string, string> = {};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ais-'));
  for (const shell of ['bash', 'zsh', 'fish']) {
    scripts[shell] = ai('completion', shell).stdout;
    writeFileSync(join(folder, `ai.${shell}`), scripts[shell]);
  }
  // Stands for the command line: it says which sessions there are, and writes down how it was asked.
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(folder, 'sessions'), `${SESSIONS.join('\n')}\n`);
  writeFileSync(
    join(folder, 'bin', 'ai-session'),
    `#!/bin/sh\necho "$*" >> '${folder}/asked'\necho noise >&2\ncat '${folder}/sessions'\n`,
    { mode: 0o755 },
  );
  // A home whose daemon listens, and one where none does.
  mkdirSync(join(folder, 'with', 'run'), { recursive: true });
  mkdirSync(join(folder, 'without', 'run'), { recursive: true });
  mkdirSync(join(folder, 'place', 'inner folder'), { recursive: true });
  writeFileSync(join(folder, 'place', 'inner file'), '');
  // Of the same name as a session: names are no files.
  mkdirSync(join(folder, 'place', 'build'));
  listener = createServer();
  await new Promise<void>((resolve) => listener.listen(join(folder, 'with', 'run', 'daemon.sock'), resolve));
});

afterAll(async () => {
  await new Promise((resolve) => listener.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

/** What bash offers for each line, given as readline cuts it into words. All lines are asked in one shell. */
function offers(lines: readonly string[][], home = 'with'): string[][] {
  const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;
  const drive = lines.map(
    (words) =>
      `COMP_WORDS=(ai-session ${words.map(quoted).join(' ')}) COMP_CWORD=${words.length}; _ai_session; printf '%s\\0' "\${COMPREPLY[@]}"; printf '\\1'`,
  );
  const said = execFileSync('bash', ['--norc', '-c', `source '${folder}/ai.bash'\n${drive.join('\n')}`], {
    encoding: 'utf8',
    cwd: join(folder, 'place'),
    env: { PATH: `${join(folder, 'bin')}:${process.env.PATH}`, AI_SESSION_HOME: join(folder, home), LC_ALL: 'C.UTF-8' },
  });
  return said
    .split('\x01')
    .slice(0, -1)
    .map((one) => one.split('\0').filter(Boolean));
}

describe('in bash', () => {
  /** Words before and at the cursor, and what is offered. */
  const table: readonly [string[], string[]][] = [
    [['att'], ['attach']],
    [['at'], ['attach', 'at']],
    [['cr'], ['create']],
    [['do'], ['doctor']],
    [
      ['daemon', 's'],
      ['start', 'stop', 'status'],
    ],
    [
      ['daemon', 'logs', '--'],
      ['--json', '--follow', '--lines', '--help'],
    ],
    [['daemon', 'stop', '--k'], ['--kill-sessions']],
    [['daemon', 'stop', ''], []],
    [
      ['new', '--d'],
      ['--detached', '--directory'],
    ],
    [['create', '--ro'], ['--role']],
    [['-'], ['-V', '--version', '-h', '--help']],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [['help', 'sig'], ['signal']],
    // Values of options.
    [['ls', '--status', 'r'], ['running']],
    [
      ['ls', '--status', ''],
      ['starting', 'running', 'exited', 'failed', 'lost'],
    ],
    [
      ['ls', '--format', ''],
      ['table', 'json', 'csv'],
    ],
    [
      ['ls', '--format', '='],
      ['table', 'json', 'csv'],
    ],
    [['ls', '--format', '=', 'j'], ['json']],
    [
      ['signal', '--to', ''],
      ['foreground', 'group', 'program'],
    ],
    [['new', '-c', 'in'], ['inner folder']],
    [['new', '--directory', './in'], ['./inner folder']],
    [['new', '--role', ''], []],
    [['new', '-s', ''], []],
    // Sessions, quoted as the word is.
    [
      ['attach', 'b'],
      ['build', 'back\\\\slash'],
    ],
    [['a', 'my'], ['my\\ session']],
    [['at', 'my\\ s'], ['my\\ session']],
    [['attach', '"my s'], ['my session']],
    [['attach', "'my"], ['my session']],
    [['attach', 'it'], ["it\\'s"]],
    [['attach', '"it'], ["it's"]],
    [['attach', "'it"], ["it'\\''s"]],
    [['attach', '"a'], ['a\\$b\\`c']],
    [['attach', 'two'], ['two\\ \\ spaces']],
    [['attach', 'user', '@', 'ho'], ['host']],
    [['attach', 'user', '@'], ['host']],
    [['attach', 'tab', '=', ''], ['x']],
    [['attach', 'nothing-like-it'], []],
    [['send', '-t', 'bu'], ['build']],
    [['send', '--target', 'bu'], ['build']],
    [['send', '--target', '=', 'bu'], ['build']],
    [['send', '-l', 'bu'], ['build']],
    [['kill', 'build', 'bu'], ['build']],
    [['signal', 'build', 'TE'], ['TERM']],
    [['capture', '-S', '-5', 'bu'], ['build']],
    [['wait', 'build', 'bu'], ['build']],
    [['wait', 'build', '--for', 'ex'], ['exit']],
    // No session belongs here.
    [['new', 'b'], []],
    [['send', 'build', 'b'], []],
    [['rename', 'build', 'b'], []],
    [['attach', 'build', 'b'], []],
    [['ls', 'b'], []],
    [['nonsense', 'b'], []],
    // The other program's line, where our options are not ours.
    [['new', '--', 'bas'], expect.arrayContaining(['bash', 'basename']) as unknown as string[]],
    [
      ['new', '--', 'cat', 'inner f'],
      ['inner folder', 'inner file'],
    ],
    [['new', 'x', '-d', '--', 'cat', '--js'], []],
    [['send', 'build', '--', '--js'], []],
  ];

  test('commands, options, values and sessions are completed', () => {
    const found = offers(table.map(([words]) => words));
    expect(table.map(([words], i) => [words, [...(found[i] ?? ['nothing was said'])].sort()])).toEqual(
      table.map(([words, wanted]) => [words, Array.isArray(wanted) ? [...wanted].sort() : wanted]),
    );
  });

  test('every command and alias is there', () => {
    const all = [...COMMANDS.flatMap(({ name, aliases }) => [name, ...aliases]), 'help'];
    expect(offers([['']])).toEqual([all]);
  });

  test('sessions are asked for with errors silenced, and nobody is asked where no daemon listens', () => {
    rmSync(join(folder, 'asked'), { force: true });
    expect(offers([['attach', 'bu']], 'without')).toEqual([[]]);
    expect(spawnSync('cat', [join(folder, 'asked')]).status).toBe(1);
    expect(offers([['attach', 'bu']])).toEqual([['build']]);
    expect(spawnSync('cat', [join(folder, 'asked')], { encoding: 'utf8' }).stdout).toBe('ls -F {name}\n');
  });

  test('a real readline inserts a name with spaces whole', () => {
    // "complete" and "compgen" know nothing of quoting; an interactive shell does.
    const typed = `source '${folder}/ai.bash'\nbind 'set bell-style none'\nai-session capture my\t\nai-session capture "my\t\nexit\n`;
    rmSync(join(folder, 'asked'), { force: true });
    spawnSync('bash', ['--norc', '--noprofile', '-i'], {
      input: typed,
      env: { PATH: `${join(folder, 'bin')}:${process.env.PATH}`, AI_SESSION_HOME: join(folder, 'with'), LC_ALL: 'C.UTF-8', TERM: 'dumb' },
    });
    const asked = spawnSync('cat', [join(folder, 'asked')], { encoding: 'utf8' })
      .stdout.split('\n')
      .filter((line) => line.startsWith('capture'));
    expect(asked).toEqual(['capture my session', 'capture my session']);
  });
});

describe.each(['bash', 'zsh', 'fish'])('the script for %s', (shell) => {
  const isHere = spawnSync(shell, ['-c', ':']).error === undefined;

  test(`is one that the shell reads${isHere ? '' : ' (the shell is not here: its text is looked at)'}`, () => {
    const script = scripts[shell]!;
    if (isHere)
      expect(spawnSync(shell, ['-n', join(folder, `ai.${shell}`)], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
    const count = (pattern: RegExp) => (script.match(pattern) ?? []).length;
    const blocks =
      shell === 'fish'
        ? [count(/^ *(?:else )?(?:function|for|switch|begin)\b|^ *if\b|; and begin$/gm), count(/^ *end$/gm)]
        : [count(/^ *(?:if|case)\b/gm), count(/\b(?:fi|esac)$/gm)];
    expect(blocks[0]).toBe(blocks[1]);
    expect(blocks[0]).toBeGreaterThan(3);
    expect(script).not.toMatch(/undefined|\[object|NaN/);
  });

  test('registers itself, knows every command and option, and asks for sessions only where a daemon listens', () => {
    const script = scripts[shell]!;
    const registers: Record<string, string> = {
      bash: 'complete -F _ai_session ai-session',
      zsh: 'compdef _ai_session ai-session',
      fish: 'complete -c ai-session -f',
    };
    expect(script).toContain(registers[shell]);
    const missing = COMMANDS.flatMap(({ name, aliases }) => [name, ...aliases]).filter(
      (name) => !new RegExp(`[ '(]${name}[ ':)\n]`).test(script),
    );
    expect(missing).toEqual([]);
    const flag = (long: string) => (shell === 'fish' ? `-l ${long}` : `--${long}`);
    expect(
      ['detached', 'directory', 'detach-others', 'read-only', 'kill-sessions', 'template', 'escapes'].filter(
        (long) => !script.includes(flag(long)),
      ),
    ).toEqual([]);
    expect(script.match(/ai-session ls .*/g)).toHaveLength(1);
    expect(script).toMatch(/(\[|test) -S .*run\/daemon\.sock/);
    expect(script).toContain("ai-session ls -F '{name}' 2>/dev/null </dev/null");
  });
});

test.each([[['completion']], [['completion', 'tcsh']], [['completion', 'BASH']], [['completion', '']], [['completion', '__proto__']]])(
  '%j is no shell, and the three are named',
  (args) => {
    const { status, stdout, stderr } = ai(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^(Which shell\?|".*" is no shell that can be completed in\.) Use bash, zsh or fish\.\n$/);
  },
);
