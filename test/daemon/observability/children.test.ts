import { mkdtempSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Children } from '../../../src/daemon/observability/children.ts';
import { startNodePty } from '../../../src/daemon/terminal/node-pty.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'children-'));
});

afterEach(() => {
  // Nothing that was started there is left.
  expect(processesWith(folder)).toEqual([]);
  rmSync(folder, { recursive: true, force: true });
});

const sh = (script: string): string[] => ['/bin/sh', '-c', script];
const environment = () => ({ PATH: process.env.PATH!, MARK: folder });

function processesWith(mark: string): string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      // One that has ended and is not buried yet has none.
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/environ`, 'latin1').includes(`MARK=${mark}`);
    } catch {
      return false;
    }
  });
}

async function exists(file: string): Promise<void> {
  using watcher = { watcher: watch(folder), [Symbol.dispose]: () => watcher.watcher.close() };
  const made = new Promise<void>((resolve) => watcher.watcher.on('change', () => readdirSync(folder).includes(file) && resolve()));
  if (!readdirSync(folder).includes(file)) await made;
}

test.each<[string, string, object]>([
  ['that ends well', 'exit 0', { ok: true }],
  ['that ends badly', 'exit 3', { ok: false, because: 'it ended with 3' }],
  ['that says why', 'echo; printf "no \\033[31mbus\\n" >&2; exit 1', { ok: false, because: 'it ended with 1: no [31mbus' }],
  ['that is not there', '/nowhere/at-all', { ok: false, because: expect.stringMatching(/^it ended with 127: .*not found/) }],
  ['with a NUL', 'echo \0', { ok: false, because: expect.stringContaining('null bytes') }],
  ['that leaves something in the background', 'sleep 1000 & exit 0', { ok: true }],
])('a program %s', async (_, script, wanted) => {
  using children = new Children();
  expect(await children.run(sh(script), environment())).toEqual(wanted);
});

test('one that takes too long is ended, with everything that it started', async () => {
  using children = new Children({ limitMs: 50 });
  expect(await children.run(sh('sleep 1000 & sleep 1000'), environment())).toEqual({
    ok: false,
    because: 'it took longer than 0.05 s, and was ended',
  });
});

test('four at a time, and the others wait; with ourselves all of them end', async () => {
  const children = new Children();
  const runs = Array.from({ length: 60 }, (_, n) => children.run(sh(`: > "${folder}/${n}"; sleep 1000`), environment()));
  await Promise.all([0, 1, 2, 3].map((n) => exists(`${n}`)));
  expect(readdirSync(folder).sort()).toEqual(['0', '1', '2', '3']);
  children[Symbol.dispose]();
  const ends = (await Promise.all(runs)).map((sent) => (sent.ok ? 'sent' : sent.because));
  const count = (because: string) => ends.filter((one) => one === because).length;
  expect([count('it ended with SIGKILL'), count('the daemon is stopping')]).toEqual([4, 50]);
  expect(count('50 others wait already: they take too long')).toBe(6);
  expect(await children.run(sh('exit 0'), environment())).toEqual({ ok: false, because: 'the daemon is stopping' });
});

test('it has no descriptor of ours, not even of terminals that we own', async () => {
  const ends = { exit() {}, lost() {}, data() {} };
  const pty = await startNodePty({ argv: ['/bin/cat'], env: {}, cwd: '/', cols: 80, rows: 24 }, ends);
  using children = new Children();
  try {
    expect(await children.run(sh(`ls -l /proc/self/fd > "${folder}/open"; ls -l /proc/$$/fd >> "${folder}/open"`), environment())).toEqual({
      ok: true,
    });
    const open = readFileSync(join(folder, 'open'), 'utf8');
    const others = [...open.matchAll(/-> (.*)$/gm)]
      .map(([, what]) => what!)
      .filter((what) => !/^(?:\/dev\/null|pipe:|socket:|\/proc\/)/.test(what));
    expect([...new Set(others)]).toEqual([join(folder, 'open')]);
    // Its standard error, and nothing else of that kind.
    expect(open.match(/-> (?:pipe|socket):/g)).toHaveLength(2);
  } finally {
    await pty.signal('SIGKILL', 'program');
  }
});
