import { adoptHold } from '../terminal/hold.ts';

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
