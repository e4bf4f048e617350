import type { Log } from '../../base/log.ts';
import type { Paths } from '../../config/paths.ts';
import type { LiveSettings } from '../../config/settings.ts';
import type { CallInput } from '../../wire/calls.ts';
import { WireError } from '../../wire/errors.ts';
import type { Entry } from '../persistence/journal/entry.ts';
import { type JournalPlace, readJournal, sizeAt } from '../persistence/journal/reader.ts';
import { endOf } from '../persistence/journal/tail.ts';
import type { SessionRecord } from '../persistence/records.ts';
import type { Vault } from '../persistence/vault/vault.ts';
import type { Archive, Archived } from '../session/archive.ts';
import { journalPlace } from '../session/journal-place.ts';
import type { Pane } from '../session/pane.ts';
import { redact } from '../session/secrets.ts';
import type { Session } from '../session/session.ts';
import type { Sessions } from '../session/sessions.ts';
import type { Caller, Handlers, Stream } from '../subsystem.ts';
import { asciicast } from './asciicast.ts';
import { htmlPage } from './html.ts';
import { SearchIndex } from './index/search-index.ts';
import { type Renderer, rendererFor } from './renderer.ts';
import { replay } from './replay.ts';
import type { SearchPlace } from './search.ts';

type Calls = 'history.read' | 'history.search' | 'history.list' | 'history.collect';

/** Bytes that wait for a reader at which it is let read first. */
const AHEAD_BYTES = 256 << 10;
/** Of one turn of the event loop; then others have theirs. */
const TURN_MS = 4;
const DAY_MS = 86_400_000;

export interface HistoryParts {
  sessions: Sessions;
  archive: Archive;
  paths: Paths;
  settings: LiveSettings;
  vault: Vault | null;
  log: Log;
}

/** One of a session's journals; the last is the one that grows. */
interface Chapter {
  place: JournalPlace;
  pane: string;
}

/** Reading back: what sessions printed, those that are long gone included. */
export class History {
  readonly #parts: HistoryParts;
  readonly #index: SearchIndex;

  constructor(parts: HistoryParts) {
    this.#parts = parts;
    const { paths, log, vault, sessions, archive } = parts;
    this.#index = new SearchIndex({ paths, log, vault, places: () => this.#places() });
    sessions.onQuiet.add(({ record, folder }) => {
      for (const place of placesOf({ record, folder })) this.#index.touched(place);
    });
    archive.onDropped = (id) => void this.#index.forget(id);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#index[Symbol.asyncDispose]();
  }

  #places(): SearchPlace[] {
    return [...this.#parts.archive.all, ...this.#parts.sessions.all].flatMap(placesOf);
  }

