import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Connection } from '../../client/connection.ts';
import { connect, DaemonBusyError, DaemonError, endDaemon, isAlive } from '../../client/daemon.ts';
import { pathsFor } from '../../config/paths.ts';
import { EXIT } from '../exit-codes.ts';
import { ago, print, printJson, say, UsageError } from '../output.ts';
import { withDaemon } from '../session.ts';

export function define(command: Command): void {
  const verb = (name: string, summary: string) => command.command(name).description(summary).exitOverride().option('--json', 'print JSON');
  verb('start', 'start the daemon; every other command does so by itself').action(start);
  verb('stop', 'stop the daemon; programs run on for the next one').option('--kill-sessions', 'end all programs too').action(stop);
  verb('status', 'say whether it runs, and which processes are its own').action(status);
  verb('restart', 'replace the daemon; programs run on').action(restart);
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
    stopped = await withDaemon((daemon) => stopAndWait(daemon, killSessions ?? false), { start: false });
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
  (await connect(pathsFor())).close();
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
  for (const problem of status.problems) print(`problem   ${problem}`);
}

async function restart({ json }: { json?: boolean }): Promise<void> {
  try {
    await withDaemon((daemon) => stopAndWait(daemon, false), { start: false });
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    if (error.reason === 'strange') await endByForce(error);
    else if (error.reason !== 'not-running') throw error;
  }
  await start({ ...(json && { json }) });
}

/** For a daemon that listens and cannot be talked to: it is wedged, or of another version. */
async function endByForce(because: DaemonError): Promise<number> {
  const paths = pathsFor();
  const pid = await endDaemon(paths);
  if (pid === null) {
    const [what] = because.message.split(' Replace it with: ');
    throw new DaemonError('strange', `${what} It could not be ended: "${paths.daemonJson}" does not say which process it is.`);
  }
  say(`A daemon that could not be talked to was ended (pid ${pid}). Programs run on for the next one.`);
  return pid;
}

/** The answer comes before the end: this waits until the process itself has gone, so that what follows meets the next daemon. */
async function stopAndWait(daemon: Connection, killSessions: boolean) {
  const isGone = new Promise<void>((resolve) => {
    daemon.onLost = () => resolve();
  });
  const stopped = await daemon.call('daemon.stop', { killSessions });
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
