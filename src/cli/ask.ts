import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { UsageError } from './output.ts';

/** Asks for a passphrase on the terminal, without showing it. AI_SESSION_PASSPHRASE answers in its place, unless a new one is wanted. */
export async function askSecret(question: string, { isNew = false } = {}): Promise<string> {
  if (!isNew && process.env.AI_SESSION_PASSPHRASE) return process.env.AI_SESSION_PASSPHRASE;
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new UsageError('A passphrase is needed: set AI_SESSION_PASSPHRASE, or run this on a terminal.');
  // What is typed is echoed to nowhere, and by the terminal itself only until the interface is there: the question comes after it.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  process.stderr.write(question);
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve);
      lines.once('SIGINT', () => reject(new UsageError('Nothing was changed.')));
      lines.once('close', () => reject(new UsageError('No passphrase was given. Nothing was changed.')));
    });
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}
