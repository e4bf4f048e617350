import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { Screen } from '../../../src/daemon/terminal/screen.ts';
import { RESET_TERMINAL } from '../../../src/wire/terminal-reset.ts';

const { Terminal } = createRequire(import.meta.url)('@xterm/headless') as typeof import('@xterm/headless');

function screenWith(bytes: string, { cols = 10, rows = 3, scrollbackLines = 50 } = {}): Screen {
  const screen = new Screen({ cols, rows, scrollbackLines, answer: () => {} });
  screen.feed(Buffer.from(bytes), false);
  screen.settle();
  return screen;
}

test('lines are counted as tmux counts them: 0 is the first visible row, history is negative, and what is out of range is clamped', () => {
  const screen = screenWith('a\r\nb\r\nc\r\nd\r\ne  ');
  expect(screen.lines({ from: 0, to: 2 })).toEqual(['c', 'd', 'e']);
  expect(screen.lines({ from: -1, to: 0 })).toEqual(['b', 'c']);
  expect(screen.lines({ from: -99, to: 99, trimEnd: false })).toEqual(['a', 'b', 'c', 'd', 'e  ']);
  expect([screen.historyLines, screen.linesScrolled]).toEqual([2, 2]);
});

test('wrapped rows are joined when asked', () => {
  const screen = screenWith('0123456789abc\r\nd');
  expect(screen.lines({ from: 0, to: 2 })).toEqual(['0123456789', 'abc', 'd']);
  expect(screen.lines({ from: 0, to: 2, joinWrapped: true, trimEnd: false })).toEqual(['0123456789abc', 'd']);
});

test('escapes are those of each line alone', () => {
  const screen = screenWith('\x1b[1;31mred\r\nstill\x1b[m \x1b]8;;http://x\x07link\x1b]8;;\x07');
  expect(screen.lines({ from: 0, to: 1, withEscapes: true })).toEqual([
    '\x1b[1;31mred\x1b[m',
    '\x1b[1;31mstill\x1b[m \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\',
  ]);
});

test('the history is in reach from the alternate screen', () => {
  const screen = screenWith('a\r\nb\r\nc\r\nd\x1b[?1049h\x1b[Hfull');
  expect(screen.lines({ from: -1, to: 0 })).toEqual(['a', 'full']);
});

test('a wide character, an emoji and a cluster keep their widths on every Node', () => {
  const screen = screenWith('漢🙂👩‍👩‍👧é|');
  expect(screen.cursor).toEqual({ x: 8, y: 0, visible: true });
});

test('what a program says about itself is known', () => {
  const titles: string[] = [];
  let bells = 0;
  const screen = new Screen({
    cols: 10,
    rows: 3,
    scrollbackLines: 5,
    answer: () => {},
    onTitle: (title) => titles.push(title),
    onBell: () => bells++,
  });
  screen.feed(
    Buffer.from(
      '\x1b]2;vim\x07\x07\x1b]7;file://host/tmp/a%20b\x1b\\\x1b[?1h\x1b=\x1b[?2004h\x1b[?1002h\x1b[?1006h\x1b[>5u\x1b[>4;2m\x1b[?25l',
    ),
    false,
  );
  screen.settle();
  expect({
    titles,
    bells,
    title: screen.title,
    directory: screen.workingDirectory,
    visible: screen.cursor.visible,
    ...screen.keyModes,
  }).toEqual({
    titles: ['vim'],
    bells: 1,
    title: 'vim',
    directory: '/tmp/a b',
    visible: false,
    applicationCursor: true,
    applicationKeypad: true,
    bracketedPaste: true,
    focusReports: false,
    mouse: 'drag',
    mouseEncoding: 'sgr',
    kittyFlags: 5,
    modifyOtherKeys: 2,
  });
});

