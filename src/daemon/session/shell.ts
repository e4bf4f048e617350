import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { PACKAGE_FOLDER } from '../../base/package.ts';
import { hookSocket, type Paths } from '../../config/paths.ts';
import type { Settings } from '../../config/settings.ts';
import type { SessionRecord } from '../persistence/records.ts';
import type { PtySpec } from '../terminal/pty.ts';
import { loginName } from './command-line.ts';
import { paneEnvironment } from './environment.ts';
import type { Launch } from './launch.ts';
import type { Session } from './session.ts';
import { integrate } from './shell-integration.ts';

/** Where a pane's shell writes down its commands. */
export function shellLog(paths: Paths, pane: string): string {
  return join(paths.run, 'shell', `${pane.slice(1)}.log`);
}

/** A text that a pane's shell is to run, and has to be there until it has read it. The token is the run's. */
export function runFile(paths: Paths, pane: string, token: string): string {
  return join(paths.run, 'shell', `${pane.slice(1)}-${token}`);
}

/** Removes what lies there for shells of panes that are gone. */
export function tidyShellFolder(paths: Paths, isGone: (pane: string) => boolean): void {
  const folder = join(paths.run, 'shell');
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch {
    // No shell was ever started here.
  }
  for (const name of names) {
    const [, pane] = /^(\d{1,15})(?:\.log|-[0-9a-f]{8,16}(?:\.(?:run|inside))?)$/.exec(name) ?? [];
    if (pane === undefined || !isGone(`%${pane}`)) continue;
    try {
      rmSync(join(folder, name), { force: true });
    } catch {
      // A folder of that name, say: it is none of ours.
    }
  }
}

/** What the PTY of a session is to be started with. A shell is asked to tell of its commands; then the session knows which, from now on. */
export function launchSpec(
  { facts, pane }: Session,
  argv: readonly [string, ...string[]],
  { env, set, openFiles, isShell }: Launch,
  { settings, paths }: { settings: Settings; paths: Paths },
): PtySpec {
  const { cwd } = facts;
  const { cols, rows } = pane.screen;
  const plain: PtySpec = {
    argv: loginName([...argv], isShell && settings['shell.login']),
    env: paneEnvironment(
      { ...env, ...(set.SHELL && { SHELL: set.SHELL }) },
      { session: facts.id, pane: pane.id, cwd, set, hook: { program: paths.reporter, socket: hookSocket(paths, pane.id) } },
    ),
    cwd,
    cols,
    rows,
    ...(openFiles && { openFiles }),
  };
  facts.shell = null;
  if (!settings['shell.integration']) return plain;
  const nonce = randomBytes(12).toString('hex');
  const log = shellLog(paths, pane.id);
  const integrated = integrate({ argv: plain.argv, env: plain.env, folder: join(PACKAGE_FOLDER, 'shell'), log, nonce });
  const kind = integrated?.kind ?? (isPlainShell(plain.argv) ? 'sh' : null);
  if (kind === null) return plain;
  facts.shell = { kind, nonce };
  pane.expectMarks(nonce);
  mkdirSync(dirname(log), { recursive: true, mode: 0o700 });
  writeFileSync(log, '', { mode: 0o600 });
  return integrated ? { ...plain, argv: integrated.argv as [string, ...string[]], env: integrated.env } : plain;
}

/** An interactive POSIX shell, of which nothing can be asked at its start. What is run in it tells for itself. */
function isPlainShell(argv: readonly string[]): boolean {
  const [program, ...options] = argv[0] !== undefined && basename(argv[0]) === 'busybox' ? argv.slice(1) : argv;
  return /^(da|a|k|mk|lk|ya|o)?sh$/.test(basename(program ?? '')) && options.every((option) => option === '-i' || option === '-l');
}

export type Shell = NonNullable<SessionRecord['shell']>;
