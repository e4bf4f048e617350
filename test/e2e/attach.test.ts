import { expect, test } from 'vitest';
import { Rig } from '../support/rig.ts';

/** What a terminal is left with: everything back as it was before. */
const SANE = { isAlternate: false, mouse: 'none', bracketedPaste: false, applicationCursor: false, kittyFlags: 0, cursorVisible: true };

function stateOf({ screen }: { screen: import('../../src/daemon/terminal/screen.ts').Screen }) {
  const { mouse, bracketedPaste, applicationCursor, kittyFlags } = screen.keyModes;
  return { isAlternate: screen.isAlternate, mouse, bracketedPaste, applicationCursor, kittyFlags, cursorVisible: screen.cursor.visible };
}

test('new ends with a person in a live session; C-b d leaves it, and attach finds it as it was', async () => {
  await using rig = await Rig.start();
  const terminal = await rig.terminal(['new', 'work', '--', '/bin/sh'], { environment: { PS1: 'ready> ' } });
  await terminal.shows('ready>');
  terminal.type('echo $((40 + 2)) $AI_SESSION\r');
  await terminal.shows('42 $1');
  terminal.type('\x02d');
  expect(await terminal.exited).toEqual({ code: 0, signal: null });
  expect(terminal.text).toContain('[detached from session "work"]');

  const again = await rig.terminal(['attach', 'work']);
  await again.shows('42 $1');
  again.type('exit 3\r');
  expect(await again.exited).toEqual({ code: 0, signal: null });
  expect(again.text).toContain('[session "work" ended: exit 3]');
});

test('a terminal is given back as it was, whatever the program did to it', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'wild' });
  const shell = await rig.terminal([], { command: ['/bin/sh'], environment: { PS1: 'outer> ' } });
  await shell.shows('outer>');
  const modes = async () => {
    shell.type('stty -a | tr " " "\\n" | grep -v "^$" | tr "\\n" " "; echo DO""NE\r');
    await shell.shows('DONE');
    const text = shell.text.replace(/\s+/g, ' ');
    shell.type('clear\r');
    await shell.shows(() => !shell.text.includes('DONE'));
    return /speed .*(?=DONE)/.exec(text)?.[0];
  };
  const before = await modes();
  expect(before).toContain('icanon');
  shell.type(`${process.execPath} ${process.cwd()}/bin/ai-session attach wild\r`);
  puppet.print('\x1b[?1049h\x1b[?1003h\x1b[?1006h\x1b[?2004h\x1b[?1h\x1b[?25l\x1b[>5u\x1b[3;10r\x1b(0\x1b[31;7mwild');
  await shell.shows('┬┤┌▒'.slice(0, 0) || (() => shell.screen.isAlternate && shell.screen.keyModes.mouse === 'any'));
  shell.type('\x1b[98;5ud');
  await shell.shows('[detached from session "wild"]');
  await shell.shows('outer>');
  expect(stateOf(shell)).toEqual(SANE);
  expect(await modes()).toBe(before);
});

test.each(['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT'] as const)('%s of the client gives the terminal back too', async (signal) => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'wild' });
  const terminal = await rig.terminal(['attach', 'wild']);
  puppet.print('\x1b[?1049h\x1b[?1003h\x1b[?25lwild');
  await terminal.shows('wild');
  process.kill(terminal.pid, signal);
  const { code } = await terminal.exited;
  expect(code).toBe({ SIGTERM: 143, SIGHUP: 129, SIGINT: 130, SIGQUIT: 131 }[signal]);
  expect(stateOf(terminal)).toEqual(SANE);
});

test('a client’s kill -9 hurts nobody else', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  const one = await rig.terminal(['attach', 'a']);
  const two = await rig.terminal(['attach', 'a']);
  puppet.print('both');
  await one.shows('both');
  await two.shows('both');
  process.kill(one.pid, 'SIGKILL');
  await one.exited;
  puppet.print(' and one');
  await two.shows('both and one');
});

