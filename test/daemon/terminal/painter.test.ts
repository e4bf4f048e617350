import fc from 'fast-check';
import { expect, test } from 'vitest';
import { COLOR, lookOfCell, PLAIN, sameLook } from '../../../src/daemon/terminal/attributes.ts';
import { Painter } from '../../../src/daemon/terminal/painter.ts';
import { Screen } from '../../../src/daemon/terminal/screen.ts';

function newScreen(cols: number, rows: number, scrollbackLines = 50): Screen {
  return new Screen({ cols, rows, scrollbackLines, answer: () => {} });
}

function write(screen: Screen, bytes: Uint8Array | string): void {
  screen.feed(typeof bytes === 'string' ? Buffer.from(bytes) : bytes, false);
  screen.settle();
}

/** Each cell as it looks: an empty cell is a space, and half a character is nothing. */
function picture(screen: Screen, left: number, top: number, cols: number, rows: number): string[][] {
  const { engine } = screen.emulator;
  return Array.from({ length: rows }, (_, y) =>
    Array.from({ length: cols }, (_, x) => {
      const line = top + y < engine.rows ? engine.active.lines.get(engine.active.ybase + top + y) : undefined;
      if (!line || left + x >= line.length) return ' ';
      const content = line._data[(left + x) * 3]!;
      const width = content >>> 22;
      const isCut = (width === 0 && x === 0) || (width === 2 && x === cols - 1);
      const { link, ...look } = lookOfCell(line, left + x);
      const target = engine.links.get(link)?.uri ?? '';
      if (isCut) return paint(' ', { ...PLAIN, bg: look.bg & COLOR }, '');
      const text =
        content & 0x200000
          ? line._combined[left + x]!
          : content & 0x1fffff
            ? String.fromCodePoint(content & 0x1fffff)
            : width === 0
              ? ''
              : ' ';
      return paint(text, { ...look, link: 0 }, target);
    }),
  );
}

function paint(text: string, look: typeof PLAIN, target: string): string {
  return sameLook(look, PLAIN) && !target ? text : `${text}|${look.fg},${look.bg},${look.underline},${look.underlineColor}${target}`;
}

const part = fc.constantFrom(
  'text',
  ' ',
  'a much longer text',
  '漢字',
  '🙂',
  'é\u0301',
  '\r\n',
  '\r\n\r\n',
  '\x1b[31m',
  '\x1b[1;44m',
  '\x1b[m',
  '\x1b[2J',
  '\x1b[H',
  '\x1b[K',
  '\x1b[1K',
  '\x1b[5;9H',
  '\x1b[2;3H',
  '\x1b[99;99H',
  '\x1b[3A',
  '\x1b[2D',
  '\x1b[L',
  '\x1b[2M',
  '\x1b[@',
  '\x1b[P',
  '\x1b[?1049h',
  '\x1b[?1049l',
  '\x1b[?25l',
  '\x1b[?25h',
  '\x1b]8;;http://a.example\x07',
  '\x1b]8;;\x07',
  '\x1b[4:3m',
  '\x1b]2;title\x07',
  '\x1b[S',
  '\x1b[T',
);

test('after every frame the viewer sees that part of the screen, the cursor within it', () => {
  const size = fc.record({ cols: fc.integer({ min: 2, max: 14 }), rows: fc.integer({ min: 1, max: 7 }) });
  fc.assert(
    fc.property(
      size,
      size,
      fc.array(fc.array(part, { maxLength: 8 }), { minLength: 1, maxLength: 6 }),
      fc.array(part, { maxLength: 8 }),
      (paneSize, viewerSize, frames, dirt) => {
        const pane = newScreen(paneSize.cols, paneSize.rows);
        const viewer = newScreen(viewerSize.cols, viewerSize.rows);
        write(viewer, `${dirt.join('')}\x1b[?6h\x1b[4h\x1b(0`);
        const painter = new Painter(pane, viewerSize.cols, viewerSize.rows);
        for (const frame of frames) {
          write(pane, frame.join(''));
          write(viewer, painter.frame());
          const left = pane.cursor.x - viewer.cursor.x;
          const top = pane.cursor.y - viewer.cursor.y;
          expect(left === 0 || (left > 0 && left + viewer.cols <= pane.cols)).toBe(true);
          expect(top === 0 || (top > 0 && top + viewer.rows <= pane.rows)).toBe(true);
          expect(picture(viewer, 0, 0, viewer.cols, viewer.rows)).toEqual(picture(pane, left, top, viewer.cols, viewer.rows));
          expect(viewer.cursor.visible).toBe(pane.cursor.visible);
          if (pane.title) expect(viewer.title).toBe(pane.title);
          expect(viewer.emulator.engine.core.coreService.decPrivateModes.synchronizedOutput).toBe(false);
        }
        pane.dispose();
        viewer.dispose();
      },
    ),
    { numRuns: 800 },
  );
});

test('the first frame keeps what the viewer had in its scrollback, and a frame without news is empty', () => {
  const pane = newScreen(20, 4);
  const viewer = newScreen(10, 3);
  write(viewer, 'one\r\ntwo\r\n$ attach');
  write(pane, 'hello');
  const painter = new Painter(pane, 10, 3);
  write(viewer, painter.frame());
  expect(viewer.lines({ from: -3, to: 2 })).toEqual(['one', 'two', '$ attach', 'hello', '', '']);
  expect(painter.frame()).toEqual(new Uint8Array(0));
  write(pane, '!');
  expect(Buffer.from(painter.frame()).toString()).toBe('\x1b[?2026h\x1b[1;1H\x1b[2Khello!\x1b[0 q\x1b[1;7H\x1b[?25h\x1b[?2026l');
  pane.dispose();
  viewer.dispose();
});
