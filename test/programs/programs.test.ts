import { expect, test } from 'vitest';
import { PROGRAMS } from './programs.ts';
import { rowsOf, Stage } from './stage.ts';

/** What a terminal is left with: everything back as it was before. */
const SANE = { isAlternate: false, mouse: 'none', bracketedPaste: false, applicationCursor: false, kittyFlags: 0, cursorVisible: true };

test.for(PROGRAMS)('$name: starts, and is resized, as on a bare terminal', async (program, { signal }) => {
  await using stage = await Stage.open(program, signal);
  const terminal = await stage.attach();
  const bare = await stage.bare();
  await Promise.all([stage.begins(terminal), stage.begins(bare)]);
  await stage.alike(terminal, bare);
  await stage.agrees(terminal);

  const events = await stage.rig.events();
  terminal.resize(72, 22);
  bare.resize(72, 22);
  // A terminal tells its size at once, an attached one a moment later. What is typed within that moment is still for the old size.
  await events.next(({ event }) => event === 'session.resized');
  for (const one of [terminal, bare]) {
    if (program.askSize) one.type(program.askSize);
    await one.shows(() => program.isRedrawn(rowsOf(one)));
  }
  await stage.agrees(terminal);
  await stage.alike(terminal, bare);
  expect(terminal.screen.keyModes).toEqual(bare.screen.keyModes);
  const { cols, rows } = await stage.client.call('session.get', { session: 'it' });
  expect({ cols, rows }).toEqual({ cols: 72, rows: 22 });
});

test.for(PROGRAMS)('$name: detaching gives the terminal back, and attaching shows the same screen', async (program, { signal }) => {
  await using stage = await Stage.open(program, signal);
  const terminal = await stage.attachBetweenSettings();
  await stage.begins(terminal);
  await stage.agrees(terminal);
  const before = stage.lasting(terminal);
  const modesBefore = terminal.screen.keyModes;
  const isAlternateBefore = terminal.screen.isAlternate;
  terminal.type('\x02d');
  expect(await terminal.exited).toEqual({ code: 0, signal: null });
  expect(terminal.text).toContain('[detached from session "it"]');
  const { mouse, bracketedPaste, applicationCursor, kittyFlags } = terminal.screen.keyModes;
  const { isAlternate, cursor } = terminal.screen;
  expect({ isAlternate, mouse, bracketedPaste, applicationCursor, kittyFlags, cursorVisible: cursor.visible }).toEqual(SANE);
  const [settings, settingsAfter] = terminal.written.toString('latin1').match(/^(?:[\da-f]+:){8,}[\da-f]+/gm)!;
  expect(settingsAfter, JSON.stringify(terminal.written.toString('latin1').slice(-300))).toBe(settings);

  const again = await stage.attach();
  await again.shows(program.answer);
  await stage.agrees(again);
  expect(stage.lasting(again)).toEqual(before);
  expect(again.screen.keyModes).toEqual(modesBefore);
  expect(again.screen.isAlternate).toBe(isAlternateBefore);
});

test.for(PROGRAMS)('$name: a client’s kill -9 leaves the other one at work', async (program, { signal }) => {
  await using stage = await Stage.open(program, signal);
  const other = await stage.attach();
  await stage.isReady(other);
  // The one who came last leads: its terminal answers the program's queries.
  const killed = await stage.attach();
  await stage.isReady(killed);
  const { pid } = await stage.client.call('session.get', { session: 'it' });
  process.kill(killed.pid, 'SIGKILL');
  await killed.exited;
  await stage.answers(other);
  await stage.agrees(other);
  const now = await stage.client.call('session.get', { session: 'it' });
  expect({ pid: now.pid, status: now.status, attached: now.attached }).toEqual({ pid, status: 'running', attached: 1 });
});

test.for(PROGRAMS.filter(({ beforePaste }) => beforePaste !== null))('$name: a paste arrives as a paste', async (program, { signal }) => {
  await using stage = await Stage.open(program, signal);
  const terminal = await stage.attach();
  const bare = await stage.bare();
  for (const one of [terminal, bare]) {
    await stage.isReady(one);
    one.type(`${program.beforePaste}\x1b[200~alpha one\n  beta two\ngamma three\x1b[201~`);
    // One below the other, as they were: a shell that ran them, or an editor that indented them, would show something else.
    await one.shows(() => isPasted(rowsOf(one)));
  }
  await stage.alike(terminal, bare);
  await stage.agrees(terminal);
});

function isPasted(rows: readonly string[]): boolean {
  const first = rows.findIndex((row) => row.endsWith('alpha one'));
  if (first === -1) return false;
  const [beta = '', gamma = ''] = rows.slice(first + 1);
  return beta.endsWith('beta two') && gamma.endsWith('gamma three') && beta.indexOf('beta') === gamma.indexOf('gamma') + 2;
}
