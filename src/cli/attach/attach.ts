import { PREFIX_KEY } from '../../base/prefix-key.ts';
import { type Connection, ConnectionError, type StreamListener } from '../../client/connection.ts';
import { connect } from '../../client/daemon.ts';
import { pathsFor } from '../../config/paths.ts';
import type { CallResult, SessionInfo } from '../../wire/calls.ts';
import { WireError } from '../../wire/errors.ts';
import type { StreamEnd } from '../../wire/events.ts';
import { EXIT } from '../exit-codes.ts';
import { Losses, REPLACER_MS } from '../losses.ts';
import { plain, say, UsageError } from '../output.ts';
import { KeptInput } from './kept-input.ts';
import { type Input, PrefixReader } from './prefix.ts';
import { UserTerminal } from './user-terminal.ts';

/** How long the rest of a sequence may take that the line has cut in two. */
const CUT_SEQUENCE_MS = 40;

export interface AttachOptions {
  /** Undefined: the session used last. */
  session: string | undefined;
  readOnly: boolean;
  detachOthers: boolean;
}

/**
 * Shows a session on this terminal until the person leaves or the session ends, and returns the exit code. The program's bytes pass through
 * as they are, so scrollback, selection, mouse and graphics are the terminal's own. A daemon that goes away is followed by the next one,
 * unless somebody has asked it to stop.
 */
export async function attach(first: Connection, { session, readOnly, detachOthers }: AttachOptions): Promise<number> {
  const ownPrefix = prefixFrom(process.env);
  const terminal = new UserTerminal();
  const ending = withResolvers<Ending>();
  let daemon = first;
  let attached: CallResult<'pane.attach'> | null = null;
  /** Nobody answers at present; what is typed waits in `kept`. */
  let isAway = false;
  let isOver = false;
  const kept = new KeptInput();
  const losses = new Losses();

  const finish = (end: Ending) => {
    isOver = true;
    ending.resolve(end);
  };
  // One follow at a time; after a job-control stop, and by the next daemon, the screen is asked for anew.
  let generation = 0;
  const listener = (): StreamListener => {
    const mine = ++generation;
    return {
      snapshot: (bytes) => mine === generation && terminal.write(bytes),
      bytes: (bytes) => mine === generation && terminal.write(bytes),
      ended: (end) => {
        if (mine !== generation) return;
        if (end.because === 'daemon replaced' && attached) leave(end.because);
        else finish(end);
      },
    };
  };
  const follow = async (how: { history: boolean; shown?: boolean }) => {
    const asked = terminal.size;
    const answer = await daemon.follow({ ...(session !== undefined && { session }), ...asked, readOnly, detachOthers, ...how }, listener());
    attached = answer;
    session = answer.session.id;
    detachOthers = false;
    // A size that came while the daemon was being asked.
    const { cols, rows } = terminal.size;
    if (cols !== asked.cols || rows !== asked.rows) resize();
    return answer;
  };
  const resize = () => {
    if (attached) void daemon.call('pane.viewport', { stream: attached.stream, ...terminal.size }).catch(() => {});
  };
  const send = (stream: number, bytes: Uint8Array) => {
    const taken = kept.sent(bytes);
    // A daemon that is leaving reads on, and throws away what comes for streams that it has ended.
    daemon.type(stream, bytes, () => isAway || taken());
  };
  const type = (bytes: Uint8Array) => {
    if (!isAway && attached) send(attached.stream, bytes);
    else if (!kept.keep(bytes)) terminal.notice('[no daemon yet, and no room for more keys: what you type now is lost]', { rings: true });
  };

  /** The notice is gone with the next daemon's picture. */
  const leave = (because: 'lost' | 'daemon replaced') => {
    if (isAway) return;
    isAway = true;
    generation++;
    const what = because === 'lost' ? 'lost the daemon' : 'the daemon is being replaced';
    terminal.notice(`[${what}; session "${plain(attached!.session.name)}" runs on${readOnly ? '' : ', and what you type is kept'}]`);
    const gone = because === 'lost' ? Promise.resolve() : new Promise<void>((resolve) => void (daemon.onLost = () => resolve()));
    // One that is being replaced takes clients until the end, and what they type then has nowhere to go.
    gone.then(() => comeBack(because)).catch((error: Error) => finish({ because: 'lost', error }));
  };
  const comeBack = async (because: 'lost' | 'daemon replaced') => {
    for (let patienceMs = because === 'lost' ? 0 : REPLACER_MS; ; patienceMs = 0) {
      losses.count();
      // Nobody is asked for a passphrase on a terminal that shows a session.
      daemon = await connect(pathsFor(), { patienceMs });
      try {
        const { stream } = await follow({ history: false, shown: true });
        isAway = false;
        daemon.onLost = () => isOver || leave('lost');
        const before = Buffer.concat(kept.take());
        if (before.length > 0) send(stream, before);
        return;
      } catch (error) {
        if (error instanceof WireError && error.code === 'not-found') return finish({ because: 'gone' });
        if (!(error instanceof ConnectionError)) throw error;
      }
    }
  };

  // The terminal is made ours before the first byte can come, and given back whatever happens after.
  terminal.open();
  try {
    const { prefix } = await follow({ history: true });
    daemon.onLost = () => isOver || leave('lost');
    const reader = new PrefixReader(ownPrefix ?? prefix);
    const act = (inputs: readonly Input[]) => {
      for (const input of inputs) {
        if (input.is === 'detach') finish({ because: 'detached' });
        else if (!readOnly) type(input.bytes);
      }
    };
    let holding: NodeJS.Timeout | undefined;
    terminal.onInput = (chunk) => {
      clearTimeout(holding);
      act(reader.read(chunk));
      if (reader.isHolding) holding = setTimeout(() => act(reader.flush()), CUT_SEQUENCE_MS);
    };
    terminal.onResize = resize;
    terminal.onContinued = () => {
      const stream = attached!.stream;
      if (isAway) return;
      follow({ history: false }).then(
        () => void daemon.call('pane.detach', { stream }).catch(() => {}),
        () => {},
      );
    };
    terminal.onClosed = () => finish({ because: 'detached' });
    // Only now: what was typed before waits in the terminal.
    terminal.listen();

    const end = await ending.promise;
    clearTimeout(holding);
    terminal.close();
    const exitCode = tell(attached!.session, end);
    // A connection may be in the making that nobody wants any more.
    if (isAway) process.exit(exitCode);
    daemon.close();
    return exitCode;
  } finally {
    terminal.close();
  }
}

