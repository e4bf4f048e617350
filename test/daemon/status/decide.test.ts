import { expect, test } from 'vitest';
import { type Decision, decide, explain } from '../../../src/daemon/status/decide.ts';
import { type Evidence, hear, type News, startedAt } from '../../../src/daemon/status/evidence.ts';
import type { AgentStatus } from '../../../src/daemon/status/status.ts';
import { Signals } from '../../../src/daemon/status/stream.ts';
import { agentRules, BUILT_IN, readStream, SCREENS } from './recordings.ts';

/** A pane to which things happen at times. It decides when something is heard and when it said it would. */
class Pane {
  evidence: Evidence = startedAt(0);
  decision: Decision = decide(this.evidence, 0, null, BUILT_IN);
  /** Every status there was, and since when. */
  readonly history: [status: string, at: number][] = [['starting', 0]];

  /** Lets the time pass, and then tells the news. */
  at(now: number, ...news: News[]): this {
    for (let next = this.decision.recheckAt; next !== null && next < now; next = this.decision.recheckAt) this.#decide(next);
    for (const one of news) this.evidence = hear(this.evidence, one, now);
    this.#decide(now);
    return this;
  }

  #decide(now: number): void {
    const last = this.decision;
    this.decision = decide(this.evidence, now, last, BUILT_IN);
    if (this.decision.recheckAt !== null && this.decision.recheckAt <= now) throw new Error(`it would be asked for ever at ${now}`);
    if (this.decision.status !== last.status) this.history.push([this.decision.status, now]);
  }
}

const agent = (id: string): News => ({ is: 'agent', agent: { rules: agentRules(id), because: 'a test' }, since: 0 });
const title = (text: string): News => ({ is: 'signal', signal: { is: 'title', text } });
const hook = (event: string, status: AgentStatus, isBackground = false): News => ({
  is: 'hook',
  hook: { event, status, isBackground, text: `the hook ${event} reported` },
});
const screen = (name: string): News => ({ is: 'screen', view: SCREENS.find((one) => one.name === name)!.view });
const blank: News = { is: 'screen', view: { rows: ['', ''], title: '', cursorRow: 0, isAlternate: false } };
const text = (...rows: string[]): News => ({ is: 'screen', view: { rows, title: '', cursorRow: rows.length - 1, isAlternate: false } });
const report = (state: 'idle' | 'working' | 'blocked' | 'done' | 'error'): News => ({
  is: 'signal',
  signal: { is: 'report', report: { state, kind: null, app: 'it', message: '' } },
});
const output: News = { is: 'output' };
const claude = () => new Pane().at(10, agent('claude'), screen('claude-ready'), title('✳ Claude Code')).at(5000);
const end: News = { is: 'ended', code: 0, signal: null };

test('a program has started until it draws', () => {
  const pane = new Pane().at(100, output, blank).at(900, text('$ '));
  expect(pane.history).toEqual([
    ['starting', 0],
    ['running', 900],
  ]);
});

test('one that prints nothing runs after a second, unless it is a shell or an agent', () => {
  const foreground = (command: string, isShell = false): News => ({ is: 'foreground', isShell, command });
  const quiet = new Pane().at(20, foreground('sleep 1000')).at(5000);
  expect(quiet.history).toEqual([
    ['starting', 0],
    ['running', 1000],
  ]);
  expect(quiet.decision).toMatchObject({
    because: { text: '"sleep 1000" is in the foreground, and has printed nothing' },
    recheckAt: null,
  });
  expect(new Pane().at(20, foreground('node claude'), agent('claude')).at(5000).decision).toMatchObject({
    status: 'starting',
    recheckAt: null,
  });
});

test.each<[News, string, string]>([
  [end, 'exited', 'the program ended with 0'],
  [{ is: 'ended', code: 3, signal: null }, 'failed', 'the program ended with 3'],
  [{ is: 'ended', code: null, signal: 'SIGKILL' }, 'failed', 'the program was ended by SIGKILL'],
  [{ is: 'ended', code: null, signal: null }, 'lost', 'the program has ended, and nobody knows how'],
  [{ is: 'lost' }, 'lost', 'the program is gone, and nobody saw it end'],
])('%j is the last word', (news, status, because) => {
  const { decision } = claude().at(6000, hook('PermissionRequest', 'waiting')).at(7000, news);
  expect(decision).toMatchObject({ status, because: { source: 'exit', text: because }, since: 7000, recheckAt: null });
});

