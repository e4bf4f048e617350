import { WireError } from '../../wire/errors.ts';
import type { Launch } from './launch.ts';
import type { SessionFacts } from './session.ts';

/** What a session is made of. */
export interface Creation {
  name: string;
  /** As it was asked for, and as it is started, which may resume something. */
  command: [string, ...string[]];
  started: readonly [string, ...string[]];
  cwd: string;
  role: string | null;
  size: { cols: number; rows: number };
  launch: Launch;
  history: boolean;
  restart: SessionFacts['restart'];
  conversation: SessionFacts['conversation'];
  before: { screen: Uint8Array; notice: string } | null;
  /** By which whoever asked for it finds it when the daemon was lost. */
  token?: string;
}

/** What is known of a new session before its program runs. */
export function newFacts(
  { name, command, cwd, role, history, restart, conversation, token }: Creation,
  { id, backend, createdAt }: Pick<SessionFacts, 'id' | 'backend' | 'createdAt'>,
): SessionFacts {
  return {
    id,
    name,
    command,
    cwd,
    role,
    backend,
    createdAt,
    pid: null,
    holderPid: null,
    pidIdentity: null,
    endedAt: null,
    history,
    restart,
    conversation,
    shell: null,
    earlierPanes: [],
    restores: [],
    archivedAt: null,
    ...(token !== undefined && { token }),
  };
}

/** What an ended session is started again with. */
export interface Revival {
  command: readonly [string, ...string[]];
  cwd: string;
  /** What a person should know, in sentences. */
  notes: readonly string[];
  launch: Launch | null;
}

/** The line between what an earlier program left and what the next one writes. */
export function restoredNotice(notes: readonly string[]): string {
  return `[${new Date().toLocaleString('sv-SE')} restored: ${notes.join('; ')}]`;
}

/** Who owns the PTY of a new program. */
export function backendFor(wanted: 'auto' | 'hold' | 'node-pty', holder: string | null): 'hold' | 'node-pty' {
  if (wanted === 'hold' && holder === null)
    throw new WireError('spawn-failed', 'pty.backend is "hold", which was not built. See why with: ai-session doctor');
  return wanted === 'auto' ? (holder ? 'hold' : 'node-pty') : wanted;
}
