import { z } from 'zod';
import { NOTIFY_CALLS } from './notify-calls.ts';
import { STATUSES } from './pane-status.ts';
import { again, RESUME_CALLS } from './resume-calls.ts';
import { STATUS_CALLS } from './status-calls.ts';
import { WAIT_CALLS } from './wait-calls.ts';

/**
 * Everything a client can ask. From this table come the daemon's handler types (a missing handler is a compile error) and the client's
 * method types. `since` is the protocol that brought the call.
 */
export const CALLS = {
  'daemon.status': call({
    since: 1,
    does: 'Say which daemon this is and which processes it owns.',
    params: z.object({}),
    result: daemonStatus(),
  }),
  'daemon.stop': call({
    since: 1,
    does: 'Stop the daemon. Programs go on for the next one, unless they are to be ended too.',
    params: z.object({
      killSessions: z.boolean().default(false),
      /** Another daemon follows at once: who is attached waits for it. */
      replace: z.boolean().default(false),
    }),
    result: z.object({ pid: z.number(), ended: z.array(z.string()), left: z.array(z.string()), survivors: z.array(z.number()) }),
  }),
  'daemon.ping': call({
    since: 1,
    does: 'Answer: everything that this connection has sent before has been read.',
    params: z.object({}),
    result: z.object({}),
  }),
  'session.create': call({
    since: 1,
    does: 'Start a program in a new session.',
    params: z.object({
      name: z.string().optional(),
      command: z.array(z.string()).max(100_000).default([]),
      cwd: z.string(),
      /** The client's environment, which the program gets less what would mislead it. */
      env: z.record(z.string(), z.string()).default({}),
      /** Variables that were asked for by name: the program gets them whatever they are. */
      set: z.record(z.string(), z.string()).default({}),
      cols: size().default(80),
      rows: size().default(24),
      role: z.string().max(100).optional(),
      openFiles: z.int().min(1).optional(),
      /** Whether its output is kept; the setting says when this does not. */
      history: z.boolean().optional(),
      restart: z.enum(['never', 'ask', 'always']).optional(),
    }),
    result: sessionInfo(),
  }),
  'session.list': call({
    since: 1,
    does: 'List the sessions.',
    params: z.object({}),
    result: z.object({ sessions: z.array(sessionInfo()) }),
  }),
  'session.get': call({ since: 1, does: 'Tell one session.', params: target({}), result: sessionInfo() }),
  'session.rename': call({ since: 1, does: 'Give a session another name.', params: target({ name: z.string() }), result: sessionInfo() }),
  'session.kill': call({
    since: 1,
    does: 'End sessions: the whole process tree of each, verified. An ended session is forgotten.',
    params: z.object({ sessions: z.array(z.string()).min(1), force: z.boolean().default(false) }),
    result: z.object({
      killed: z.array(z.object({ id: z.string(), name: z.string(), signals: z.array(z.string()), survivors: z.array(z.number()) })),
    }),
  }),
  'session.restore': call({
    since: 1,
    does: 'Start the program of a session again that has ended or was lost: same folder, environment, screen, and an agent’s conversation.',
    params: z.object({
      session: z.string().optional(),
      all: z.boolean().default(false),
      cwd: z.string().optional(),
      /** A snapshot, by id or label, which becomes a session of its own. */
      from: z.string().optional(),
      /** The name of that session. */
      name: z.string().optional(),
    }),
    result: z.object({
      restored: z.array(z.object({ session: sessionInfo(), notes: z.array(z.string()) })),
      refused: z.array(z.object({ id: z.string(), name: z.string(), because: z.string() })),
    }),
  }),
  'pane.write': call({
    since: 1,
    does: 'Type text and keys into a pane.',
    params: target({
      input: z.array(z.string()),
      as: z.enum(['keys', 'text', 'hex']).default('keys'),
      enter: z.boolean().default(false),
    }),
    result: z.object({ bytes: z.number() }),
  }),
  'pane.capture': call({
    since: 1,
    does: "Read a pane's screen and scrollback as text.",
    params: target({
      escapes: z.boolean().default(false),
      join: z.boolean().default(false),
      /** Line numbers as in tmux: 0 is the first visible row, negative numbers are scrollback, `-` is the far end. */
      start: z.union([z.int(), z.literal('-')]).optional(),
      end: z.union([z.int(), z.literal('-')]).optional(),
    }),
    result: z.object({
      lines: z.array(z.string()),
      cols: z.number(),
      rows: z.number(),
      cursor: z.object({ x: z.number(), y: z.number(), visible: z.boolean() }),
      title: z.string(),
      alternate: z.boolean(),
      historyLines: z.number(),
    }),
  }),
  'pane.resize': call({
    since: 1,
    does: 'Give a pane another size.',
    params: target({ cols: size(), rows: size() }),
    result: sessionInfo(),
  }),
  'pane.signal': call({
    since: 1,
    does: "Send a signal to a pane's program, its process group, or what is in the foreground.",
    params: target({ signal: z.string(), to: z.enum(['program', 'group', 'foreground']).default('foreground') }),
    result: z.object({ signal: z.string(), delivered: z.boolean() }),
  }),
  'pane.attach': call({
    since: 1,
    does: 'Follow a pane: a snapshot frame, then every byte after it; input frames go the other way.',
    params: z.object({
      /** Nothing given: the session used last. */
      session: z.string().optional(),
      cols: size(),
      rows: size(),
      readOnly: z.boolean().default(false),
      detachOthers: z.boolean().default(false),
      history: z.boolean().default(true),
      /** The terminal shows this pane already, by an earlier daemon: what it shows is replaced, and nothing of it goes to its scrollback. */
      shown: z.boolean().default(false),
    }),
    result: z.object({ stream: z.number(), session: sessionInfo(), prefix: z.string() }),
  }),
  'pane.detach': call({ since: 1, does: 'Stop following.', params: z.object({ stream: z.int() }), result: z.object({}) }),
  'pane.viewport': call({
    since: 1,
    does: "Tell that the follower's terminal has another size now.",
    params: z.object({ stream: z.int(), cols: size(), rows: size() }),
    result: z.object({}),
  }),
  'history.read': call({
    since: 1,
    does: 'Read what a session printed, ended ones included: a stream of frames, which ends with "complete".',
    params: target({
      format: z.enum(['text', 'ansi', 'raw', 'json', 'asciicast', 'html']).default('text'),
      /** Milliseconds since 1970. */
      since: z.number().optional(),
      /** Only so many of the last lines. */
      lines: z.int().min(0).max(1_000_000).optional(),
      /** Go on as it is written, until the program ends. */
      follow: z.boolean().default(false),
      /** With a note in the place of what looks like a secret; of text and json. */
      redact: z.boolean().default(false),
    }),
    result: z.object({ stream: z.number(), session: z.object({ id: z.string(), name: z.string() }) }),
  }),
  'history.search': call({
    since: 1,
    does: 'Find lines in what sessions printed, gone ones included, the newest first.',
    params: z.object({
      /** As it stands; case counts only when there are capitals in it. */
      pattern: z.string(),
      /** By id, or by name: everyone that ever had it. */
      session: z.string().optional(),
      /** Milliseconds since 1970. */
      since: z.number().optional(),
      isRegex: z.boolean().default(false),
      limit: z.int().min(1).max(1000).default(50),
    }),
    result: z.object({
      matches: z.array(
        z.object({
          session: z.string(),
          name: z.string(),
          pane: z.string(),
          /** Of the line's first byte, and after its last. */
          offset: z.number(),
          end: z.number(),
          at: z.number(),
          text: z.string(),
        }),
      ),
      /** The limit left out older ones. */
      hasMore: z.boolean(),
      /** False when not everything could be searched in the time there is; then everything up to `upTo` was, if that is known. */
      isComplete: z.boolean(),
      upTo: z.number().nullable(),
      how: z.enum(['index', 'exact']),
      note: z.string().nullable(),
    }),
  }),
  'history.list': call({
    since: 1,
    does: 'List the sessions that are in no list any more and whose history is kept.',
    params: z.object({}),
    result: z.object({
      sessions: z.array(
        z.object({
          id: z.string(),
          name: z.string(),
          command: z.array(z.string()),
          cwd: z.string(),
          createdAt: z.number(),
          endedAt: z.number().nullable(),
          exitCode: z.number().nullable(),
          archivedAt: z.number(),
          bytes: z.number(),
        }),
      ),
    }),
  }),
  'history.collect': call({
    since: 1,
    does: 'Forget the history of archived sessions: of one, of all, or of those that are older than some days.',
    params: z.object({
      session: z.string().optional(),
      all: z.boolean().default(false),
      keepDays: z.number().min(0).optional(),
      isDryRun: z.boolean().default(false),
    }),
    result: z.object({ collected: z.array(z.object({ id: z.string(), name: z.string(), bytes: z.number() })), bytes: z.number() }),
  }),
  'snapshot.create': call({
    since: 1,
    does: 'Keep the screen, environment, folder, checked out commit and place in the journal of a session, to come back to.',
    params: target({ label: z.string().min(1).max(200).optional() }),
    result: snapshotInfo(),
  }),
  'snapshot.list': call({
    since: 1,
    does: 'List the snapshots of a session, or all.',
    params: z.object({ session: z.string().optional() }),
    result: z.object({ snapshots: z.array(snapshotInfo()) }),
  }),
  'snapshot.remove': call({
    since: 1,
    does: 'Forget a snapshot.',
    params: z.object({ snapshot: z.string() }),
    result: z.object({}),
  }),
  'encryption.status': call({
    since: 1,
    does: 'Say whether history is encrypted on the disk, and with which keys.',
    params: z.object({}),
    result: z.object({
      isOn: z.boolean(),
      source: z.enum(['passphrase', 'key-file', 'os-keyring']).nullable(),
      keyFile: z.string().nullable(),
      keys: z.array(z.object({ id: z.string(), createdAt: z.number(), retiredAt: z.number().nullable() })),
      /** Files that are not as encryption would have them now; null while they are being looked at. */
      left: z.number().nullable(),
    }),
  }),
  'encryption.change': call({
    since: 1,
    does: 'Turn encryption at rest on or off, or give it another key. The next daemon brings what is on the disk up to date.',
    params: z.object({
      action: z.enum(['enable', 'disable', 'rotate']),
      /** What unlocks the keys from now on. */
      source: z.enum(['passphrase', 'key-file', 'os-keyring']).optional(),
      /** The passphrase that unlocks them now. */
      passphrase: z.string().max(10_000).optional(),
      newPassphrase: z.string().max(10_000).optional(),
      keyFile: z.string().optional(),
    }),
    result: z.object({}),
  }),
  'command.list': call({
    since: 1,
    does: 'List the commands that were run in a session’s shell, the oldest first.',
    params: target({ last: z.int().min(1).max(100_000).default(50) }),
    result: z.object({
      /** The shell, where it tells of its commands; null where it does not. */
      shell: z.enum(['bash', 'zsh', 'fish', 'sh']).nullable(),
      /** What it does now. */
      is: z.enum(['starting', 'prompt', 'command', 'gone']),
      commands: z.array(commandInfo()),
    }),
  }),
  'command.output': call({
    since: 1,
    does: 'Read what a command printed: the last one, or the one of this number.',
    params: target({ command: z.int().min(1).optional(), maxBytes: outputBytes() }),
    result: z.object({ command: commandInfo(), output: z.string(), truncated: truncated() }),
  }),
  'command.run': call({
    since: 1,
    does: 'Run text in a session’s live shell, and answer when it has ended.',
    params: target({
      text: z
        .string()
        .min(1)
        .max(1 << 20),
      timeoutMs: z.int().min(0).optional(),
      maxBytes: outputBytes(),
      /** Wait for whatever runs there; otherwise that is refused, and only other runs are waited for. */
      queue: z.boolean().default(false),
      /** Send Ctrl-C at the timeout. */
      interrupt: z.boolean().default(false),
      ...again(),
    }),
    result: runResult(),
  }),
  'command.exec': call({
    since: 1,
    does: 'Run a program in a new session with no shell around it, and answer when it has ended.',
    params: z.object({
      command: z.array(z.string()).min(1).max(100_000),
      cwd: z.string(),
      env: z.record(z.string(), z.string()).default({}),
      cols: size().default(200),
      rows: size().default(50),
      timeoutMs: z.int().min(0).optional(),
      maxBytes: outputBytes(),
      /** End it at the timeout. */
      interrupt: z.boolean().default(false),
      ...again(),
    }),
    result: runResult(),
  }),
  'event.follow': call({ since: 1, does: 'Hear events from now on.', params: z.object({}), result: z.object({ seq: z.number() }) }),
  ...RESUME_CALLS,
  ...WAIT_CALLS,
  ...STATUS_CALLS,
  ...NOTIFY_CALLS,
};