test('a shell is at its prompt or runs a command, by its marks', () => {
  const pane = new Pane()
    .at(100, text('$ '), { is: 'command', mark: 'prompt' })
    .at(200, { is: 'command', mark: 'started', text: 'npm test' })
    .at(300, { is: 'command', mark: 'finished', exitCode: 2 });
  expect(pane.history.slice(1)).toEqual([
    ['prompt', 100],
    ['running', 200],
    ['prompt', 300],
  ]);
  expect(pane.decision.because).toEqual({
    source: 'command',
    rule: 'finished',
    text: 'the shell is at its prompt; the last command ended with 2',
  });
});

test('without marks, by who is in the foreground', () => {
  const pane = new Pane()
    .at(100, text('$ '), { is: 'foreground', isShell: true, command: 'bash' })
    .at(200, { is: 'foreground', isShell: false, command: 'make' });
  expect(pane.history.slice(1)).toEqual([
    ['prompt', 100],
    ['running', 200],
  ]);
  expect(pane.decision.because.text).toBe('"make" is in the foreground');
});

test('marks are trusted more than the foreground: a loop runs in the shell itself', () => {
  const pane = new Pane().at(
    1,
    text('x'),
    { is: 'command', mark: 'started', text: 'for' },
    { is: 'foreground', isShell: true, command: 'bash' },
  );
  expect(pane.decision.status).toBe('running');
});

test.each<[string, News[], string]>([
  ['a password on the line of the cursor', [text('[sudo] password for me: ')], 'program/secret'],
  ['input that is not shown', [text('Code?'), { is: 'hidden input', isHidden: true }], 'hidden-input'],
  ['a report', [text('x'), report('blocked')], 'osc-7501/blocked'],
])('a program that is no agent waits by %s', (_, news, rule) => {
  const pane = new Pane().at(100, { is: 'command', mark: 'started', text: 'it' }, ...news);
  expect([pane.decision.status, pane.decision.because.rule]).toEqual(['waiting', rule]);
  expect(pane.at(200, { is: 'command', mark: 'prompt' }).decision.status).toBe('prompt');
});

test.each<[string, News[]]>([
  ['takes back what it reported', [{ is: 'signal', signal: { is: 'report', report: 'clear' } }]],
  [
    'dies with it, and another one begins',
    [
      { is: 'command', mark: 'prompt' },
      { is: 'command', mark: 'started', text: 'ls' },
    ],
  ],
  [
    'dies with it in a shell without marks',
    [
      { is: 'foreground', isShell: true, command: 'sh' },
      { is: 'foreground', isShell: false, command: 'ls' },
    ],
  ],
])('a report is gone when its program %s', (_, news) => {
  const pane = new Pane().at(100, text('x'), report('blocked'));
  expect(pane.decision.status).toBe('waiting');
  expect(pane.at(200, ...news).decision.status).toBe('running');
});

test('a program that has gone hides no input any more', () => {
  const pane = new Pane().at(100, { is: 'command', mark: 'started', text: 'sudo' }, text('?'), { is: 'hidden input', isHidden: true });
  expect(pane.decision.status).toBe('waiting');
  pane.at(200, { is: 'command', mark: 'finished', exitCode: 1 }).at(300, { is: 'command', mark: 'started', text: 'ls' });
  expect(pane.decision.status).toBe('running');
});

