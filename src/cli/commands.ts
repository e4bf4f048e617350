import type { Command } from 'commander';

export interface CommandEntry {
  name: string;
  aliases: readonly string[];
  summary: string;
  /** Whether everything after "--" is a program and its arguments. */
  takesCommand?: boolean;
  load(): Promise<{ define(command: Command, argv: string[]): void }>;
}

/** Every command, in the order of the help. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'new',
    aliases: ['create'],
    summary: 'start a program in a new session, and attach to it',
    takesCommand: true,
    load: () => import('./commands/new.ts'),
  },
  { name: 'attach', aliases: ['a', 'at'], summary: 'attach to a session (C-b d leaves it)', load: () => import('./commands/attach.ts') },
  { name: 'ls', aliases: ['list'], summary: 'list the sessions', load: () => import('./commands/ls.ts') },
  {
    name: 'run',
    aliases: ['exec'],
    summary: "run a command in a session's live shell, and say how it ended",
    takesCommand: true,
    load: () => import('./commands/run.ts'),
  },
  {
    name: 'history',
    aliases: [],
    summary: "list the commands that were run in a session's shell",
    load: () => import('./commands/history.ts'),
  },
  { name: 'show', aliases: [], summary: 'print what a command printed', load: () => import('./commands/show.ts') },
  {
    name: 'submit',
    aliases: [],
    summary: 'give a prompt to an agent, and see that it was taken',
    load: () => import('./commands/submit.ts'),
  },
  { name: 'send', aliases: [], summary: 'type text and keys into a session', load: () => import('./commands/send.ts') },
  { name: 'capture', aliases: [], summary: "print a session's screen or scrollback", load: () => import('./commands/capture.ts') },
  { name: 'resize', aliases: [], summary: "set a session's size", load: () => import('./commands/resize.ts') },
  { name: 'rename', aliases: [], summary: 'give a session another name', load: () => import('./commands/rename.ts') },
  { name: 'signal', aliases: [], summary: "send a signal to a session's program", load: () => import('./commands/signal.ts') },
  { name: 'kill', aliases: [], summary: 'end sessions with everything they started', load: () => import('./commands/kill.ts') },
  { name: 'logs', aliases: [], summary: 'print what a session printed, gone ones included', load: () => import('./commands/logs.ts') },
  { name: 'search', aliases: [], summary: 'find lines in what sessions printed', load: () => import('./commands/search.ts') },
  { name: 'replay', aliases: [], summary: 'play what a session printed, as it was', load: () => import('./commands/replay.ts') },
  {
    name: 'export',
    aliases: [],
    summary: 'write what a session printed as asciicast, text, html or json',
    load: () => import('./commands/export.ts'),
  },
  { name: 'encryption', aliases: [], summary: 'encrypt history on the disk', load: () => import('./commands/encryption.ts') },
  { name: 'gc', aliases: [], summary: 'forget the history of sessions that are gone', load: () => import('./commands/gc.ts') },
  { name: 'snapshot', aliases: [], summary: 'keep a session as it is now, to come back to', load: () => import('./commands/snapshot.ts') },
  { name: 'snapshots', aliases: [], summary: 'list snapshots, or forget some', load: () => import('./commands/snapshots.ts') },
  { name: 'restore', aliases: [], summary: 'start again what was lost with the machine', load: () => import('./commands/restore.ts') },
  { name: 'events', aliases: [], summary: 'print what happens, as it happens', load: () => import('./commands/events.ts') },
  { name: 'daemon', aliases: [], summary: 'start, stop, restart or look at the daemon', load: () => import('./commands/daemon.ts') },
  { name: 'doctor', aliases: [], summary: 'check this machine, and say how to mend it', load: () => import('./commands/doctor.ts') },
  {
    name: 'hooks',
    aliases: [],
    summary: "let agents tell what they are doing: hooks in an agent's settings",
    load: () => import('./commands/hooks.ts'),
  },
  {
    name: 'completion',
    aliases: [],
    summary: 'print a completion script for bash, zsh or fish',
    load: () => import('./commands/completion.ts'),
  },
  {
    name: 'wait',
    aliases: [],
    summary: 'wait until a program prints something, changes its screen, pauses or ends',
    load: () => import('./commands/wait.ts'),
  },
  {
    name: 'explain',
    aliases: [],
    summary: 'say what a session is doing, and how that is known',
    load: () => import('./commands/explain.ts'),
  },
  {
    name: 'notify',
    aliases: [],
    summary: 'say what you are told of and how, and try it',
    load: () => import('./commands/notify.ts'),
  },
  { name: 'read', aliases: [], summary: 'print what came since a cursor, and a new cursor', load: () => import('./commands/read.ts') },
  { name: 'screen', aliases: [], summary: 'print the visible screen', load: () => import('./commands/screen.ts') },
  { name: 'version', aliases: [], summary: 'print the versions of client and daemon', load: () => import('./commands/version.ts') },
];