  readonly calls: Pick<Handlers, Calls> = {
    'history.read': (params, caller) => this.#read(params, caller),
    'history.search': async ({ pattern, session, since, isRegex, limit }) => {
      // A slip in the name is refused as everywhere.
      if (session !== undefined) this.chaptersOf(session);
      const answer = await this.#index.search({
        pattern,
        isRegex,
        limit,
        ...(session !== undefined && { session }),
        ...(since !== undefined && { since }),
      });
      if (!answer.ok) throw new WireError('bad-params', answer.problem);
      const { ok: _, ...found } = answer;
      return found;
    },
    'history.list': () => ({
      sessions: this.#parts.archive.all.map(({ record, bytes }) => ({
        id: record.id,
        name: record.name,
        command: record.command,
        cwd: record.cwd,
        createdAt: record.createdAt,
        endedAt: record.ended?.at ?? null,
        exitCode: record.ended?.exitCode ?? null,
        archivedAt: record.archivedAt!,
        bytes,
      })),
    }),
    'history.collect': ({ keepDays, all, session, isDryRun }) => {
      const days = keepDays ?? this.#parts.settings.now.settings['history.keep_days'];
      const found = session === undefined ? null : this.#parts.archive.find(session);
      if (found === undefined)
        throw new WireError('not-found', `No session ${JSON.stringify(session)} is archived. See them with: ai-session ls --all`, {
          session,
        });
      const gone = found
        ? this.#parts.archive.collectOne(found.record.id, isDryRun)
        : this.#parts.archive.collect({ before: all ? Number.POSITIVE_INFINITY : Date.now() - days * DAY_MS, isDryRun });
      return {
        collected: gone.map(({ record, bytes }) => ({ id: record.id, name: record.name, bytes })),
        bytes: gone.reduce((sum, { bytes }) => sum + bytes, 0),
      };
    },
  };

  /** Its journals, from the first pane it ever had, and the pane that still writes. */
  chaptersOf(target: string): { record: SessionRecord; chapters: Chapter[]; pane: Pane | null } {
    const { sessions, archive } = this.#parts;
    const live = sessions.look(target);
    const { record, folder }: Archived | Session = live ?? archive.find(target) ?? sessions.find(target);
    if (!record.history)
      throw new WireError('not-found', `Session "${record.name}" keeps no history. Its screen can be read with: ai-session capture`, {
        session: target,
      });
    const chapters = [...record.earlierPanes, record.pane].map((pane) => ({
      pane,
      place: { ...journalPlace({ folder, session: record.id, pane }), vault: this.#parts.vault },
    }));
    return { record, chapters, pane: live?.pane ?? null };
  }

  #read({ session, format, since, lines, follow, redact: isRedacted }: CallInput<'history.read'>, caller: Caller) {
    const { record, chapters, pane } = this.chaptersOf(session);
    const isLive = format === 'text' || format === 'ansi' || format === 'raw' || format === 'json';
    if ((follow || lines !== undefined) && !isLive)
      throw new WireError(
        'bad-params',
        `The last lines, and what is still being written, cannot be had as ${format}: use text, ansi, raw or json.`,
      );
    if (isRedacted && format !== 'text' && format !== 'json')
      throw new WireError('bad-params', `Secrets can be taken out of text and json, not out of ${format}.`);
    const reader: Reader = { now: null, onClosed() {} };
    const closed = () => {
      reader.now?.stop();
      reader.onClosed();
    };
    const stream = caller.openStream({ input() {}, viewport() {}, closed });
    const finish = () => stream.end({ because: 'complete', exitCode: null, signal: null });
    const range = since === undefined ? {} : { since };
    const onDamage = (path: string, error: Error) =>
      this.#parts.log.warn('a part of a journal cannot be read', { path, because: error.message });
    let reached = 0;
    const entries = function* (): Generator<Entry> {
      for (const { place } of chapters) {
        reached = 0;
        for (const entry of readJournal(place, range, onDamage)) {
          reached = endOf(entry);
          yield entry;
        }
      }
    };
    if (!isLive) reader.now = new Reading(stream, this.#whole(format, record, chapters, entries()), finish);
    else {
      const renderer = rendererFor(format, isRedacted ? redact : undefined);
      const pieces = render(entries(), renderer);
      if (follow && pane && pane.state.is !== 'ended') {
        const shown = lines === undefined ? pieces : lastLines(pieces, lines);
        const rest = { pane, place: chapters.at(-1)!.place, range, renderer, stream, reader };
        reader.now = new Reading(stream, shown, () => this.#follow({ ...rest, from: reached }));
      } else {
        const whole = withEnd(pieces, renderer);
        reader.now = new Reading(stream, lines === undefined ? whole : lastLines(whole, lines), finish);
      }
    }
    // The answer, which names the stream, goes first.
    setImmediate(() => reader.now?.run());
    return { stream: stream.id, session: { id: record.id, name: record.name } };
  }

  /** What is written from now on, as it is written. */
  #follow({
    pane,
    place,
    range,
    renderer,
    stream,
    reader,
    from,
  }: {
    pane: Pane;
    place: JournalPlace;
    range: { since?: number };
    renderer: Renderer;
    stream: Stream;
    reader: Reader;
    from: number;
  }): void {
    let at = from;
    let isBusy = false;
    const more = () => {
      if (isBusy) return;
      isBusy = true;
      const before = at;
      const fresh = function* (): Generator<Entry> {
        for (const entry of readJournal(place, { ...range, from: at }, () => {})) {
          at = endOf(entry);
          if (at > before) yield entry;
        }
      };
      reader.now = new Reading(stream, render(fresh(), renderer), () => {
        isBusy = false;
        // What was written meanwhile; a disk that takes nothing brings nothing.
        if (at > before && pane.head > at) more();
        else if (pane.state.is === 'ended') finish();
      });
      reader.now.run();
    };
    const isOver = pane.onWritten(more);
    const finish = () => {
      isOver();
      const rest = renderer.end();
      if (rest) stream.send('bytes', at, Buffer.from(rest));
      stream.end({ because: 'complete', exitCode: null, signal: null });
    };
    reader.onClosed = isOver;
    more();
  }

  *#whole(format: string, record: SessionRecord, chapters: readonly Chapter[], entries: Generator<Entry>): Generator<Piece> {
    const { cols, rows } = sizeAt(chapters[0]!.place, 0) ?? record;
    const command = record.command.join(' ');
    if (format === 'asciicast') {
      for (const piece of asciicast(entries, { cols, rows, title: record.name, command })) yield { offset: 0, piece };
      return;
    }
    const { settings } = this.#parts.settings.now;
    const steps = replay(entries, { cols, rows, scrollbackLines: settings['scrollback.lines'] });
    let step = steps.next();
    // Others get their turn in between.
    for (; !step.done; step = steps.next()) yield { offset: 0, piece: '' };
    const screen = step.value;
    try {
      for (const piece of htmlPage(screen, { title: record.name })) yield { offset: 0, piece };
    } finally {
      screen.dispose();
    }
  }
}