test('an agent that begins in a shell has started until it draws', () => {
  const pane = new Pane()
    .at(100, text('$ '), { is: 'command', mark: 'prompt' })
    .at(60_000, screen('claude-permission'), { is: 'command', mark: 'started', text: 'claude' })
    .at(60_200, { ...agent('claude'), since: 60_100 } as News)
    .at(60_800, screen('claude-ready'), title('✳ Claude Code'))
    .at(70_000);
  expect(pane.history.slice(1)).toEqual([
    ['prompt', 100],
    ['running', 60_000],
    ['starting', 60_200],
    ['done', 62_300],
  ]);
  expect(pane.at(80_000, { is: 'agent', agent: null }, { is: 'command', mark: 'prompt' }).decision.status).toBe('prompt');
});

test('an agent whose shell shows its prompt has ended, even if nobody said so', () => {
  expect(claude().at(9000, { is: 'command', mark: 'prompt' }).decision.status).toBe('prompt');
});

test('working and waiting are believed at once, done when it has held', () => {
  const pane = claude()
    .at(6000, title('⠂ Claude Code'))
    .at(7000, title('✳ Claude Code'))
    .at(8000, title('⠂ Claude Code'))
    .at(9000, screen('claude-permission'))
    .at(10_000, title('✳ Claude Code'), screen('claude-done'))
    .at(20_000);
  expect(pane.history.slice(2)).toEqual([
    ['working', 6000],
    ['waiting', 9000],
    ['done', 11_500],
  ]);
  expect(pane.decision.since).toBe(10_000);
});

test('while it settles it is what it was, and says when to ask again', () => {
  const pane = claude().at(6000, title('⠂ Claude Code')).at(7000, title('✳ Claude Code'));
  expect(pane.decision).toMatchObject({
    status: 'working',
    since: 6000,
    settlingFrom: 7000,
    recheckAt: 8500,
    because: { rule: 'claude/spinner' },
  });
});

test('a screen that changes has not settled', () => {
  const pane = new Pane().at(0, agent('codex'), screen('codex-command')).at(1000, screen('codex-ready'));
  for (let now = 2000; now < 8000; now += 1000) pane.at(now, now % 2000 ? screen('codex-ready') : screen('codex-typing'));
  expect(pane.decision.status).toBe('working');
  for (let now = 8000; now < 20_000; now += 500) pane.at(now, screen('codex-ready'));
  expect(pane.history.at(-1)).toEqual(['done', 9500]);
});

test('what an agent says itself settles sooner', () => {
  const pane = claude().at(6000, title('⠂ Claude Code')).at(7000, title('✳ Claude Code'), hook('Stop', 'done')).at(9000);
  expect(pane.history.at(-1)).toEqual(['done', 7300]);
});

test('with nothing before, as after a restart, the evidence says since when', () => {
  const { evidence } = claude();
  expect(decide(evidence, 90_000, null, BUILT_IN)).toMatchObject({ status: 'done', since: 10 });
});

test('waiting beats working beats done, and the more trusted of equals is the reason', () => {
  const pane = claude().at(6000, hook('PreToolUse', 'working'), title('⠂ Claude Code'), screen('claude-working'));
  expect(pane.decision).toMatchObject({ status: 'working', because: { source: 'hook' } });
  expect(pane.at(6100, screen('claude-permission')).decision).toMatchObject({
    status: 'waiting',
    because: { source: 'screen', rule: 'claude/choice' },
  });
});

test('a title that says "ready" does not hide a dialog', () => {
  const pane = new Pane().at(10, agent('gemini'), title('◇  Ready (work)'), screen('gemini-trust')).at(9000);
  expect(pane.decision).toMatchObject({ status: 'waiting', because: { rule: 'gemini/choice' } });
});

test("a plan to approve is a question, though the program's report says that it is done", () => {
  const pane = new Pane().at(10, agent('codex'), report('working')).at(5000, report('done'), screen('codex-plan')).at(9000);
  expect(pane.decision.status).toBe('waiting');
});

test('the end of a progress bar is no end of a turn', () => {
  const progress = (state: 0 | 3): News => ({ is: 'signal', signal: { is: 'progress', state, percent: null } });
  const pane = new Pane().at(0, agent('claude'), text('nothing known')).at(1000, progress(3));
  expect(pane.decision).toMatchObject({ status: 'working', because: { source: 'progress' } });
  pane.at(2000, progress(0)).at(60_000);
  expect(pane.evidence.progress).toBeNull();
  expect(pane.history.map(([status]) => status)).not.toContain('done');
  expect(pane.decision.status).toBe('unknown');
});

