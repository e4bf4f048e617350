import { chmodSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Rig } from '../support/rig.ts';

/** Every file of the sessions that has this text in it, as it lies on the disk. */
function filesWith(rig: Rig, text: string): string[] {
  return readdirSync(rig.paths.sessions, { recursive: true, encoding: 'utf8' }).filter((name) => {
    const path = join(rig.paths.sessions, name);
    return statSync(path).isFile() && readFileSync(path).includes(text);
  });
}

const SECRET = 'correct horse battery staple';

test('history is encrypted with what is there already, and decrypted again', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a', env: { ...rig.environment, TOKEN: 'xyzzy-token' } });
  const watcher = await rig.watch(client, 'a');
  puppet.print('open secret');
  await watcher.shows('open secret');
  expect(await rig.run(['encryption', 'status'])).toMatchObject({ code: 0, stdout: 'History is not encrypted.\n' });
  expect(filesWith(rig, 'open secret')).not.toEqual([]);

  expect(await rig.run(['encryption', 'enable'])).toMatchObject({ code: 0, stderr: expect.stringContaining('keep a copy') });
  expect(statSync(join(rig.home, 'key')).mode & 0o777).toBe(0o600);
  const next = await rig.connect();
  const again = await rig.watch(next, 'a');
  puppet.print(', sealed secret');
  await again.shows('open secret, sealed secret');
  expect((await rig.run(['logs', 'a'])).stdout).toBe('open secret, sealed secret\n');
  await settled(rig);
  for (const text of ['open secret', 'sealed secret', 'xyzzy-token']) expect(filesWith(rig, text)).toEqual([]);
  // It survives the daemon like the plain one.
  const isLost = new Promise((resolve) => (next.onLost = resolve));
  process.kill(next.daemon.pid, 'SIGKILL');
  await isLost;
  expect((await rig.run(['logs', 'a', '--raw'])).stdout).toBe('open secret, sealed secret');
  expect(await rig.run(['encryption', 'rotate'])).toMatchObject({ code: 0 });
  expect((await rig.run(['logs', 'a', '--raw'])).stdout).toBe('open secret, sealed secret');
  expect(await rig.run(['encryption', 'enable', '--json'])).toMatchObject({ code: 2, stderr: expect.stringContaining('on already') });
  expect(await rig.run(['encryption', 'disable'])).toMatchObject({ code: 0 });
  await settled(rig);
  expect((await rig.run(['logs', 'a', '--raw'])).stdout).toBe('open secret, sealed secret');
  expect(await rig.run(['encryption', 'status'])).toMatchObject({ stdout: 'History is not encrypted.\n' });
});

/** Until what was written before is as encryption would have it now: the daemon tells when it is. */
async function settled(rig: Rig): Promise<void> {
  const client = await rig.connect();
  while ((await client.call('encryption.status', {})).left !== 0);
  await client.call('daemon.status', {});
}

test('a passphrase is needed to start the daemon, and a wrong one changes nothing', async () => {
  await using rig = await Rig.start({ environment: { AI_SESSION_PASSPHRASE: SECRET } });
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  const watcher = await rig.watch(client, 'a');
  puppet.print('something');
  await watcher.shows('something');
  expect(await rig.run(['encryption', 'enable', '--passphrase'])).toMatchObject({ code: 0 });
  expect((await puppet.environment()).environment.AI_SESSION_PASSPHRASE).toBeUndefined();
  await rig.run(['daemon', 'stop']);
  const before = filesWith(rig, '').map((name) => [name, readFileSync(join(rig.paths.sessions, name), 'latin1')]);
  const wrong = await rig.run(['logs', 'a'], { environment: { AI_SESSION_PASSPHRASE: 'not the passphrase' } });
  expect(wrong).toMatchObject({ code: 4, stdout: '', stderr: expect.stringMatching(/passphrase/i) });
  expect(await rig.run(['logs', 'a'], { environment: { AI_SESSION_PASSPHRASE: '' } })).toMatchObject({
    code: 4,
    stderr: expect.stringContaining('AI_SESSION_PASSPHRASE'),
  });
  expect(filesWith(rig, '').map((name) => [name, readFileSync(join(rig.paths.sessions, name), 'latin1')])).toEqual(before);
  // On a terminal it is asked for, and what is typed is not shown.
  const terminal = await rig.terminal(['ls'], { environment: { AI_SESSION_PASSPHRASE: '' } });
  await terminal.shows('Passphrase:');
  terminal.type(`${SECRET}\r`);
  await terminal.shows('running');
  expect(terminal.text).not.toContain('horse');
  expect(await rig.run(['logs', 'a'])).toMatchObject({ code: 0, stdout: 'something\n' });
});

test('keys that are missing, open to others or not ours keep the daemon from starting, and nothing is written', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'a' });
  const watcher = await rig.watch(client, 'a');
  puppet.print('something');
  await watcher.shows('something');
  await rig.run(['encryption', 'enable']);
  await settled(rig);
  await rig.run(['daemon', 'stop']);
  const key = join(rig.home, 'key');
  const keyring = join(rig.paths.metadata, 'keyring.json');
  const refused = async (because: RegExp) =>
    expect(await rig.run(['ls'])).toMatchObject({ code: 4, stdout: '', stderr: expect.stringMatching(because) });
  chmodSync(key, 0o644);
  await refused(/chmod/);
  chmodSync(key, 0o600);
  for (const file of [key, keyring]) {
    renameSync(file, `${file}.aside`);
    await refused(/key/);
    renameSync(`${file}.aside`, file);
  }
  const bytes = readFileSync(key);
  writeFileSync(key, Buffer.alloc(bytes.length, 7));
  await refused(/key/);
  rmSync(key);
  writeFileSync(key, bytes, { mode: 0o600 });
  expect((await rig.run(['logs', 'a'])).stdout).toBe('something\n');
});
