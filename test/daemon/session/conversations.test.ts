import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, realpathSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type Agent,
  agentOf,
  conversationFrom,
  conversationOnDisk,
  resumeCommand,
  type Whereabouts,
  withKnownConversation,
} from '../../../src/daemon/session/conversations.ts';

const ID = '019e353a-a0fb-7ae0-a931-48a4aec65cd7';
const OTHER = '22222222-2222-4333-8444-555555555555';
const words = (line: string) => line.split(' ');

describe('the agent of a command', () => {
  test.each<[string[], Agent | null]>([
    [['claude'], 'claude'],
    [['/home/me/.local/bin/claude', '--model', 'opus'], 'claude'],
    [['codex', 'resume', ID], 'codex'],
    [['gemini', '-m', 'x'], 'gemini'],
    [['npx', '@anthropic-ai/claude-code'], 'claude'],
    [['npx', '-y', '@anthropic-ai/claude-code@latest', '-c'], 'claude'],
    [['npx', '-p', '@openai/codex', 'codex'], 'codex'],
    [['bunx', '@google/gemini-cli@0.61.0'], 'gemini'],
    [['node', '/usr/lib/node_modules/@anthropic-ai/claude-code/cli.js'], 'claude'],
    [['node', '--max-old-space-size=8192', '-r', './hook.js', '/x/node_modules/@google/gemini-cli/bundle/gemini.js'], 'gemini'],
    [['/usr/bin/node', '/usr/bin/codex', '--search'], 'codex'],
    [['env', 'X=Y', 'claude'], 'claude'],
    [['env', '-u', 'Z', 'X=a b', 'npx', '-y', '@openai/codex'], 'codex'],
    [['bash', '-c', 'claude'], 'claude'],
    [['bash', '-lc', 'exec claude --add-dir "$HOME/a b"'], 'claude'],
    [['env', 'A=1', 'zsh', '-l', '-c', 'B=2 codex -m o3'], 'codex'],
    // Anything else in it, and there is more to it than the agent.
    [['bash', '-c', 'cd /x && claude'], null],
    [['bash', '-c', 'claude -c; true'], null],
    [['bash', '-c', 'claude | tee log'], null],
    [['bash', '-c', 'claude &'], null],
    [['bash', '-c', 'claude > log'], null],
    [['bash', '-c', 'claude\ntrue'], null],
    [['bash', '-c', 'claude "$(cat prompt)"'], null],
    [['bash', '-c', 'claude `x`'], null],
    [['bash', '-c', 'claude $OPTIONS'], null],
    [['bash', '-c', 'claude "unfinished'], null],
    [['bash', '-c', 'claude', 'name'], null],
    [['bash', '-c', "bash -c 'claude'"], null],
    [['bash', 'claude'], null],
    [['bash'], null],
    [['node', '-e', 'claude'], null],
    [['node', 'cli.js'], null],
    [['env', '-S', 'claude'], null],
    [['npx', 'claude-squad'], null],
    [['vim', 'claude'], null],
    [['claude-code-router'], null],
    [[''], null],
    [[], null],
  ])('%j: %s', (argv, agent) => {
    expect(agentOf(argv)).toBe(agent);
  });
});