function placesOf({ record, folder }: { record: SessionRecord; folder: string }): SearchPlace[] {
  const { id, name, history, earlierPanes, pane } = record;
  if (!history) return [];
  return [...earlierPanes, pane].map((each) => ({ session: id, name, pane: each, ...journalPlace({ folder, session: id, pane: each }) }));
}

/** What works for a client that reads, now, and what is to be done when it goes away. */
interface Reader {
  now: Reading | null;
  onClosed(): void;
}

interface Piece {
  /** Where in the program's output this reaches to. */
  offset: number;
  piece: Uint8Array | string;
}

/** Sends pieces as fast as the client takes them, a few milliseconds at a time: ten gigabytes hold up nobody and fill no memory. */
class Reading {
  readonly #stream: Stream;
  readonly #pieces: Iterator<Piece>;
  readonly #whenDone: () => void;
  #isOver = false;

  constructor(stream: Stream, pieces: Iterator<Piece>, whenDone: () => void) {
    this.#stream = stream;
    this.#pieces = pieces;
    this.#whenDone = whenDone;
  }

  stop(): void {
    this.#isOver = true;
  }

  run(): void {
    const until = performance.now() + TURN_MS;
    while (!this.#isOver) {
      const next = this.#pieces.next();
      if (next.done) {
        this.#isOver = true;
        this.#whenDone();
        return;
      }
      const { offset, piece } = next.value;
      const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
      for (let at = 0; at < bytes.length; at += AHEAD_BYTES) this.#stream.send('bytes', offset, bytes.subarray(at, at + AHEAD_BYTES));
      if (this.#stream.bytesWaiting > AHEAD_BYTES) return this.#stream.whenDrained(() => this.run());
      if (performance.now() > until) return void setImmediate(() => this.run());
    }
  }
}

function* render(entries: Iterable<Entry>, renderer: Renderer): Generator<Piece> {
  for (const entry of entries) yield { offset: endOf(entry), piece: renderer.push(entry) };
}

function* withEnd(pieces: Iterable<Piece>, renderer: Renderer): Generator<Piece> {
  yield* pieces;
  yield { offset: 0, piece: renderer.end() };
}

/** Only the last lines, which are known at the end. Memory has those, and some more. Bytes as latin1 text are themselves. */
function* lastLines(pieces: Iterable<Piece>, count: number): Generator<Piece> {
  let kept: string[] = [];
  let last = 0;
  for (const { offset, piece } of pieces) {
    last = offset;
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : Buffer.from(piece.buffer, piece.byteOffset, piece.length);
    const rest = kept.at(-1)?.endsWith('\n') ? '' : (kept.pop() ?? '');
    for (const line of (rest + bytes.toString('latin1')).split(/(?<=\n)/)) if (line !== '') kept.push(line);
    if (kept.length > 2 * count + 1000) kept = kept.slice(-count - 1);
    // Others get their turn in between.
    yield { offset, piece: '' };
  }
  yield { offset: last, piece: Buffer.from(kept.slice(-count).join(''), 'latin1') };
}