export type CallName = keyof typeof CALLS;
/** What the caller may leave out is optional here. */
export type CallParams<N extends CallName> = z.input<(typeof CALLS)[N]['params']>;
export type CallInput<N extends CallName> = z.output<(typeof CALLS)[N]['params']>;
export type CallResult<N extends CallName> = z.output<(typeof CALLS)[N]['result']>;
export type SessionInfo = z.output<ReturnType<typeof sessionInfo>>;
export type DaemonStatus = z.output<ReturnType<typeof daemonStatus>>;

function call<P extends z.ZodType, R extends z.ZodType>(spec: { since: number; does: string; params: P; result: R }) {
  return spec;
}

/** Columns or rows. A screen of 1,000 by 1,000 cells costs 12 MB; nobody has a wall of 1,000 lines of 2,000 columns. */
function size() {
  return z.int().min(1).max(2000);
}

/** A session by its exact name, its id (`$3`), or its pane's id (`%3`). */
function target<S extends z.ZodRawShape>(more: S) {
  return z.object({ session: z.string(), ...more });
}

function sessionInfo() {
  return z.object({
    id: z.string(),
    pane: z.string(),
    name: z.string(),
    status: z.enum(['starting', 'running', 'exited', 'failed', 'lost']),
    /** Null while the program runs, and where nobody knows. */
    exitCode: z.number().nullable(),
    signal: z.string().nullable(),
    command: z.array(z.string()),
    role: z.string().nullable(),
    cwd: z.string(),
    pid: z.number().nullable(),
    holderPid: z.number().nullable(),
    backend: z.enum(['hold', 'node-pty']),
    cols: z.number(),
    rows: z.number(),
    /** How many clients follow it now. */
    attached: z.number(),
    title: z.string(),
    /** Milliseconds since 1970. */
    createdAt: z.number(),
    activeAt: z.number(),
    endedAt: z.number().nullable(),
    /** What it is doing, by what it shows and says. Absent where the daemon is older. */
    state: z.object({ status: z.enum(STATUSES), because: z.string(), since: z.number() }).optional(),
  });
}

