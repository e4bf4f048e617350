import { expect, test } from 'vitest';
import { readHook } from '../../../src/daemon/status/hooks.ts';
import { loadRules } from '../../../src/daemon/status/rules.ts';
import { agentRules, readHooks } from './recordings.ts';

const statuses = (id: string, recording: string) =>
  readHooks(recording).map((payload) => {
    const event = String(payload.hook_event_name ?? payload.type);
    const word = readHook(agentRules(id), { event, payload, at: 5 });
    return `${event} ${word ? `${word.status}${word.isBackground ? ' in the background' : ''}` : '-'}`;
  });

test.each([
  [
    'claude',
    'claude-shell',
    [
      'SessionStart done',
      'UserPromptSubmit working',
      'PreToolUse working',
      'PermissionRequest waiting',
      'Notification waiting',
      'PostToolUse working',
      'Stop done',
    ],
  ],
  [
    'claude',
    'claude-ask',
    [
      'SessionStart done',
      'UserPromptSubmit working',
      'PreToolUse waiting',
      'PermissionRequest waiting',
      'Notification waiting',
      'PostToolUse working',
      'Stop done',
    ],
  ],
  ['claude', 'claude-refused', ['SessionStart done', 'UserPromptSubmit working', 'PreToolUse working', 'PermissionRequest waiting']],
  [
    'claude',
    'claude-background',
    ['SessionStart done', 'UserPromptSubmit working', 'PreToolUse working', 'PostToolUse working', 'Stop working in the background'],
  ],
  ['claude', 'claude-idle', ['SessionStart done', 'UserPromptSubmit working', 'Stop done', 'Notification done']],
  [
    'codex',
    'codex-permission',
    [
      'SessionStart done',
      'UserPromptSubmit working',
      'Stop done',
      'agent-turn-complete -',
      'UserPromptSubmit working',
      'PreToolUse working',
      'PermissionRequest waiting',
    ],
  ],
  [
    'gemini',
    'gemini-permission',
    [
      'SessionStart done',
      'BeforeAgent working',
      'PreCompress -',
      'AfterAgent done',
      'BeforeAgent working',
      'PreCompress -',
      'BeforeTool working',
      'Notification waiting',
      'AfterTool working',
      'PreCompress -',
      'AfterAgent done',
      'SessionEnd -',
      'SessionEnd -',
      'SessionEnd -',
    ],
  ],
])("what %s's hooks were given in %s", (id, recording, expected) => {
  expect(statuses(id, recording)).toEqual(expected);
});

test('a word says what it was given', () => {
  const background_tasks = [{ type: 'shell' }, { type: 'agent' }];
  expect(readHook(agentRules('claude'), { event: 'Stop', payload: { background_tasks }, at: 7 })).toEqual({
    event: 'Stop',
    status: 'working',
    isBackground: true,
    text: 'the hook Stop reported, and 2 background tasks run on',
    at: 7,
  });
});

test.each([
  ['an event that nobody knows', 'Elsewhere', {}],
  ['an event that is a property of every object', 'constructor', {}],
  ['a value that means nothing', 'Notification', { notification_type: 'auth_success' }],
  ['a value that is a property of every object', 'Notification', { notification_type: 'toString' }],
  ['no payload', 'Notification', null],
  ['a payload that is a text', 'Notification', 'permission_prompt'],
  ['a value that is no text and will not become one', 'Notification', { notification_type: { toString: 1, valueOf: 1 } }],
])('%s is no word', (_, event, payload) => {
  expect(readHook(agentRules('claude'), { event, payload, at: 0 })).toBeNull();
});

test.each([[undefined], ['many'], [{ length: 3 }]])('background tasks of %j are none', (background_tasks) => {
  expect(readHook(agentRules('claude'), { event: 'Stop', payload: { background_tasks }, at: 0 })?.status).toBe('done');
});

test('a value that is not listed has the status of the event', () => {
  const text = 'id: a\nagent: A\nprograms: [a]\nhooks: { E: { status: working, field: kind, values: { x: waiting } } }';
  const [rules] = loadRules([{ file: 'a.yaml', text, origin: 'user' }]).rules.agents;
  const of = (payload: object) => readHook(rules!, { event: 'E', payload, at: 0 })?.status;
  expect([of({ kind: 'x' }), of({ kind: 'y' }), of({})]).toEqual(['waiting', 'working', 'working']);
});

test.each([
  ['claude', 'SessionStart', { source: 'resume' }, 'done'],
  ['claude', 'SessionStart', { source: 'compact' }, undefined],
  ['claude', 'PostCompact', { trigger: 'auto' }, 'working'],
  ['claude', 'PostCompact', { trigger: 'manual' }, 'done'],
  ['codex', 'SessionStart', { source: 'compact' }, undefined],
  ['codex', 'PostCompact', { trigger: 'manual' }, 'done'],
  ['codex', 'Interrupt', {}, 'done'],
])("%s's %s with %j", (id, event, payload, expected) => {
  expect(readHook(agentRules(id), { event, payload, at: 0 })?.status).toBe(expected);
});
