// Compiles src/ to dist/ with tsc, and bundles the command line and the daemon: reading one file instead of twenty is most of what a short
// command costs, and instead of three hundred half of what a daemon's start does.
// `npm install` runs this through `prepare`; an installed package has dist/ already and no compiler.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
if (!existsSync(tsc)) {
  console.error('ai-session: typescript is not installed, so dist/ was not built. Run: npm install');
  process.exit(1);
}
const { status } = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], { cwd: root, stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);

const { build } = await import('esbuild');
const folder = join(root, 'dist', 'bundle');
const id = '0'.repeat(16);
const options = {
  bundle: true,
  // Node's loader of CommonJS is a third of the cost of its loader of modules (9 of 26 ms above bare Node for `ls`, measured).
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  // Names stay, and lines: a bug report has a stack, and Node shows the line that threw.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 140,
  // By `require`: V8 forgets whom to ask for an `import()` in code that comes from its cache (Node 20).
  supported: { 'dynamic-import': false },
  plugins: [loadedOnUse('node:child_process')],
  define: { 'import.meta.dirname': '__dirname', 'import.meta.url': '__filename' },
  // The function that Node makes of a CommonJS module: `bin/ai-session` compiles it itself.
  banner: { js: `/*${id}*/(function (exports, require, module, __filename, __dirname) {` },
  footer: { js: '})' },
  logLevel: 'warning',
  write: false,
};
mkdirSync(folder, { recursive: true });
// What only some commands need stays where npm put it, and is loaded when it is asked for.
await bundle('cli', { external: ['zod', 'yaml', 'node-pty'] });
// Those have native parts.
await bundle('daemon', { external: ['node-pty', 'zstd-napi', 'better-sqlite3'] });

async function bundle(name, { external }) {
  const { outputFiles } = await build({
    ...options,
    entryPoints: [join(root, 'src', name, 'main.ts')],
    // Two folders below the package, as every compiled file: `base/package.ts` relies on it.
    outfile: join(folder, `${name}.cjs`),
    external,
  });
  // esbuild leaves what is not ASCII in regular expressions alone, where an escape means the same.
  const text = outputFiles
    .find(({ path }) => path.endsWith('.cjs'))
    .text.replace(/[^\x00-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  // By this the code cache is found: one of other code of the same length would pass V8's check, and one of another machine too.
  const hash = createHash('sha256').update(text).digest('hex').slice(0, id.length);
  const source = text.replace(id, hash);
  write(`${name}.cjs.map`, outputFiles.find(({ path }) => path.endsWith('.map')).contents);
  write(`${name}.cjs`, source);
  const { arch, platform, version } = process;
  const cache = `${name}.${hash}.${version}-${platform}-${arch}.cache`;
  write(cache, codeCache(`${name}.cjs`, source));
  for (const file of readdirSync(folder))
    if (file.startsWith(`${name}.`) && file.endsWith('.cache') && file !== cache) rmSync(join(folder, file), { force: true });
}

/** Whole or not at all: somebody may be starting a command right now. */
function write(name, contents) {
  const file = join(folder, name);
  writeFileSync(`${file}.${process.pid}`, contents);
  renameSync(`${file}.${process.pid}`, file);
}

/** What V8 makes of the bundle, with every function compiled. */
function codeCache(name, source) {
  setFlagsFromString('--no-lazy');
  const script = new Script(source, { filename: join(folder, name) });
  // The cache names the flags it was made with, and those must be Node's usual ones.
  setFlagsFromString('--lazy');
  return script.createCachedData();
}

/** Builtins that are loaded when something of them is first used: child_process takes 3 ms, and commander asks for it at once. */
function loadedOnUse(...names) {
  return {
    name: 'loaded-on-use',
    setup(build) {
      for (const name of names) {
        build.onResolve({ filter: new RegExp(`^${name}$`) }, ({ namespace }) =>
          namespace === 'loaded-on-use' ? { path: name, external: true } : { path: name, namespace: 'loaded-on-use' },
        );
      }
      build.onLoad({ filter: /.*/, namespace: 'loaded-on-use' }, async ({ path }) => ({
        contents: Object.keys(await import(path))
          .map((name) => `Object.defineProperty(exports, '${name}', { enumerable: true, get: () => require('${path}')['${name}'] });`)
          .join('\n'),
      }));
    },
  };
}
