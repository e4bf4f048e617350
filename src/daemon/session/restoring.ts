import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import type { Log } from '../../base/log.ts';
import type { LiveSettings } from '../../config/settings.ts';
import { WireError } from '../../wire/errors.ts';
import type { EventBody } from '../../wire/events.ts';
import type { Vault } from '../persistence/vault/vault.ts';
import type { Handlers } from '../subsystem.ts';
import { agentOf, conversationFrom, conversationOnDisk } from './conversations.ts';
import { restoredNotice } from './creation.ts';
import { gitHead } from './git-head.ts';
import { ownLaunch, readLaunch } from './launch.ts';
import { comeback, planRestore, type RestoreRecord } from './restart.ts';
import type { Session, SessionFacts } from './session.ts';
import type { Sessions } from './sessions.ts';
import type { Snapshots } from './snapshots.ts';

/** Lines of a screen in which an agent's last words are looked for. */
const LAST_LINES = 60;

/** Starts again what was lost with the machine: the program, its folder, its environment, its screen, and an agent's conversation. */
export class Restoring {
  readonly #sessions: Sessions;
  readonly #log: Log;
  readonly #vault: Vault | null;
  readonly #emit: (event: EventBody) => void;
  readonly #snapshots: Snapshots;
  readonly #settings: LiveSettings;

