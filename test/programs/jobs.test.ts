import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { BASH, FISH, type Program, VIM, ZSH } from './programs.ts';
import { Stage } from './stage.ts';

const SHELLS: readonly Program[] = [BASH, ZSH, FISH];

test.for(SHELLS)('$name: a job is stopped, listed, continued and interrupted', async (shell, { signal }) => {
  await using stage = await Stage.open(shell, signal);
  const { command, enters } = stage.rig.cast();
  writeFileSync(join(stage.work, 'nap'), `#!/bin/sh\nexec '${command.join("' '")}'\n`, { mode: 0o755 });
  const terminal = await stage.attach();
  await stage.isReady(terminal);
  const prompts = () => terminal.text.match(/^ready>/gm)!.length;

  terminal.type('./nap 1000\r');
  const nap = await enters;
  await nap.catches('SIGCONT');
  await hasTerminal(nap.pid);
  terminal.type('\x1a');
  await terminal.shows(/(?:stopped|suspended)[\s\S]*^ready> ?$/im);
  expect(terminal.text).toMatch(/^.*(?:(?:stopped|suspended) .*nap|nap.* stopped)/im);

  let before = prompts();
  terminal.type('jobs\r');
  await terminal.shows(() => prompts() > before);
  expect(/^ready> jobs\n([\s\S]*)^ready>/m.exec(terminal.text)?.[1]).toMatch(/1.*(?:stopped|suspended).*nap/i);

  terminal.type('fg\r');
  // Shells give a job the terminal before they continue it.
  expect((await nap.nextSignal()).signal).toBe('SIGCONT');
  await hasTerminal(nap.pid);
  before = prompts();
  terminal.type('\x03');
  await nap.gone;
  await terminal.shows(() => prompts() > before);

  before = prompts();
  terminal.type('jobs\r');
  await terminal.shows(() => prompts() > before);
  expect(terminal.text.slice(terminal.text.lastIndexOf('jobs\n'))).not.toMatch(/nap/);
  await stage.agrees(terminal);
});

test.for(SHELLS)('$name: vim is suspended and resumed, and leaves the shell’s screen as it was', async (shell, { signal }) => {
  // Vim asks its terminal for fifty keys one after the other. Stopped in the midst of it, on any terminal, it leaves the answers to the
  // shell; a test is quick enough for that, so here it asks nothing.
  const files = (work: string) => {
    const { '.vimrc': vimrc, ...others } = VIM.files(work);
    return { ...shell.files(work), ...others, '.vimrc': `${vimrc}set t_RV= t_u7= t_RF= t_RB= ttymouse=sgr\n` };
  };
  await using stage = await Stage.open({ ...shell, files }, signal);
  const terminal = await stage.attach();
  await stage.begins(terminal);
  const showsVim = (one: typeof terminal) => one.shows(() => one.screen.isAlternate && VIM.ready.test(one.text));
  const showsShell = (one: typeof terminal, text: RegExp) => one.shows(() => !one.screen.isAlternate && text.test(one.text));

  terminal.type('vim greeting.txt\r');
  await showsVim(terminal);
  await stage.agrees(terminal);
  terminal.type('\x1a');
  await showsShell(terminal, /^42$[\s\S]*vim greeting\.txt[\s\S]*(?:stopped|suspended)[\s\S]*^ready> ?$/im);
  await stage.agrees(terminal);
  terminal.type('fg\r');
  await showsVim(terminal);
  await stage.agrees(terminal);

  // Another terminal gets both screens: vim's, and the shell's beneath it.
  terminal.type('\x02d');
  await terminal.exited;
  const again = await stage.attach();
  await showsVim(again);
  await again.shows(() => again.screen.keyModes.mouseEncoding === 'sgr' && again.screen.keyModes.bracketedPaste);
  again.type(':q\r');
  await showsShell(again, /^42$[\s\S]*vim greeting\.txt[\s\S]*(?:stopped|suspended)[\s\S]*^ready> ?$/im);
  await stage.agrees(again);
  again.type('expr 6 \\* 7 + 1\r');
  await again.shows(/^43$/m);
});

/** Waits until a process is in the foreground of its terminal. What is typed before may reach the shell instead. */
async function hasTerminal(pid: number): Promise<void> {
  for (;;) {
    const [, , group, , , foreground] = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    if (group === foreground) return;
    await setImmediate();
  }
}