/** Bytes of UTF-8 that an answer may have of a command's output. */
function outputBytes() {
  return z
    .int()
    .min(0)
    .max(8 << 20)
    .default(64 << 10);
}

function commandInfo() {
  return z.object({
    /** Counts from 1 in each session. */
    n: z.number(),
    pane: z.string(),
    /** What was typed or run; null where the shell could not say. */
    text: z.string().nullable(),
    by: z.enum(['person', 'run']),
    cwd: z.string().nullable(),
    /** Milliseconds since 1970. */
    startedAt: z.number(),
    endedAt: z.number().nullable(),
    /** Null while it runs, and where nobody knows. */
    exitCode: z.number().nullable(),
    /** What there is to say about its end, in a sentence. */
    because: z.string().nullable(),
    /** Where its output is among all that the pane printed. */
    from: z.number().nullable(),
    to: z.number().nullable(),
  });
}

/** What was left out of the middle of an output; `lines` is null where they were not counted. */
function truncated() {
  return z.object({ bytes: z.number(), lines: z.number().nullable() }).nullable();
}

function runResult() {
  return z.object({
    session: z.object({ id: z.string(), name: z.string() }),
    /** `unobserved`: it was typed into a shell inside another program, as ssh, and nobody tells how it ends there. */
    status: z.enum(['finished', 'timed_out', 'shell_exited', 'full_screen', 'needs_secret', 'not_started', 'unobserved']),
    /** The command's, or null: it goes on, or nobody knows. */
    exitCode: z.number().nullable(),
    signal: z.string().nullable(),
    because: z.string().nullable(),
    isRunning: z.boolean(),
    /** Its number in the session; null where it did not begin, and for one that had a session to itself. */
    command: z.number().nullable(),
    durationMs: z.number(),
    output: z.string(),
    truncated: truncated(),
    range: z.object({ pane: z.string(), from: z.number(), to: z.number() }).nullable(),
    /** The end of what the answer knows of. */
    cursor: z.string(),
    warnings: z.array(z.string()),
  });
}

