import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Signal, Signals } from '../../../src/daemon/status/stream.ts';

const read = (text: string) => new Signals().read(Buffer.from(text));
const notification = (text: string): Signal => ({ is: 'notification', text });

test.each<[string, string, Signal[]]>([
  ['a title, ended by BEL', '\x1b]0;⠂ Claude Code\x07', [{ is: 'title', text: '⠂ Claude Code' }]],
  ['a title, ended by ST', 'text\x1b]2;work\x1b\\more', [{ is: 'title', text: 'work' }]],
  ['an empty title', '\x1b]0;\x07', [{ is: 'title', text: '' }]],
  ['a title with controls in it', '\x1b]2;a\x01\nb\x07', [{ is: 'title', text: 'a b' }]],
  ['an icon name', '\x1b]1;icon\x07', []],
  ['progress', '\x1b]9;4;1;42\x07', [{ is: 'progress', state: 1, percent: 42 }]],
  ['progress without a number', '\x1b]9;4;3\x1b\\', [{ is: 'progress', state: 3, percent: null }]],
  ['the end of progress', '\x1b]9;4;0;\x07', [{ is: 'progress', state: 0, percent: null }]],
  ['OSC 9', '\x1b]9;Approval requested: ls\x07', [notification('Approval requested: ls')]],
  ['OSC 9 that begins with a number', '\x1b]9;3 tests failed\x07', [notification('3 tests failed')]],
  ["one of ConEmu's other commands", '\x1b]9;1;500\x07', []],
  ['OSC 777', '\x1b]777;notify;Claude;needs you\x07', [notification('Claude: needs you')]],
  ['OSC 99', '\x1b]99;;Hello\x1b\\', [notification('Hello')]],
  ['OSC 99 in pieces', '\x1b]99;i=1:d=0;He\x07\x1b]99;i=1:d=0;llo\x07\x1b]99;i=1:p=body;world\x07', [notification('Hello: world')]],
  ['OSC 99 in base64', '\x1b]99;e=1;SGVsbG8=\x07', [notification('Hello')]],
  ['what OSC 99 asks', '\x1b]99;i=x:p=?;\x07', []],
  [
    'a report',
    '\x1b]7501;state=blocked:app=codex:kind=permission\x1b\\',
    [{ is: 'report', report: { state: 'blocked', kind: 'permission', app: 'codex', message: '' } }],
  ],
  [
    'a report with a message',
    '\x1b]7501;state=done:kind=auth:msg=VXBncmFkZWQgMTIgcGFja2FnZXM=\x1b\\',
    [{ is: 'report', report: { state: 'done', kind: null, app: '', message: 'Upgraded 12 packages' } }],
  ],
  ['a report that is taken back', '\x1b]7501;state=clear\x07', [{ is: 'report', report: 'clear' }]],
  ['a report of a part', '\x1b]7501;state=working:id=build/test\x07', []],
  ['the question whether reports are understood', '\x1b]7501;?\x07', []],
  ['an unknown state', '\x1b]7501;state=sleeping\x07', []],
  ['bells', 'a\x07b\x07', [{ is: 'bell' }, { is: 'bell' }]],
  ['a bell after an escape', '\x1b\x07', [{ is: 'bell' }]],
  ['bells in a string', '\x1bPq\x07\x07#0\x1b\\', []],
  ['a title that is too long', `\x1b]0;${'x'.repeat(5000)}\x07`, []],
  ['a piece of another notification', '\x1b]99;i=1:d=0;a\x07\x1b]99;i=2;b\x07', [notification('b')]],
  ['a string that is cancelled', '\x1b]0;ti\x18tle\x07', [{ is: 'bell' }]],
  [
    'an escape that ends one title and begins another',
    '\x1b]0;a\x1b]0;b\x07',
    [
      { is: 'title', text: 'a' },
      { is: 'title', text: 'b' },
    ],
  ],
  ['a clipboard of a megabyte', `\x1b]52;c;${'A'.repeat(1 << 20)}\x07\x07`, [{ is: 'bell' }]],
])('%s', (_, text, signals) => {
  expect(read(text)).toEqual(signals);
});

test('it does not matter how the bytes are cut', () => {
  const text = Buffer.from(
    'a\x07\x1b]0;⠂ title\x1b\\\x1bPq\x07\x1b\\\x1b]9;4;3\x07\x1b]9;note\x07\x1b]7501;state=working\x1b\\\x1b]99;d=0;a\x07\x1b]99;;b\x07',
  );
  const whole = new Signals().read(text);
  expect(whole.map(({ is }) => is)).toEqual(['bell', 'title', 'progress', 'notification', 'report', 'notification']);
  fc.assert(
    fc.property(fc.array(fc.nat(text.length), { maxLength: 10 }), (cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), text.length];
      const signals = new Signals();
      expect(places.slice(1).flatMap((end, i) => signals.read(text.subarray(places[i], end)))).toEqual(whole);
    }),
  );
});

test('what never ends takes no memory', () => {
  const signals = new Signals();
  for (let i = 0; i < 100; i++) expect(signals.read(Buffer.from(`${i === 0 ? '\x1b]0;' : ''}${'x'.repeat(10_000)}`))).toEqual([]);
  for (let i = 0; i < 100; i++) signals.read(Buffer.from(`\x1b]99;i=${i}:d=0;${'x'.repeat(3000)}\x07`));
  const [long] = signals.read(Buffer.from('\x1b]99;i=99;\x07'));
  expect(long?.is === 'notification' && long.text.length).toBe(2000);
});
