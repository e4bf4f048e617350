import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { VERSION } from '../../base/package.ts';
import { readSmallFile } from '../../base/small-file.ts';
import type { Sent } from './children.ts';

/** From the beginning of a request to the first line of its answer. */
const LIMIT_MS = 10_000;
/** Before the second try and the third. */
const PAUSES_MS = [1000, 10_000];
const WAITING_LIMIT = 50;
/** All authorities that a system knows are a quarter of it. */
const CA_LIMIT_BYTES = 1 << 20;

export interface Post {
  url: string;
  /** A file with authorities besides those that Node knows. */
  ca: string | null;
  body: string;
}

/** Sends things to an address, one after the other. What fails for a while is tried again, with growing pauses. */
export class Webhook implements Disposable {
  readonly #limitMs: number;
  readonly #pausesMs: readonly number[];
  readonly #end = new AbortController();
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor({ limitMs = LIMIT_MS, pausesMs = PAUSES_MS }: { limitMs?: number; pausesMs?: readonly number[] } = {}) {
    this.#limitMs = limitMs;
    this.#pausesMs = pausesMs;
  }

  /** `isOnce`: somebody waits for the answer. */
  send(post: Post, { isOnce }: { isOnce: boolean }): Promise<Sent> {
    if (this.#waiting >= WAITING_LIMIT)
      return Promise.resolve({ ok: false, because: `${WAITING_LIMIT} others wait already: the address takes too long` });
    this.#waiting++;
    const sent = this.#last.then(() => this.#try(post, isOnce ? [] : this.#pausesMs));
    this.#last = sent.finally(() => this.#waiting--);
    return sent;
  }

  [Symbol.dispose](): void {
    this.#end.abort();
  }

  async #try(post: Post, pausesMs: readonly number[]): Promise<Sent> {
    const { signal } = this.#end;
    for (let n = 0; ; n++) {
      const { sent, isWorthMore } = await this.#once(post);
      if (signal.aborted) return { ok: false, because: 'the daemon is stopping' };
      const pause = pausesMs[n];
      if (sent.ok || !isWorthMore || pause === undefined)
        return sent.ok || n === 0 ? sent : { ok: false, because: `${sent.because}, also at the ${n === 1 ? 'second' : 'third'} try` };
      await delay(pause, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  async #once({ url, ca, body }: Post): Promise<{ sent: Sent; isWorthMore: boolean }> {
    const failed = (because: string, isWorthMore: boolean) => ({ sent: { ok: false, because } as const, isWorthMore });
    const late = AbortSignal.timeout(this.#limitMs);
    try {
      const status = await post(new URL(url), { ca, body, signal: AbortSignal.any([late, this.#end.signal]) });
      if (status >= 200 && status < 300) return { sent: { ok: true }, isWorthMore: false };
      if (status >= 300 && status < 400) return failed(`it answered ${status}: give the address that it has moved to`, false);
      return failed(`it answered ${status}`, status === 408 || status === 425 || status === 429 || status >= 500);
    } catch (error) {
      if (error instanceof CaError) return failed(error.message, false);
      if (late.aborted) return failed(`it did not answer within ${this.#limitMs / 1000} s`, true);
      const { message, code, errors } = error as NodeJS.ErrnoException & { errors?: Error[] };
      // Of a name with several addresses each has failed.
      return failed(message || errors?.[0]?.message || code || 'it cannot be reached', true);
    }
  }
}

class CaError extends Error {}

/** The status of the answer. What else is in it, however much, is not read. */
async function post(url: URL, { ca, body, signal }: { ca: string | null; body: string; signal: AbortSignal }): Promise<number> {
  const isSecure = url.protocol === 'https:';
  // Loaded when it is needed: few have a webhook.
  const { request } = isSecure ? await import('node:https') : await import('node:http');
  const authorities = isSecure && ca !== null ? await authoritiesWith(ca) : undefined;
  return new Promise((resolve, reject) => {
    const answered = (response: IncomingMessage) => {
      resolve(response.statusCode ?? 0);
      response.on('error', () => {});
      response.destroy();
    };
    const sending = request(
      url,
      {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          'user-agent': `ai-session/${VERSION}`,
        },
        agent: false,
        signal,
        ...(authorities && { ca: authorities }),
      },
      answered,
    );
    sending.on('error', reject);
    sending.end(body);
  });
}

async function authoritiesWith(file: string): Promise<string[]> {
  const { rootCertificates } = await import('node:tls');
  let text: string | null;
  try {
    text = readSmallFile(file, CA_LIMIT_BYTES);
  } catch (error) {
    throw new CaError(`notify.webhook_ca cannot be read: ${(error as Error).message}; give a PEM file in the place of "${file}"`);
  }
  if (text === null)
    throw new CaError(`notify.webhook_ca has more than ${CA_LIMIT_BYTES} bytes; give a PEM file in the place of "${file}"`);
  return [...rootCertificates, text];
}