test('unknown is said where nothing speaks', () => {
  const pane = new Pane().at(0, agent('opencode'), text('something new')).at(60_000);
  expect(pane.decision).toMatchObject({
    status: 'unknown',
    because: { source: 'silence', text: 'nothing that opencode shows says what it does' },
  });
});

test('silence is last: a screen that goes on changing is worked on, and an echo is not', () => {
  const pane = new Pane().at(0, agent('opencode'), text('a')).at(9000, text('b'));
  expect(pane.decision).toMatchObject({ status: 'working', because: { source: 'silence' }, recheckAt: 12_000 });
  expect(pane.at(13_000).decision.status).toBe('unknown');
  expect(pane.at(20_000, { is: 'input' }).at(20_100, text('bc')).decision.status).toBe('unknown');
});

test('a transcript tells nothing of now', () => {
  const pane = new Pane().at(0, agent('claude'), screen('claude-working')).at(5000, screen('claude-transcript')).at(9000);
  expect(pane.decision).toMatchObject({ status: 'working', since: 0, because: { rule: 'claude/interrupt' } });
});

test('a notification is believed until somebody types', () => {
  const notified: News = { is: 'signal', signal: { is: 'notification', text: 'Approval requested: ls' } };
  const pane = new Pane().at(0, agent('codex'), text('x')).at(5000, notified);
  expect(pane.decision).toMatchObject({
    status: 'waiting',
    because: { source: 'notification', text: 'it notified: "Approval requested: ls"' },
  });
  expect(pane.at(6000, { is: 'input' }).decision.status).toBe('unknown');
});

test('a bell means what its rules say', () => {
  const bell: News = { is: 'signal', signal: { is: 'bell' } };
  expect(new Pane().at(0, agent('codex'), text('x')).at(5000, bell).at(9000).decision.status).toBe('unknown');
  expect(new Pane().at(0, agent('aider'), text('x')).at(5000, bell).at(9000).decision.status).toBe('done');
});

test('what was said before the agent began is not about it', () => {
  const pane = new Pane()
    .at(100, title('⠂ Claude Code'), text('x'))
    .at(200, { ...agent('claude'), since: 150 } as News)
    .at(300, text('y'));
  expect(pane.decision.status).toBe('unknown');
});

// Stale authority: each of these ways a hook's word was left standing in somebody's tool.

test('a permission that was granted: no hook tells, the title moves again', () => {
  const pane = claude()
    .at(6000, hook('PermissionRequest', 'waiting'), title('⠂ Claude Code'), text('a dialog that no rule knows'))
    .at(6400, title('⠐ Claude Code'))
    .at(6500, title('✳ Claude Code'))
    .at(12_000, title('⠂ Claude Code'));
  expect(pane.history.slice(2)).toEqual([
    ['waiting', 6000],
    ['working', 12_000],
  ]);
});

test('a permission that was refused with Esc: no hook tells, the prompt is back', () => {
  const pane = claude()
    .at(6000, hook('PreToolUse', 'working'), title('⠂ Claude Code'), screen('claude-working'))
    .at(6100, hook('PermissionRequest', 'waiting'))
    .at(6150, title('✳ Claude Code'), screen('claude-permission'))
    .at(20_000, screen('claude-refused'))
    .at(60_000);
  expect(pane.history.slice(2)).toEqual([
    ['working', 6000],
    ['waiting', 6100],
    ['done', 23_000],
  ]);
});

test('a dialog that no rule knows: the title says "ready" for an hour, and the hook is believed', () => {
  const pane = claude().at(6000, hook('PermissionRequest', 'waiting'), text('Claude in Chrome wants to open a tab')).at(3_600_000);
  expect(pane.decision.status).toBe('waiting');
});

