import { hostname } from 'node:os';
import type { Log } from '../../base/log.ts';
import { onPath } from '../../base/on-path.ts';
import type { LiveSettings, Settings } from '../../config/settings.ts';
import type { CallResult } from '../../wire/calls.ts';
import { CHANNELS, type Channel } from '../../wire/notify-calls.ts';
import type { Commands } from '../output/commands.ts';
import type { Session } from '../session/session.ts';
import type { Sessions } from '../session/sessions.ts';
import type { Statuses } from '../status/statuses.ts';
import type { Handlers, Subsystem } from '../subsystem.ts';
import { Children, type Sent } from './children.ts';
import { Lookout } from './lookout.ts';
import { bodyOf, environmentOf, type Notice, oneLine, terminalBytes, textOf } from './notice.ts';
import { Webhook } from './webhook.ts';

type Calls = 'notify.status' | 'notify.test';
type Outcome = CallResult<'notify.test'>['results'][number];
type ChannelState = CallResult<'notify.status'>['channels'][number];

export interface NotificationsParts {
  sessions: Sessions;
  statuses: Statuses;
  commands: Commands;
  settings: LiveSettings;
  log: Log;
}

/** Who has typed into a session within this time is there, and sees for themselves. */
const THERE_MS = 30_000;
const OUTCOMES_KEPT = 50;

/**
 * Tells people what sessions do, by terminals, the desktop, a command and a webhook. A terminal that shows the session and was typed into
 * just now is left alone; so are the channels that leave the terminal, since their person sits there. All other terminals are told.
 */
export class Notifications implements Subsystem<Calls> {
  readonly #parts: NotificationsParts;
  readonly #lookout: Lookout;
  readonly #children = new Children();
  readonly #webhook = new Webhook();
  readonly #outcomes: CallResult<'notify.status'>['outcomes'] = [];

