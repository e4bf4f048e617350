import { WireError } from '../../wire/errors.ts';
import type { Pane } from '../session/pane.ts';
import { character } from '../terminal/capture.ts';
import type { Screen } from '../terminal/screen.ts';
import { commandLineOf, type Host, hostOf } from './hosts.ts';
import { look, type Seen, waitsForSecret } from './look.ts';
import { asTyped, keyIn, LINE_LIMIT_BYTES } from './typeable.ts';

/** What has printed nothing for so long may be at a prompt. */
const AT_REST_MS = 200;
/** So long that is waited for. */
const PATIENCE_MS = 1000;
/** A prompt is drawn in pieces. */
const DRAWN_MS = 50;
/** Where the prompt does not come again, as after cd where it shows the directory, silence is all there is to go by. */
const SILENT_MS = 2000;

/** A prompt of a shell inside another program: everything left of the cursor in a row, counted from the first that the screen ever had. */
export interface Prompt {
  text: string;
  row: number;
  /** The program that has the terminal, as it was started. */
  host: string;
  isCanonical: boolean;
}

/** What came of a line that was typed there. `prompt`: the prompt stands there again. `to`: up to that prompt. */
export interface Answer {
  why: 'prompt' | 'silent' | 'late' | 'host ended' | Seen;
  from: number;
  to: number;
}

/** The prompt of a shell that another program hosts, as ssh does. Null at any doubt: what is typed into something else does harm. */
export async function findPrompt(pane: Pane): Promise<Prompt | null> {
  const { entered } = pane;
  // What was entered a moment ago may be over in another, and the host back.
  if (!(await hostIn(pane)) && Date.now() - entered.at > AT_REST_MS) return null;
  if (!(await comesToRest(pane, Math.max(pane.activeAt, entered.at)))) return null;
  let found = await reader(pane);
  if (found && pane.typedBytes > pane.entered.typedBytes) {
    // What somebody has begun to type there is taken away, as it is in a shell of ours.
    pane.write(Buffer.from('\x15'));
    found = (await comesToRest(pane, Date.now())) ? await reader(pane) : null;
  }
  const prompt = promptOn(pane.screen);
  return found && prompt ? { ...prompt, host: found.line, isCanonical: found.isCanonical } : null;
}

/** A host that reads a line, and neither a secret nor keys for a program on the whole screen. Not even C-u may go to anything else. */
async function reader(pane: Pane): Promise<{ line: string; isCanonical: boolean } | null> {
  const found = await hostIn(pane);
  const modes = pane.state.is === 'running' ? await pane.state.pty.terminalModes() : null;
  const shown = promptOn(pane.screen)?.text ?? '';
  if (!found || pane.screen.isAlternate || waitsForSecret(modes, shown) || (found.host === 'edited' && modes?.canonical)) return null;
  return { line: found.line, isCanonical: modes?.canonical ?? true };
}

async function hostIn({ state }: Pane): Promise<{ host: Host; line: string } | null> {
  if (state.is !== 'running') return null;
  const foreground = await state.pty.foreground();
  if (!foreground || foreground.pgid === state.pty.pid) return null;
  const argv = commandLineOf(foreground.pgid);
  const host = hostOf(argv);
  return host && { host, line: argv.join(' ') };
}

