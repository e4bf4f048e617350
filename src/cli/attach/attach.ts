import { PREFIX_KEY } from '../../base/prefix-key.ts';
import type { Connection, StreamListener } from '../../client/connection.ts';
import type { StreamEnd } from '../../wire/events.ts';
import { EXIT } from '../exit-codes.ts';
import { plain, say, UsageError } from '../output.ts';
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
 * as they are, so scrollback, selection, mouse and graphics are the terminal's own.
 */
export async function attach(daemon: Connection, { session, readOnly, detachOthers }: AttachOptions): Promise<number> {
  const ownPrefix = prefixFrom(process.env);
  const terminal = new UserTerminal();
  const ending = withResolvers<Ending>();
  daemon.onLost = () => ending.resolve({ because: 'lost' });

  // One follow at a time; after a job-control stop the screen is asked for anew.
  let generation = 0;
  const listener = (): StreamListener => {
    const mine = ++generation;
    return {
      snapshot: (bytes) => mine === generation && terminal.write(bytes),
      bytes: (bytes) => mine === generation && terminal.write(bytes),
      ended: (end) => mine === generation && ending.resolve(end),
    };
  };
  const follow = async (history: boolean) => {
    const asked = terminal.size;
    const attached = await daemon.follow(
      { ...(session !== undefined && { session }), ...asked, readOnly, detachOthers, history },
      listener(),
    );
    // A size that came while the daemon was being asked.
    const { cols, rows } = terminal.size;
    if (cols !== asked.cols || rows !== asked.rows) resize(attached.stream);
    return attached;
  };
  const resize = (stream: number) => void daemon.call('pane.viewport', { stream, ...terminal.size }).catch(() => {});

  // The terminal is made ours before the first byte can come, and given back whatever happens after.
  terminal.open();
  try {
    let attached = await follow(true);
    const { name } = attached.session;
    const reader = new PrefixReader(ownPrefix ?? attached.prefix);
    const act = (inputs: readonly Input[]) => {
      for (const input of inputs) {
        if (input.is === 'detach') ending.resolve({ because: 'detached' });
        else if (!readOnly) daemon.type(attached.stream, input.bytes);
      }
    };
    let holding: NodeJS.Timeout | undefined;
    terminal.onInput = (chunk) => {
      clearTimeout(holding);
      act(reader.read(chunk));
      if (reader.isHolding) holding = setTimeout(() => act(reader.flush()), CUT_SEQUENCE_MS);
    };
    terminal.onResize = () => resize(attached.stream);
    terminal.onContinued = () => {
      const { stream } = attached;
      detachOthers = false;
      session = attached.session.id;
      follow(false).then(
        (again) => {
          attached = again;
          void daemon.call('pane.detach', { stream }).catch(() => {});
        },
        () => {},
      );
    };
    terminal.onClosed = () => ending.resolve({ because: 'detached' });
    // Only now: what was typed before waits in the terminal.
    terminal.listen();

    const end = await ending.promise;
    terminal.close();
    return tell(name, attached.session.id, end);
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

/** Why it is over: what the daemon said, the person's own wish, or nobody answering any more. */
type Ending = Omit<StreamEnd, 'stream'> | { because: 'detached' | 'lost'; exitCode?: null; signal?: null };

/** One line about why it is over. */
function tell(name: string, id: string, { because, exitCode, signal }: Ending): number {
  const session = `session "${plain(name)}"`;
  switch (because) {
    case 'session ended':
      say(`[${session} ended: ${signal ?? (exitCode === null || exitCode === undefined ? 'nobody knows how' : `exit ${exitCode}`)}]`);
      return EXIT.ok;
    case 'session removed':
      say(`[${session} was killed]`);
      return EXIT.ok;
    case 'taken over':
      say(`[detached from ${session}: another client attached with --detach-others]`);
      return EXIT.ok;
    case 'daemon stopping':
      say(`[the daemon stopped; ${session} runs on. Come back with: ai-session attach '${id}']`);
      return EXIT.ok;
    case 'failed':
      say(`[${session} failed in the daemon. See: ai-session daemon logs]`);
      return EXIT.failure;
    case 'lost':
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