test('the session follows the terminal’s size', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  await puppet.catches('SIGWINCH');
  const terminal = await rig.terminal(['attach', 'a'], { cols: 91, rows: 31 });
  expect((await puppet.nextSignal()).size).toEqual([91, 31]);
  terminal.resize(77, 22);
  expect((await puppet.nextSignal()).size).toEqual([77, 22]);
});

test('C-b C-b types C-b, a paste is never searched for it, and a reader types nothing', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  await puppet.raw();
  puppet.reads();
  const reader = await rig.terminal(['attach', 'a', '-r']);
  const terminal = await rig.terminal(['attach', 'a']);
  puppet.print('here');
  await terminal.shows('here');
  await reader.shows('here');
  reader.type('nothing of this');
  terminal.type('\x02\x02\x1b[200~a\x02d\x1b[201~\x02x!');
  expect((await puppet.input(16)).toString()).toBe('\x02\x1b[200~a\x02d\x1b[201~!');
  reader.type('\x02d');
  expect((await reader.exited).code).toBe(0);
});

test('scrollback from before reaches the terminal’s own', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet, session } = await rig.puppet(client, { name: 'a' });
  puppet.print(`${Array.from({ length: 200 }, (_, n) => `line ${n}`).join('\n')}\nend`);
  await (await rig.watch(client, session.id)).shows('end');
  const terminal = await rig.terminal(['attach', 'a']);
  await terminal.shows('end');
  const lines = terminal.screen.lines({
    from: -terminal.screen.historyLines,
    to: 23,
    withEscapes: false,
    joinWrapped: false,
    trimEnd: true,
  });
  expect(lines.filter((line) => /^line \d+$/.test(line))).toEqual(Array.from({ length: 200 }, (_, n) => `line ${n}`));
});

test('a terminal’s own scrollback from before the attach is not lost', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet, session } = await rig.puppet(client, { name: 'a' });
  puppet.print('inside');
  await (await rig.watch(client, session.id)).shows('inside');
  const shell = await rig.terminal([], {
    command: ['/bin/sh', '-c', `seq 1 50; exec ${process.execPath} ${process.cwd()}/bin/ai-session attach a`],
  });
  await shell.shows('inside');
  const lines = shell.screen.lines({ from: -shell.screen.historyLines, to: 23, withEscapes: false, joinWrapped: false, trimEnd: true });
  expect(lines.filter((line) => /^\d+$/.test(line))).toEqual(Array.from({ length: 50 }, (_, n) => `${n + 1}`));
});

test('nesting is refused and explained', async () => {
  await using rig = await Rig.start();
  const terminal = await rig.terminal(['new', 'outer', '--', '/bin/sh'], { environment: { PS1: 'ready> ' }, cols: 200 });
  await terminal.shows('ready>');
  terminal.type(`${process.execPath} ${process.cwd()}/bin/ai-session attach outer; echo code $?\r`);
  await terminal.shows('code 2');
  expect(terminal.text).toContain('You are inside session $1 already, so "outer" is not attached to here.');
  terminal.type(`${process.execPath} ${process.cwd()}/bin/ai-session new -d inner -- sleep 1000; echo code $?\r`);
  await terminal.shows('inner');
  await terminal.shows('code 0');
});

test('the title goes to the terminal, and the daemon’s stop is told', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  const terminal = await rig.terminal(['attach', 'a']);
  puppet.print('\x1b]2;hello title\x07shown');
  await terminal.shows('shown');
  await terminal.shows(() => terminal.screen.title === 'hello title');
  await client.call('daemon.stop', {});
  expect((await terminal.exited).code).toBe(0);
  expect(terminal.text).toContain(`[the daemon stopped; session "a" runs on. Come back with: ai-session attach`);
  // Nobody starts another one against the person's will.
  expect(await rig.run(['daemon', 'status'])).toMatchObject({ code: 4 });
});