test('a snapshot can hold all of the history, none, or what a viewer has missed', () => {
  const screen = screenWith(Array.from({ length: 8 }, (_, i) => `line ${i}\r\n`).join(''));
  const seen = (history: 'all' | 'none' | { sinceLine: number }) => {
    const viewer = screenWith('');
    viewer.feed(screen.snapshot({ history, onto: 'new' }), false);
    return viewer.lines({ from: -99, to: 99 });
  };
  expect(screen.linesScrolled).toBe(6);
  expect(seen('all')).toEqual(['line 0', 'line 1', 'line 2', 'line 3', 'line 4', 'line 5', 'line 6', 'line 7', '']);
  expect(seen({ sinceLine: 4 })).toEqual(['line 4', 'line 5', 'line 6', 'line 7', '']);
  expect(seen({ sinceLine: 99 })).toEqual(['line 6', 'line 7', '']);
  expect(seen('none')).toEqual(['line 6', 'line 7', '']);
});

test('lines keep their number when the history is full, cleared or thrown away by a reset', () => {
  const screen = screenWith('x\r\n'.repeat(20), { scrollbackLines: 4 });
  expect([screen.linesScrolled, screen.historyLines]).toEqual([18, 4]);
  screen.feed(Buffer.from('\x1b[3J'), false);
  screen.settle();
  expect([screen.linesScrolled, screen.historyLines]).toEqual([18, 0]);
  screen.feed(Buffer.from('\r\n\r\n\x1bc\r\n\r\n\r\n'), false);
  screen.settle();
  expect([screen.linesScrolled, screen.historyLines]).toEqual([21, 1]);
});

test('a screen that is saved and restored again and again does not grow blank lines', () => {
  let screen = screenWith('a\r\nb\r\nc\r\nd\r\n$ ');
  for (let i = 0; i < 3; i++) {
    const next = screenWith('');
    next.feed(screen.snapshot({ history: 'all', onto: 'new' }), false);
    screen = next;
  }
  expect(screen.lines({ from: -99, to: 99, trimEnd: false })).toEqual(['a', 'b', 'c', 'd', '$ ']);
});

test('xterm.js as it comes shows the same', async () => {
  const screen = screenWith('one\r\ntwo three four five\r\n\x1b[31mred\x1b[m 0123456789abcdef\r\nlast\x1b[?1006h\x1b[?2004h', { cols: 12 });
  const plain = new Terminal({ cols: 12, rows: 3, scrollback: 50, allowProposedApi: true });
  await new Promise<void>((resolve) => plain.write(screen.snapshot({ history: 'all' }), resolve));
  const { active } = plain.buffer;
  const lines = Array.from(
    { length: active.length },
    (_, y) => `${active.getLine(y)!.isWrapped ? '>' : ''}${active.getLine(y)!.translateToString(true)}`,
  );
  expect(lines).toEqual(['', '', '', 'one', 'two three fo', '>ur five', 'red 01234567', '>89abcdef', 'last']);
  expect([active.cursorX, active.cursorY, plain.modes.bracketedPasteMode]).toEqual([4, 2, true]);
  plain.dispose();
});

test('reflow keeps links and underlines, and a narrow alternate screen forgets what it cut off', () => {
  const screen = screenWith('\x1b]8;;http://x\x07abcdef\x1b]8;;\x07\x1b[4:3;58;5;9mghij\x1b[m\r\n\r\n');
  screen.resize(6, 3);
  screen.resize(10, 3);
  expect(screen.lines({ from: 0, to: 0, withEscapes: true })).toEqual([
    '\x1b]8;;http://x\x1b\\abcdef\x1b[4:3;58:5:9m\x1b]8;;\x1b\\ghij\x1b[m',
  ]);
  screen.feed(Buffer.from('\x1b[?1049h\x1b[H0123456789'), false);
  screen.resize(4, 3);
  screen.resize(10, 3);
  expect(screen.lines({ from: 0, to: 0 })).toEqual(['0123']);
});

test('three bytes of a dash cut after the second are still a dash', () => {
  const screen = new Screen({ cols: 10, rows: 1, scrollbackLines: 0, answer: () => {} });
  for (const byte of Buffer.from('a—b')) {
    screen.feed(Uint8Array.of(byte), false);
    screen.settle();
  }
  expect(screen.lines({ from: 0, to: 0 })).toEqual(['a—b']);
});

test('a count beyond reason neither hangs nor eats the memory, and an erase at the corner does not throw', () => {
  const errors: unknown[] = [];
  const screen = new Screen({ cols: 10, rows: 3, scrollbackLines: 5, answer: () => {}, onPoison: (error) => errors.push(error) });
  for (const final of 'STLMbIZ@PXABCDEFGd') screen.feed(Buffer.from(`x\x1b[2147483647${final}`), false);
  screen.feed(Buffer.from('\x1b[3;10H\x1b[1J'), false);
  screen.settle();
  expect(errors).toEqual([]);
});

