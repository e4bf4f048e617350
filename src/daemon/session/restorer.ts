import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../base/log.ts';
import { holderSocket, type Paths } from '../../config/paths.ts';
import type { EventBody } from '../../wire/events.ts';
import type { Counters } from '../persistence/counters.ts';
import { readSessionRecord, type SessionRecord } from '../persistence/records.ts';
import { adoptHold, HolderError } from '../terminal/hold.ts';
import type { Pty, PtyListener } from '../terminal/pty.ts';
import { dismissLeftOver } from './left-over.ts';
import { rebuild } from './rebuild.ts';
import type { SavedScreen } from './saved-screen.ts';
import type { Session } from './session.ts';

/** Between two tries to reach a holder that does not answer. */
const SILENT_HOLDER_MS = 5000;

export interface RestorerHost {
  readonly paths: Paths;
  readonly log: Log;
  readonly counters: Counters;
  readonly epoch: number;
  emit(event: EventBody): void;
  /** Makes the session of a record and puts it into the table. */
  take(record: SessionRecord): Session;
  /** A session that is in no list any more. */
  takeArchived(record: SessionRecord): void;
  adopt(session: Session, pty: Pty): void;
  listener(session: Session): PtyListener;
  awaitLeaving(left: Promise<void>): void;
  /** Whether this session is still to be taken back. */
  isWanted(session: Session): boolean;
}

/** Takes back what an earlier daemon left: programs in their holders, and the records of ended ones. */
export class Restorer {
  readonly #host: RestorerHost;

  constructor(host: RestorerHost) {
    this.#host = host;
  }

  async restore(): Promise<void> {
    const { log, paths, counters } = this.#host;
    const records: SessionRecord[] = [];
    // The counters' file may have been lost; what is in use is not given again.
    for (const name of readdirSync(paths.run)) counters.raise('pane', Number(/^p(\d+)\.sock$/.exec(name)?.[1] ?? 0));
    for (const name of readdirSync(paths.sessions)) {
      if (!/^\d+$/.test(name)) continue;
      counters.raise('session', Number(name));
      try {
        const record = readSessionRecord(join(paths.sessions, name, 'state.json'));
        for (const pane of [record.pane, ...record.earlierPanes]) counters.raise('pane', Number(pane.slice(1)));
        records.push(record);
      } catch (error) {
        log.warn('a session record cannot be read and is left alone', { folder: name, because: (error as Error).message });
      }
    }
    records.sort((a, b) => a.createdAt - b.createdAt);
    await Promise.all(
      records.map((record) =>
        this.#restoreOne(record).catch((error) => void log.incident('a session could not be restored', error, { session: record.id })),
      ),
    );
  }

  async #restoreOne(record: SessionRecord): Promise<void> {
    const { epoch, paths, log, emit } = this.#host;
    const socketPath = holderSocket(paths, record.pane);
    const { ended } = record;
    if (ended && existsSync(socketPath)) this.#host.awaitLeaving(dismissLeftOver(socketPath, epoch));
    if (record.archivedAt !== null) return this.#host.takeArchived(record);
    const session = this.#host.take(record);
    const saved = session.savedScreen(record);
    const { journal } = session.pane;
    if (journal) {
      const { quarantined } = rebuild(session.pane, {
        journal,
        saved,
        folder: session.folder,
        replayed: (bytes, resizes) => session.checkpoints.replayed(bytes, resizes),
      });
      if (quarantined) {
        log.warn('output that stopped the daemon again and again is left out of the screen', { session: record.id, ...quarantined });
        emit({ event: 'session.quarantined', session: record.id, name: record.name, ...quarantined });
        session.saveScreen();
      }
    }
    if (ended) {
      if (saved && !journal) this.#remember(session, saved);
      endAsRecorded(session, record);
      return;
    }
    await this.#takeBack(session, { socketPath, saved });
  }

  async #takeBack(session: Session, from: { socketPath: string; saved: SavedScreen | null }): Promise<void> {
    const { epoch, log, emit } = this.#host;
    const { socketPath, saved } = from;
    const { id, name, backend } = session.facts;
    const { journal } = session.pane;
    if (!this.#host.isWanted(session)) return;
    try {
      if (backend === 'node-pty') throw new Error('its program was owned by the daemon that ended (pty.backend node-pty)');
      const offset = journal ? journal.end : (saved?.offset ?? 0);
      const starts = (at: number) => {
        // Without a journal the saved screen counts only when the stream goes on where it ends.
        if (!journal && saved && at === offset) this.#remember(session, saved);
      };
      const pty = await adoptHold({ socketPath, epoch, offset, starts }, this.#host.listener(session));
      this.#host.adopt(session, pty);
      emit({ event: 'session.adopted', session: id, name, pid: pty.pid });
    } catch (error) {
      log.warn('a session could not be taken back', { session: id, name, because: (error as Error).message });
      if (error instanceof HolderError && error.reason === 'silent') {
        // Stopped, say: its program may be alive, so it is not given up.
        setTimeout(() => void this.#takeBack(session, from), SILENT_HOLDER_MS).unref();
        return;
      }
      if (!journal && saved) this.#remember(session, saved);
      session.pane.end('lost', { code: null, signal: null }, (error as Error).message);
    }
  }

  #remember({ pane }: Session, saved: SavedScreen): void {
    const { cols, rows } = pane.screen;
    pane.remember(saved);
    pane.screen.resize(cols, rows);
  }
}

/** The end as the record tells it, for a session that was taken from one. */
export function endAsRecorded({ pane }: Session, { ended }: SessionRecord): void {
  if (!ended) return;
  const exit = { code: ended.exitCode, signal: ended.signal as NodeJS.Signals | null };
  pane.endAsBefore({ is: 'ended', how: ended.how, exit, because: ended.because });
}
