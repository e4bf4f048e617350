import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Log } from '../../base/log.ts';
import type { Paths } from '../../config/paths.ts';
import { WireError } from '../../wire/errors.ts';
import { writeFileAtomic } from '../persistence/atomic-file.ts';
import type { Counters } from '../persistence/counters.ts';
import { type Codec, decompress } from '../persistence/journal/codec.ts';
import { isSealedBlob, type Vault } from '../persistence/vault/vault.ts';
import type { Handlers } from '../subsystem.ts';
import { gitHead } from './git-head.ts';
import { type Launch, readLaunch } from './launch.ts';
import type { Session } from './session.ts';
import type { Sessions } from './sessions.ts';

type Calls = 'snapshot.create' | 'snapshot.list' | 'snapshot.remove';

const VERSION = 1;

/** A part is kept once, however many snapshots have it: a screen that did not change costs nothing. */
const part = z.object({ hash: z.string().regex(/^[0-9a-f]{64}$/), codec: z.number(), length: z.number() });

const snapshotRecord = z.object({
  version: z.literal(VERSION),
  id: z.string().regex(/^s\d+$/),
  label: z.string().nullable(),
  at: z.number(),
  session: z.string().regex(/^\$\d+$/),
  name: z.string(),
  command: z.tuple([z.string()], z.string()),
  cwd: z.string(),
  role: z.string().nullable(),
  status: z.string(),
  cols: z.number(),
  rows: z.number(),
  title: z.string(),
  conversation: z.object({ agent: z.string(), id: z.string() }).nullable(),
  /** What was checked out in the folder. */
  git: z.object({ branch: z.string().nullable(), commit: z.string().nullable() }).nullable(),
  /** Everything printed before this is in the journal of this pane. */
  journal: z.object({ pane: z.string(), offset: z.number() }),
  parts: z.object({ screen: part, launch: part.nullable() }),
});

export type SnapshotRecord = z.output<typeof snapshotRecord>;

export interface SnapshotsParts {
  sessions: Sessions;
  paths: Paths;
  counters: Counters;
  vault: Vault | null;
  log: Log;
  codec: Codec;
}

/** Named points to come back to: the screen, the environment, the folder and what was checked out there, and the place in the journal. */
export class Snapshots {
  readonly #parts: SnapshotsParts;