test('a character repeated without end costs a screenful, and leaves the screen as if it had been printed so often', () => {
  for (const [character, width] of [
    ['a', 1],
    ['漢', 2],
    ['e\u0301', 1],
  ] as const) {
    const before = 'one\r\ntwo';
    const repeated = screenWith(`${before}${character}\x1b[65535b`);
    const printed = screenWith(`${before}${character.repeat(65_536)}`);
    const shown = (screen: Screen) => [
      screen.lines({ from: 0, to: 2 }),
      screen.cursor,
      screen.lines({ from: 0, to: 2, joinWrapped: true }),
    ];
    expect(shown(repeated)).toEqual(shown(printed));
    // Nine bytes make no more than a screenful of work and a row.
    const { engine } = repeated.emulator;
    expect(engine.linesScrolled).toBeLessThanOrEqual(3 + 1 + width);
  }
});

test('repeats are not printed one by one', () => {
  const screen = screenWith('', { cols: 80, rows: 24, scrollbackLines: 1000 });
  const handler = screen.emulator.engine.core._inputHandler;
  const print = handler.print;
  let printed = 0;
  handler.print = (codes, start, end) => {
    printed += end - start;
    print(codes, start, end);
  };
  screen.feed(Buffer.from('a\x1b[65535b'.repeat(100)), false);
  screen.settle();
  // A first and a last one in each of 25 rows.
  expect(printed).toBeLessThanOrEqual(100 * 52);
});

test('a cell takes no more marks than anybody can read, and joins on as before', () => {
  const screen = screenWith(`a${'\u0301'.repeat(10_000)}b`);
  const [line] = screen.lines({ from: 0, to: 0 });
  expect(line).toBe(`a${'\u0301'.repeat(31)}b`);
  expect(screen.cursor.x).toBe(2);
  expect(screenWith('👩🏽‍❤️‍💋‍👩🏽').lines({ from: 0, to: 0 })).toEqual(['👩🏽‍❤️‍💋‍👩🏽']);
});

test('what a program says about itself is kept to a length', () => {
  const long = 'x'.repeat(5000);
  const screen = screenWith(`\x1b]2;${'é'.repeat(600)}\x07\x1b]1;${long}\x07\x1b]7;file:///a\x07\x1b]7;file:///${long}\x07`);
  expect(screen.title).toBe('é'.repeat(512));
  expect(screen.emulator.engine.core._inputHandler._iconName).toBe('x'.repeat(1024));
  expect(screen.workingDirectory).toBe('/a');
  screen.feed(Buffer.from(`\x1b]2;x${'🙂'.repeat(300)}\x07`), false);
  screen.settle();
  expect(screen.title).toBe(`x${'🙂'.repeat(255)}`);
});

test('a link of more than 4 KiB is no link, and links take a bounded amount of memory', () => {
  const link = (uri: string, text: string) => `\x1b]8;;${uri}\x07${text}\x1b]8;;\x07`;
  const fits = `http://${'x'.repeat(4089)}`;
  const screen = screenWith(link(fits, 'a') + link(`${fits}x`, 'b'), { scrollbackLines: 5000 });
  expect(screen.lines({ from: 0, to: 0, withEscapes: true })).toEqual([`\x1b]8;;${fits}\x1b\\a\x1b]8;;\x1b\\b`]);
  // All in use: 5000 lines of ten.
  const links = screen.emulator.engine.links;
  for (let i = 0; i < 3000; i++) screen.feed(Buffer.from(link(`http://${String(i).padStart(4000, 'x')}`, 'c')), false);
  screen.settle();
  expect(links.sizeBytes).toBeLessThanOrEqual(16 << 20);
  expect(links.sizeBytes).toBeGreaterThan(15 << 20);
  // They are gone, so there is room again.
  screen.feed(Buffer.from(`\x1bc${link('http://new', 'd').repeat(1)}`), false);
  for (let i = 0; i < 1100; i++) screen.feed(Buffer.from(link(`http://new/${i}`, '\rd')), false);
  expect(screen.lines({ from: 0, to: 0, withEscapes: true })).toEqual([expect.stringContaining('http://new/1099')]);
  expect(links.sizeBytes).toBeLessThan(1 << 20);
});

