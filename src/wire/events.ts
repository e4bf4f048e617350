import type { Status } from './pane-status.ts';

/** What happened, numbered and in the past tense. A client ignores the ones it does not know. */
export type Event = { seq: number; at: number } & EventBody;

export type EventBody =
  | { event: 'daemon.stopping'; because: string }
  | { event: 'session.started'; session: string; name: string; pid: number | null }
  | { event: 'session.adopted'; session: string; name: string; pid: number | null }
  | { event: 'session.restored'; session: string; name: string; pid: number | null; notes: readonly string[] }
  | { event: 'session.renamed'; session: string; name: string; from: string }
  | { event: 'session.resized'; session: string; name: string; cols: number; rows: number }
  | { event: 'session.titled'; session: string; name: string; title: string }
  | { event: 'session.rang'; session: string; name: string }
  | {
      event: 'session.ended';
      session: string;
      name: string;
      status: 'exited' | 'failed' | 'lost';
      exitCode: number | null;
      signal: string | null;
    }
  /** Output that ended the daemon again and again is left out of the screen. */
  | { event: 'session.quarantined'; session: string; name: string; from: number; to: number }
  /** The disk takes no output, or does again. */
  | { event: 'history.failing' | 'history.recovered'; session: string; name: string; because: string | null }
  /** The oldest output was dropped to stay within a limit. */
  | { event: 'history.dropped'; bytes: number }
  | { event: 'command.started'; session: string; name: string; command: number; text: string | null; cwd: string | null }
  | {
      event: 'command.finished';
      session: string;
      name: string;
      command: number;
      text: string | null;
      exitCode: number | null;
      durationMs: number;
    }
  /** It does something else now; `since` in milliseconds since 1970. */
  | { event: 'pane.status'; session: string; name: string; status: Status; because: string; since: number }
  /** It waits for its human. */
  | { event: 'agent.waiting'; session: string; name: string; because: string; since: number }
  /** A file of rules for agents has changed; what is wrong with them now. */
  | { event: 'agents.reloaded'; problems: readonly string[] }
  | { event: 'session.removed'; session: string; name: string }
  | { event: 'client.attached'; session: string; name: string; stream: number; readOnly: boolean }
  | { event: 'client.detached'; session: string; name: string; stream: number; because: string };

/** What a follower is told about its own stream; the last thing it hears. */
export interface StreamEnd {
  stream: number;
  because: 'detached' | 'taken over' | 'session ended' | 'session removed' | 'daemon stopping' | 'complete' | 'daemon replaced' | 'failed';
  exitCode: number | null;
  signal: string | null;
}

/** Messages that are not answers: JSON-RPC notifications. */
export type Notification = { method: 'event'; params: Event } | { method: 'stream.ended'; params: StreamEnd };
