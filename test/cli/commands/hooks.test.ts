import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, test, vi } from 'vitest';
import { define } from '../../../src/cli/commands/hooks.ts';
import { AGENTS, hooksFor } from '../../../src/cli/hooks/agents.ts';
import { readSettings, writeSettings } from '../../../src/cli/hooks/settings-file.ts';
import { report } from '../../../src/cli/output.ts';

interface Said {
  code: number;
  stdout: string;
  stderr: string;
}

/** A user's home, in which nothing is but what the test puts there. */
class Home implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'ais-'));
  readonly claude = join(this.folder, '.claude', 'settings.json');

  /** The command in this process, as a person types it. */
  async hooks(...args: string[]): Promise<Said> {
    const environment = { HOME: this.folder, PATH: join(this.folder, 'bin'), CLAUDE_CONFIG_DIR: '', CODEX_HOME: '', GEMINI_CLI_HOME: '' };
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const err = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const text = (spy: typeof out) => spy.mock.calls.map(([written]) => written).join('');
    try {
      const command = new Command('hooks').exitOverride();
      define(command);
      let code = 0;
      try {
        await command.parseAsync(args, { from: 'user' });
      } catch (error) {
        code = report(error, args.includes('--json'));
      }
      return { code, stdout: text(out), stderr: text(err) };
    } finally {
      out.mockRestore();
      err.mockRestore();
      vi.unstubAllEnvs();
    }
  }

  write(path: string, text: string, mode = 0o644): string {
    const file = join(this.folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    chmodSync(file, mode);
    return file;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const read = (file: string) => readFileSync(file, 'utf8');
const jsonOf = (text: string) => JSON.parse(text) as { hooks: Record<string, unknown> };

test.each([
  ['claude', '.claude/settings.json'],
  ['codex', '.codex/hooks.json'],
  ['gemini', '.gemini/settings.json'],
])('%s: a hook for every event that its rules know, and no trace afterwards', async (id, path) => {
  using home = new Home();
  const file = join(home.folder, path);
  const agent = AGENTS.find((one) => one.id === id)!;
  const installed = await home.hooks('install', id, '--json');
  expect({ code: installed.code, stderr: installed.stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(installed.stdout)).toMatchObject({
    agent: id,
    file,
    changed: true,
    dryRun: false,
    events: [...hooksFor(agent).keys()],
  });
  expect(jsonOf(read(file))).toEqual({
    hooks: Object.fromEntries([...hooksFor(agent)].map(([event, hook]) => [event, [{ hooks: [hook] }]])),
  });
  expect(JSON.parse((await home.hooks('status', id, '--json')).stdout)).toMatchObject([
    { agent: id, program: null, file, installed: 'yes', missing: [] },
  ]);

  const before = read(file);
  expect((await home.hooks('install', id)).stderr).toContain('already');
  expect(read(file)).toBe(before);
  expect((await home.hooks('uninstall', id)).stderr).toBe(`"${file}" had only our hooks in it, and was removed.\n`);
  expect(readdirSync(dirname(file))).toEqual([]);
  expect((await home.hooks('uninstall', id)).stderr).toBe(`There are no hooks of ours in "${file}".\n`);
});

test('the agents keep their settings where their own variables say', () => {
  const [claude, codex, gemini] = AGENTS;
  expect(claude!.file({ CLAUDE_CONFIG_DIR: '/c' })).toBe('/c/settings.json');
  expect(codex!.file({ CODEX_HOME: '/x' })).toBe('/x/hooks.json');
  expect(gemini!.file({ GEMINI_CLI_HOME: '/g' })).toBe('/g/.gemini/settings.json');
});

test('mode and symbolic link stay as they are', async () => {
  using home = new Home();
  const kept = home.write('dotfiles/claude.json', '{\n  "model": "big"\n}\n', 0o640);
  mkdirSync(dirname(home.claude));
  symlinkSync('../dotfiles/claude.json', home.claude);
  expect((await home.hooks('install', 'claude')).code).toBe(0);
  expect(lstatSync(home.claude).isSymbolicLink()).toBe(true);
  expect(statSync(kept).mode & 0o777).toBe(0o640);
  expect(jsonOf(read(kept)).hooks).toHaveProperty('Stop');
  expect((await home.hooks('uninstall', 'claude')).stderr).toBe(`Our hooks are no longer in "${home.claude}".\n`);
  expect(read(kept)).toBe('{\n  "model": "big"\n}\n');
  expect(readdirSync(dirname(kept))).toEqual(['claude.json']);
});

test('a link whose file is not there yet gets one', async () => {
  using home = new Home();
  mkdirSync(dirname(home.claude));
  symlinkSync('../dotfiles/claude.json', home.claude);
  expect((await home.hooks('install', 'claude')).code).toBe(0);
  expect(lstatSync(home.claude).isSymbolicLink()).toBe(true);
  expect(jsonOf(read(join(home.folder, 'dotfiles', 'claude.json'))).hooks).toHaveProperty('Stop');
});

test("--project is this folder's settings", async () => {
  using home = new Home();
  const project = join(home.folder, 'project');
  mkdirSync(project);
  const cwd = vi.spyOn(process, 'cwd').mockReturnValue(project);
  try {
    await home.hooks('install', 'claude', '--project');
  } finally {
    cwd.mockRestore();
  }
  expect(jsonOf(read(join(project, '.claude', 'settings.json'))).hooks).toHaveProperty('Stop');
  expect(readdirSync(home.folder)).toEqual(['project']);
});

test('--dry-run prints the lines that would change, and changes nothing', async () => {
  using home = new Home();
  home.write('.claude/settings.json', '{\n  "model": "big"\n}\n');
  const { stdout, stderr } = await home.hooks('install', 'claude', '--dry-run');
  expect(stdout.split('\n').slice(0, 4)).toEqual([
    '-   "model": "big"',
    '+   "model": "big",',
    '+   "hooks": {',
    '+     "SessionStart": [',
  ]);
  expect(stderr).toContain('Nothing was changed.');
  expect(read(home.claude)).toBe('{\n  "model": "big"\n}\n');
  const asJson = JSON.parse((await home.hooks('install', 'claude', '--dry-run', '--json')).stdout) as { after: string };
  await home.hooks('install', 'claude');
  expect(read(home.claude)).toBe(asJson.after);
});

describe('status', () => {
  const stateOf = async (home: Home, id: string) =>
    JSON.parse((await home.hooks('status', id, '--json')).stdout)[0] as Record<string, unknown>;

  test('tells what is missing, and what is of another version', async () => {
    using home = new Home();
    await home.hooks('install', 'claude');
    const { hooks } = jsonOf(read(home.claude));
    const { Stop: _, ...others } = hooks;
    home.write('.claude/settings.json', JSON.stringify({ hooks: others }));
    expect(await stateOf(home, 'claude')).toMatchObject({ installed: 'partly', missing: ['Stop'] });
    expect((await home.hooks('status', 'claude')).stdout).toContain('Missing: Stop. Put them right with: ai-session hooks install claude');
    home.write('.claude/settings.json', JSON.stringify({ hooks: { ...hooks, Gone: [{ hooks: [{ command: '$AI_SESSION_HOOK x' }] }] } }));
    expect(await stateOf(home, 'claude')).toMatchObject({ installed: 'partly', missing: [] });
    await home.hooks('install', 'claude');
    expect(await stateOf(home, 'claude')).toMatchObject({ installed: 'yes', missing: [] });
  });

  test('tells whether the agent is there, and when it calls no hooks', async () => {
    using home = new Home();
    const program = home.write('bin/codex', '', 0o755);
    home.write('.codex/config.toml', 'model = "x"\n[features]\nweb = true\nhooks = false\n');
    home.write('.claude/settings.json', '{"disableAllHooks": true}');
    home.write('.gemini/settings.json', '{"hooksConfig": {"disabled": ["ai-session"]}}');
    expect(await stateOf(home, 'codex')).toMatchObject({
      program,
      installed: 'no',
      off: 'config.toml has "hooks = false" under [features]',
    });
    expect(await stateOf(home, 'claude')).toMatchObject({ program: null, off: '"disableAllHooks" is true' });
    expect(await stateOf(home, 'gemini')).toMatchObject({ off: '"hooksConfig.disabled" names "ai-session"' });
    expect((await home.hooks('install', 'codex')).stderr).toContain(
      'They are not called: config.toml has "hooks = false" under [features].',
    );
    home.write('.codex/config.toml', '[features]\nweb = true\n[other]\nhooks = false\n[hooks.state]\n');
    expect(await stateOf(home, 'codex')).toMatchObject({ installed: 'yes', off: null });
    expect((await home.hooks('install', 'codex')).stderr).not.toContain('config.toml');
    home.write('.codex/config.toml', '[[hooks.Stop]]\n');
    expect((await home.hooks('install', 'codex')).stderr).toContain('There are hooks in config.toml, too');
  });

  test('of settings that cannot be read says why, and goes on to the next', async () => {
    using home = new Home();
    home.write('.claude/settings.json', '{');
    const { code, stdout } = await home.hooks('status');
    expect(code).toBe(0);
    expect(stdout).toContain(`claude  unknown: ${home.claude}`);
    expect(stdout).toContain('gemini  not installed');
  });
});

describe('what is refused', () => {
  const messageOf = ({ code, stdout, stderr }: Said) => {
    expect(stdout).toBe('');
    const { error } = JSON.parse(stderr) as { error: { message: string; exitCode: number } };
    expect(error.exitCode).toBe(code);
    return { code, message: error.message };
  };

  test.each([
    [['install'], 'Whose hooks? Name one of claude, codex, gemini.'],
    [['install', 'clade'], 'There are no hooks for "clade". Did you mean "claude"? Name one of claude, codex, gemini.'],
    [['status', 'emacs'], 'There are no hooks for "emacs". Name one of claude, codex, gemini.'],
  ])('%j', async (args, message) => {
    using home = new Home();
    expect(messageOf(await home.hooks(...args, '--json'))).toEqual({ code: 2, message });
  });

  test.each([
    [
      'no JSON',
      '{"a": 1,,}',
      'is not JSON: "," is where a key should be, in line 1. It was left alone. Mend it and try again, or add by hand',
    ],
    ['an odd shape', '{"hooks": []}', 'cannot be changed: "hooks" is a list, and not an object. It was left alone.'],
  ])('%s: with a sentence that says what to add, and the file is left alone', async (_, text, sentence) => {
    using home = new Home();
    home.write('.claude/settings.json', text);
    const { code, message } = messageOf(await home.hooks('install', 'claude', '--json'));
    expect(code).toBe(2);
    expect(message).toContain(`"${home.claude}" ${sentence}`);
    expect(message).toContain('{"SessionStart":[{"hooks":[{"type":"command"');
    expect(read(home.claude)).toBe(text);
  });

  test('what is no file, is not text, or is too much', async () => {
    using home = new Home();
    mkdirSync(home.claude, { recursive: true });
    expect(messageOf(await home.hooks('install', 'claude', '--json')).message).toBe(
      `"${home.claude}" is no file. Move what is there out of the way, and try again.`,
    );
    rmSync(home.claude, { recursive: true });
    spawnSync('mkfifo', [home.claude]);
    expect(messageOf(await home.hooks('install', 'claude', '--json')).message).toContain('is no file');
    rmSync(home.claude);
    writeFileSync(home.claude, Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]));
    expect(messageOf(await home.hooks('install', 'claude', '--json')).message).toContain('is not UTF-8 text');
    writeFileSync(home.claude, ' '.repeat((8 << 20) + 1));
    expect(messageOf(await home.hooks('uninstall', 'claude', '--json')).message).toContain('has 8388609 bytes');
    rmSync(home.claude);
    symlinkSync('settings.json', home.claude);
    expect(messageOf(await home.hooks('install', 'claude', '--json'))).toEqual({
      code: 1,
      message: `"${home.claude}" cannot be read (ELOOP). Nothing was changed.`,
    });
  });

  test('what somebody changed meanwhile', () => {
    using home = new Home();
    const file = home.write('settings.json', '{}');
    const settings = readSettings(file);
    home.write('settings.json', '{"model": "big"}');
    expect(() => writeSettings(settings, '{"hooks": {}}')).toThrow(`"${file}" was changed meanwhile. Nothing was changed; try again.`);
    expect(() => writeSettings(settings, null)).toThrow('was changed meanwhile');
    expect(read(file)).toBe('{"model": "big"}');
    expect(readdirSync(home.folder)).toEqual(['settings.json']);
  });
});

/* ---- The command itself, in the shells that agents run it in ---- */

const SHELLS = ['sh', 'bash', 'zsh', 'fish'];
/** More than a pipe holds: who does not read it, breaks it. */
const PAYLOAD = JSON.stringify({ text: 'x'.repeat(200_000) });

test.each(AGENTS.map((agent) => [agent.id, agent] as const))("%s's hook, in each shell", (id, agent) => {
  using home = new Home();
  const reporter = home.write('a reporter', '#!/bin/sh\necho "$@" > "$0.args"; cat > "$0.input"\n', 0o755);
  const failing = home.write('failing', '#!/bin/sh\nexit 3\n', 0o755);
  const payload = home.write('payload', PAYLOAD);
  const { command } = agent.hook('Stop');
  for (const shell of SHELLS) {
    const call = (hook: string | undefined) => {
      const { status, stdout, stderr } = spawnSync(
        'bash',
        ['-o', 'pipefail', '-c', `cat '${payload}' | "$@"`, 'agent', shell, '-c', command],
        {
          encoding: 'utf8',
          env: { PATH: process.env.PATH, HOME: home.folder, ...(hook !== undefined && { AI_SESSION_HOOK: hook }) },
        },
      );
      return { shell, status, stdout, stderr };
    };
    const quiet = { shell, status: 0, stdout: '', stderr: '' };
    for (const hook of [undefined, '', join(home.folder, 'gone'), failing, reporter]) expect(call(hook)).toEqual(quiet);
    expect(read(`${reporter}.args`)).toBe(`${id} Stop\n`);
    expect(read(`${reporter}.input`)).toBe(PAYLOAD);
    rmSync(`${reporter}.args`);
    rmSync(`${reporter}.input`);
  }
});