describe('what an agent prints as it ends', () => {
  test.each<[string, string, ReturnType<typeof conversationFrom>]>([
    ['Claude', `❯ \n\nResume this session with:\nclaude --resume ${ID}\n\n`, { agent: 'claude', id: ID }],
    ['Claude in a worktree', `Resume this session with:\r\nclaude --worktree fix-it --resume ${ID}\r\n`, { agent: 'claude', id: ID }],
    ['Codex by itself', `Token usage: total=2\nTo continue this session, run codex resume ${ID}\n`, { agent: 'codex', id: ID }],
    [
      'Codex on its server',
      `To reconnect, run:\n  codex resume ${ID}\nStop the current turn: run codex agents, select this task, and press x.\nToken usage so far: total=7\n`,
      { agent: 'codex', id: ID },
    ],
    ['Gemini, in its box', `│  To resume this session: gemini --resume ${ID}     │\n╰────────────╯\n`, { agent: 'gemini', id: ID }],
    [
      'Gemini, in a narrow box',
      `│  To resume this session: gemini          │\n│  --resume                                │\n│  ${ID}    │\n╰───────╯\n`,
      { agent: 'gemini', id: ID },
    ],
    [
      'a line that the terminal broke',
      `To continue this session, run\ncodex resume ${ID.slice(0, 20)}\n${ID.slice(20)}\n`,
      { agent: 'codex', id: ID },
    ],
    [
      'the last of two',
      `Resume this session with:\nclaude --resume ${OTHER}\nResume this session with:\nclaude --resume ${ID}\n`,
      { agent: 'claude', id: ID },
    ],
    // anthropics/claude-code#84308
    [
      'an id with the end of an older line behind it',
      `Resume this session with:\nclaude --resume ${ID}e REPL\n`,
      { agent: 'claude', id: ID },
    ],
    ['an id that somebody talks of', `● Run claude --resume ${ID} to go on\n`, null],
    [
      'one that was quoted long before the end',
      `Resume this session with:\nclaude --resume ${ID}\n${'more of the talk\n'.repeat(40)}`,
      null,
    ],
    ['a title', 'Resume this session with:\nclaude --resume "fix the build"\n', null],
    ['nothing', '', null],
  ])('%s', (_, text, found) => {
    expect(conversationFrom(text)).toEqual(found);
  });

  test('in much output only the end is read', () => {
    expect(
      conversationFrom(`${'Resume this session with: claude --worktree '.repeat(40_000)}\nTo resume this session: gemini --resume ${ID}`),
    ).toEqual({
      agent: 'gemini',
      id: ID,
    });
  });
});

describe('the command that resumes', () => {
  test.each<[Agent, string[], string[] | null]>([
    ['claude', ['claude'], ['claude', '--resume', ID]],
    [
      'claude',
      ['claude', '--model', 'opus', 'fix the build', '--dangerously-skip-permissions'],
      ['claude', '--resume', ID, '--model', 'opus', '--dangerously-skip-permissions'],
    ],
    ['claude', ['claude', '--resume', OTHER, '--verbose'], ['claude', '--resume', ID, '--verbose']],
    ['claude', ['claude', '-r', '--model=opus'], ['claude', '--resume', ID, '--model=opus']],
    ['claude', ['claude', `--resume=${OTHER}`, '--fork-session', '--session-id', ID, 'go'], ['claude', '--resume', ID]],
    ['claude', ['claude', '--continue', '--', '--not-an-option'], ['claude', '--resume', ID]],
    // Several directories, and not the prompt: Claude would have taken it for one too.
    ['claude', ['claude', '--add-dir', 'a', 'b', '-c', 'go'], ['claude', '--resume', ID, '--add-dir', 'a', 'b']],
    [
      'claude',
      ['claude', '--append-system-prompt', '- be brief', 'go'],
      ['claude', '--resume', ID, '--append-system-prompt', '- be brief'],
    ],
    ['claude', ['claude', '--name', '--continue', 'go'], ['claude', '--resume', ID, '--name', '--continue']],
    ['claude', ['claude', '--tools', '', 'go'], ['claude', '--resume', ID, '--tools', '', 'go']],
    ['claude', ['claude', '--worktree', 'w', 'go'], ['claude', '--resume', ID, '--worktree', 'w']],
    ['claude', ['claude', '--unknown', 'value'], ['claude', '--resume', ID, '--unknown', 'value']],
    ['claude', ['npx', '-y', '@anthropic-ai/claude-code', 'go'], ['npx', '-y', '@anthropic-ai/claude-code', '--resume', ID]],
    ['claude', ['env', 'A=b', 'claude', '-c'], ['env', 'A=b', 'claude', '--resume', ID]],
    [
      'claude',
      ['bash', '-lc', `A=1 claude --add-dir "$HOME/a b" --model 'op us' -c`],
      ['bash', '-lc', `A=1 claude --resume ${ID} --add-dir "$HOME/a b" --model 'op us'`],
    ],
    ['claude', ['claude', '-cd'], ['claude', '--resume', ID, '-d']],
    ['claude', ['claude', '-p', 'go'], null],
    ['claude', ['claude', '-cp', 'go'], null],
    ['claude', ['claude', '--print', 'go'], null],
    ['claude', ['claude', 'mcp', 'list'], null],
    ['claude', ['claude', '--worktree'], null],
    ['codex', ['codex'], ['codex', 'resume', ID]],
    [
      'codex',
      ['codex', '-m', 'o3', '--no-alt-screen', 'fix it', '-i', 'a.png', 'b.png', '-C', '/x'],
      ['codex', 'resume', ID, '-m', 'o3', '--no-alt-screen', '-C', '/x'],
    ],
    ['codex', ['codex', '-cmodel="o3"', 'go'], ['codex', 'resume', ID, '-cmodel="o3"']],
    ['codex', ['codex', 'resume', OTHER, '--all', '--search'], ['codex', 'resume', ID, '--search']],
    ['codex', ['codex', '--oss', 'resume', '--last', 'and go on'], ['codex', 'resume', ID, '--oss']],
    ['codex', ['codex', 'fork', OTHER, '--worktree'], ['codex', 'resume', ID]],
    ['codex', ['codex', 'exec', 'go'], null],
    ['codex', ['codex', '--search', 'e', 'go'], null],
    ['gemini', ['gemini', '-m', 'pro', '-y', '-i', 'go'], ['gemini', '--resume', ID, '-m', 'pro', '-y']],
    ['gemini', ['gemini', 'go', '--resume', 'latest', '-e', 'none'], ['gemini', '--resume', ID, '-e', 'none']],
    [
      'gemini',
      ['gemini', '--session-id', OTHER, '--include-directories', '../a'],
      ['gemini', '--resume', ID, '--include-directories', '../a'],
    ],
    ['gemini', ['gemini', '-yi', 'go'], ['gemini', '--resume', ID, '-y']],
    ['gemini', ['gemini', '-p', 'go'], null],
    ['gemini', ['gemini', 'extensions', 'list'], null],
    ['gemini', ['gemini', '-w', 'x'], null],
    // Not this agent.
    ['codex', ['claude'], null],
    ['claude', ['bash'], null],
  ])('%s: %j', (agent, argv, resumed) => {
    expect(resumeCommand(argv, agent, ID)).toEqual(resumed);
  });

  test.each(['', 'latest', '--help', `${ID}; rm -rf /`, `${ID}\n`, '../../x'])('an id that is none (%j) is not put in', (id) => {
    expect(resumeCommand(['bash', '-c', 'claude'], 'claude', id)).toBeNull();
  });
});