/** AI_SESSION_PREFIX, or null when it is not set; empty is not set either. */
export function prefixFrom({ AI_SESSION_PREFIX: prefix }: NodeJS.ProcessEnv): string | null {
  if (!prefix) return null;
  if (!PREFIX_KEY.test(prefix))
    throw new UsageError(
      `AI_SESSION_PREFIX "${prefix}" is not a prefix key: use C-a to C-z, C-Space, C-\\, C-], C-^, C-_ or none, or unset it.`,
    );
  return prefix;
}

/** Why it is over: what the daemon said, the person's own wish, nobody answering any more, or a session that the next daemon does not know. */
type Ending =
  | Omit<StreamEnd, 'stream'>
  | { because: 'detached' | 'gone'; exitCode?: null; signal?: null }
  | { because: 'lost'; error: Error; exitCode?: null; signal?: null };

/** One line about why it is over. */
function tell({ name, id }: SessionInfo, end: Ending): number {
  const session = `session "${plain(name)}"`;
  const { because, exitCode, signal } = end;
  switch (because) {
    case 'session ended':
      if (!signal && (exitCode === null || exitCode === undefined))
        say(
          `[${session} was lost: nobody knows how it ended, and this is its last screen. Start it again with: ai-session restore '${id}']`,
        );
      else say(`[${session} ended: ${signal ?? `exit ${exitCode}`}]`);
      return EXIT.ok;
    case 'session removed':
      say(`[${session} was killed]`);
      return EXIT.ok;
    case 'taken over':
      say(`[detached from ${session}: another client attached with --detach-others]`);
      return EXIT.ok;
    case 'gone':
      say(`[${session} has ended, and nothing is kept of it]`);
      return EXIT.ok;
    case 'daemon stopping':
    case 'daemon replaced':
      say(`[the daemon stopped; ${session} runs on. Come back with: ai-session attach '${id}']`);
      return EXIT.ok;
    case 'failed':
      say(`[${session} failed in the daemon. See: ai-session daemon logs]`);
      return EXIT.failure;
    case 'lost':
      say(plain(end.error.message));
      say(`[lost the daemon; ${session} runs on. Come back with: ai-session attach '${id}']`);
      return EXIT.noDaemon;
    default:
      say(`[detached from ${session}]`);
      return EXIT.ok;
  }
}

/** Promise.withResolvers came with Node 22. */
function withResolvers<T>(): { promise: Promise<T>; resolve(value: T): void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
