import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Inbox } from './inbox.ts';

type Message = Record<string, unknown>;

/** Makes programs that phone the test and do as they are told: nothing is waited for but what they say. */
export class PuppetTheatre implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'aisp-'));
  readonly #path = join(this.#folder, 's');
  readonly #server: Server;
  readonly #arrivals = new Map<string, Inbox<Puppet>>();
  readonly #sockets = new Set<Socket>();
  #next = 1;

  private constructor() {
    this.#server = createServer((socket) => this.#welcome(socket));
  }

  static async open(): Promise<PuppetTheatre> {
    const theatre = new PuppetTheatre();
    await new Promise<void>((resolve) => theatre.#server.listen(theatre.#path, resolve));
    return theatre;
  }

  /** A command line for a puppet, and the puppet once it has been started with it. */
  cast(...argv: string[]): { command: string[]; enters: Promise<Puppet>; again(): Promise<Puppet> } {
    const name = `puppet-${this.#next++}`;
    const inbox = new Inbox<Puppet>();
    this.#arrivals.set(name, inbox);
    const script = join(import.meta.dirname, 'puppet-child.js');
    const enters = inbox.next();
    enters.catch(() => {});
    return { command: [process.execPath, script, this.#path, name, ...argv], enters, again: () => inbox.next() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #welcome(socket: Socket): void {
    this.#sockets.add(socket);
    const messages = new Inbox<Message>();
    let rest = '';
    let puppet: Puppet | null = null;
    socket.on('data', (chunk) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop()!;
      for (const line of lines) {
        const message = JSON.parse(line) as Message;
        if (puppet) {
          messages.put(message);
          continue;
        }
        puppet = new Puppet(socket, messages, message.pid as number);
        this.#arrivals.get(message.hello as string)?.put(puppet);
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#sockets.delete(socket);
      messages.close(new Error('the puppet has gone'));
    });
  }
}

/** A running puppet. */
export class Puppet {
  readonly pid: number;
  readonly #socket: Socket;
  readonly #messages: Inbox<Message>;
  readonly gone: Promise<void>;

  constructor(socket: Socket, messages: Inbox<Message>, pid: number) {
    this.pid = pid;
    this.#socket = socket;
    this.#messages = messages;
    this.gone = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  print(text: string): void {
    this.#order('print', { text });
  }

  printBytes(bytes: Uint8Array): void {
    this.#order('printHex', { hex: Buffer.from(bytes).toString('hex') });
  }

  exit(code: number): void {
    this.#order('exit', { code });
  }

  async raw(): Promise<void> {
    this.#order('raw');
    await this.#messages.next((message) => message.did === 'raw');
  }

  /** From now on it reports each signal of this name, and the size of its terminal then. */
  async catches(signal: NodeJS.Signals): Promise<void> {
    this.#order('catch', { signal });
    await this.#messages.next((message) => message.did === 'catch');
  }

  async nextSignal(): Promise<{ signal: string; size: [number, number] }> {
    return (await this.#messages.next((message) => 'signal' in message)) as { signal: string; size: [number, number] };
  }

  reads(): void {
    this.#order('read');
  }

  /** Input until so many bytes have come. */
  async input(bytes: number): Promise<Buffer> {
    let all = Buffer.alloc(0);
    while (all.length < bytes) {
      const { input } = await this.#messages.next((message) => 'input' in message);
      all = Buffer.concat([all, Buffer.from(input as string, 'hex')]);
    }
    return all;
  }

  async environment(): Promise<{ environment: Record<string, string>; cwd: string; argv: string[] }> {
    this.#order('environment');
    return (await this.#messages.next((message) => 'environment' in message)) as never;
  }

  async size(): Promise<[number, number]> {
    this.#order('size');
    return (await this.#messages.next((message) => 'size' in message && !('signal' in message))).size as [number, number];
  }

  #order(order: string, details: object = {}): void {
    this.#socket.write(`${JSON.stringify({ order, ...details })}\n`);
  }
}
