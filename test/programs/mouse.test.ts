import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import type { TestTerminal } from '../support/terminal.ts';
import { HTOP, LESS, VIM } from './programs.ts';
import { rowsOf, Stage } from './stage.ts';

/** Presses and releases the left button on a cell, counted from 0, as a terminal reports it. */
function click(terminal: TestTerminal, x: number, y: number): void {
  terminal.type(`\x1b[<0;${x + 1};${y + 1}M\x1b[<0;${x + 1};${y + 1}m`);
}

function turnWheelDown(terminal: TestTerminal): void {
  terminal.type('\x1b[<65;10;10M');
}

test('vim: a click moves the cursor there, also after another attach', async ({ signal }) => {
  await using stage = await Stage.open(VIM, signal);
  const terminal = await stage.attach();
  await stage.isReady(terminal);
  await terminal.shows(() => terminal.screen.keyModes.mouseEncoding === 'sgr');
  click(terminal, 7, 1);
  await terminal.shows(() => isCursorAt(terminal, 7, 1));
  terminal.type('\x02d');
  await terminal.exited;
  const again = await stage.attach();
  await again.shows(() => isCursorAt(again, 7, 1) && again.screen.keyModes.mouse !== 'none');
  click(again, 2, 2);
  await again.shows(() => isCursorAt(again, 2, 2));
  await stage.agrees(again);
});

test('htop: a click on a column sorts by it, and one on a key at the bottom presses it', async ({ signal }) => {
  await using stage = await Stage.open(HTOP, signal);
  const terminal = await stage.attach();
  await stage.isReady(terminal);
  await terminal.shows(() => terminal.screen.keyModes.mouse !== 'none');
  const header = () => rowsOf(terminal).find((row) => /^ *PID +USER/.test(row)) ?? '';
  const before = header();
  click(terminal, before.indexOf('MEM%') + 1, rowsOf(terminal).indexOf(before));
  // The column that sorts has a mark after it, which takes the place of the blank.
  await terminal.shows(() => /MEM%[^ ]TIME|MEM%[^ ] /.test(header()) && header() !== before);
  click(terminal, rowsOf(terminal)[29]!.indexOf('Tree') + 1, 29);
  await terminal.shows(/^F1Help.*F5List/m);
});

const lessVersion = Number(/\d+/.exec(execFileSync('less', ['--version'], { encoding: 'utf8' })));

test.skipIf(lessVersion < 551)('less --mouse: the wheel scrolls', async ({ signal }) => {
  await using stage = await Stage.open({ ...LESS, command: ['less', '--mouse', 'numbers.txt'] }, signal);
  const terminal = await stage.attach();
  await stage.isReady(terminal);
  await terminal.shows(() => terminal.screen.keyModes.mouse !== 'none');
  expect(rowsOf(terminal)[0]).toBe('line 1');
  turnWheelDown(terminal);
  await terminal.shows(() => /^line (?!1$)\d+$/.test(rowsOf(terminal)[0]!));
  await stage.agrees(terminal);
});

function isCursorAt({ screen }: TestTerminal, x: number, y: number): boolean {
  return screen.cursor.x === x && screen.cursor.y === y;
}
