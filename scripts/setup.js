// Makes a clone ready to run: installs what the lockfile names when it is not there, then builds. `npm start` and `npm test` begin here.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const run = (command, args) => {
  // npm's own progress goes to stderr, so that `npm start` leaves standard output to the session.
  const { status } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
  if (status !== 0) process.exit(status ?? 1);
};

const installed = join(root, 'node_modules', '.package-lock.json');
const isInstalled = existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs;
// It runs the install and prepare scripts, which build native/ and dist/. Not `npm ci`: that insists on the packages of every platform, which
// not every registry has.
if (!isInstalled) run('npm', ['install', '--no-save', '--no-audit', '--no-fund']);
else {
  run(process.execPath, [join(root, 'scripts', 'build-native.js')]);
  run(process.execPath, [join(root, 'scripts', 'build.js')]);
}
