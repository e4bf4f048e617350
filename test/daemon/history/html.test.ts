import fc from 'fast-check';
import { expect, test } from 'vitest';
import { htmlPage } from '../../../src/daemon/history/html.ts';
import { type ReplayOptions, replay } from '../../../src/daemon/history/replay.ts';
import type { Entry } from '../../../src/daemon/persistence/journal/entry.ts';
import type { Screen } from '../../../src/daemon/terminal/screen.ts';
import { anyBytes, entriesOf, SEED } from './streams.ts';

function page(output: string | Uint8Array, { cols = 40, rows = 4, scrollbackLines = 50, title = 'T' } = {}): string {
  const screen = replayed(entriesOf(Buffer.from(output)), { cols, rows, scrollbackLines });
  try {
    return [...htmlPage(screen, { title })].join('');
  } finally {
    screen.dispose();
  }
}

/** What stands on the page, as markup. */
const body = (html: string) => /<pre>\n(.*)<\/pre>/s.exec(html)![1]!;

/** What one reads there. */
const textOf = (markup: string) =>
  markup.replace(/<[^>]*>/g, '').replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));

test.each([
  ['plain text is itself', 'a <b> & "c"\'', 'a &#60;b&#62; &#38; &#34;c&#34;&#39;\n'],
  ['attributes', '\x1b[1mb\x1b[0;2md\x1b[0;3mi', '<span class="b">b</span><span class="d">d</span><span class="i">i</span>\n'],
  [
    'lines',
    '\x1b[4mu\x1b[4:3;58;5;196;9;53mc',
    '<span style="text-decoration-line:underline">u</span>' +
      '<span style="text-decoration-line:underline line-through overline;text-decoration-style:wavy;' +
      'text-decoration-color:#ff0000">c</span>\n',
  ],
  [
    'colors of the palette',
    '\x1b[31;44mx\x1b[91my',
    '<span style="color:var(--c1);background:var(--c4)">x</span><span style="color:var(--c9);background:var(--c4)">y</span>\n',
  ],
  [
    'other colors',
    '\x1b[38;5;110;48;2;1;2;3mx\x1b[m\x1b[38;5;240my',
    '<span style="color:#87afd7;background:#010203">x</span><span style="color:#585858">y</span>\n',
  ],
  [
    'inverse and hidden',
    '\x1b[7mi\x1b[0;8;31mh',
    '<span style="color:var(--bg);background:var(--fg)">i</span><span style="color:transparent">h</span>\n',
  ],
  ['wide characters and unusual ones have their columns', '漢a✓│é', '<span class="w">漢</span>a<span class="n">✓</span>│é\n'],
  ['a background at the end of a line stays', 'a\x1b[41m  \x1b[m  ', 'a<span style="background:var(--c1)">  </span>\n'],
  ['history, the screen, and no blank rows at the end', '1\r\n2\r\n\r\n\r\n5\r\n\r\n', '1\n2\n\n\n5\n'],
  [
    'a link',
    '\x1b]8;;https://example.org/?a="&b\x1b\\go\x1b]8;;\x1b\\',
    '<a href="https://example.org/?a=%22&#38;b" rel="noopener noreferrer">go</a>\n',
  ],
  ['no other link', '\x1b]8;;javascript:alert(1)\x1b\\go\x1b]8;;file:///etc/passwd\x1b\\f\x1b]8;; JavaScript:x\x1b\\g', 'gofg\n'],
])('%s', (_, output, expected) => {
  expect(body(page(output))).toBe(expected);
});

test('the page needs nothing and runs nothing, whatever its title', () => {
  const html = page('x', { title: '</title><script>alert(1)</script>\x1b' });
  expect(html).toContain('<title>&#60;/title&#62;&#60;script&#62;alert(1)&#60;/script&#62;�</title>');
  expect(html).toContain(`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline';`);
  expect(html).toContain('prefers-color-scheme: dark');
  expect(html).not.toMatch(/<script|<img|<link|@import|url\(/i);
});

const OURS =
  /^<(?:\/span|\/a|(?:span|a href="https?:[^"<>]*" rel="noopener noreferrer")(?: class="[wnbdi ]+")?(?: style="[\w\-:;#() ]+")?)>$/;

test('whatever the program wrote, the page is well-formed, reads as the screen, and has no markup but ours', () => {
  fc.assert(
    fc.property(anyBytes(), (bytes) => {
      const screen = replayed(entriesOf(bytes), { cols: 30, rows: 4, scrollbackLines: 10 });
      const markup = body([...htmlPage(screen)].join(''));
      const lines = screen.lines({ from: -99, to: 99 });
      while (lines.at(-1) === '') lines.pop();
      const read = textOf(markup)
        .split('\n')
        .map((line) => line.trimEnd());
      while (read.at(-1) === '') read.pop();
      expect(read).toEqual(lines.map((line) => line.trimEnd()));
      const open: string[] = [];
      for (const [tag, slash, name] of markup.matchAll(/<(\/?)(\w+)[^>]*>/g)) {
        expect(tag).toMatch(OURS);
        if (slash) expect(open.pop()).toBe(name);
        else open.push(name!);
      }
      expect(open).toEqual([]);
      screen.dispose();
    }),
    { seed: SEED, numRuns: 200 },
  );
});

test('a replay follows resizes in their order, and says where bytes are missing', () => {
  const entries: Entry[] = [
    { is: 'resize', at: 0, offset: 0, cols: 20, rows: 3 },
    { is: 'output', at: 0, offset: 0, bytes: Buffer.from('0123456789abcde\r\n') },
    { is: 'resize', at: 0, offset: 17, cols: 10, rows: 4 },
    { is: 'output', at: 0, offset: 17, bytes: Buffer.from('\x1b[31mred\x1b]0;never en') },
    { is: 'resize', at: 0, offset: 30, cols: 50, rows: 6 },
    { is: 'input', at: 0, offset: 30, length: 1 },
    { is: 'gap', at: 0, offset: 30, to: 40, because: 'damage' },
    { is: 'output', at: 0, offset: 40, bytes: Buffer.from('after') },
  ];
  const screen = replayed(entries, { cols: 80, rows: 24, scrollbackLines: 10 });
  // Nothing is kept for later.
  expect([screen.cols, screen.rows, screen.bytesWaiting]).toEqual([50, 6, 0]);
  expect(screen.lines({ from: -9, to: 3, joinWrapped: true })).toEqual([
    '0123456789abcde',
    'red',
    '[... 10 bytes were not kept: damage ...]',
    'after',
  ]);
  screen.dispose();
});

test('the history on the page is bounded by that of the screen', () => {
  const html = page(Array.from({ length: 5000 }, (_, i) => `line ${i}\r\n`).join(''), { scrollbackLines: 100 });
  expect(body(html).split('\n')).toHaveLength(100 + 3 + 1);
});

/** All steps at once. */
function replayed(entries: Iterable<Entry>, options: ReplayOptions): Screen {
  const steps = replay(entries, options);
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}
