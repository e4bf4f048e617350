import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Rig, ROOT } from '../support/rig.ts';

const { version: VERSION } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
const folder = mkdtempSync(join(tmpdir(), 'aisv-'));

/** This package as it would be installed in another version: all that tells them apart is the number. */
function installed(version: string): string {
  const root = join(folder, version);
  for (const part of ['bin', 'dist']) cpSync(join(ROOT, part), join(root, part), { recursive: true });
  for (const part of ['node_modules', 'native']) symlinkSync(join(ROOT, part), join(root, part));
  const about = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as object;
  writeFileSync(join(root, 'package.json'), JSON.stringify({ ...about, version }));
  return join(root, 'bin', 'ai-session');
}

let older: string;
let newer: string;
beforeAll(() => {
  older = installed('0.0.1');
  newer = installed('99.0.0');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('programs and attached clients of the old version go on by the daemon of the new one', async () => {
  await using rig = await Rig.start();
  const first = await rig.terminal([], { command: [process.execPath, older, 'daemon', 'start'] });
  expect((await first.exited).code).toBe(0);
  const client = await rig.connect();
  const { pid } = client.daemon;
  expect(client.daemon.build).toBe('0.0.1');
  const { puppet } = await rig.puppet(client, { name: 'a' });
  await puppet.raw();
  puppet.reads();
  const terminals = [await rig.terminal([], { command: [process.execPath, older, 'attach', 'a'] }), await rig.terminal(['attach', 'a'])];
  puppet.print('before');
  for (const terminal of terminals) await terminal.shows('before');

  const { code, stdout, stderr } = await rig.run(['daemon', 'upgrade', '--json']);
  const again = await rig.connect({ start: false });
  expect({ code, stderr, said: JSON.parse(stdout) }).toEqual({
    code: 0,
    stderr: '',
    said: {
      from: { version: '0.0.1', protocol: 1, pid },
      to: { version: VERSION, protocol: 1, pid: again.daemon.pid },
      replaced: true,
      sessions: 1,
      lost: [],
      ms: expect.any(Number),
    },
  });
  expect(again.daemon).toMatchObject({ build: VERSION });
  puppet.print(' and after');
  for (const terminal of terminals) await terminal.shows('before and after');
  terminals[0]!.type('typed');
  expect((await puppet.input(5)).toString()).toBe('typed');
});

test('a daemon that is to go answers the calls that are at work first', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet, session } = await rig.puppet(client, { name: 'a' });
  await puppet.catches('SIGHUP');
  const killing = client.call('session.kill', { sessions: ['a'] });
  await puppet.nextSignal();
  const upgrading = rig.run(['daemon', 'upgrade', '--force', '--json']);
  expect(await killing).toMatchObject({ killed: [{ id: session.id, survivors: [] }] });
  expect(await upgrading).toMatchObject({ code: 0, stdout: expect.stringContaining('"sessions":0,"lost":[]') });
});

test('where nothing runs one is started; where the same runs nothing is done, unless it is forced', async () => {
  await using rig = await Rig.start();
  expect(await rig.run(['daemon', 'upgrade'])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(
      /^No daemon was running: that of ai-session \S+ was started\. 0 sessions were taken over, in \d+ ms\.\n$/,
    ),
  });
  const { pid } = (await rig.connect({ start: false })).daemon;
  expect((await rig.run(['daemon', 'upgrade'])).stdout).toBe(
    `The daemon is ai-session ${VERSION} already (pid ${pid}). Replace it all the same with --force.\n`,
  );
  expect((await rig.connect({ start: false })).daemon.pid).toBe(pid);
  expect((await rig.run(['daemon', 'upgrade', '--force'])).stdout).toMatch(
    new RegExp(`^The daemon is ai-session ${VERSION} now, and was ${VERSION}\\. 0 sessions were taken over, in \\d+ ms\\.\n$`),
  );
  expect((await rig.connect({ start: false })).daemon.pid).not.toBe(pid);
});

test('a newer daemon is gone back from only when it is forced', async () => {
  await using rig = await Rig.start();
  const started = await rig.terminal([], { command: [process.execPath, newer, 'daemon', 'start'] });
  expect((await started.exited).code).toBe(0);
  expect(await rig.run(['daemon', 'upgrade'])).toMatchObject({
    code: 2,
    stderr: `The daemon is the newer ai-session 99.0.0; this is ${VERSION}. Go back to this one all the same with: ai-session daemon upgrade --force\n`,
  });
  expect(await rig.run(['daemon', 'upgrade', '--force'])).toMatchObject({ code: 0 });
  expect((await rig.connect({ start: false })).daemon.build).toBe(VERSION);
});

test('programs that the daemon owns itself would end with it, so it is not replaced unasked', async () => {
  await using rig = await Rig.start({ config: 'pty:\n  backend: node-pty\n' });
  const client = await rig.connect();
  await rig.puppet(client, { name: 'mine' });
  expect(await rig.run(['daemon', 'upgrade', '--json'])).toMatchObject({ code: 0, stdout: expect.stringContaining('"replaced":false') });
  const started = await rig.terminal([], { command: [process.execPath, newer, 'daemon', 'upgrade'], cols: 200 });
  expect((await started.exited).code).toBe(2);
  expect(started.text).toBe(
    'The daemon owns programs itself (pty.backend node-pty), and they would end with it: "mine". Replace it all the same with: ai-session daemon upgrade --force',
  );
});

