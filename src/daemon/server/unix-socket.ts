import { statSync, unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Log } from '../../base/log.ts';
import type { Event } from '../../wire/events.ts';
import { Connection } from './connection.ts';
import type { Dispatch } from './dispatch.ts';

/** Clients at once. Each costs a descriptor and some kilobytes; holders need descriptors too. */
const CONNECTIONS_LIMIT = 2000;

/** How long clients may take to read the daemon's last words. */
const LAST_WORDS_MS = 1000;

/** Listens for clients. */
export class UnixSocketServer {
  readonly #path: string;
  readonly #dispatch: Dispatch;
  readonly #log: Log;
  readonly #connections = new Set<Connection>();
  #server: Server | null = null;
  #inode = 0;
  #onIdle: () => void = () => {};

  constructor({ path, dispatch, log }: { path: string; dispatch: Dispatch; log: Log }) {
    this.#path = path;
    this.#dispatch = dispatch;
    this.#log = log;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Called with the lock held: a socket file that is there already is a dead daemon's. */
  async listen(): Promise<void> {
    await this.#bind();
  }

  /** Makes the socket again when its file has vanished. Clients that are connected stay so. */
  async remake(): Promise<void> {
    if (!this.#server || statSync(this.#path, { throwIfNoEntry: false })?.ino === this.#inode) return;
    this.#log.warn('the socket vanished and is made again', { path: this.#path });
    // First, because closing removes the file of that name, whoever made it.
    this.#server.close();
    await this.#bind();
  }

  tell(event: Event): void {
    for (const connection of this.#connections) connection.tell(event);
  }

  /** Takes nobody new: who comes now finds no daemon, and starts the next one. Those who are connected stay. */
  closeDoor(): void {
    this.#server?.close();
  }

  /** Waits until every call has been answered, or for so long. */
  async drain(limitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      this.#onIdle = () => {
        if ([...this.#connections].some(({ isAtWork }) => isAtWork)) return;
        clearTimeout(timer);
        resolve();
      };
      this.#onIdle();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (!server) return;
    const isClosed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const connection of this.#connections) connection.end();
    // A client that does not read (a frozen ssh is enough) gets no more time than this.
    const timer = setTimeout(() => {
      for (const connection of this.#connections) connection.cut();
    }, LAST_WORDS_MS);
    await isClosed;
    clearTimeout(timer);
  }

  async #bind(): Promise<void> {
    try {
      unlinkSync(this.#path);
    } catch {
      // None there.
    }
    const server = createServer((socket) => this.#welcome(socket));
    const umask = process.umask(0o177);
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ path: this.#path, backlog: 511 }, resolve);
      });
    } finally {
      process.umask(umask);
    }
    server.on('error', (error) => this.#log.warn('the socket server has an error', { because: error.message }));
    this.#server = server;
    this.#inode = statSync(this.#path).ino;
  }

  #welcome(socket: Socket): void {
    if (this.#connections.size >= CONNECTIONS_LIMIT) {
      this.#log.warn('a connection was refused: too many', { limit: CONNECTIONS_LIMIT });
      socket.destroy();
      return;
    }
    const connection = new Connection(socket, this.#dispatch, this.#log);
    this.#connections.add(connection);
    connection.onClosed = () => {
      this.#connections.delete(connection);
      this.#onIdle();
    };
    connection.onIdle = () => this.#onIdle();
  }
}
