import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Rig } from '../support/rig.ts';

test('what a session printed can be read while it runs, after it has ended, and when it is long gone', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { session, puppet } = await rig.puppet(client, { name: 'build' });
  const watcher = await rig.watch(client, 'build');
  puppet.print('\x1b[31mfirst\x1b[0m line\n50%\r100%\nlast');
  await watcher.shows('last');
  const text = 'first line\n100%\nlast\n';
  expect(await rig.run(['logs', 'build'])).toEqual({ code: 0, signal: null, stdout: text, stderr: '' });
  expect((await rig.run(['logs', 'build', '--ansi'])).stdout).toBe('\x1b[31mfirst\x1b[m line\n100%\nlast\n');
  expect((await rig.run(['logs', '-t', 'build', '--raw'])).stdout).toBe('\x1b[31mfirst\x1b[0m line\r\n50%\r100%\r\nlast');
  expect((await rig.run(['logs', 'build', '-n', '2'])).stdout).toBe('100%\nlast\n');
  const [line] = (await rig.run(['logs', 'build', '--json'])).stdout.split('\n');
  expect(JSON.parse(line!)).toMatchObject({ offset: 0, end: 21, text: 'first line' });
  await client.call('session.kill', { sessions: ['build'] });
  for (const name of ['build', session.id, session.pane]) expect((await rig.run(['logs', name])).stdout).toBe(text);
  // Its name belongs to the one that has it now.
  await rig.puppet(client, { name: 'build' });
  expect((await rig.run(['logs', 'build'])).stdout).toBe('');
  expect((await rig.run(['logs', session.id])).stdout).toBe(text);
  await rig.run(['daemon', 'restart']);
  expect((await rig.run(['logs', session.id])).stdout).toBe(text);
});

test('logs -f goes on until the program ends', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'slow' });
  const watcher = await rig.watch(client, 'slow');
  puppet.print('before\n');
  await watcher.shows('before');
  const follower = await rig.follow(['logs', 'slow', '-f']);
  await follower.shows('before\n');
  puppet.print('one\ntwo');
  await follower.shows('one\n');
  puppet.print(' and a half\n');
  await follower.shows('two and a half\n');
  puppet.print('the end');
  puppet.exit(0);
  expect(await follower.ended).toBe(0);
  expect(follower.text).toBe('before\none\ntwo and a half\nthe end\n');
});

test('a flood is followed without a hole, and a follower that goes away is forgotten', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  await client.call('session.create', {
    name: 'flood',
    command: ['sh', '-c', 'read go; seq 1 300000'],
    cwd: rig.home,
    env: rig.environment,
  });
  const follower = await rig.follow(['logs', 'flood', '-f', '--raw']);
  const gone = await rig.follow(['logs', 'flood', '-f']);
  await client.call('pane.write', { session: 'flood', input: ['go'], as: 'text', enter: true });
  await gone.shows('100\n');
  gone.kill();
  expect(await follower.ended).toBe(0);
  const wanted = `go\r\n${Array.from({ length: 300_000 }, (_, i) => `${i + 1}\r\n`).join('')}`;
  expect(follower.text === wanted).toBe(true);
});

test('export makes recordings and pages, and replay plays them', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const { puppet } = await rig.puppet(client, { name: 'show', cols: 60, rows: 15 });
  const watcher = await rig.watch(client, 'show', { cols: 60, rows: 15 });
  puppet.print('\x1b[32mgreen\x1b[0m & <tag>\n');
  await watcher.shows('tag');
  await client.call('pane.resize', { session: 'show', cols: 70, rows: 16 });
  puppet.print('more');
  await watcher.shows('more');
  const cast = join(rig.home, 'show.cast');
  expect(await rig.run(['export', 'show', '-o', cast])).toMatchObject({ code: 0, stdout: '' });
  expect(statSync(cast).mode & 0o777).toBe(0o600);
  const [header, ...events] = readFileSync(cast, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(header).toMatchObject({ version: 2, width: 60, height: 15, title: 'show' });
  expect(events.map(([, code, data]) => [code, data])).toEqual([
    ['o', '\x1b[32mgreen\x1b[0m & <tag>\r\n'],
    ['r', '70x16'],
    ['o', 'more'],
  ]);
  expect(await rig.run(['export', 'show', '-o', cast])).toMatchObject({
    code: 2,
    stderr: `"${cast}" is there already: name another file.\n`,
  });
  const { stdout: page } = await rig.run(['export', 'show', '--format', 'html']);
  expect(page).toContain('&#60;tag');
  expect(page).not.toMatch(/<(script|tag)/i);
  expect((await rig.run(['export', 'show', '--format', 'text'])).stdout).toBe('green & <tag>\nmore\n');
  for (const what of ['show', cast]) expect((await rig.run(['replay', what])).stdout).toBe('\x1b[32mgreen\x1b[0m & <tag>\r\nmore');
  expect(await rig.run(['export', 'show', '--format', 'pdf'])).toMatchObject({ code: 2 });
  expect(await rig.run(['replay', 'nobody'])).toMatchObject({ code: 3 });
  expect(await rig.run(['logs', 'show', '--since', 'soon'])).toMatchObject({ code: 2, stderr: expect.stringContaining('"soon"') });
  expect(await rig.run(['logs', 'show', '--since', '1h'])).toMatchObject({ code: 0, stdout: 'green & <tag>\nmore\n' });
});