test('a person is told of the other version once, and a script never', async () => {
  await using rig = await Rig.start();
  const started = await rig.terminal([], { command: [process.execPath, older, 'daemon', 'start'] });
  expect((await started.exited).code).toBe(0);
  const hint = `The daemon is ai-session 0.0.1; this is ${VERSION}. Replace it without ending programs: ai-session daemon upgrade`;
  const look = async (args: string[]) => {
    const terminal = await rig.terminal(args, { cols: 200 });
    expect((await terminal.exited).code).toBe(0);
    return terminal.text;
  };
  expect((await rig.run(['ls'])).stderr).toBe('No sessions. Start one with: ai-session new\n');
  expect(await look(['ls', '--json'])).toBe('[]');
  expect(await look(['ls'])).toBe(`${hint}\nNo sessions. Start one with: ai-session new`);
  expect(await look(['ls'])).toBe('No sessions. Start one with: ai-session new');
  // A day later, by what was written down.
  const file = join(rig.paths.run, 'version-hint.json');
  const said = JSON.parse(readFileSync(file, 'utf8')) as { at: number };
  writeFileSync(file, JSON.stringify({ ...said, at: said.at - 86_400_001 }));
  expect(await look(['ls'])).toContain(hint);
  const ahead = await rig.terminal([], { command: [process.execPath, newer, 'ls'], cols: 200 });
  await ahead.exited;
  expect(ahead.text).toContain('The daemon is ai-session 0.0.1; this is 99.0.0.');
  await rig.run(['daemon', 'upgrade']);
  const behind = await rig.terminal([], { command: [process.execPath, older, 'ls'], cols: 200 });
  await behind.exited;
  expect(behind.text).toContain(`The daemon is the newer ai-session ${VERSION}; this is 0.0.1. Use that version here too.`);
});

/** A daemon of a time before any common protocol. It prints what it is asked, and may understand how it is to stop. */
const FOREIGNER = `
  process.title = 'ai-session-daemon';
  process.umask(0o077);
  const [, run, hello, understands] = process.argv;
  const frame = (value) => { const body = Buffer.from(JSON.stringify(value)); const head = Buffer.alloc(5);
    head.writeUInt32BE(body.length + 1, 0); head[4] = 1; return Buffer.concat([head, body]); };
  require('node:fs').writeFileSync(run + '/daemon.json', JSON.stringify({ pid: process.pid, instance: 'x' }));
  require('node:net').createServer((socket) => {
    socket.on('error', () => {}).write(frame({ hello: { ...JSON.parse(hello), pid: process.pid } }));
    if (understands !== 'yes') return socket.end(frame({ jsonrpc: '2.0', id: null, error: { code: -32007, message: 'Too new.', data: {} } }));
    socket.on('data', (chunk) => {
      for (let at = 0; at < chunk.length; at += 4 + chunk.readUInt32BE(at)) {
        const message = JSON.parse(chunk.subarray(at + 5, at + 4 + chunk.readUInt32BE(at)));
        if (!message.method) continue;
        console.log(JSON.stringify([message.method, message.params]));
        const result = { pid: process.pid, ended: [], left: [], survivors: [] };
        socket.end(frame({ jsonrpc: '2.0', id: message.id, result }), () => process.exit(0));
      }
    });
  }).listen(run + '/daemon.sock', () => console.log('ready'));
`;

test.each([
  ['that understands how it is to stop', 'yes', [0, null], '["daemon.stop",{"killSessions":false}]\n', ''],
  [
    'that refuses us whatever we say',
    'no',
    [null, 'SIGTERM'],
    '',
    'A daemon that could not be talked to was ended (pid PID). Programs run on for the next one.\n',
  ],
])('a daemon without a common protocol %s is replaced', async (_, understands, ending, heard, stderr) => {
  await using rig = await Rig.start();
  mkdirSync(rig.paths.run, { mode: 0o700 });
  const hello = JSON.stringify({ protocol: 0, oldest: 0, build: '0.0.0', instance: 'x' });
  const foreigner = spawn(process.execPath, ['-e', FOREIGNER, rig.paths.run, hello, understands], {
    env: rig.environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(foreigner, 'exit');
  let said = '';
  foreigner.stdout.setEncoding('utf8').on('data', (text) => (said += text));
  while (said !== 'ready\n') await once(foreigner.stdout, 'data');
  expect(await rig.run(['ls'])).toMatchObject({
    code: 4,
    stderr: `This is ai-session ${VERSION} (protocol 1), and the daemon is 0.0.0 (protocol 0). Replace it without ending programs with: ai-session daemon upgrade\n`,
  });
  said = '';
  const upgraded = await rig.run(['daemon', 'upgrade', '--json']);
  expect(upgraded).toMatchObject({ code: 0, stderr: stderr.replace('PID', `${foreigner.pid}`) });
  expect(JSON.parse(upgraded.stdout)).toMatchObject({
    from: { version: '0.0.0', protocol: 0, pid: foreigner.pid },
    to: { version: VERSION, protocol: 1 },
    replaced: true,
  });
  expect({ ending: await ended, said }).toEqual({ ending, said: heard });
});