/** Types a text at such a prompt, and waits for what comes of it. Throws WireError where it cannot be typed as it is. */
export async function typeAt(
  pane: Pane,
  prompt: Prompt,
  { text, deadline, onHostEnded }: { text: string; deadline: number | null; onHostEnded: (then: () => void) => () => void },
): Promise<Answer> {
  const lines = asTyped(text);
  const { bracketedPaste } = pane.screen.keyModes;
  const isPasted = bracketedPaste && /[\n\t]/.test(lines);
  refuseUntypable(lines, prompt, isPasted);
  const output = new Output(pane.head, { isEdited: bracketedPaste });
  let cleanUp = () => {};
  try {
    const why = await new Promise<Answer['why']>((resolve) => {
      const drawn = setTimeout(() => {
        const { screen } = pane;
        const now = screen.bytesWaiting > 0 ? null : promptOn(screen);
        if (now && now.text === prompt.text && now.row !== prompt.row) resolve('prompt');
        else if (screen.bytesWaiting > 0) drawn.refresh();
      }, DRAWN_MS);
      const silent = setTimeout(() => resolve('silent'), SILENT_MS);
      const late = deadline === null ? null : setTimeout(() => resolve('late'), Math.max(0, deadline - Date.now()));
      const stops = [
        pane.onWritten((offset, bytes) => {
          if (bytes) output.push(offset!, bytes);
          drawn.refresh();
          silent.refresh();
        }),
        look(pane, { hasStarted: () => true, found: resolve }),
        onHostEnded(() => resolve('host ended')),
      ];
      cleanUp = () => {
        for (const stop of stops) stop();
        for (const timer of [drawn, silent, late]) if (timer) clearTimeout(timer);
      };
      pane.write(Buffer.from(`${isPasted ? `\x1b[200~${lines}\x1b[201~` : lines}\r`));
    });
    return { why, ...output.range(why === 'prompt' ? null : pane.head) };
  } finally {
    cleanUp();
  }
}

function refuseUntypable(lines: string, { host, isCanonical }: Prompt, isPasted: boolean): void {
  const refuse = (what: string) => {
    throw new WireError('bad-params', `${what} Type it with: ai-session send NAME`);
  };
  const key = keyIn(lines, `"${host}"`);
  if (key) refuse(key);
  if (isPasted) return;
  if (lines.includes('\n'))
    refuse(`The text has several lines, and "${host}" has not asked for pastes: it would run each as it comes. Give it as one line.`);
  const bytes = Buffer.byteLength(lines);
  if (isCanonical && bytes > LINE_LIMIT_BYTES)
    refuse(`The text has ${bytes} bytes, and "${host}" would get the first ${LINE_LIMIT_BYTES} of them.`);
}

/** What stands left of the cursor, if nothing stands right of it. */
function promptOn(screen: Screen): { text: string; row: number } | null {
  if (screen.isAlternate) return null;
  const { engine } = screen.emulator;
  const { x, y } = screen.cursor;
  const line = engine.active.lines.get(engine.active.ybase + y);
  if (!line) return null;
  const read = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => character(line, from + i)).join('');
  const text = read(0, x);
  return text.trim() === '' || read(x, line.length).trim() !== '' ? null : { text, row: screen.linesScrolled + y };
}

/** Whether there is nothing new for a while. */
function comesToRest(pane: Pane, since: number): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (isAtRest: boolean) => {
      stop();
      clearTimeout(rest);
      clearTimeout(patience);
      resolve(isAtRest);
    };
    const rested = () => finish(pane.screen.bytesWaiting === 0);
    let rest = setTimeout(rested, Math.max(0, since + AT_REST_MS - Date.now()));
    const patience = setTimeout(() => finish(false), PATIENCE_MS);
    const stop = pane.onWritten(() => {
      clearTimeout(rest);
      rest = setTimeout(rested, AT_REST_MS);
    });
  });
}

/** A line editor that takes pastes says so while it edits, and takes that back at the end of the line: bash before its newline, zsh behind it. */
const TAKEN = /(\n)?\x1b\[\?2004l(\r*\n)?/;
/** More than the echo of what can be typed. */
const ECHO_LIMIT = 1 << 20;

/** What comes after the echo of what was typed. Line editors redraw it as they like, so it is not compared. */
export class Output {
  readonly #isEdited: boolean;
  /** The echo, until it is over; a character a byte. */
  #echo: string | null = '';
  #from: number;
  #lastLine: number;

  constructor(from: number, { isEdited }: { isEdited: boolean }) {
    this.#from = this.#lastLine = from;
    this.#isEdited = isEdited;
  }

  push(offset: number, bytes: Uint8Array): void {
    const lastNewline = bytes.lastIndexOf(10);
    if (lastNewline !== -1) this.#lastLine = offset + lastNewline + 1;
    if (this.#echo === null) return;
    this.#echo += Buffer.from(bytes).toString('latin1');
    const end = this.#endOfEcho(this.#echo);
    if (end !== null) this.#from += end;
    if (end !== null || this.#echo.length > ECHO_LIMIT) this.#echo = null;
  }

  /** Up to an offset, or to the beginning of the last line. */
  range(end: number | null): { from: number; to: number } {
    const to = end ?? this.#lastLine;
    return { from: this.#echo === null ? Math.min(this.#from, to) : to, to };
  }

  #endOfEcho(echo: string): number | null {
    if (!this.#isEdited) return echo.indexOf('\n') + 1 || null;
    const taken = TAKEN.exec(echo);
    if (!taken) return null;
    const [all, before, behind = ''] = taken;
    // Its newline may be on the way.
    if (!before && !behind && /^\r*$/.test(echo.slice(taken.index + all.length))) return null;
    return taken.index + all.length - (before ? behind.length : 0);
  }
}
