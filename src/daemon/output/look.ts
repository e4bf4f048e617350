import type { Pane } from '../session/pane.ts';
import type { TerminalModes } from '../terminal/pty.ts';

/** A command that prints nothing for so long may wait for somebody: looked at again and again, as it may take its time to ask without a word. */
const PAUSES_MS = [300, 1000, 3000, 10_000, 30_000];
/** From a byte to a look at what it did to the screen. */
const SOON_MS = 30;
const ASKS_FOR_SECRET = /(pass(word|phrase|code)|\bpin\b|secret|verification code|one-time code|token)[^\n]{0,80}[:?]\s*$/i;

/** What a command does that nobody but a person can go on with. */
export type Seen = 'secret' | 'full screen';

/**
 * Looks at a command's screen when there is something new on it, and at its terminal a few times when the output pauses: nothing else tells that
 * a program waits for what must not be shown. Returns how not to look any more.
 */
export function look(
  pane: Pick<Pane, 'screen' | 'state' | 'onWritten'>,
  { hasStarted, isGoing = false, found }: { hasStarted(): boolean; isGoing?: boolean; found(what: Seen): void },
): () => void {
  // Left behind by an earlier program, if it is not that of a command which has begun under an earlier daemon.
  let wasAlternate = !isGoing && pane.screen.isAlternate;
  let soon: NodeJS.Timeout | null = null;
  let pause: NodeJS.Timeout | null = null;
  let looks = 0;
  let isStopped = false;
  const lookSoon = () => {
    soon = null;
    const { isAlternate } = pane.screen;
    if (!isAlternate) wasAlternate = false;
    if (isAlternate && !wasAlternate && hasStarted()) found('full screen');
    else if (pane.screen.bytesWaiting > 0) soon = setTimeout(lookSoon, SOON_MS);
  };
  const lookAtPause = async () => {
    pause = null;
    if (!hasStarted() || pane.screen.isAlternate || pane.state.is !== 'running') return;
    const modes = await pane.state.pty.terminalModes();
    // More was written meanwhile, and there will be another pause.
    if (isStopped || pause) return;
    looks++;
    if (looks < PAUSES_MS.length) pause = setTimeout(() => void lookAtPause(), PAUSES_MS[looks]! - PAUSES_MS[looks - 1]!);
    const { y } = pane.screen.cursor;
    const [line = ''] = pane.screen.lines({ from: y, to: y });
    if (waitsForSecret(modes, line)) found('secret');
  };
  const lookLater = () => {
    soon ??= setTimeout(lookSoon, SOON_MS);
    if (pause && looks === 0) return void pause.refresh();
    if (pause) clearTimeout(pause);
    looks = 0;
    pause = setTimeout(() => void lookAtPause(), PAUSES_MS[0]);
  };
  const stop = pane.onWritten(lookLater);
  if (isGoing) lookLater();
  return () => {
    isStopped = true;
    stop();
    if (soon) clearTimeout(soon);
    if (pause) clearTimeout(pause);
  };
}

/**
 * Whether a program whose output has paused waits for a secret. One that reads lines has turned the echo off for that, and has left it on for
 * everything else. Where it edits the line by itself, as fish's `read -s` does, and where the modes are not known, only the words are left.
 */
export function waitsForSecret(modes: TerminalModes | null, line: string): boolean {
  if (modes?.canonical) return !modes.echo;
  return !modes?.echo && ASKS_FOR_SECRET.test(line);
}
