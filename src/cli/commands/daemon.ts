import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { compareVersions } from '../../base/compare-versions.ts';
import { VERSION } from '../../base/package.ts';
import { type Connection, ConnectionError } from '../../client/connection.ts';
import { connect, DaemonBusyError, DaemonError, endDaemon, isAlive } from '../../client/daemon.ts';
import { pathsFor } from '../../config/paths.ts';
import type { CallParams } from '../../wire/calls.ts';
import { WireError } from '../../wire/errors.ts';
import { negotiate, OLDEST_PROTOCOL, PROTOCOL } from '../../wire/version.ts';
import { EXIT } from '../exit-codes.ts';
import { ago, plain, print, printJson, say, UsageError } from '../output.ts';
import { askPassphrase, megabytes, withDaemon } from '../session.ts';
import { define as defineUnit } from './daemon-unit.ts';

export function define(command: Command): void {
  const verb = (name: string, summary: string) => command.command(name).description(summary).exitOverride().option('--json', 'print JSON');
  verb('start', 'start the daemon; every other command does so by itself').action(start);
  verb('stop', 'stop the daemon; programs run on for the next one').option('--kill-sessions', 'end all programs too').action(stop);
  verb('status', 'say whether it runs, and which processes are its own').action(status);
  verb('restart', 'replace the daemon; programs run on').action(restart);
  verb('upgrade', 'put the daemon of this ai-session in place of the one that runs; programs run on')
    .option('--force', 'also when it is of this version, or newer, or owns programs itself')
    .action(upgrade);
  defineUnit(command.command('unit').description('print a systemd unit or launchd plist for it').exitOverride());
  verb('logs', "print the daemon's log")
    .option('-f, --follow', 'go on as it grows')
    .option('-n, --lines <n>', 'only the last lines', '100')
    .action(logs);
}

async function start({ json }: { json?: boolean }): Promise<void> {
  const status = await withDaemon((daemon) => daemon.call('daemon.status', {}));
  if (json) printJson(status);
  else print(`The daemon runs (pid ${status.pid}).`);
}

async function stop({ json, killSessions }: { json?: boolean; killSessions?: boolean }): Promise<void> {
  let stopped: Awaited<ReturnType<typeof stopAndWait>>;
  try {
    stopped = await withDaemon((daemon) => stopAndWait(daemon, { killSessions: killSessions ?? false }), { start: false, isItsEnd: true });
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    const ended = error.reason === 'strange' ? await endByForce(error) : null;
    if (ended === null && error.reason !== 'not-running') throw error;
    // What was asked for is so. Programs that an earlier daemon left are another matter.
    if (killSessions) return stop({ ...(json && { json }), killSessions: await startToKill() });
    if (error instanceof DaemonBusyError) throw error;
    if (json) return printJson({ pid: ended, ended: [], left: [], survivors: [] });
    if (ended !== null) return;
    return say('No daemon is running.');
  }
  if (json) printJson(stopped);
  else if (stopped.left.length > 0)
    say(`Stopped. ${stopped.left.length === 1 ? 'One session runs' : `${stopped.left.length} sessions run`} on for the next daemon.`);
  if (stopped.survivors.length > 0) {
    say(`These processes are still there: ${stopped.survivors.join(', ')}`);
    process.exitCode = EXIT.failure;
  }
}

/** Programs may run on without a daemon: one is started, which finds them, and then ends them. */
async function startToKill(): Promise<true> {
  (await connect(pathsFor(), { passphrase: askPassphrase })).close();
  return true;
}

