// Compiles src/ to dist/ with tsc, and bundles the command line: reading one file instead of twenty is most of what a short command costs.
// `npm install` runs this through `prepare`; an installed package has dist/ already and no compiler.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
if (!existsSync(tsc)) {
  console.error('ai-session: typescript is not installed, so dist/ was not built. Run: npm install');
  process.exit(1);
}
const { status } = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], { cwd: root, stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);

const { build } = await import('esbuild');
await build({
  entryPoints: [join(root, 'src', 'cli', 'main.ts')],
  // Two folders below the package, as every compiled file: `base/package.ts` relies on it.
  outfile: join(root, 'dist', 'bundle', 'cli.cjs'),
  bundle: true,
  // Node's loader of CommonJS is a third of the cost of its loader of modules (9 of 26 ms above bare Node for `ls`, measured).
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  // What only some commands need stays where npm put it, and is loaded when it is asked for.
  external: ['zod', 'yaml', 'node-pty'],
  define: { 'import.meta.url': '__fileUrl' },
  banner: { js: "const __fileUrl = require('node:url').pathToFileURL(__filename).href;" },
  logLevel: 'warning',
});