  constructor(parts: SnapshotsParts) {
    this.#parts = parts;
    for (const { id } of this.#all()) parts.counters.raise('snapshot', Number(id.slice(1)));
  }

  readonly calls: Pick<Handlers, Calls> = {
    'snapshot.create': ({ session, label }) => describe(this.#create(this.#parts.sessions.find(session), label ?? null)),
    'snapshot.list': ({ session }) => {
      const all = this.#all();
      if (session === undefined) return { snapshots: all.map(describe) };
      const found = all.filter((one) => one.session === session || one.name === session);
      // A slip in the name is no empty list.
      if (found.length === 0) this.#parts.sessions.find(session);
      return { snapshots: found.map(describe) };
    },
    'snapshot.remove': ({ snapshot }) => {
      this.#remove(this.find(snapshot));
      return {};
    },
  };

  /** By id (`s3`), or the latest with this label. */
  find(target: string): SnapshotRecord {
    const all = this.#all();
    const found = all.find(({ id }) => id === target) ?? all.findLast(({ label }) => label === target);
    if (found) return found;
    throw new WireError('not-found', `No snapshot ${JSON.stringify(target.slice(0, 100))}. List them with: ai-session snapshots`, {
      snapshot: target,
    });
  }

  /** Throws WireError when a part is gone or damaged. */
  contentOf(snapshot: SnapshotRecord): { screen: Buffer; launch: Launch | null } {
    const { screen, launch } = snapshot.parts;
    const env = launch && (JSON.parse(this.#readPart(snapshot, launch).toString('utf8')) as Launch);
    return { screen: this.#readPart(snapshot, screen), launch: env };
  }

  #create(session: Session, label: string | null): SnapshotRecord {
    const { facts, pane, info } = session;
    const { screen } = pane;
    const folder = this.#folderOf(facts.id);
    mkdirSync(join(folder, 'parts'), { recursive: true, mode: 0o700 });
    const launch = readLaunch(session.folder, facts.id, this.#parts.vault);
    const record: SnapshotRecord = {
      version: VERSION,
      id: `s${this.#parts.counters.next('snapshot')}`,
      label,
      at: Date.now(),
      session: facts.id,
      name: facts.name,
      command: facts.command,
      cwd: info.cwd,
      role: facts.role,
      status: info.status,
      cols: screen.cols,
      rows: screen.rows,
      title: screen.title,
      conversation: facts.conversation,
      git: gitHead(info.cwd),
      journal: { pane: pane.id, offset: pane.head },
      parts: {
        screen: this.#writePart(facts.id, Buffer.from(screen.snapshot({ history: 'all', onto: 'new' }))),
        launch: launch && this.#writePart(facts.id, Buffer.from(JSON.stringify(launch))),
      },
    };
    // Last: what it names is there.
    writeFileAtomic(join(folder, `${record.id}.json`), `${JSON.stringify(record, null, 1)}\n`);
    return record;
  }

  #remove(gone: SnapshotRecord): void {
    const folder = this.#folderOf(gone.session);
    rmSync(join(folder, `${gone.id}.json`), { force: true });
    const used = new Set(
      this.#all().flatMap(({ session, parts }) => (session === gone.session ? [parts.screen.hash, parts.launch?.hash] : [])),
    );
    for (const name of readdirSync(join(folder, 'parts'))) if (!used.has(name)) rmSync(join(folder, 'parts', name), { force: true });
    if (used.size === 0) rmSync(folder, { recursive: true, force: true });
  }

  /** From the oldest. One that cannot be read is passed over, and said. */
  #all(): SnapshotRecord[] {
    const { paths, log } = this.#parts;
    if (!existsSync(paths.snapshots)) return [];
    const found = readdirSync(paths.snapshots).flatMap((session) =>
      !/^\d+$/.test(session)
        ? []
        : readdirSync(join(paths.snapshots, session)).flatMap((name): SnapshotRecord[] => {
            if (!/^s\d+\.json$/.test(name)) return [];
            try {
              return [snapshotRecord.parse(JSON.parse(readFileSync(join(paths.snapshots, session, name), 'utf8')))];
            } catch (error) {
              log.warn('a snapshot cannot be read and is left alone', { session, name, because: (error as Error).message });
              return [];
            }
          }),
    );
    return found.sort((a, b) => a.at - b.at || Number(a.id.slice(1)) - Number(b.id.slice(1)));
  }

  #writePart(session: string, plain: Buffer): SnapshotRecord['parts']['screen'] {
    const { vault } = this.#parts;
    const hash = createHash('sha256').update(plain).digest('hex');
    const path = join(this.#folderOf(session), 'parts', hash);
    if (!existsSync(path)) {
      const compressed = this.#parts.codec.compress(plain);
      writeFileAtomic(path, vault?.isOn ? vault.sealBlob(purposeOf(session, hash), compressed) : compressed);
      return { hash, codec: this.#parts.codec.id, length: plain.length };
    }
    const known = this.#all()
      .flatMap(({ parts }) => [parts.screen, parts.launch])
      .find((one) => one?.hash === hash);
    return { hash, codec: known?.codec ?? this.#parts.codec.id, length: plain.length };
  }

  #readPart({ id, session }: SnapshotRecord, { hash, codec, length }: SnapshotRecord['parts']['screen']): Buffer {
    const path = join(this.#folderOf(session), 'parts', hash);
    try {
      let bytes: Buffer = readFileSync(path);
      if (isSealedBlob(bytes)) {
        if (!this.#parts.vault) throw new Error('it is encrypted');
        bytes = this.#parts.vault.openBlob(purposeOf(session, hash), bytes);
      }
      const plain = decompress(codec, bytes, length);
      if (createHash('sha256').update(plain).digest('hex') !== hash) throw new Error('it is damaged');
      return plain;
    } catch (error) {
      throw new WireError('bad-params', `Snapshot "${id}" cannot be read: "${path}": ${(error as Error).message}.`, { snapshot: id });
    }
  }

  #folderOf(session: string): string {
    return join(this.#parts.paths.snapshots, session.slice(1));
  }
}

const purposeOf = (session: string, hash: string) => `snapshot|${session}|${hash}`;

function describe({ id, label, at, session, name, cwd, git, status }: SnapshotRecord) {
  return { id, label, at, session, name, cwd, git, status };
}
