import { readFileSync, statSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { nearest } from '../base/nearest.ts';
import { PREFIX_KEY } from '../base/prefix-key.ts';

/** Every setting: what it means, what it may be, and its default, in this one place. `config.yaml` nests them at the dots. */
export const SETTINGS = {
  prefix: setting('The key that begins a command while attached: C-a to C-z, C-Space, C-\\, C-], C-^, C-_ or none.', prefixKey(), 'C-b'),
  'shell.command': setting('The program of a session that was given none; null means $SHELL.', z.string().min(1).nullable(), null),
  'shell.login': setting('Start that shell as a login shell. Profiles can hang or be slow, so it is not the default.', z.boolean(), false),
  'shell.integration': setting('Ask interactive shells (bash, zsh, fish) to tell where each command begins and ends.', z.boolean(), true),
  'scrollback.lines': setting('Lines of scrollback each pane keeps on its screen.', z.int().min(0).max(1_000_000), 2000),
  'pty.backend': setting(
    'Who owns PTYs: hold (programs survive the daemon), node-pty (portable), or auto: hold where it was built.',
    z.enum(['auto', 'hold', 'node-pty']),
    'auto',
  ),
  'sessions.keep_ended': setting(
    'What becomes of a session whose program ended: unseen keeps it until somebody who was not attached can look, always and never say so.',
    z.enum(['unseen', 'always', 'never']),
    'unseen',
  ),
  'sessions.restart': setting(
    'What becomes of a session whose program was lost with the machine: never, ask (ai-session restore starts it again) or always.',
    z.enum(['never', 'ask', 'always']),
    'ask',
  ),
  'history.keep': setting('Keep everything that programs print, in a journal. Each session can say otherwise.', z.boolean(), true),
  'history.when_full': setting(
    'When the disk takes no more: gap lets the program go on and records what is missing, block keeps it waiting.',
    z.enum(['gap', 'block']),
    'gap',
  ),
  'history.level': setting('How hard finished output is compressed, as zstd counts.', z.int().min(1).max(19), 3),
  'history.pane_mb': setting('Megabytes on disk for one pane; the oldest output goes first.', z.int().min(16).max(1_000_000), 256),
  'history.total_mb': setting('Megabytes on disk for all history; ended sessions go first.', z.int().min(64).max(10_000_000), 4096),
  'history.keep_days': setting(
    'Days for which the history of a session that was ended or removed is kept.',
    z.int().min(0).max(36_500),
    30,
  ),
  // What needs its human, and what went wrong. That an agent is done is heard twenty times a day, so it is asked for.
  'notify.on': setting(
    'What is told of sessions: waiting (for its human), failed, done (a turn, a command or a program that took long).',
    z.array(z.enum(['waiting', 'failed', 'done'])),
    ['waiting', 'failed'],
  ),
  'notify.bell': setting('Tell it by the bell of attached terminals.', z.boolean(), true),
  'notify.osc9': setting('Tell it by a notification of attached terminals (OSC 9), where they have such.', z.boolean(), false),
  'notify.desktop': setting('Tell it by notify-send, or on macOS by osascript.', z.boolean(), false),
  'notify.command': secret(
    setting(
      'A line for /bin/sh that tells it; it finds what there is to tell in AI_SESSION_NAME, _STATUS, _BECAUSE and others.',
      z.string().min(1).max(10_000).nullable(),
      null,
    ),
  ),
  'notify.webhook': secret(setting('An https or http address that is sent it as JSON.', webAddress().nullable(), null)),
  'notify.webhook_ca': setting('A PEM file with authorities for it besides those that Node knows.', z.string().min(1).nullable(), null),
  'notify.hold_seconds': setting('Seconds for which something has to be so before it is told.', z.number().min(0).max(3600), 2),
  'notify.long_seconds': setting(
    'Seconds after which people look away: what took less is not told when it is done, nor that a command failed.',
    z.number().min(0).max(1_000_000),
    10,
  ),
  'log.level': setting('How much the daemon logs.', z.enum(['debug', 'info', 'warn', 'error']), 'info'),
};

export type SettingName = keyof typeof SETTINGS;
export type Settings = { [N in SettingName]: z.output<(typeof SETTINGS)[N]['type']> };

export interface LoadedSettings {
  settings: Settings;
  /** A sentence for each thing in the file that was not taken; the default stands in its place. */
  problems: string[];
}

/** Reads config.yaml. A bad file never stops the daemon: what is wrong is said, and the rest counts. */
export function loadSettings(file: string): LoadedSettings {
  const settings = Object.fromEntries(Object.entries(SETTINGS).map(([name, { fallback }]) => [name, fallback])) as Settings;
  const problems: string[] = [];
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') problems.push(`${file}: cannot be read: ${(error as Error).message}`);
    return { settings, problems };
  }
  let written: unknown;
  try {
    // No setting needs an alias, and one can multiply or contain itself. Warnings would go to standard error, past `problems`.
    written = parse(text, { maxAliasCount: 0, logLevel: 'error' });
  } catch (error) {
    problems.push(`${file}: not YAML: ${(error as Error).message.split('\n')[0]}`);
    return { settings, problems };
  }
  for (const [name, value] of flatten(written)) {
    if (!Object.hasOwn(SETTINGS, name)) {
      const near = nearest(name, Object.keys(SETTINGS));
      problems.push(`${file}: no setting "${name}"${near ? `; did you mean "${near}"?` : ''}`);
      continue;
    }
    const { type, isSecret } = SETTINGS[name as SettingName];
    const checked = type.safeParse(value);
    if (checked.success) {
      Object.assign(settings, { [name]: checked.data });
      continue;
    }
    const what = isSecret ? `"${name}"` : `${name}: ${JSON.stringify(value)?.slice(0, 60)}`;
    const using = JSON.stringify(settings[name as SettingName]);
    problems.push(`${file}: ${what} is not taken (${checked.error.issues[0]?.message}); using ${using}`);
  }
  return { settings, problems };
}

/** Settings as they are on disk now: read again only when the file has changed. */
export class LiveSettings {
  readonly #file: string;
  #stamp = '';
  #loaded: LoadedSettings = { settings: loadSettings('').settings, problems: [] };

  constructor(file: string) {
    this.#file = file;
  }

  get now(): LoadedSettings {
    const stamp = stampOf(this.#file);
    if (stamp !== this.#stamp) {
      this.#stamp = stamp;
      this.#loaded = loadSettings(this.#file);
    }
    return this.#loaded;
  }
}

/** What changes when the file does. A file that cannot be looked at has a stamp too: reading it says why. */
function stampOf(file: string): string {
  try {
    const { ino, mtimeMs, size } = statSync(file);
    return `${ino}:${mtimeMs}:${size}`;
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}

function setting<T extends z.ZodType>(means: string, type: T, fallback: z.output<T>) {
  return { means, type, fallback, isSecret: false };
}

/** What is wrong with it is told, and written to the log, without its value. */
function secret<T extends { isSecret: boolean }>(setting: T): T {
  return { ...setting, isSecret: true };
}

function prefixKey() {
  return z.string().regex(PREFIX_KEY, 'a key such as "C-b", or "none"');
}

function webAddress() {
  return z
    .string()
    .max(4000)
    .refine(
      (text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol),
      'an address that begins with "https://" or "http://"',
    );
}

function* flatten(value: unknown, path = ''): Generator<[string, unknown]> {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || Object.hasOwn(SETTINGS, path)) {
    if (path !== '' || value !== null) yield [path, value];
    return;
  }
  for (const [key, inner] of Object.entries(value)) yield* flatten(inner, path === '' ? key : `${path}.${key}`);
}