test('a turn that was interrupted: no hook tells, the title says so', () => {
  const pane = claude().at(6000, hook('UserPromptSubmit', 'working'), title('⠂ Claude Code')).at(9000, title('✳ Claude Code')).at(60_000);
  expect(pane.history.slice(2)).toEqual([
    ['working', 6000],
    ['done', 12_000],
  ]);
});

test('a prompt box that is always there does not end what a hook began', () => {
  const pane = claude().at(6000, hook('UserPromptSubmit', 'working'));
  for (let now = 7000; now < 60_000; now += 1000) pane.at(now, output, title('✳ Claude Code'));
  expect(pane.decision.status).toBe('working');
});

test('a turn that began without a hook after one that ended with it', () => {
  const pane = claude()
    .at(6000, hook('UserPromptSubmit', 'working'), title('⠂ Claude Code'))
    .at(7000, hook('Stop', 'done'), title('✳ Claude Code'))
    .at(20_000, title('⠂ Claude Code'));
  expect(pane.history.slice(2)).toEqual([
    ['working', 6000],
    ['done', 7300],
    ['working', 20_000],
  ]);
});

test('a word that was contradicted does not come back, and a last frame of the spinner contradicts nothing', () => {
  const codex = () => new Pane().at(0, agent('codex'), text('x')).at(6000, title('⠂ work')).at(7000, hook('Stop', 'done'));
  expect(codex().at(7100, title('⠐ work')).at(7200, title('work')).at(60_000).decision).toMatchObject({
    status: 'done',
    because: { source: 'hook' },
  });
  expect(codex().at(7200, title('work')).at(20_000, title('⠂ work')).at(30_000, title('work')).at(60_000).decision.status).toBe('unknown');
});

test('a title that does not move any more after the hook said "stop"', () => {
  const pane = claude().at(6000, title('⠂ Claude Code')).at(7000, hook('Stop', 'done')).at(10_000);
  expect(pane.history.slice(2)).toEqual([
    ['working', 6000],
    ['done', 8800],
  ]);
});

test('a turn that ended with a task in the background goes on, until the next turn ends', () => {
  const pane = claude()
    .at(6000, hook('UserPromptSubmit', 'working'), title('⠂ Claude Code'))
    .at(7000, hook('Stop', 'working', true), title('✳ Claude Code'))
    .at(600_000);
  expect(pane.history.slice(2)).toEqual([['working', 6000]]);
  pane.at(700_000, title('⠂ Claude Code')).at(702_000, title('✳ Claude Code')).at(800_000);
  expect(pane.history.slice(2)).toEqual([
    ['working', 6000],
    ['done', 703_500],
  ]);
});

test('an agent that always draws and has drawn nothing does not work', () => {
  const pane = claude().at(6000, hook('UserPromptSubmit', 'working'), title('⠂ Claude Code'), output).at(30_000, output).at(59_000);
  expect(pane.decision).toMatchObject({ status: 'working', recheckAt: 60_000 });
  expect(pane.at(70_000).history.at(-1)).toEqual(['done', 61_500]);
});

test('one that may be still is believed', () => {
  const pane = new Pane().at(0, agent('codex'), screen('codex-working-still')).at(6000, report('working'), output).at(3_600_000);
  expect(pane.decision.status).toBe('working');
});

test('nothing is asked again where nothing can change by itself', () => {
  const shell = new Pane().at(1, text('$ '), { is: 'command', mark: 'prompt' });
  const waiting = claude().at(6000, screen('claude-permission')).at(60_000);
  const codex = new Pane().at(0, agent('codex'), screen('codex-ready')).at(60_000);
  expect([shell, waiting, codex, claude().at(60_000)].map(({ decision }) => decision.recheckAt)).toEqual([null, null, null, null]);
});

