import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules, createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const src = join(root, 'src');
const sources = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => /\.[cm]?tsx?$/.test(file));

/** The processes, and what each may import besides itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  base: [],
  wire: ['base'],
  config: ['base'],
  client: ['base', 'wire', 'config'],
  cli: ['base', 'wire', 'config', 'client'],
  tui: ['base', 'wire', 'config', 'client'],
  integrations: ['base', 'wire', 'config', 'client'],
  daemon: ['base', 'wire', 'config'],
};

/** The daemon's folders: each uses itself and those before it. */
const DAEMON_ORDER = [
  'terminal',
  'persistence',
  'security',
  'session',
  'history',
  'output',
  'status',
  'context',
  'coordination',
  'agents',
  'observability',
  'waiting',
  'server',
];

interface Import {
  specifier: string;
  /** `types` are erased: they cost nothing at run time, and bind two folders to each other all the same. */
  is: 'value' | 'types' | 'dynamic';
}

/**
 * Every import of a source. Biome keeps them at the start of a line, and `verbatimModuleSyntax` makes what is not marked as a type stay in
 * the program.
 */
function importsOf(file: string): Import[] {
  const text = readFileSync(join(src, file), 'utf8');
  const found: Import[] = [];
  const static_ = /^(?:import|export)\s+(type\s+)?(?:([^'";]*?)\s+from\s+)?'([^']+)'/gm;
  for (const [, type, names = '', specifier] of text.matchAll(static_)) {
    const isTypes = type !== undefined || /^\{(?:\s*type\s+[^,}]+,?)+\s*\}$/.test(names);
    found.push({ specifier: specifier!, is: isTypes ? 'types' : 'value' });
  }
  for (const [, specifier] of text.matchAll(/\b(?:import|require)\(\s*['"`]([^'"`]+)['"`]/g))
    found.push({ specifier: specifier!, is: 'dynamic' });
  return found;
}

/** A relative import as a file below src, which has to be there. */
function resolveOurs(from: string, specifier: string): string {
  const file = join(dirname(from), specifier);
  if (!existsSync(join(src, file))) throw new Error(`src/${from} imports "${specifier}", and there is no src/${file}`);
  return file;
}

const isOurs = (specifier: string) => specifier.startsWith('.');

/** What is wrong with one file of ours importing another, or null. */
function trespass(from: string, to: string): string | null {
  const [process, folder] = from.split('/') as [string, string];
  const [otherProcess, otherFolder] = to.split('/') as [string, string];
  const allowed = MAY_IMPORT[process];
  if (!allowed) return `${from}: "${process}" is no process that this test knows`;
  if (process !== otherProcess)
    return allowed.includes(otherProcess) ? null : `${from} imports ${to}: ${process} may use ${['itself', ...allowed].join(', ')}`;
  // The daemon's top files put everything together; the shape of a subsystem belongs to all.
  if (process !== 'daemon' || from.split('/').length === 2 || to === 'daemon/subsystem.ts') return null;
  const [rank, otherRank] = [DAEMON_ORDER.indexOf(folder), DAEMON_ORDER.indexOf(otherFolder)];
  if (rank === -1) return `${from}: "${folder}" has no place in the daemon's order`;
  return otherRank !== -1 && otherRank <= rank ? null : `${from} imports ${to}: ${folder} comes before it`;
}

test('every import goes in an allowed direction, types included', () => {
  const wrong = sources.flatMap((from) => {
    const ours = importsOf(from).filter(({ specifier }) => isOurs(specifier));
    return ours.map(({ specifier }) => trespass(from, resolveOurs(from, specifier))).filter((problem) => problem !== null);
  });
  expect(wrong).toEqual([]);
});

test.each([
  ['base/log.ts', 'wire/frame.ts', false],
  ['wire/calls.ts', 'base/nearest.ts', true],
  ['wire/calls.ts', 'config/paths.ts', false],
  ['config/paths.ts', 'wire/frame.ts', false],
  ['client/daemon.ts', 'config/paths.ts', true],
  ['client/daemon.ts', 'cli/output.ts', false],
  ['cli/main.ts', 'client/daemon.ts', true],
  ['cli/main.ts', 'daemon/lock.ts', false],
  ['cli/main.ts', 'tui/screen.ts', false],
  ['daemon/lock.ts', 'client/daemon.ts', false],
  ['daemon/daemon.ts', 'daemon/server/dispatch.ts', true],
  ['daemon/session/pane.ts', 'daemon/terminal/pty.ts', true],
  ['daemon/session/pane.ts', 'daemon/subsystem.ts', true],
  ['daemon/session/pane.ts', 'daemon/daemon.ts', false],
  ['daemon/terminal/pty.ts', 'daemon/session/pane.ts', false],
  ['daemon/terminal/pty.ts', 'daemon/persistence/records.ts', false],
  ['daemon/odds/ends.ts', 'base/log.ts', true],
  ['daemon/odds/ends.ts', 'daemon/odds/more.ts', false],
  ['elsewhere/a.ts', 'base/log.ts', false],
])('%s may import %s: %s', (from, to, isAllowed) => {
  expect(trespass(from, to) === null).toBe(isAllowed);
});

/** The packages that a file loads as it starts, over all files that it loads as it starts. */
function packagesAtStart(entry: string): string[] {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string) => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const { specifier, is } of importsOf(file)) {
      if (is !== 'value') continue;
      if (isOurs(specifier)) visit(resolveOurs(file, specifier));
      else if (!specifier.startsWith('node:')) packages.add(specifier);
    }
  };
  visit(entry);
  return [...packages].sort();
}

test('the command line starts with commander alone', () => {
  expect(packagesAtStart('cli/main.ts')).toEqual(['commander']);
});

test.each(['new', 'attach', 'ls', 'send', 'capture'])('"ai-session %s" loads no package besides', (command) => {
  expect(packagesAtStart(`cli/commands/${command}.ts`)).toEqual([]);
});

test('the walk sees the heavy packages where they are used', () => {
  expect(packagesAtStart('config/settings.ts')).toEqual(['yaml', 'zod']);
  expect(packagesAtStart('base/log.ts')).toEqual(['pino']);
});

test('every package that is imported is a dependency, and builtins are marked "node:"', () => {
  const manifest = createRequire(import.meta.url)('../package.json') as Record<
    'dependencies' | 'optionalDependencies',
    Record<string, string>
  >;
  const dependencies = { ...manifest.dependencies, ...manifest.optionalDependencies };
  const wrong = sources.flatMap((file) =>
    importsOf(file)
      .map(({ specifier }) => specifier)
      .filter((specifier) => !isOurs(specifier) && !specifier.startsWith('node:'))
      .filter((specifier) => {
        const name = specifier
          .split('/')
          .slice(0, specifier.startsWith('@') ? 2 : 1)
          .join('/');
        return builtinModules.includes(specifier) || !Object.hasOwn(dependencies, name);
      })
      .map((specifier) => `${file} imports "${specifier}"`),
  );
  expect(wrong).toEqual([]);
});

test('there are no barrel files and no folders for odds and ends', () => {
  const isUntidy = (file: string) =>
    /^index\.[cm]?[jt]sx?$/.test(basename(file)) || /(^|\/)(utils?|helpers?|common|misc|lib)(\/|\.ts$)/.test(file);
  expect(sources.filter(isUntidy)).toEqual([]);
});

/** Lines at which a file has become two. */
const LINES_LIMIT = 500;

test('no source has grown past what one can keep in mind', () => {
  const long = sources
    .map((file) => ({ file, lines: readFileSync(join(src, file), 'utf8').split('\n').length - 1 }))
    .filter(({ lines }) => lines > LINES_LIMIT)
    .map(({ file, lines }) => `src/${file} has ${lines} lines: which of the things that it does can be a file of its own?`);
  expect(long).toEqual([]);
});

test('the lockfile names no host, so that it works behind any registry', () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Record<string, object> };
  // Where money can be given to a package's authors is in there too, and nothing is fetched from there.
  const addresses = Object.entries(packages).filter(([, { funding: _, ...about }]: [string, { funding?: unknown }]) =>
    /"resolved"|http/.test(JSON.stringify(about)),
  );
  expect(addresses).toEqual([]);
  expect(Object.keys(packages).length).toBeGreaterThan(10);
});

test('the walk meets every file that is there', () => {
  expect(sources.length).toBeGreaterThan(40);
  expect(relative(root, src)).toBe('src');
  expect(sources).toContain('daemon/session/sessions.ts');
});
