import type { SearchPlace } from '../search.ts';
import { BEGINNING, type ResumePoint } from './resume.ts';
import type { Row, Sqlite } from './sqlite.ts';

export type IndexPlace = Omit<SearchPlace, 'name'>;

/** How far a pane is in the index. */
export interface PaneState {
  id: number;
  /** Up to here its blocks are whole. */
  done: ResumePoint;
  /** The block behind it, if there is output there. */
  tail: number | null;
  /** The journal's files of which everything is in the index; empty when there is more. */
  files: string;
  /** The time of what was read last, in milliseconds since 1970. */
  upto: number;
}

/** A piece of a pane's output, and what is to be found in it. */
export interface NewBlock {
  start: ResumePoint;
  until: number;
  newest: number;
  words: string;
}

export interface Progress {
  /** Behind `done` as it is in the store, in order. */
  blocks: readonly NewBlock[];
  /** What follows them up to the end of output, when all has been read. */
  tail: NewBlock | null;
  done: ResumePoint;
  /** All has been read; otherwise there is more, and `tail` is null. */
  isWhole: boolean;
  files: string;
  upto: number;
}

/** A block that may have what is looked for. */
export interface Candidate {
  id: number;
  pane: number;
  newest: number;
}

/** The index's tables. Each change is one transaction: whatever ends the process, blocks and how far they reach belong together. */
export class IndexStore {
  readonly #sqlite: Sqlite;
  readonly #statements: ReturnType<typeof statementsOf>;

  constructor(sqlite: Sqlite) {
    this.#sqlite = sqlite;
    this.#statements = statementsOf(sqlite);
  }

  find({ session, pane }: IndexPlace): PaneState | null {
    const row = this.#statements.pane.get(session, pane);
    return row ? stateOf(row) : null;
  }

  get panes(): { id: number; session: string; pane: string; folder: string }[] {
    return this.#statements.panes.all().map(({ id, session, pane, folder }) => ({
      id: Number(id),
      session: String(session),
      pane: String(pane),
      folder: String(folder),
    }));
  }

  /** What was read since the last time. The tail that there was is replaced. */
  advance(place: IndexPlace, { blocks, tail, done, isWhole, files, upto }: Progress): void {
    const { newPane, removeBlock, removeGrams, savePane } = this.#statements;
    this.#sqlite.transaction(() => {
      newPane.run(place.session, place.pane, place.folder, JSON.stringify(BEGINNING));
      const state = this.find(place)!;
      if (state.tail !== null) {
        removeBlock.run(state.tail);
        removeGrams.run(state.tail);
      }
      for (const block of blocks) this.#add(state.id, block);
      const newTail = tail && this.#add(state.id, tail);
      savePane.run(place.folder, JSON.stringify(done), newTail, isWhole ? files : '', upto, state.id);
    });
  }

  /** What is no longer in the journal: the blocks that end at this offset or before. */
  dropBelow({ id, tail }: PaneState, offset: number): void {
    const blocks = this.#statements.blocksBelow.all(id, offset).filter((row) => row.id !== tail);
    if (blocks.length > 0) this.#sqlite.transaction(() => this.#removeBlocks(blocks));
  }

  /** All that there is of a session, and its room on the disk. */
  forgetSession(session: string): void {
    this.forget(this.panes.filter((pane) => pane.session === session).map(({ id }) => id));
  }

  forget(panes: readonly number[]): void {
    if (panes.length === 0) return;
    const { blocksOf, removePane } = this.#statements;
    this.#sqlite.transaction(() => {
      for (const id of panes) {
        this.#removeBlocks(blocksOf.all(id));
        removePane.run(id);
      }
    });
    this.#sqlite.exec('PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)');
  }

  /** The blocks to look at for a pattern's grams (null: all), those with the newest lines first. */
  candidates(grams: string | null, since: number): Candidate[] {
    const { all, having } = this.#statements;
    const rows = grams === null ? all.all(since) : having.all(grams, since);
    return rows.map(({ id, pane, newest }) => ({ id: Number(id), pane: Number(pane), newest: Number(newest) }));
  }

  block(id: number): { start: ResumePoint; until: number } | null {
    const row = this.#statements.block.get(id);
    return row ? { start: JSON.parse(String(row.start)) as ResumePoint, until: Number(row.until) } : null;
  }

  close(): void {
    this.#sqlite.close();
  }

  #add(pane: number, { start, until, newest, words }: NewBlock): number {
    const { newBlock, newGrams } = this.#statements;
    const { lastInsertRowid } = newBlock.run(pane, JSON.stringify(start), until, newest);
    newGrams.run(lastInsertRowid, words);
    return lastInsertRowid;
  }

  #removeBlocks(blocks: readonly Row[]): void {
    const { removeBlock, removeGrams } = this.#statements;
    for (const { id } of blocks) {
      removeBlock.run(id!);
      removeGrams.run(id!);
    }
  }
}

function statementsOf(sqlite: Sqlite) {
  return {
    pane: sqlite.prepare('SELECT * FROM panes WHERE session = ? AND pane = ?'),
    panes: sqlite.prepare('SELECT id, session, pane, folder FROM panes'),
    newPane: sqlite.prepare("INSERT OR IGNORE INTO panes (session, pane, folder, done, files, upto) VALUES (?, ?, ?, ?, '', 0)"),
    savePane: sqlite.prepare('UPDATE panes SET folder = ?, done = ?, tail = ?, files = ?, upto = ? WHERE id = ?'),
    removePane: sqlite.prepare('DELETE FROM panes WHERE id = ?'),
    block: sqlite.prepare('SELECT start, until FROM blocks WHERE id = ?'),
    blocksOf: sqlite.prepare('SELECT id FROM blocks WHERE pane = ?'),
    blocksBelow: sqlite.prepare('SELECT id FROM blocks WHERE pane = ? AND until <= ?'),
    newBlock: sqlite.prepare('INSERT INTO blocks (pane, start, until, newest) VALUES (?, ?, ?, ?)'),
    removeBlock: sqlite.prepare('DELETE FROM blocks WHERE id = ?'),
    newGrams: sqlite.prepare('INSERT INTO grams (rowid, words) VALUES (?, ?)'),
    removeGrams: sqlite.prepare('DELETE FROM grams WHERE rowid = ?'),
    all: sqlite.prepare('SELECT id, pane, newest FROM blocks WHERE newest >= ? ORDER BY newest DESC'),
    having: sqlite.prepare(
      `SELECT b.id, b.pane, b.newest FROM grams JOIN blocks b ON b.id = grams.rowid
       WHERE grams MATCH ? AND b.newest >= ? ORDER BY b.newest DESC`,
    ),
  };
}

function stateOf({ id, done, tail, files, upto }: Row): PaneState {
  return {
    id: Number(id),
    done: JSON.parse(String(done)) as ResumePoint,
    tail: tail === null ? null : Number(tail),
    files: String(files),
    upto: Number(upto),
  };
}
