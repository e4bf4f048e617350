import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Paths } from '../../config/paths.ts';
import type { SessionRecord } from '../persistence/records.ts';

export interface Archived {
  record: SessionRecord;
  folder: string;
  bytes: number;
}

/** Sessions that are in no list any more and whose history is kept: for logs and searches, until they are collected. */
export class Archive {
  readonly #paths: Paths;
  readonly #byId = new Map<string, Archived>();
  /** The history of this session is gone. */
  onDropped: (id: string) => void = () => {};

  constructor(paths: Paths) {
    this.#paths = paths;
  }

  add(record: SessionRecord): void {
    const folder = join(this.#paths.sessions, record.id.slice(1));
    this.#byId.set(record.id, { record, folder, bytes: sizeOf(folder) });
  }

  /** It is in the list again. */
  forget(id: string): void {
    this.#byId.delete(id);
  }

  /** From the one that was archived first. */
  get all(): Archived[] {
    return [...this.#byId.values()].sort((a, b) => a.record.archivedAt! - b.record.archivedAt!);
  }

  get bytes(): number {
    return [...this.#byId.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** By id, by a pane's id, or the latest of this exact name. */
  find(target: string): Archived | undefined {
    const known = this.#byId.get(target);
    if (known) return known;
    return this.all.findLast(({ record }) => record.name === target || record.pane === target || record.earlierPanes.includes(target));
  }

  collectOne(id: string, isDryRun: boolean): Archived[] {
    const one = this.#byId.get(id);
    if (!one) return [];
    if (!isDryRun) this.#drop(one);
    return [one];
  }

  /** Forgets those that were archived before a moment, and as many more, from the oldest, as have so many bytes. Returns what is gone. */
  collect({ before = 0, bytes = 0, isDryRun = false }: { before?: number; bytes?: number; isDryRun?: boolean }): Archived[] {
    const gone: Archived[] = [];
    let freed = 0;
    for (const one of this.all) {
      if (one.record.archivedAt! >= before && freed >= bytes) break;
      freed += one.bytes;
      gone.push(one);
      if (!isDryRun) this.#drop(one);
    }
    return gone;
  }

  #drop({ record, folder }: Archived): void {
    this.#byId.delete(record.id);
    rmSync(folder, { recursive: true, force: true });
    this.onDropped(record.id);
  }
}

function sizeOf(folder: string): number {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' }).reduce((sum, name) => {
      const found = statSync(join(folder, name), { throwIfNoEntry: false });
      return sum + (found?.isFile() ? found.size : 0);
    }, 0);
  } catch {
    return 0;
  }
}
