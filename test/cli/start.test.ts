import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');
const root = mkdtempSync(join(tmpdir(), 'aiss-'));
const folder = join(root, 'dist', 'bundle');
const bundle = join(folder, 'cli.cjs');
const cacheOf = (path: string, name = 'cli') =>
  join(path, readdirSync(path).find((file) => file.startsWith(`${name}.`) && file.endsWith('.cache'))!);

beforeAll(() => {
  for (const part of ['bin', 'package.json', join('dist', 'bundle')]) cpSync(join(ROOT, part), join(root, part), { recursive: true });
  for (const part of ['node_modules', 'native']) symlinkSync(join(ROOT, part), join(root, part));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const run = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...args.slice(0, -1), join(root, 'bin', 'ai-session'), args.at(-1)!], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, AI_SESSION_HOME: join(root, 'home') },
  });
  return { status, stdout, stderr };
};

const VERSION = { status: 0, stdout: `${JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version}\n`, stderr: '' };

test.each(['cli', 'daemon'])('this Node takes the code cache that the build has made: %s', (name) => {
  const filename = join(folder, `${name}.cjs`);
  const source = readFileSync(filename, 'latin1');
  // So it is read by `bin/ai-session`.
  expect(source).toMatch(/^[\x00-\x7f]*$/);
  const cache = cacheOf(folder, name);
  // In a process of its own: V8 takes none that was made with other flags than it has, and some test may have set one here.
  const take = `
    const { readFileSync } = require('node:fs');
    const [filename, cache] = process.argv.slice(1);
    const { Script } = require('node:vm');
    console.log(new Script(readFileSync(filename, 'latin1'), { filename, cachedData: readFileSync(cache) }).cachedDataRejected);`;
  expect(spawnSync(process.execPath, ['-e', take, filename, cache], { encoding: 'utf8' })).toMatchObject({ stdout: 'false\n', stderr: '' });
  expect(source).toMatch(new RegExp(`^/\\*${/\.(\w+)\.v[\w.-]+\.cache$/.exec(cache)![1]}\\*/`));
});

test('a start with the cache, with flags that it was not made for, with one that is damaged, and with none is the same', () => {
  expect(run('--version')).toEqual(VERSION);
  expect(run('--no-opt', '--version')).toEqual(VERSION);
  const cache = cacheOf(folder);
  const whole = readFileSync(cache);
  for (const damaged of [whole.subarray(0, 100), whole.subarray(0, -1000), Buffer.alloc(0), Buffer.from('nonsense')]) {
    writeFileSync(cache, damaged);
    expect(run('--version')).toEqual(VERSION);
  }
  rmSync(cache);
  expect(run('--version')).toEqual(VERSION);
  writeFileSync(cache, whole);
});

test('a stack names our functions, and Node shows a line that one can read', () => {
  const source = readFileSync(bundle, 'utf8');
  writeFileSync(
    bundle,
    source.replace(
      'async function main(',
      'function failing(){return null.nothing}async function main(argv){failing(argv)}async function main2(',
    ),
  );
  const { status, stderr } = run('--version');
  writeFileSync(bundle, source);
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /^TypeError: Cannot read properties of null \(reading 'nothing'\)\n {4}at failing \(.*cli\.cjs:\d+:\d+\)\n {4}at (Object\.)?main /m,
  );
  expect(Math.max(...stderr.split('\n').map((line) => line.length))).toBeLessThan(1000);
});
