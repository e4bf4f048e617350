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
  outdir: join(root, 'dist', 'bundle'),
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  // What only some commands need stays where npm put it, and is loaded when it is asked for.
  external: ['zod', 'yaml', 'node-pty'],
  // commander is CommonJS and asks for Node's own modules by require.
  banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
  logLevel: 'warning',
});
