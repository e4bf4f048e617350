import { join } from 'node:path';
import type { Log } from '../../base/log.ts';
import type { Paths } from '../../config/paths.ts';
import type { LiveSettings } from '../../config/settings.ts';
import type { EventBody } from '../../wire/events.ts';
import type { Journals } from '../persistence/journal/journals.ts';
import { journalPlace } from './journal-place.ts';
import { Pane } from './pane.ts';
import { Session, type SessionFacts } from './session.ts';

export interface AssembleParts {
  paths: Paths;
  settings: LiveSettings;
  log: Log;
  journals: Journals;
  emit(event: EventBody): void;
}

/** Puts a session together: its journal, its pane, and what becomes of their news. Throws when its folder cannot be made. */
export function assemble(
  { emit, log, settings, paths, journals }: AssembleParts,
  facts: SessionFacts,
  { pane: paneId, cols, rows, activeAt }: { pane: string; cols: number; rows: number; activeAt: number },
  { onEnded, onRecovered }: { onEnded(session: Session, watchers: number): void; onRecovered(session: Session): void },
): Session {
  const named = () => ({ session: facts.id, name: facts.name });
  const folder = join(paths.sessions, facts.id.slice(1));
  const journal = !facts.history
    ? null
    : journals.open({
        ...journalPlace({ folder, session: facts.id, pane: paneId }),
        cols,
        rows,
        whenFull: () => settings.now.settings['history.when_full'],
        onTrouble: (error) => {
          if (error) log.warn('the disk takes no output', { ...named(), because: error.message });
          else {
            log.info('the disk takes output again', named());
            onRecovered(session);
          }
          emit({ event: error ? 'history.failing' : 'history.recovered', ...named(), because: error?.message ?? null });
        },
        onDamage: (path, error) => log.warn('a part of a journal cannot be used', { ...named(), path, because: error.message }),
        onSafe: (offset) => session.pane.safe(offset),
      });
  const pane = new Pane({
    id: paneId,
    cols,
    rows,
    activeAt,
    scrollbackLines: settings.now.settings['scrollback.lines'],
    journal,
    news: {
      wrote: (bytes) => session.checkpoints.wrote(bytes),
      resized: (cols, rows) => {
        session.trySave();
        session.checkpoints.resized();
        emit({ event: 'session.resized', ...named(), cols, rows });
      },
      titled: (title) => emit({ event: 'session.titled', ...named(), title }),
      rang: () => emit({ event: 'session.rang', ...named() }),
      marked: (mark) => session.onMark(mark),
      detached: (stream, because) => emit({ event: 'client.detached', ...named(), stream, because }),
      poisoned: (error) => void log.incident('the emulator failed on some output and was replaced', error, named()),
      ended: (state, watchers) => {
        facts.endedAt = Date.now();
        const last = facts.restores.at(-1);
        if (last) last.endedAt = facts.endedAt;
        emit({ event: 'session.ended', ...named(), status: state.how, exitCode: state.exit.code, signal: state.exit.signal });
        onEnded(session, watchers);
        session.onEnded();
      },
    },
  });
  const session = new Session({ facts, pane, folder, vault: journals.vault, log });
  return session;
}