test('a string of more than a million characters is read over and not kept', () => {
  const screen = screenWith(`\x1b]2;short\x07\x1b]2;${'x'.repeat((1 << 20) + 1)}`);
  const { _oscParser } = screen.emulator.engine.core._inputHandler._parser;
  expect(_oscParser._handlers[2]!.map(({ _data }) => _data.length)).toEqual([0]);
  screen.feed(Buffer.from('\x07after'), false);
  screen.settle();
  expect([screen.title, screen.lines({ from: 0, to: 0 })]).toEqual(['short', ['after']]);
});

test('each byte of a long string is looked at once for the late joiner', () => {
  const screen = screenWith('');
  const { _transitions } = screen.emulator.engine.core._inputHandler._parser;
  let looks = 0;
  const table = _transitions.table;
  const ours = screen.emulator.engine.core._inputHandler._parser as { _transitions: { table: Uint8Array } };
  ours._transitions = {
    table: new Proxy(table, {
      get: (target, name) => {
        looks++;
        return Reflect.get(target, name, target);
      },
    }),
  };
  const length = 1 << 18;
  screen.feed(Buffer.from('\x1b]52;c;'), false);
  for (let sent = 0; sent < length; sent += 4096) screen.feed(Buffer.alloc(4096, 'A'), false);
  for (let sent = 0; sent < length; sent += 4096) {
    screen.feed(Buffer.alloc(4096, 'A'), false);
    screen.settle();
  }
  // Upstream's parser has its own look at the first of each piece.
  expect(looks).toBeLessThan(2.5 * length);
  ours._transitions = { table };
});

for (const [kind, opening, end] of [
  ['OSC', '\x1b]52;c;', '\x07'],
  ['OSC of 8 bits', '\u009d52;c;', '\u009c'],
  ['DCS', '\x1bPq', '\x1b\\'],
  ['APC', '\x1b_G', '\x1b\\'],
  ['CSI', '\x1b[', 'X'],
] as const) {
  test(`who joins in the middle of an endless ${kind} reads over the rest of it`, () => {
    const screen = screenWith(`before${opening}${'1'.repeat((1 << 20) + 5)}`);
    const snapshot = screen.snapshot({ history: 'none', onto: 'new' });
    expect(snapshot.length).toBeLessThan(10_000);
    const joiner = screenWith('');
    joiner.feed(snapshot, false);
    joiner.feed(Buffer.from(`11${end}`), false);
    joiner.feed(Buffer.from('\rx'), false);
    expect(joiner.lines({ from: 0, to: 0 })).toEqual(['xefore']);
  });
}

test('after the reset a terminal is sane, its text where it was', () => {
  const text = 'one\r\ntwo\r\nthree';
  const wild =
    '\x1b[?1049h\x1b[?6h\x1b[2;3r\x1b[?1003h\x1b[?1006h\x1b[?1004h\x1b[?2004h\x1b[>31u\x1b[>4;2m\x1b[?1h\x1b=\x1b(0\x1b[?25l\x1b[5 q\x1b[1;31m\x1b[?2026h\x1b]8;;http://x\x07\x1b]11;#f00\x07\x1b[4h\x1b[?7l\x1b]0;unfini';
  const screen = screenWith(text + wild);
  const fresh = screenWith(text);
  screen.feed(Buffer.from(RESET_TERMINAL), false);
  screen.settle();
  expect(screen.lines({ from: 0, to: 2 })).toEqual(['one', 'two', 'three']);
  expect(screen.cursor).toEqual(fresh.cursor);
  expect(screen.keyModes).toEqual(fresh.keyModes);
  screen.feed(Buffer.from('q'), false);
  expect(screen.lines({ from: 0, to: 2, withEscapes: true })).toEqual(['one', 'two', 'threeq']);
  expect([screen.emulator.modes.colors.size, screen.emulator.engine.core.coreService.decPrivateModes]).toEqual([
    0,
    fresh.emulator.engine.core.coreService.decPrivateModes,
  ]);
});
