import { expect, test } from 'vitest';
import { Rig } from '../support/rig.ts';

test('a text is pasted as one thing where the program takes pastes, and Enter comes apart', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'agent' });
  await puppet.raw();
  puppet.reads();
  puppet.print('\x1b[?2004h> ');
  await client.call('pane.wait', { sessions: ['agent'], conditions: [{ is: 'idle', ms: 50 }] });
  const text = 'one\n"two" ünï→😀\n\n  three\n';
  const pasted = Buffer.from('\x1b[200~one\n"two" ünï→😀\n\n  three\x1b[201~');
  const submitted = client.call('pane.submit', { session: 'agent', text });
  expect(await puppet.input(pasted.length)).toEqual(pasted);
  // Nothing more comes until the text is shown.
  puppet.print('[pasted text]');
  expect((await puppet.input(1)).toString()).toBe('\r');
  puppet.print('\r\nthinking');
  expect(await submitted).toMatchObject({ outcome: 'submitted', isPasted: true, evidence: 'the screen changed after Enter', screen: null });
  const { cursor } = await submitted;
  puppet.print('\r\nthe answer');
  expect(
    await client.call('pane.wait', { sessions: ['agent'], conditions: [{ is: 'text', text: 'the answer' }], after: [cursor] }),
  ).toMatchObject({
    outcome: 'matched',
  });
});

test('an Enter that was swallowed is pressed again, and one that does nothing is said', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'agent' });
  await puppet.raw();
  puppet.reads();
  puppet.print('> ');
  const again = client.call('pane.submit', { session: 'agent', text: 'hello' });
  expect((await puppet.input(5)).toString()).toBe('hello');
  puppet.print('hello');
  expect((await puppet.input(1)).toString()).toBe('\r');
  // A program that is still starting draws, and has not taken it.
  puppet.print('\x1b7\x1b[10;1Hloading\x1b8');
  expect((await puppet.input(1)).toString()).toBe('\r');
  puppet.print('\r\nok');
  expect(await again).toMatchObject({
    outcome: 'submitted',
    isPasted: false,
    evidence: 'the text has left the prompt after a second Enter',
  });
  const { code, stdout, stderr } = await rig.run(['submit', 'agent', 'in vain', '--timeout', '0.2']);
  expect({ code, stderr }).toEqual({ code: 1, stderr: '[stalled: nothing of the text was shown, and Enter changed nothing]\n' });
  expect(stdout).toContain('ok\n');
});

test('a real shell and a program that reads lines take it', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  for (const [name, command] of [
    ['bash', ['bash', '--norc']],
    ['cat', ['sh', '-c', 'echo ready; cat']],
  ] as const) {
    const { pane } = await client.call('session.create', {
      name,
      command: [...command],
      cwd: rig.home,
      env: { ...rig.environment, PS1: 'ready $ ' },
    });
    await client.call('pane.wait', { sessions: [name], conditions: [{ is: 'text', text: 'ready' }], after: [`${pane}:0`] });
    expect(await rig.run(['submit', name, 'echo one two'])).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
    const { code } = await rig.run(['wait', name, '--for', 'regex=^(echo )?one two$', '--timeout', '10', '--after', `${pane}:0`]);
    expect(code).toBe(0);
  }
  // A long paste through a real line editor.
  const long = `echo ${'x'.repeat(6000)} | wc -c`;
  expect(await rig.run(['submit', 'bash', long])).toMatchObject({ code: 0 });
  expect((await rig.run(['wait', 'bash', '--for', 'regex=^6001$', '--timeout', '10', '--after', '%1:0'])).code).toBe(0);
});

test.each([
  ['a control character', ['agent', 'a\x1b[201~b'], 2, 'The text has the control character \\x1b in it'],
  ['a line too long', ['agent', 'x'.repeat(5000)], 2, 'A line of the text has 5000 bytes, and the program has not asked for pastes'],
  ['nothing', ['agent', ' \n'], 2, 'The text is empty.'],
  ['no text', ['agent'], 2, 'Submit what?'],
  ['a wrong time', ['agent', 'a', '--timeout', 'soon'], 2, 'The timeout "soon" is not a number'],
  ['nobody', ['nobody', 'a'], 3, 'No session named "nobody"'],
])('%s is one clear sentence, and nothing is typed', async (_, args, code, sentence) => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'agent' });
  await puppet.raw();
  puppet.reads();
  const result = await rig.run(['submit', ...args]);
  expect(result).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(sentence) });
  await client.call('pane.write', { session: 'agent', input: ['!'], as: 'text' });
  expect((await puppet.input(1)).toString()).toBe('!');
});
