import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LineAssembler } from '../../../src/daemon/history/lines.ts';
import { ansiText, plainText } from '../../../src/daemon/history/plain.ts';
import type { Entry } from '../../../src/daemon/persistence/journal/entry.ts';
import { PtyRig, type Recording } from '../../support/pty.ts';
import { entriesOf } from './streams.ts';

/** What real programs wrote on a PTY. */
async function record(script: string, interact: (recording: Recording, type: (text: string) => void) => Promise<void> = async () => {}) {
  await using rig = new PtyRig();
  mkdirSync(join(rig.directory, 'folder'));
  writeFileSync(join(rig.directory, 'a file'), '');
  const { pty, output } = await rig.shell('node-pty', script, { env: { ...rig.env, TERM: 'xterm-256color' } });
  await interact(output, (text) => pty.write(Buffer.from(text)));
  await output.ends();
  return output.bytes;
}

const textOf = (bytes: Buffer) => [...plainText([SIZE, ...entriesOf(bytes, [7, 30, 31])])].join('');
const SIZE: Entry = { is: 'resize', at: 0, offset: 0, cols: 80, rows: 24 };

test('ls --color on a terminal', async () => {
  const bytes = await record('ls --color=always --hyperlink=always -1pN');
  expect(bytes.toString()).toContain('\x1b');
  expect(textOf(bytes)).toBe('a file\nfolder/\n');
  const ansi = [...ansiText(entriesOf(bytes))].join('');
  expect(ansi).toMatch(/\x1b\[[\d;]*m\x1b\]8;;file:\/\/\S*folder\x1b\\folder\x1b/);
});

test('a spinner as npm draws it, ended by its result', async () => {
  const bytes = await record(
    [
      `for i in 1 2 3; do printf '\\033[?25l\\r\\033[K\\342\\240\\213 installing %s' $i; printf '\\033[1G\\033[0K'; done`,
      `printf '\\033[?25h\\nadded 3 packages\\n'`,
    ].join('; '),
  );
  expect(textOf(bytes)).toBe('\nadded 3 packages\n');
});

test('a shell at which somebody typed and corrected', async () => {
  const bytes = await record('PS1="$ " exec bash --norc --noprofile -i', async (output, type) => {
    await output.shows('$ ');
    type('echo wrnog\x7f\x7f\x7f\x7frong\x01\x05\x17right\r');
    await output.until(({ text }) => /right\r\n.*right\r\n.*\$ $/s.test(text));
    type('exit\r');
  });
  expect(textOf(bytes)).toBe('$ echo right\nright\n$ exit\nexit\n');
});

test.skipIf(spawnSync('vim', ['--version']).status !== 0)('vim leaves no lines but those around it', async () => {
  const bytes = await record('echo before; vim -u NONE -i NONE -n "a file"; echo after', async (output, type) => {
    await output.shows('\x1b[?1049h');
    type('ihello\x1b:q!\r');
  });
  expect(bytes.length).toBeGreaterThan(500);
  const lines = new LineAssembler();
  const texts = [...entriesOf(bytes, [11, 100, 101, 300]).flatMap((entry) => lines.push(entry)), ...lines.flush()].map(({ text }) => text);
  expect(texts.filter((text) => text !== '')).toEqual(['before', 'after']);
});
