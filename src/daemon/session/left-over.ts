import { existsSync } from 'node:fs';
import type { Log } from '../../base/log.ts';
import { holderSocket, type Paths } from '../../config/paths.ts';
import { adoptHold } from '../terminal/hold.ts';
import type { Session } from './session.ts';

/** Tells a holder whose program's exit is on record that it may leave: a daemon that died between writing it down and saying so has left it waiting. Resolves when it has left. */
export async function dismissLeftOver(socketPath: string, epoch: number): Promise<void> {
  let over = () => {};
  const isOver = new Promise<void>((resolve) => {
    over = resolve;
  });
  const pty = await adoptHold({ socketPath, epoch, offset: 'oldest' }, { data: () => {}, exit: over, lost: over });
  pty.dismiss();
  await isOver;
  await pty.release();
}

/** Asks holders whose socket has vanished to make it again: the next daemon could not find them. */
export function remakeSockets(sessions: Iterable<Session>, { paths, log }: { paths: Paths; log: Log }): void {
  for (const { facts, pane, isEnded } of sessions) {
    if (isEnded || facts.holderPid === null || existsSync(holderSocket(paths, pane.id))) continue;
    log.warn('a holder is asked to make its socket again', { session: facts.id });
    process.kill(facts.holderPid, 'SIGUSR1');
  }
}
