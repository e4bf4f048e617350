import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Inbox } from '../support/inbox.ts';
import { Rig } from '../support/rig.ts';
import { CLAUDE, CODEX, furnish, GEMINI, type Program } from './programs.ts';

/** Stands for the reporter: hands on how it was called and what it was given. */
const REPORTER = `#!${process.execPath}
const input = require('fs').readFileSync(0, 'utf8');
const socket = require('net').connect(process.env.AI_SESSION_HOOK_SOCKET);
socket.end(JSON.stringify({ args: process.argv.slice(2), payload: JSON.parse(input) }));
`;

interface Called {
  args: string[];
  payload: { hook_event_name: string; source?: string };
}

/** Who has been called by the agents of this folder. */
async function listen(path: string): Promise<{ calls: Inbox<Called> } & AsyncDisposable> {
  const calls = new Inbox<Called>();
  const server = createServer((socket) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (part) => (text += part));
    socket.on('error', () => {}).on('end', () => calls.put(JSON.parse(text) as Called));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return { calls, [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}

/** A person would be asked whether they trust the hooks, and Codex is deaf for a moment after it has drawn that. */
const TRUSTING: Program = { ...CODEX, command: [...CODEX.command, '--dangerously-bypass-hook-trust'] };

const CASES: [id: string, file: string, program: Program, events: string[]][] = [
  ['claude', '.claude/settings.json', CLAUDE, ['SessionStart', 'UserPromptSubmit']],
  ['codex', '.codex/hooks.json', TRUSTING, ['SessionStart', 'UserPromptSubmit', 'Interrupt']],
  ['gemini', '.gemini/settings.json', GEMINI, ['SessionStart', 'BeforeAgent']],
];

test.for(CASES)(
  '%s calls the hooks that were installed, and its settings are as they were afterwards',
  async ([id, file, program, events], { signal }) => {
    await using rig = await Rig.start();
    const home = join(rig.home, 'me');
    const { work } = furnish(home, program);
    const reporter = join(rig.home, 'reporter');
    writeFileSync(reporter, REPORTER, { mode: 0o755 });
    const socket = join(rig.home, 's');
    await using listener = await listen(socket);
    const read = () => {
      try {
        return readFileSync(join(home, file), 'utf8');
      } catch {
        return null;
      }
    };
    const before = read();
    const hooks = (verb: string) => rig.run(['hooks', verb, id], { environment: { HOME: home } });
    expect((await hooks('install')).code).toBe(0);

    const environment = { ...program.environment, HOME: home, AI_SESSION_HOOK: reporter, AI_SESSION_HOOK_SOCKET: socket };
    const terminal = await rig.terminal(
      [
        'new',
        'it',
        '-c',
        work,
        ...Object.entries(environment).flatMap(([name, value]) => ['-e', `${name}=${value}`]),
        '--',
        ...program.command,
      ],
      { cols: 100, rows: 30 },
    );
    signal.addEventListener('abort', () => {
      listener.calls.close(new Error(`not called, but these were: ${JSON.stringify(listener.calls.all)}; the terminal:\n${terminal.text}`));
      void terminal[Symbol.asyncDispose]();
    });
    await terminal.shows(program.ready);
    // Gemini CLI is deaf to Enter until it has settled.
    expect((await rig.run(['wait', 'it', '--for', 'state=done', '--timeout', '50'])).code).toBe(0);
    const { code, stdout, stderr } = await rig.run(['submit', 'it', 'hello there']);
    expect({ code, stdout, stderr }).toMatchObject({ code: 0 });
    for (const event of events) {
      if (event === 'Interrupt') {
        await terminal.shows(/esc to interrupt/);
        terminal.type('\x1b');
      }
      const { args, payload } = await listener.calls.next(({ args }) => args[1] === event);
      expect({ args, event: payload.hook_event_name }).toEqual({ args: [id, event], event });
    }
    expect((await hooks('uninstall')).code).toBe(0);
    expect(read()).toBe(before);
  },
);
