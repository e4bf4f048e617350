import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Webhook } from '../../../src/daemon/observability/webhook.ts';

/** A server that answers as it is told, and what it was sent. */
async function serve(
  answer: (request: IncomingMessage, response: ServerResponse, n: number) => void,
  secure?: { key: string; cert: string },
) {
  const got: { method: string; path: string; type: string; body: string }[] = [];
  const listener: RequestListener = (request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      got.push({ method: request.method!, path: request.url!, type: request.headers['content-type']!, body });
      answer(request, response, got.length);
    });
  };
  const server: Server = secure ? createSecureServer(secure, listener) : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    got,
    url: `${secure ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}/hook?key=1`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const post = (url: string, ca: string | null = null) => ({ url, ca, body: '{"a":"ü"}' });

test('it posts JSON', async () => {
  await using server = await serve((_, response) => response.writeHead(204).end());
  using webhook = new Webhook();
  expect(await webhook.send(post(server.url), { isOnce: true })).toEqual({ ok: true });
  expect(server.got).toEqual([{ method: 'POST', path: '/hook?key=1', type: 'application/json', body: '{"a":"ü"}' }]);
});

test.each<[string, number[], boolean, object]>([
  ['at the third try', [503, 429, 200], true, { ok: true }],
  ['never', [500, 500, 500], false, { ok: false, because: 'it answered 500, also at the third try' }],
  ['refused for good', [404], false, { ok: false, because: 'it answered 404' }],
  ['moved', [301], false, { ok: false, because: 'it answered 301: give the address that it has moved to' }],
])('it is tried again when that may help: %s', async (_, statuses, __, wanted) => {
  await using server = await serve((_, response, n) => response.writeHead(statuses[n - 1]!, { location: '/elsewhere' }).end());
  using webhook = new Webhook({ pausesMs: [1, 2] });
  expect(await webhook.send(post(server.url), { isOnce: false })).toEqual(wanted);
  expect(server.got).toHaveLength(statuses.length);
});

test('who waits for the answer hears of the first try; nobody listens', async () => {
  const server = await serve((_, response) => response.writeHead(503).end());
  using webhook = new Webhook();
  expect(await webhook.send(post(server.url), { isOnce: true })).toEqual({ ok: false, because: 'it answered 503' });
  await server[Symbol.asyncDispose]();
  expect(await webhook.send(post(server.url), { isOnce: true })).toMatchObject({
    ok: false,
    because: expect.stringContaining('ECONNREFUSED'),
  });
});

test('one that answers nothing, or never stops answering, takes its time and no more', async () => {
  await using silent = await serve(() => {});
  using webhook = new Webhook({ limitMs: 50, pausesMs: [1] });
  const because = 'it did not answer within 0.05 s, also at the second try';
  expect(await webhook.send(post(silent.url), { isOnce: false })).toEqual({ ok: false, because });
  await using endless = await serve((_, response) => {
    const more = () => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
    };
    response.writeHead(200).on('drain', more);
    more();
  });
  expect(await webhook.send(post(endless.url), { isOnce: false })).toEqual({ ok: true });
});

test('so many wait and no more, one after the other; the end of the daemon is not held up', async () => {
  await using silent = await serve(() => {});
  const webhook = new Webhook();
  const sent = Array.from({ length: 51 }, () => webhook.send(post(silent.url), { isOnce: false }));
  expect(await sent.at(-1)).toEqual({ ok: false, because: '50 others wait already: the address takes too long' });
  webhook[Symbol.dispose]();
  expect(await Promise.all(sent.slice(0, 50))).toEqual(Array(50).fill({ ok: false, because: 'the daemon is stopping' }));
  expect(silent.got.length).toBeLessThan(2);
});

test('https: an authority of one’s own can be named', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'webhook-'));
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert, ...subject],
      {
        stdio: 'ignore',
      },
    );
    await using server = await serve((_, response) => response.end(), { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') });
    using webhook = new Webhook({ pausesMs: [] });
    expect(await webhook.send(post(server.url), { isOnce: false })).toMatchObject({
      ok: false,
      because: expect.stringMatching(/self.signed/),
    });
    expect(await webhook.send(post(server.url, cert), { isOnce: false })).toEqual({ ok: true });
    writeFileSync(cert, 'nonsense');
    for (const [ca, wanted] of [
      [join(folder, 'none.pem'), /^notify\.webhook_ca cannot be read: ENOENT/],
      [cert, /./],
    ] as const)
      expect(await webhook.send(post(server.url, ca), { isOnce: false })).toMatchObject({
        ok: false,
        because: expect.stringMatching(wanted),
      });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('authorities in what is no file, or far too long, are told and never waited for', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'webhook-'));
  try {
    const [pipe, long] = [join(folder, 'pipe'), join(folder, 'long')];
    execFileSync('mkfifo', [pipe]);
    writeFileSync(long, '#'.repeat(1_048_577));
    using webhook = new Webhook({ pausesMs: [] });
    for (const [ca, what] of [
      [folder, 'cannot be read: it is no file'],
      [long, 'has more than 1048576 bytes'],
      ['/dev/zero', 'cannot be read: it is no file'],
      [pipe, 'cannot be read: it is no file'],
    ] as const)
      expect(await webhook.send(post('https://127.0.0.1:9/', ca), { isOnce: true })).toEqual({
        ok: false,
        because: `notify.webhook_ca ${what}; give a PEM file in the place of "${ca}"`,
      });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