  constructor(parts: NotificationsParts) {
    const { statuses, commands, log } = parts;
    this.#parts = parts;
    this.#lookout = new Lookout({
      settings: () => this.#settings,
      tell: (session, notice) => {
        const { typedAt } = session.pane;
        const isThere = typedAt !== null && typedAt >= Date.now() - THERE_MS;
        void this.#tell(notice, { session, isThere }).catch((error) => log.incident('somebody could not be told', error));
      },
    });
    const guard = (action: () => void) => {
      try {
        action();
      } catch (error) {
        log.incident('what a session does could not be told', error);
      }
    };
    statuses.onChange.add((session, now, before) => guard(() => this.#lookout.changed(session, now, before)));
    commands.onFinished.add((session, command) => guard(() => this.#lookout.finished(session, command)));
  }

  readonly calls: Pick<Handlers, Calls> = {
    'notify.status': () => {
      const settings = this.#settings;
      return {
        on: settings['notify.on'],
        holdSeconds: settings['notify.hold_seconds'],
        longSeconds: settings['notify.long_seconds'],
        channels: CHANNELS.map((channel) => this.#stateOf(channel, settings)),
        problems: this.#parts.settings.now.problems.filter((problem) => /notify/.test(problem)),
        outcomes: [...this.#outcomes].reverse(),
      };
    },
    'notify.test': async ({ session: target }) => {
      const session = target === undefined ? null : this.#parts.sessions.find(target);
      const notice: Notice = {
        session: session?.facts.id ?? '',
        name: session?.facts.name ?? 'ai-session',
        status: 'waiting',
        because: 'this is a test',
        since: Date.now(),
        isTest: true,
      };
      return { text: textOf(notice), results: await this.#tell(notice, { session: null, isThere: false }) };
    },
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lookout[Symbol.dispose]();
    this.#children[Symbol.dispose]();
    this.#webhook[Symbol.dispose]();
  }

  get #settings(): Settings {
    return this.#parts.settings.now.settings;
  }

  /** `session`: whose terminals are left alone where somebody is there. */
  async #tell(notice: Notice, { session, isThere }: { session: Session | null; isThere: boolean }): Promise<Outcome[]> {
    const settings = this.#settings;
    const channels = CHANNELS.filter((channel) => this.#stateOf(channel, settings).isOn);
    const terminals = this.#tellTerminals(notice, settings, session);
    return Promise.all(
      channels.map(async (channel) => {
        const outcome =
          channel === 'bell' || channel === 'osc9'
            ? terminals
            : isThere
              ? ({ outcome: 'skipped', because: 'somebody types there' } as const)
              : await this.#send(channel, notice, settings);
        this.#outcomes.push({
          channel,
          ...outcome,
          at: Date.now(),
          session: notice.session,
          name: notice.name,
          status: notice.status,
          text: textOf(notice),
        });
        if (this.#outcomes.length > OUTCOMES_KEPT) this.#outcomes.shift();
        if (outcome.outcome === 'failed') this.#parts.log.warn('a notice was not sent', { channel, because: outcome.because });
        return { channel, ...outcome };
      }),
    );
  }

  #tellTerminals(notice: Notice, settings: Settings, session: Session | null): Omit<Outcome, 'channel'> {
    const bytes = terminalBytes(notice, { bell: settings['notify.bell'], osc9: settings['notify.osc9'] });
    if (bytes.length === 0) return { outcome: 'skipped', because: null };
    const since = Date.now() - THERE_MS;
    const told = this.#parts.sessions.all.reduce(
      (sum, each) => sum + each.pane.tell(bytes, { notTypedSince: each === session ? since : Number.POSITIVE_INFINITY }),
      0,
    );
    if (told > 0) return { outcome: 'sent', because: terminalsOf(told) };
    return { outcome: 'skipped', because: this.#attached > 0 ? 'somebody types there' : terminalsOf(0) };
  }

  async #send(channel: Exclude<Channel, 'bell' | 'osc9'>, notice: Notice, settings: Settings): Promise<Omit<Outcome, 'channel'>> {
    const sent = await this.#sent(channel, notice, settings);
    return sent.ok ? { outcome: 'sent', because: null } : { outcome: 'failed', because: sent.because };
  }

  #sent(channel: Exclude<Channel, 'bell' | 'osc9'>, notice: Notice, settings: Settings): Promise<Sent> {
    const environment = { ...ownEnvironment(), ...environmentOf(notice) };
    switch (channel) {
      case 'desktop': {
        const desktop = desktopCommand(textOf(notice));
        return 'missing' in desktop
          ? Promise.resolve({ ok: false, because: desktop.missing })
          : this.#children.run(desktop.argv, environment);
      }
      case 'command':
        return this.#children.run(['/bin/sh', '-c', settings['notify.command']!], environment);
      case 'webhook': {
        const post = { url: settings['notify.webhook']!, ca: settings['notify.webhook_ca'], body: bodyOf(notice, hostname()) };
        return this.#webhook.send(post, { isOnce: notice.isTest });
      }
      default: {
        const never: never = channel;
        return never;
      }
    }
  }

  get #attached(): number {
    return this.#parts.sessions.all.reduce((sum, { pane }) => sum + pane.attached, 0);
  }

  #stateOf(channel: Channel, settings: Settings): ChannelState {
    const value = settings[`notify.${channel}`];
    const isOn = value !== null && value !== false;
    switch (channel) {
      case 'bell':
      case 'osc9':
        return { channel, isOn, canWork: this.#attached > 0, note: terminalsOf(this.#attached) };
      case 'desktop': {
        const desktop = desktopCommand('');
        return { channel, isOn, canWork: 'argv' in desktop, note: 'argv' in desktop ? desktop.argv[0]! : desktop.missing };
      }
      case 'command':
        return { channel, isOn, canWork: isOn, note: typeof value === 'string' ? oneLine(value, 80) : '' };
      case 'webhook':
        return { channel, isOn, canWork: isOn, note: typeof value === 'string' ? withoutSecrets(value) : '' };
      default: {
        const never: never = channel;
        return never;
      }
    }
  }
}

function terminalsOf(count: number): string {
  return count === 0 ? 'no terminal is attached' : count === 1 ? 'one terminal' : `${count} terminals`;
}

/** The path of such an address is its password. */
function withoutSecrets(address: string): string {
  const { origin, pathname, search } = new URL(address);
  return pathname === '/' && search === '' ? origin : `${origin}/…`;
}

/** What starts the daemon may have had the passphrase of its history. */
function ownEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name, value]) => value !== undefined && !/^AI_SESSION_.*PASSPHRASE$/.test(name));
  return Object.fromEntries(kept) as Record<string, string>;
}

/** By which program the desktop shows a text. Texts go as arguments: nothing in them is a part of a script. */
function desktopCommand(text: string): { argv: string[] } | { missing: string } {
  const [name, install] =
    process.platform === 'darwin'
      ? ['osascript', 'it comes with macOS']
      : ['notify-send', 'Debian and Ubuntu: libnotify-bin, Fedora and Arch: libnotify'];
  const path = onPath(name!, process.env.PATH ?? '/usr/bin:/bin');
  if (!path) return { missing: `${name} is not installed (${install})` };
  if (name === 'osascript') {
    const script = ['on run argv', 'display notification (item 1 of argv) with title "ai-session"', 'end run'];
    return { argv: [path, ...script.flatMap((line) => ['-e', line]), text] };
  }
  return { argv: [path, '--app-name=ai-session', '--', 'ai-session', asMarkup(text)] };
}

/** Desktops read a body as markup, and notify-send reads backslashes in it. */
function asMarkup(text: string): string {
  return text.replaceAll('\\', '/').replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
