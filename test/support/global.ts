import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** The tests start real processes from dist/ and native/bin, so both are made fresh once before any test file runs. */
export default function setup(): void {
  const root = join(import.meta.dirname, '..', '..');
  for (const script of ['build-native.js', 'build.js'])
    execFileSync(process.execPath, [join(root, 'scripts', script)], { stdio: ['ignore', 2, 2] });
}