test('gc forgets what is archived, and nothing else', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  for (const name of ['a', 'b', 'c']) {
    const { puppet } = await rig.puppet(client, { name });
    const watcher = await rig.watch(client, name);
    puppet.print(`here is ${name}`);
    await watcher.shows(`here is ${name}`);
  }
  await client.call('session.kill', { sessions: ['a', 'b'] });
  expect(await rig.run(['gc', '--all', '--dry-run'])).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('2 sessions would be forgotten'),
  });
  expect((await rig.run(['logs', 'a'])).stdout).toBe('here is a\n');
  expect(await rig.run(['gc', 'a'])).toMatchObject({ code: 0, stdout: expect.stringContaining('$1  a') });
  expect(await rig.run(['logs', 'a'])).toMatchObject({ code: 3 });
  expect(existsSync(join(rig.paths.sessions, '1'))).toBe(false);
  expect(await rig.run(['gc', 'c'])).toMatchObject({ code: 3 });
  expect(await rig.run(['gc'])).toMatchObject({ code: 0, stderr: expect.stringContaining('0 sessions were forgotten') });
  expect(await rig.run(['gc', '--keep-days', '0', '--json'])).toMatchObject({ code: 0, stdout: expect.stringContaining('"b"') });
  expect((await rig.run(['logs', 'c'])).stdout).toBe('here is c\n');
});

test('history in a session without history is refused clearly', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  await rig.puppet(client, { name: 'quiet', history: false });
  expect(await rig.run(['logs', 'quiet', '--json'])).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('Session \\"quiet\\" keeps no history'),
  });
});

test('search finds lines in everything that sessions printed', async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  for (const [name, text] of [
    ['old', 'connect ECONNREFUSED 127.0.0.1:5432\nold news'],
    ['new', '\x1b[31mconnect ECONNREFUSED\x1b[0m 10.0.0.1\nprogress 1%\rprogress 100%'],
  ] as const) {
    const { puppet } = await rig.puppet(client, { name });
    const watcher = await rig.watch(client, name);
    puppet.print(`${text}\n`);
    await watcher.shows(text.includes('old') ? 'old news' : 'progress 100%');
  }
  await client.call('session.kill', { sessions: ['old'] });
  const found = async (...args: string[]) => {
    const { code, stdout } = await rig.run(['search', ...args, '--json']);
    const { matches } = JSON.parse(stdout) as { matches: { name: string; text: string }[] };
    return { code, lines: matches.map(({ name, text }) => `${name}: ${text}`) };
  };
  const both = ['new: connect ECONNREFUSED 10.0.0.1', 'old: connect ECONNREFUSED 127.0.0.1:5432'];
  expect(await found('econnrefused')).toEqual({ code: 0, lines: both });
  expect(await found('ECONNREFUSED 127.')).toEqual({ code: 0, lines: [both[1]] });
  expect(await found('refused \\d+\\.0', '--regex')).toEqual({ code: 0, lines: both });
  expect(await found('refused', '--session', 'old')).toEqual({ code: 0, lines: [both[1]] });
  expect(await found('progress')).toEqual({ code: 0, lines: ['new: progress 100%'] });
  expect(await found('Econnrefused')).toEqual({ code: 1, lines: [] });
  expect((await rig.run(['search', 'news'])).stdout).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}old \(\$1\) {2}old news\n$/);
  expect(await rig.run(['search', ''])).toMatchObject({ code: 2 });
  expect(await rig.run(['search', 'x', '--session', 'nobody'])).toMatchObject({ code: 3 });
  expect(await rig.run(['search', '(', '--regex'])).toMatchObject({ code: 2 });
  await rig.run(['gc', '--all']);
  expect(await found('econnrefused')).toEqual({ code: 0, lines: [both[0]] });
});
