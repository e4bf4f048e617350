import { existsSync, realpathSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { PACKAGE_FOLDER } from '../../base/package.ts';
import { homeProblem, pathsFor } from '../../config/paths.ts';
import { makePrivateFolders, UnsafePathError } from '../../config/private-folder.ts';
import { EXIT } from '../exit-codes.ts';
import { print, printJson, say, UsageError } from '../output.ts';

export type UnitSystem = 'systemd' | 'launchd';

/** What a unit is made of: absolute paths all. */
export interface UnitParts {
  system: UnitSystem;
  node: string;
  /** `bin/ai-session-daemon`. */
  daemon: string;
  /** `native/bin/lock`, or null where it was not built and the daemon takes a file. */
  lock: string | null;
  /** The folder that is locked, with its symbolic links followed: `lock` follows none. */
  home: string;
  /** AI_SESSION_HOME as it is set, or null for the usual place. */
  homeSetting: string | null;
}

export interface Unit {
  /** Where it belongs, below the user's home. */
  path: string;
  text: string;
}

export function define(command: Command): void {
  command
    .usage('[options]')
    .option('--systemd', 'a systemd user unit (the default on Linux)')
    .option('--launchd', 'a launchd property list (the default on macOS)')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nIt is printed, not installed: how to is said on standard error.')
    .action(run);
}

/** The unit that starts the daemon with the machine, just as a client would start it. */
export function unitFor(parts: UnitParts): Unit {
  return parts.system === 'systemd'
    ? { path: '.config/systemd/user/ai-session.service', text: systemdUnit(parts) }
    : { path: `Library/LaunchAgents/${LABEL}.plist`, text: launchdList(parts) };
}

function run({ systemd, launchd, json }: { systemd?: boolean; launchd?: boolean; json?: boolean }): void {
  if (systemd && launchd) throw new UsageError('A unit is for systemd or for launchd: give one of the two.');
  const system: UnitSystem = launchd || (!systemd && process.platform === 'darwin') ? 'launchd' : 'systemd';
  const paths = pathsFor();
  const problem = homeProblem(paths);
  if (problem) throw new UsageError(problem);
  // The lock is on the folder: where there is none, `lock` would make a file of that name.
  try {
    makePrivateFolders(paths);
  } catch (error) {
    throw new UsageError((error as Error).message, error instanceof UnsafePathError ? EXIT.denied : EXIT.usage);
  }
  const lock = join(PACKAGE_FOLDER, 'native', 'bin', 'lock');
  const unit = unitFor({
    system,
    node: process.execPath,
    daemon: join(PACKAGE_FOLDER, 'bin', 'ai-session-daemon'),
    lock: existsSync(lock) ? lock : null,
    home: realpathSync(paths.home),
    homeSetting: paths.home === pathsFor({}).home ? null : paths.home,
  });
  const path = join(homedir(), unit.path);
  const install = installation(system, path);
  if (json) return printJson({ system, path, unit: unit.text, install });
  print(unit.text.trimEnd());
  say(`Write this to "${path}", then run:`);
  for (const line of install) say(`  ${line}`);
}

function installation(system: UnitSystem, path: string): string[] {
  const { uid, username } = userInfo();
  if (system === 'launchd') return [`launchctl bootstrap gui/${uid} "${path}"`];
  return [
    // A daemon that a client started holds the lock; programs run on.
    'ai-session daemon stop',
    'systemctl --user daemon-reload',
    'systemctl --user enable --now ai-session.service',
    // Else the user's systemd, and all that it started, begins with the login and ends with the logout.
    `loginctl enable-linger ${username}`,
  ];
}

const LABEL = 'ai-session.daemon';

/** As `client/daemon.ts` starts it: under the lock where there is one, which then becomes the daemon. */
function commandLine({ node, daemon, lock, home }: UnitParts): string[] {
  return lock === null ? [node, daemon] : [lock, home, node, daemon, '--locked'];
}

function systemdUnit(parts: UnitParts): string {
  const environment = parts.homeSetting === null ? [] : [`Environment=${systemdWord(`AI_SESSION_HOME=${parts.homeSetting}`)}`];
  return `[Unit]
Description=ai-session daemon

[Service]
# Not "simple": a program that is not there is then a failure to start, which systemctl says.
Type=exec
${environment.map((line) => `${line}\n`).join('')}\
# The lock is on this folder; where there was none, a file of that name would be locked.
ExecStartPre=${systemdCommand(['/bin/mkdir', '-p', '-m', '0700', parts.home], '-')}
ExecStart=${systemdCommand(commandLine(parts))}
WorkingDirectory=/
Restart=on-failure
RestartSec=2
# Another daemon has the lock, one that a client started. It serves the same sessions.
SuccessExitStatus=75
# Stopping the daemon ends the daemon alone. The programs run on below their holders, which are in this control group too, and the next
# daemon takes them back; the default, "control-group", would kill every session.
KillMode=process
# For the same reason: one program that takes all memory is no reason to stop the daemon,
OOMPolicy=continue
# and all sessions together need more processes than one service is given.
TasksMax=infinity

[Install]
WantedBy=default.target
`;
}

/**
 * A command for ExecStart=. A program's own path may have no quotes in it, however they are written, so env(1) is made to start such a
 * one. The colon turns off the expansion of "$", for which that path has no escape either.
 */
function systemdCommand(words: string[], prefix = ''): string {
  const [program, ...more] = /["'\\\x00-\x1f\x7f]/.test(words[0]!) ? ['/usr/bin/env', ...words] : words;
  const isLiteral = words.some((text) => text.includes('$'));
  return [`${prefix}${isLiteral ? ':' : ''}${program}`, ...more].map(systemdWord).join(' ');
}

/** A word by the rules of systemd.syntax(7) and systemd.unit(5): quoted where it needs to be, with C escapes, and "%" doubled. */
function systemdWord(text: string): string {
  const doubled = text.replaceAll('%', '%%');
  if (/^[\w@%+=:,./-]+$/.test(doubled)) return doubled;
  const escaped = doubled.replace(/["\\]/g, '\\$&').replace(/[\x00-\x1f\x7f]/g, (character) => `\\x${hex(character)}`);
  return `"${escaped}"`;
}

const hex = (character: string) => character.charCodeAt(0).toString(16).padStart(2, '0');

function launchdList(parts: UnitParts): string {
  const strings = commandLine(parts).map((text) => `\n    <string>${xml(text)}</string>`);
  const environment =
    parts.homeSetting === null
      ? ''
      : `
  <key>EnvironmentVariables</key>
  <dict>
    <key>AI_SESSION_HOME</key>
    <string>${xml(parts.homeSetting)}</string>
  </dict>`;
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${LABEL}</string>
  <key>ProgramArguments</key>
  <array>${strings.join('')}
  </array>${environment}
  <key>WorkingDirectory</key>
  <string>/</string>
  <key>RunAtLoad</key>
  <true/>
  <!-- Again after a failure, not after "ai-session daemon stop". While another daemon has the lock, it tries until that one ends. -->
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>30</integer>
  <!-- Ending the daemon leaves the programs and their holders: launchd's form of systemd's KillMode=process. -->
  <key>AbandonProcessGroup</key>
  <true/>
  <!-- People wait for it: no throttled disk, no slow timers. -->
  <key>ProcessType</key>
  <string>Interactive</string>
</dict>
</plist>
`;
}

/** Text in XML 1.0, which has no way at all to write most control characters. */
function xml(text: string): string {
  if (/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(text))
    throw new UsageError(`A property list cannot hold the path ${JSON.stringify(text)}: it has a control character.`);
  // A carriage return that is written as it is would be read as a line end.
  return text.replace(/[&<>"'\r]/g, (character) => `&#${character.charCodeAt(0)};`);
}
