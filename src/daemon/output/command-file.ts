import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Vault } from '../persistence/vault/vault.ts';

/** One line run in a session's shell. */
const commandRecord = z.object({
  /** Counts from 1 in each session, through all its panes. */
  n: z.int().min(1),
  pane: z.string(),
  /** What was typed or run; null where the shell could not say. */
  text: z.string().nullable(),
  by: z.enum(['person', 'run']),
  cwd: z.string().nullable(),
  /** Milliseconds since 1970. */
  startedAt: z.number(),
  endedAt: z.number().nullable(),
  /** 128 and the number of a signal, as shells say it; null while it runs, and where nobody knows. */
  exitCode: z.number().nullable(),
  /** Why nobody knows, or how it ended the shell. */
  because: z.string().nullable(),
  /** Its output in the pane's journal: absolute offsets. */
  from: z.number().nullable(),
  to: z.number().nullable(),
  /** Of a run: by it, who asked for it finds it when the daemon was lost. Records had none once. */
  token: z.string().optional(),
});
export type CommandRecord = z.output<typeof commandRecord>;

const fileLine = z.object({
  version: z.literal(1),
  command: commandRecord,
  /** So much of the shell's own file has been read, and of the journal. */
  position: z.number(),
  offset: z.number(),
});
type FileLine = z.output<typeof fileLine>;

/** `sessions/{n}/history.log`: a line of JSON when a command begins, and one when it has ended. Where encryption is on, each is sealed. */
export class CommandFile {
  readonly #path: string;
  readonly #purpose: string;
  readonly #vault: Vault | null;

  constructor({ folder, session, vault }: { folder: string; session: string; vault: Vault | null }) {
    this.#path = join(folder, 'history.log');
    this.#purpose = `commands|${session}`;
    this.#vault = vault;
  }

  append(line: Omit<FileLine, 'version'>): void {
    const text = JSON.stringify({ version: 1, ...line });
    const sealed = this.#vault?.isOn ? this.#vault.sealBlob(this.#purpose, Buffer.from(text)).toString('base64') : text;
    appendFileSync(this.#path, `${sealed}\n`, { mode: 0o600 });
  }

  /** The last that is known of each command, and how far that reaches. A line that cannot be read is passed over. */
  read(): { commands: CommandRecord[]; position: number; offset: number; pane: string | null } {
    const commands = new Map<number, CommandRecord>();
    let last: FileLine | null = null;
    for (const text of this.#lines()) {
      const line = this.#parse(text);
      if (!line) continue;
      commands.set(line.command.n, line.command);
      last = line;
    }
    return {
      commands: [...commands.values()].sort((a, b) => a.n - b.n),
      position: last?.position ?? 0,
      offset: last?.offset ?? 0,
      pane: last?.command.pane ?? null,
    };
  }

  #lines(): string[] {
    try {
      return readFileSync(this.#path, 'utf8').split('\n').filter(Boolean);
    } catch {
      return [];
    }
  }

  #parse(text: string): FileLine | null {
    try {
      const plain = text.startsWith('{') ? text : this.#vault?.openBlob(this.#purpose, Buffer.from(text, 'base64')).toString('utf8');
      return plain === undefined ? null : fileLine.parse(JSON.parse(plain));
    } catch {
      return null;
    }
  }
}
