import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { HOOK_HEADER_LIMIT_BYTES, HOOK_PAYLOAD_LIMIT_BYTES, type HookReport, readHookReport } from '../../wire/hook-report.ts';

/** Reports at once. An agent's hooks come one after the other, or a few together. */
const CONNECTIONS_LIMIT = 16;
/** A reporter writes everything as soon as it is connected. */
const PATIENCE_MS = 5000;
const LIMIT_BYTES = HOOK_HEADER_LIMIT_BYTES + HOOK_PAYLOAD_LIMIT_BYTES;

/** Where the hooks of one pane's agent report. Whatever comes, the worst that happens is that it is not taken. */
export class HookSocket implements Disposable {
  readonly #path: string;
  readonly #hear: (report: HookReport) => void;
  readonly #failed: (error: Error) => void;
  readonly #server: Server;

  /** `failed`: there can be no socket, and so no reports. */
  constructor(path: string, { hear, failed }: { hear(report: HookReport): void; failed(error: Error): void }) {
    this.#path = path;
    this.#hear = hear;
    this.#failed = failed;
    this.#server = this.#listen();
  }

  [Symbol.dispose](): void {
    // Its file goes with it.
    this.#server.close();
  }

  #listen(): Server {
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#take(socket));
    server.maxConnections = CONNECTIONS_LIMIT;
    server.on('error', (error) => this.#failed(error));
    const umask = process.umask(0o177);
    try {
      // An earlier daemon's.
      rmSync(this.#path, { force: true });
      // It is bound before this returns; that it is not is told later.
      server.listen(this.#path);
    } catch (error) {
      this.#failed(error as Error);
    } finally {
      process.umask(umask);
    }
    return server.unref();
  }

  #take(socket: Socket): void {
    const chunks: Buffer[] = [];
    let length = 0;
    const timer = setTimeout(() => socket.destroy(), PATIENCE_MS).unref();
    socket.on('error', () => {});
    socket.on('close', () => clearTimeout(timer));
    socket.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > LIMIT_BYTES) socket.destroy();
      else chunks.push(chunk);
    });
    socket.on('end', () => {
      const report = readHookReport(Buffer.concat(chunks));
      if (report) this.#hear(report);
      socket.end('\n');
    });
  }
}