/** What was sent, with what it leads to. The screen is only said to have something on it. */
test.each<[string, (string | number)[][]]>([
  [
    'claude-turn',
    [
      ['done', 2167],
      ['working', 2959],
      ['done', 4563],
    ],
  ],
  [
    'codex-turns',
    [
      ['working', 3252],
      ['done', 3552],
      ['working', 6822],
      ['done', 7338],
      ['working', 10_828],
      ['waiting', 10_989],
      ['working', 15_486],
      ['done', 15_805],
    ],
  ],
  [
    'codex-interrupted',
    [
      ['working', 485],
      ['done', 802],
      ['working', 4213],
      ['done', 7825],
    ],
  ],
  [
    'codex-still',
    [
      ['working', 364],
      ['done', 683],
      ['working', 4065],
      ['done', 7682],
      ['working', 9469],
      ['waiting', 9609],
    ],
  ],
  [
    'gemini-permission',
    [
      ['done', 4613],
      ['working', 6984],
      ['waiting', 7416],
    ],
  ],
])('the stream %s', (name, expected) => {
  const stream = readStream(name);
  const pane = new Pane();
  pane.at(0, agent(stream.agent), text('something'));
  const signals = new Signals();
  for (const { at, bytes } of stream.parts) for (const signal of signals.read(Buffer.from(bytes))) pane.at(at, { is: 'signal', signal });
  pane.at(stream.parts.at(-1)!.at + 5000);
  expect(pane.history.filter(([status]) => status !== 'starting' && status !== 'unknown')).toEqual(expected);
});

test('explain tells every piece of evidence, its age, and why it won or lost', () => {
  const pane = claude()
    .at(5900, title('⠂ Claude Code'))
    .at(6000, hook('PermissionRequest', 'waiting'))
    .at(6100, screen('claude-permission'));
  const { decision, agent: who, considered } = explain(pane.evidence, 8000, pane.decision, BUILT_IN);
  expect(decision.status).toBe('waiting');
  expect(who).toEqual({ id: 'claude', name: 'Claude Code', because: 'a test', since: 0, file: 'claude.yaml (built-in)' });
  expect(considered.slice(0, 3)).toEqual([
    {
      source: 'hook',
      rule: 'claude/PermissionRequest',
      status: 'waiting',
      text: 'the hook PermissionRequest reported',
      at: 6000,
      ageMs: 2000,
      verdict: 'won',
      why: 'waiting is the strongest of what stands',
    },
    {
      source: 'title',
      rule: 'claude/spinner',
      status: 'working',
      text: 'the title is "⠂ Claude Code"',
      at: 5900,
      ageMs: 2100,
      verdict: 'expired',
      why: 'it has not moved since the hook PermissionRequest reported',
    },
    {
      source: 'screen',
      rule: 'claude/choice',
      status: 'waiting',
      text: 'the screen shows "❯ 1. Yes"',
      at: 6100,
      ageMs: 1900,
      verdict: 'lost',
      why: 'it says the same, and hook is trusted more',
    },
  ]);
  expect(considered).toContainEqual({
    source: 'screen',
    rule: 'claude/dialog',
    status: null,
    text: 'Esc to cancel',
    at: 6100,
    ageMs: 1900,
    verdict: 'silent',
    why: 'claude/choice has a higher priority',
  });
  expect(considered).toContainEqual(
    expect.objectContaining({ rule: 'claude/transcript', verdict: 'silent', why: '"Showing detailed transcript" is not there' }),
  );
});

test('explain tells what settles, and for how long', () => {
  const pane = claude().at(6000, title('⠂ Claude Code')).at(7000, title('✳ Claude Code'), screen('claude-done'));
  const { considered } = explain(pane.evidence, 7500, pane.decision, BUILT_IN);
  expect(considered.map(({ rule, verdict, why }) => [rule, verdict, why]).slice(0, 2)).toEqual([
    ['claude/star', 'settling', 'it is believed when it has held for 1000 ms more; until then it is working'],
    ['claude/prompt', 'lost', 'it says the same, and title is trusted more'],
  ]);
});

test('explain tells why a shell at its prompt is nobody else', () => {
  const pane = claude().at(9000, { is: 'command', mark: 'prompt' });
  const { considered } = explain(pane.evidence, 9000, pane.decision, BUILT_IN);
  expect(considered[0]).toMatchObject({ rule: 'claude/star', verdict: 'lost', why: 'the shell is at its prompt' });
});