  constructor({
    sessions,
    log,
    vault,
    emit,
    snapshots,
    settings,
  }: {
    sessions: Sessions;
    log: Log;
    vault: Vault | null;
    emit: (event: EventBody) => void;
    snapshots: Snapshots;
    settings: LiveSettings;
  }) {
    this.#settings = settings;
    this.#snapshots = snapshots;
    this.#sessions = sessions;
    this.#log = log;
    this.#vault = vault;
    this.#emit = emit;
    sessions.onQuiet.add((session) => void this.#learn(session).catch(() => {}));
  }

  readonly calls: Pick<Handlers, 'session.restore'> = {
    'session.restore': async ({ session, all, cwd, from, name }) => {
      if ([session !== undefined, all, from !== undefined].filter(Boolean).length !== 1)
        throw new WireError('bad-params', 'Which session? Name one, or a snapshot (from), or ask for all that were lost (all: true).');
      if (from !== undefined) return { restored: [await this.#fromSnapshot(from, { cwd, name })], refused: [] };
      const wanted = all
        ? this.#sessions.all.filter(({ pane }) => pane.state.is === 'ended' && pane.state.how === 'lost')
        : [this.#sessions.findOrUnarchive(session!)];
      const restored = [];
      const refused = [];
      for (const each of wanted) {
        try {
          restored.push(await this.#restore(each, cwd));
        } catch (error) {
          // Of several, one that cannot be started keeps no other from it.
          if (!all || !(error instanceof WireError)) throw error;
          refused.push({ id: each.facts.id, name: each.facts.name, because: error.message });
        }
      }
      return { restored, refused };
    },
  };

  /** A session of its own, beside the one that it was taken of. */
  async #fromSnapshot(target: string, { cwd, name }: { cwd: string | undefined; name: string | undefined }) {
    const snapshot = this.#snapshots.find(target);
    const { screen, launch } = this.#snapshots.contentOf(snapshot);
    const { command, cols, rows, role, git, conversation } = snapshot;
    const record: RestoreRecord = {
      name: snapshot.name,
      command,
      cwd: snapshot.cwd,
      policy: 'ask',
      ended: { how: 'lost', exitCode: null, signal: null },
      restores: [],
      conversation: conversation as RestoreRecord['conversation'],
    };
    const plan = planRestore(record, { isCwdThere: isFolder, cwd });
    if ('refused' in plan) throw new WireError('bad-params', plan.refused);
    const now = gitHead(plan.cwd);
    const { settings } = this.#settings.now;
    const moved = git && (now?.commit !== git.commit || now?.branch !== git.branch);
    const notes = [
      ...plan.notes,
      ...(moved ? [`"${git.branch ?? 'no branch'}" was checked out at ${git.commit?.slice(0, 12) ?? 'no commit'} then`] : []),
    ];
    const session = await this.#sessions.createFrom({
      name: name ?? this.#sessions.freeName(snapshot.name, plan.cwd),
      command,
      started: plan.command,
      cwd: plan.cwd,
      role,
      size: { cols, rows },
      launch: launch ?? ownLaunch(),
      history: settings['history.keep'],
      restart: settings['sessions.restart'],
      conversation,
      before: { screen, notice: restoredNotice([`snapshot ${snapshot.id} of ${new Date(snapshot.at).toLocaleString('sv-SE')}`, ...notes]) },
    });
    return { session: session.info, notes };
  }

  /** After a reboot: sessions that are to come back by themselves do. */
  async comeBack(): Promise<void> {
    for (const session of this.#sessions.all) {
      if (session.facts.restart !== 'always' || !session.isEnded) continue;
      const next = comeback(this.#recordOf(session));
      const { id, name } = session.facts;
      if (next.do === 'leave') this.#log.info('a session does not come back by itself', { session: id, because: next.because });
      if (next.do !== 'start') continue;
      try {
        await this.#restore(session, undefined);
      } catch (error) {
        this.#log.warn('a session could not be started again', { session: id, name, because: (error as Error).message });
      }
    }
  }

  async #restore(session: Session, cwd: string | undefined) {
    await this.#learn(session);
    const plan = planRestore(this.#recordOf(session), { isCwdThere: isFolder, cwd });
    if ('refused' in plan) throw new WireError(session.isEnded ? 'bad-params' : 'exists', plan.refused);
    const launch = readLaunch(session.folder, session.facts.id, this.#vault);
    const notes = launch ? plan.notes : [...plan.notes, 'its environment was not kept: it gets the daemon’s'];
    const revived = await this.#sessions.revive(session, { ...plan, notes, launch });
    this.#emit({ event: 'session.restored', session: revived.facts.id, name: revived.facts.name, pid: revived.facts.pid, notes });
    return { session: revived.info, notes };
  }

  #recordOf({ facts, pane }: Session): RestoreRecord {
    const { state } = pane;
    const { name, command, cwd, restart, conversation, restores } = facts;
    const ended =
      state.is === 'ended' ? { how: state.how, exitCode: state.exit.code, signal: state.exit.signal, because: state.because } : null;
    return { name, command, cwd, policy: restart, ended, restores, conversation: conversation as RestoreRecord['conversation'] };
  }

  /** Which conversation an agent in this session has, as far as its last words or its own files tell. */
  async #learn(session: Session): Promise<void> {
    const { facts, pane } = session;
    const agent = agentOf(facts.command);
    if (!agent) return;
    const said =
      pane.state.is === 'ended' ? conversationFrom(pane.screen.lines({ from: -LAST_LINES, to: pane.screen.rows }).join('\n')) : null;
    const others = this.#sessions.all.filter((other) => other !== session);
    const launch = readLaunch(session.folder, facts.id, this.#vault);
    const env = { ...launch?.env, ...launch?.set };
    const found =
      said?.agent === agent
        ? said.id
        : await conversationOnDisk(agent, {
            cwd: facts.cwd,
            home: env.HOME || homedir(),
            since: facts.restores.at(-1)?.at ?? facts.createdAt,
            ...(facts.endedAt !== null && { until: facts.endedAt }),
            // Of an ended one, too: Claude's note of its process outlives a power cut, and `since` keeps out who has the number now.
            pid: facts.pid,
            env,
            taken: new Set(others.flatMap(({ facts: { conversation } }) => conversation?.id ?? [])),
            isShared: others.some((other) => agentOf(other.facts.command) === agent && wereTogether(other.facts, facts)),
          });
    if (found === null || found === facts.conversation?.id) return;
    facts.conversation = { agent, id: found };
    session.trySave();
    this.#log.debug('a conversation is known', { session: facts.id, agent, folder: session.folder });
  }
}

const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/** Whether two sessions were in one folder at one time. After a reboot all have ended; then their lives tell. */
function wereTogether(a: SessionFacts, b: SessionFacts): boolean {
  const [endA, endB] = [a.endedAt ?? Number.POSITIVE_INFINITY, b.endedAt ?? Number.POSITIVE_INFINITY];
  return a.cwd === b.cwd && a.createdAt < endB && b.createdAt < endA;
}