function snapshotInfo() {
  return z.object({
    id: z.string(),
    label: z.string().nullable(),
    at: z.number(),
    session: z.string(),
    name: z.string(),
    cwd: z.string(),
    git: z.object({ branch: z.string().nullable(), commit: z.string().nullable() }).nullable(),
    status: z.string(),
  });
}

function daemonStatus() {
  return z.object({
    pid: z.number(),
    /** The daemon's pid and every holder's. */
    pids: z.array(z.number()),
    version: z.string(),
    protocol: z.number(),
    instance: z.string(),
    home: z.string(),
    socket: z.string(),
    log: z.string(),
    backend: z.enum(['hold', 'node-pty']),
    node: z.string(),
    startedAt: z.number(),
    sessions: z.number(),
    connections: z.number(),
    /** What is wrong with the settings and with the rules for agents, in sentences. */
    problems: z.array(z.string()),
    /** What is kept of what programs print. Absent where the daemon is older. */
    history: z
      .object({
        /** What compresses it: zstd-napi, node:zlib zstd, or deflate. */
        codec: z.string(),
        isEncrypted: z.boolean(),
        /** On the disk, gone sessions included. */
        bytes: z.number(),
        /** Sessions whose output the disk does not take now. */
        failing: z.array(z.object({ id: z.string(), name: z.string(), because: z.string() })),
      })
      .optional(),
  });
}
