import type { CallInput, CallResult } from '../../wire/calls.ts';
import { WireError } from '../../wire/errors.ts';
import { asTyped, bytesOfLongestLine, keyIn, LINE_LIMIT_BYTES } from '../output/typeable.ts';
import { writeCursor } from '../session/cursor.ts';
import type { Pane } from '../session/pane.ts';
import type { Session } from '../session/session.ts';
import { picture } from '../terminal/picture.ts';
import { findTyped, isStillThere, type Shown } from './typed-place.ts';

/** A text has arrived when the program has shown something since, and has paused for so long. Slow programs draw in bursts. */
const ARRIVED_MS = 120;
/** A program that shows nothing of what is typed (a password, a full-screen one that is busy) gets its Enter all the same. */
const NO_ECHO_MS = 2000;
/** Enter that changed nothing is pressed once more: programs take one that comes close behind a paste for a part of it. */
const AGAIN_MS = 1500;

/**
 * Types a text, waits until it has arrived, presses Enter apart, and looks whether anything came of it: the text has to be gone from where it
 * stood, since a program that is still starting, or draws a clock, changes its screen whether it took Enter or not. Where the text is not to be
 * seen anything that changes has to do. Pasted in brackets where the program asked for that: then the lines of a text are one thing.
 */
export async function submit(session: Session, { text, timeoutMs }: CallInput<'pane.submit'>): Promise<CallResult<'pane.submit'>> {
  const { pane } = session;
  const typed = asTyped(text);
  const key = keyIn(typed, 'a program');
  if (key) throw new WireError('bad-params', `${key} Leave it out, or type it with: ai-session send`);
  pane.screen.settle();
  const { bracketedPaste } = pane.screen.keyModes;
  const longest = bytesOfLongestLine(typed);
  if (!bracketedPaste && !pane.screen.isAlternate && longest > LINE_LIMIT_BYTES)
    throw new WireError(
      'bad-params',
      `A line of the text has ${longest} bytes, and the program has not asked for pastes: one that reads lines would get the first ${LINE_LIMIT_BYTES} of them. Break the line, or type it all the same with: ai-session send -l`,
    );
  const before = picture(pane.screen).hash;
  const screen = (outcome: 'submitted' | 'stalled', evidence: string): CallResult<'pane.submit'> => {
    const { rows, hash } = picture(pane.screen);
    return {
      outcome,
      evidence,
      isPasted: bracketedPaste,
      screen: outcome === 'stalled' ? rows : null,
      cursor: writeCursor({ pane: pane.id, offset: pane.head, picture: hash }),
    };
  };
  pane.write(Buffer.from(bracketedPaste ? `\x1b[200~${typed}\x1b[201~` : typed));
  const isShown = await arrived(pane, Math.min(NO_ECHO_MS, timeoutMs));
  const shown = picture(pane.screen).hash;
  const place = isShown && shown !== before ? findTyped(shownOn(pane), typed) : null;
  const isTaken = () => (place ? !isStillThere(shownOn(pane), place) : picture(pane.screen).hash !== shown);
  const deadline = Date.now() + timeoutMs;
  for (const enter of ['Enter', 'a second Enter']) {
    if (pane.state.is !== 'running') return screen('submitted', 'the program has ended');
    pane.write(Buffer.from('\r'));
    const limit = enter === 'Enter' ? Math.min(deadline, Date.now() + AGAIN_MS) : deadline;
    if (await becomes(pane, isTaken, limit))
      return screen('submitted', place ? `the text has left the prompt after ${enter}` : `the screen changed after ${enter}`);
  }
  if (place) return screen('stalled', 'the text stands where it was typed, and Enter does not take it');
  const seen = isShown && shown !== before ? 'the text is on the screen' : 'nothing of the text was shown';
  return screen('stalled', `${seen}, and Enter changed nothing`);
}

/** Resolves when something was printed and then nothing for a moment: true; or when nothing has been in all this time. */
function arrived(pane: Pane, limitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    let timer = setTimeout(() => done(false), limitMs);
    const began = Date.now();
    const stop = pane.onWritten(() => {
      clearTimeout(timer);
      // One that never pauses is not waited for.
      const left = Math.max(0, limitMs - (Date.now() - began));
      timer = setTimeout(() => done(true), Math.min(ARRIVED_MS, left));
      if (pane.state.is === 'ended') done(true);
    });
    const done = (is: boolean) => {
      clearTimeout(timer);
      stop();
      resolve(is);
    };
  });
}

function shownOn({ screen }: Pane): Shown {
  screen.settle();
  return { rows: screen.lines({ from: 0, to: screen.rows - 1 }), cursorRow: screen.cursor.y };
}

/** Whether it comes true in time, or the program ends. */
function becomes(pane: Pane, isTrue: () => boolean, deadline: number): Promise<boolean> {
  return new Promise((resolve) => {
    let looking: NodeJS.Timeout | null = null;
    const look = () => {
      looking = null;
      if (pane.state.is === 'ended' || isTrue()) done(true);
    };
    const timer = setTimeout(() => done(isTrue()), Math.max(0, deadline - Date.now()));
    const stop = pane.onWritten(() => {
      looking ??= setTimeout(look, 20);
    });
    const done = (is: boolean) => {
      clearTimeout(timer);
      if (looking) clearTimeout(looking);
      stop();
      resolve(is);
    };
  });
}