describe('a conversation that is known from the beginning', () => {
  test.each<[string, string | null]>([
    ['claude', `claude --session-id ${ID}`],
    ['claude --model opus go', `claude --session-id ${ID} --model opus go`],
    ['npx @anthropic-ai/claude-code go', `npx @anthropic-ai/claude-code --session-id ${ID} go`],
    ['claude --resume', null],
    ['claude -c', null],
    [`claude --session-id ${OTHER}`, null],
    ['claude --from-pr 12', null],
    ['claude -p go', null],
    ['claude mcp', null],
    ['codex', null],
    ['gemini', null],
    ['bash', null],
  ])('%s', (argv, known) => {
    expect(withKnownConversation(words(argv), ID)).toEqual(known === null ? null : words(known));
  });

  test('in a line of shell', () => {
    expect(withKnownConversation(['bash', '-c', "claude 'a b'"], ID)).toEqual(['bash', '-c', `claude --session-id ${ID} 'a b'`]);
  });
});

describe('what is on disk', () => {
  const T = Date.parse('2026-11-21T12:00:00Z');
  const MINUTE = 60_000;
  const iso = (minute: number) => new Date(T + minute * MINUTE).toISOString();
  const [A, B, C] = ['a', 'b', 'c'].map((digit) => `${digit.repeat(8)}-1111-4222-8333-444444444444`) as [string, string, string];
  let top: string;
  let cwd: string;

  beforeEach(() => {
    top = realpathSync(mkdtempSync(join(tmpdir(), 'agents-')));
    cwd = join(top, 'my.proj');
    mkdirSync(cwd);
  });
  afterEach(() => rmSync(top, { recursive: true, force: true }));

  /** Writes a file that was last changed at that minute. */
  function put(path: string, text: string, minute: number): string {
    const file = join(top, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    utimesSync(file, (T + minute * MINUTE) / 1000, (T + minute * MINUTE) / 1000);
    return file;
  }

  interface Times {
    born: number;
    changed: number;
    cwd?: string;
    more?: object;
  }

  const dashed = (path: string) => path.replace(/[^a-zA-Z0-9]/g, '-');
  const claude = (id: string, { born, changed, cwd: where = cwd, more }: Times) =>
    put(
      `.claude/projects/${dashed(where)}/${id}.jsonl`,
      `{"type":"mode","sessionId":"${id}"}\n${JSON.stringify({ type: 'user', cwd: where, entrypoint: 'cli', timestamp: iso(born), ...more })}\n`,
      changed,
    );
  const codex = (id: string, { born, changed, cwd: where = cwd, more }: Times, day = '2026/11/21') =>
    put(
      `.codex/sessions/${day}/rollout-2026-11-21T12-00-00-${id}.jsonl`,
      `${JSON.stringify({ type: 'session_meta', payload: { id, cwd: where, source: 'vscode', timestamp: iso(born), base_instructions: { text: 'x'.repeat(30_000) }, ...more } })}\n{}\n`,
      changed,
    );
  const hash = (path: string) => createHash('sha256').update(path).digest('hex');
  const gemini = (id: string, { born, changed, cwd: where = cwd, more }: Times, folder = 'my-proj') =>
    put(
      `.gemini/tmp/${folder}/chats/session-2026-11-21T12-00-${id.slice(0, 8)}.jsonl`,
      `${JSON.stringify({ sessionId: id, projectHash: hash(where), startTime: iso(born), kind: 'main', ...more })}\n{"type":"user","content":[{"text":"hi"}]}\n`,
      changed,
    );
  const find = (agent: Agent, more: Partial<Whereabouts> = {}) => conversationOnDisk(agent, { cwd, home: top, since: T, ...more });

  describe.each<[Agent, (id: string, times: Times) => string]>([
    ['claude', claude],
    ['codex', codex],
    ['gemini', gemini],
  ])('of %s', (agent, write) => {
    beforeEach(() => void put('.gemini/projects.json', JSON.stringify({ projects: { [cwd]: 'my-proj' } }, null, 2), 0));

    test('is nothing where there is nothing', async () => {
      expect(await find(agent)).toBeNull();
    });

    test('is the one that changed since the session began', async () => {
      write(A, { born: -20, changed: -10 });
      expect(await find(agent)).toBeNull();
      write(B, { born: 1, changed: 5 });
      expect(await find(agent)).toBe(B);
    });

    test('may have begun long before', async () => {
      write(A, { born: -10_000, changed: 5 });
      expect(await find(agent)).toBe(A);
    });

    test('is the later of two that came after each other, unless two sessions had one each', async () => {
      write(A, { born: 1, changed: 5 });
      write(B, { born: 6, changed: 9 });
      expect(await find(agent)).toBe(B);
      expect(await find(agent, { isShared: true })).toBeNull();
      expect(await find(agent, { isShared: true, taken: new Set([B]) })).toBe(A);
    });

    test('is not known when two went on beside each other', async () => {
      write(A, { born: 1, changed: 8 });
      write(B, { born: 6, changed: 9 });
      expect(await find(agent)).toBeNull();
      expect(await find(agent, { taken: new Set([A]) })).toBe(B);
    });

    test('is not one that began after the session was over', async () => {
      write(A, { born: 1, changed: 5 });
      write(B, { born: 20, changed: 30 });
      expect(await find(agent, { until: T + 10 * MINUTE })).toBe(A);
    });

    test('is not one of another folder', async () => {
      write(A, { born: 1, changed: 5, cwd: join(top, 'elsewhere') });
      expect(await find(agent)).toBeNull();
    });

    test('is found by either name of a folder', async () => {
      symlinkSync(cwd, join(top, 'link'));
      write(A, { born: 1, changed: 5 });
      expect(await find(agent, { cwd: join(top, 'link') })).toBe(A);
    });

    test('survives what else may lie there', async () => {
      const file = write(A, { born: 1, changed: 5 });
      const near = (id: string) => file.replaceAll(A, id).replaceAll(A.slice(0, 8), id.slice(0, 8));
      symlinkSync(near(B), near(B));
      mkdirSync(near(C));
      execFileSync('mkfifo', [near('dddddddd-1111-4222-8333-444444444444')]);
      writeFileSync(near('eeeeeeee-1111-4222-8333-444444444444'), Buffer.alloc(3_000_000, 0xff));
      writeFileSync(near('ffffffff-1111-4222-8333-444444444444'), `${'{"a":'.repeat(50_000)}\n`);
      writeFileSync(near('00000000-1111-4222-8333-444444444444'), 'null\n[]\n{"payload":null}\n{"payload":3,"type":"user"');
      expect(await find(agent)).toBe(A);
    });

    test('is null where a file or a link stands for a folder', async () => {
      const folder = dirname(write(A, { born: 1, changed: 5 }));
      rmSync(folder, { recursive: true });
      writeFileSync(folder, '');
      expect(await find(agent)).toBeNull();
      rmSync(folder);
      symlinkSync(folder, folder);
      expect(await find(agent)).toBeNull();
    });
  });

  describe('of Claude', () => {
    const running = (pid: number, id: string, more: object = {}) =>
      put(`.claude/sessions/${pid}.json`, JSON.stringify({ pid, sessionId: id, cwd, startedAt: T + MINUTE, ...more }), 1);

    test('is what its process says, also when two went on beside each other', async () => {
      claude(A, { born: 1, changed: 8 });
      claude(B, { born: 2, changed: 9 });
      running(process.pid, A);
      expect(await find('claude', { pid: process.pid })).toBe(A);
    });

    test('is that of a process below: npx is not the agent itself', async () => {
      claude(A, { born: 1, changed: 8 });
      claude(B, { born: 2, changed: 9 });
      running(process.pid, A);
      expect(await find('claude', { pid: process.ppid })).toBe(A);
    });

    test('is none when its process has not been spoken to, whatever else there is', async () => {
      claude(A, { born: 1, changed: 5 });
      running(process.pid, B);
      expect(await find('claude', { pid: process.pid })).toBeNull();
    });

    test('was resumed, and nothing said since', async () => {
      claude(A, { born: -20, changed: -10 });
      running(process.pid, A);
      expect(await find('claude', { pid: process.pid })).toBe(A);
    });

    test('is not of a folder that Claude gives the same name', async () => {
      claude(A, { born: 1, changed: 5, cwd: join(top, 'my-proj') });
      expect(await find('claude')).toBeNull();
    });

    test('is found though a pipe or a link stands where its process would tell', async () => {
      claude(A, { born: 1, changed: 5 });
      const place = running(process.pid, B);
      rmSync(place);
      execFileSync('mkfifo', [place]);
      expect(await find('claude', { pid: process.pid })).toBe(A);
      rmSync(place);
      symlinkSync(running(1, B), place);
      expect(await find('claude', { pid: process.pid })).toBe(A);
    });

    test('is not what a process of an earlier time says, which had the same number', async () => {
      claude(A, { born: 1, changed: 5 });
      claude(B, { born: -9, changed: -8 });
      running(process.pid, B, { startedAt: T - MINUTE });
      expect(await find('claude', { pid: process.pid })).toBe(A);
    });

    test('may begin with more than is read of it', async () => {
      const message = { type: 'user', message: { content: 'x'.repeat(400_000) }, cwd, timestamp: iso(1) };
      put(`.claude/projects/${dashed(cwd)}/${A}.jsonl`, `{"type":"mode"}\n${JSON.stringify(message)}\n`, 5);
      expect(await find('claude')).toBe(A);
    });

    test('is not a script’s', async () => {
      claude(A, { born: 1, changed: 5, more: { entrypoint: 'sdk-cli' } });
      expect(await find('claude')).toBeNull();
    });

    test('is not one in which nothing was said', async () => {
      claude(A, { born: 1, changed: 5, more: { type: 'file-history-snapshot' } });
      expect(await find('claude')).toBeNull();
    });

    test('may be elsewhere', async () => {
      claude(A, { born: 1, changed: 5 });
      expect(await find('claude', { home: '/nowhere', env: { CLAUDE_CONFIG_DIR: join(top, '.claude') } })).toBe(A);
    });

    test('of a folder with a long name is found as Claude names it', async () => {
      // What Claude Code 2.1.197 made of this folder.
      const long = `/tmp/${'long-folder.name/'.repeat(14)}end`;
      const name = `${dashed(long).slice(0, 200)}-je6h8`;
      put(`.claude/projects/${name}/${A}.jsonl`, `${JSON.stringify({ type: 'user', cwd: long, timestamp: iso(1) })}\n`, 5);
      expect(await find('claude', { cwd: long })).toBe(A);
    });
  });

  describe('of Codex', () => {
    test('stays with the day on which it began', async () => {
      codex(A, { born: -1_000_000, changed: 5 }, '2024/12/27');
      expect(await find('codex')).toBe(A);
    });

    test('is the one that its process keeps open', async () => {
      const file = codex(A, { born: 1, changed: 8 });
      codex(B, { born: 2, changed: 9 });
      expect(await find('codex', { pid: process.pid })).toBeNull();
      const descriptor = openSync(file, 'r');
      try {
        expect(await find('codex', { pid: process.pid })).toBe(A);
      } finally {
        closeSync(descriptor);
      }
    });

    test.each([{ source: { subagent: 'review' } }, { source: 'exec' }, { id: OTHER }, { cwd: 7 }])('is not %j', async (more) => {
      codex(A, { born: 1, changed: 5, more });
      expect(await find('codex')).toBeNull();
    });

    test('may be elsewhere, and of a version that did not say its source', async () => {
      codex(A, { born: 1, changed: 5, more: { source: undefined } });
      expect(await find('codex', { home: '/nowhere', env: { CODEX_HOME: join(top, '.codex') } })).toBe(A);
    });

    test('is looked for among so many files and no more', async () => {
      codex(A, { born: 1, changed: 5 }, '2020/01/01');
      const newest = dirname(put('.codex/sessions/2026/11/21/x', '', 0));
      for (let n = 0; n < 500; n++) writeFileSync(join(newest, `${n}`), '');
      expect(await find('codex')).toBe(A);
      for (let n = 500; n < 20_000; n++) writeFileSync(join(newest, `${n}`), '');
      expect(await find('codex')).toBeNull();
    });
  });

  describe('of Gemini', () => {
    test('is in a folder that is named by a hash, of old, as one JSON value', async () => {
      put(
        `.gemini/tmp/${hash(cwd)}/chats/session-2025-10-01T10-00-${A.slice(0, 8)}.json`,
        JSON.stringify({ sessionId: A, projectHash: hash(cwd), startTime: iso(1), messages: [{ type: 'user', content: 'hi' }] }, null, 2),
        5,
      );
      expect(await find('gemini')).toBe(A);
    });

    test('is one, also when it went on in another file', async () => {
      const text = JSON.stringify({ sessionId: A, projectHash: hash(cwd), startTime: iso(1), messages: [{ type: 'user' }] }, null, 2);
      put(`.gemini/tmp/${hash(cwd)}/chats/session-1-${A.slice(0, 8)}.json`, text, 4);
      gemini(A, { born: 1, changed: 9 }, hash(cwd));
      expect(await find('gemini')).toBe(A);
      // The later file counts: the two went on beside each other.
      gemini(B, { born: 5, changed: 6 }, hash(cwd));
      expect(await find('gemini')).toBeNull();
    });

    test.each([{ kind: 'subagent' }, { projectHash: 'x' }, { sessionId: '../../x' }])('is not %j', async (more) => {
      gemini(A, { born: 1, changed: 5, more }, hash(cwd));
      expect(await find('gemini')).toBeNull();
    });

    test('is not one in which nothing was said', async () => {
      put(
        `.gemini/tmp/${hash(cwd)}/chats/session-1-${A.slice(0, 8)}.jsonl`,
        `${JSON.stringify({ sessionId: A, projectHash: hash(cwd), startTime: iso(1) })}\n{"$set":{"messages":[{"type":"user","content":[{"text":"<session_context>"}]}]}}\n`,
        5,
      );
      expect(await find('gemini')).toBeNull();
    });

    test('is not looked for outside of its folder', async () => {
      put('.gemini/projects.json', JSON.stringify({ projects: { [cwd]: '../../outside' } }), 0);
      put(
        `outside/chats/session-1-${A.slice(0, 8)}.jsonl`,
        `${JSON.stringify({ sessionId: A, projectHash: hash(cwd) })}\n{"type":"user"}\n`,
        5,
      );
      expect(await find('gemini')).toBeNull();
    });
  });
});