async function status({ json }: { json?: boolean }): Promise<void> {
  const status = await withDaemon((daemon) => daemon.call('daemon.status', {}), { start: false });
  if (json) return printJson(status);
  print(`pid       ${status.pid} (Node ${status.node}, up ${ago(Date.now() - status.startedAt)})`);
  print(`version   ${status.version} (protocol ${status.protocol})`);
  print(`home      ${status.home}`);
  print(`socket    ${status.socket}`);
  print(`log       ${status.log}`);
  print(`programs  ${status.sessions} sessions on ${status.backend}, ${status.pids.length - 1} holders, ${status.connections} clients`);
  if (status.history) {
    const { codec, isEncrypted, bytes, failing } = status.history;
    print(`history   ${megabytes(bytes)}, compressed with ${codec}, ${isEncrypted ? 'encrypted' : 'not encrypted'}`);
    for (const { name, because } of failing) print(`problem   the disk takes no output of "${plain(name)}": ${plain(because)}`);
  }
  for (const problem of status.problems) print(`problem   ${problem}`);
}

async function restart({ json }: { json?: boolean }): Promise<void> {
  await replaceDaemon();
  await start({ ...(json && { json }) });
}

/** Ends the daemon that runs, if one does, in favour of the next, which the next call starts. */
export async function replaceDaemon(): Promise<void> {
  try {
    await withDaemon((daemon) => stopAndWait(daemon, { replace: true }), { start: false, isItsEnd: true });
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    if (error.reason === 'strange') await endByForce(error);
    else if (error.reason !== 'not-running') throw error;
  }
}

/** Puts the daemon of this package in the place of the one that runs. Holders keep the programs, and attached clients follow by themselves. */
async function upgrade({ json, force }: { json?: boolean; force?: boolean }): Promise<void> {
  const begun = { at: Date.now(), on: performance.now() };
  const from = await endForUpgrade(force ?? false);
  const next = await connectToOurs();
  try {
    const { pid, build: version, protocol } = next.daemon;
    const { sessions } = await next.call('session.list', {});
    const runs = sessions.filter(({ status }) => status === 'running' || status === 'starting').length;
    const lost = sessions.filter(({ status, endedAt }) => status === 'lost' && endedAt! >= begun.at).map(({ name }) => name);
    const ms = Math.round(performance.now() - begun.on);
    const isReplaced = from?.pid !== pid;
    if (json) printJson({ from, to: { version, protocol, pid }, replaced: isReplaced, sessions: runs, lost, ms });
    else if (!isReplaced) print(`The daemon is ai-session ${version} already (pid ${pid}). Replace it all the same with --force.`);
    else {
      const was = from
        ? `The daemon is ai-session ${version} now, and was ${from.version ?? 'one that did not answer'}`
        : 'No daemon was running';
      const now = from ? '' : `: that of ai-session ${version} was started`;
      print(`${was}${now}. ${runs === 1 ? 'One session was' : `${runs} sessions were`} taken over, in ${ms} ms.`);
    }
    if (lost.length > 0) {
      say(`Lost on the way: ${lost.map((name) => `"${plain(name)}"`).join(', ')}. See why with: ai-session daemon logs`);
      process.exitCode = EXIT.failure;
    }
  } finally {
    next.close();
  }
}

/** Ends the daemon that runs, unless it is the right one already, and says which it was; null when there was none. */
async function endForUpgrade(isForced: boolean): Promise<{ version: string | null; protocol: number | null; pid: number } | null> {
  let old: Connection;
  try {
    old = await connect(pathsFor(), { start: false, toStranger: true });
  } catch (error) {
    if (!(error instanceof DaemonError) || error instanceof DaemonBusyError) throw error;
    if (error.reason === 'strange') return { version: null, protocol: null, pid: await endByForce(error) };
    if (error.reason !== 'not-running') throw error;
    return null;
  }
  const { build: version, protocol, pid } = old.daemon;
  const isStranger = negotiate({ protocol: PROTOCOL, oldest: OLDEST_PROTOCOL }, old.daemon) === null;
  try {
    if (!isForced && version === VERSION) return { version, protocol, pid };
    if (!isForced && compareVersions(version, VERSION) > 0) {
      throw new UsageError(
        `The daemon is the newer ai-session ${version}; this is ${VERSION}. Go back to this one all the same with: ai-session daemon upgrade --force`,
      );
    }
    if (!isForced && !isStranger) await refuseToEndPrograms(old);
    // The oldest words for it, which every daemon understands from everybody.
    await stopAndWait(old, isStranger ? { killSessions: false } : { replace: true });
  } catch (error) {
    if (!isStranger || !(error instanceof ConnectionError || error instanceof WireError)) throw error;
    // A daemon from before strangers were heard.
    await endByForce(new DaemonError('strange', error.message));
  } finally {
    old.close();
  }
  return { version, protocol, pid };
}

/** Where the daemon owns PTYs itself, their programs end with it. */
async function refuseToEndPrograms(daemon: Connection): Promise<void> {
  const { sessions } = await daemon.call('session.list', {});
  const owned = sessions.filter(({ status, backend }) => backend === 'node-pty' && (status === 'running' || status === 'starting'));
  if (owned.length === 0) return;
  const names = owned.map(({ name }) => `"${plain(name)}"`).join(', ');
  throw new UsageError(
    `The daemon owns programs itself (pty.backend node-pty), and they would end with it: ${names}. Replace it all the same with: ai-session daemon upgrade --force`,
  );
}

/** Starts this package's daemon. A client of another version may be quicker, when it was attached to the old one: then once more. */
async function connectToOurs(): Promise<Connection> {
  for (let tries = 1; ; tries++) {
    const daemon = await connect(pathsFor(), { passphrase: askPassphrase });
    if (daemon.daemon.build === VERSION) return daemon;
    const { build } = daemon.daemon;
    if (tries === 3) {
      daemon.close();
      throw new DaemonError('start-failed', `A client of ai-session ${build} starts its own daemon again and again. End it first.`);
    }
    await stopAndWait(daemon, { replace: true }).finally(() => daemon.close());
  }
}

/** For a daemon that listens and cannot be talked to: it is wedged, or of another version. */
async function endByForce(because: DaemonError): Promise<number> {
  const paths = pathsFor();
  const pid = await endDaemon(paths);
  if (pid === null) {
    const what = because.message.replace(/ [^.]* with: ai-session daemon .*$/, '');
    throw new DaemonError('strange', `${what} It could not be ended: "${paths.daemonJson}" does not say which process it is.`);
  }
  say(`A daemon that could not be talked to was ended (pid ${pid}). Programs run on for the next one.`);
  return pid;
}

/** The answer comes before the end: this waits until the process itself has gone, so that what follows meets the next daemon. */
async function stopAndWait(daemon: Connection, how: CallParams<'daemon.stop'>) {
  const isGone = new Promise<void>((resolve) => {
    daemon.onLost = () => resolve();
  });
  const stopped = await daemon.call('daemon.stop', how);
  await isGone;
  while (isAlive(stopped.pid)) await delay(5);
  return stopped;
}

async function logs({ follow, lines, json }: { follow?: boolean; lines: string; json?: boolean }): Promise<void> {
  if (!/^\d{1,9}$/.test(lines)) throw new UsageError(`"${lines}" is not a number of lines.`);
  const { log } = pathsFor();
  if (!existsSync(log)) throw new UsageError(`There is no log at "${log}" yet.`, EXIT.notFound);
  // The log is JSON lines either way; tail knows how to follow a file that is rotated.
  const tail = spawn('tail', ['-n', lines, ...(follow ? ['-F'] : []), log], {
    stdio: ['ignore', json || !process.stdout.isTTY ? 'inherit' : 'pipe', 'inherit'],
  });
  tail.stdout?.on('data', (chunk) => process.stdout.write(chunk));
  process.exitCode = await new Promise<number>((resolve, reject) => {
    tail.on('error', reject);
    tail.on('close', (code) => resolve(code ?? EXIT.failure));
  });
}
