import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { processesOf, Rig } from '../support/rig.ts';
import { kill, readAll, shownBy, textOf, until } from './tools.ts';

const SESSIONS = 20;

test(`after a reboot ${SESSIONS} sessions are brought back with one command`, async () => {
  await using rig = await Rig.start();
  const client = await rig.connect();
  const casts = [];
  for (let n = 0; n < SESSIONS; n++) {
    const cwd = join(rig.home, `folder ${n}`);
    mkdirSync(cwd);
    const environment = { ...rig.environment, WHICH: `${n}` };
    const cast = await rig.puppet(client, { name: `s${n}`, cwd, env: environment, cols: 60 + n, rows: 20 });
    const watcher = await rig.watch(client, `s${n}`, { cols: 60 + n, rows: 20, readOnly: true });
    cast.puppet.print(`${'some line\n'.repeat(50)}\x1b[3${n % 8}mbefore ${n}`);
    await watcher.shows(`before ${n}`);
    casts.push(cast);
  }
  const before = await Promise.all(casts.map(({ session }) => shownBy(client, session)));
  // The machine: daemon, holders and programs at once, and /run is new.
  const isLost = new Promise((resolve) => (client.onLost = resolve));
  for (const { pid } of processesOf(rig.home)) kill(pid);
  await isLost;
  await until(() => processesOf(rig.home).length === 0);
  rmSync(rig.paths.run, { recursive: true });
  mkdirSync(rig.paths.run, { mode: 0o700 });

  const next = await rig.connect();
  const { sessions } = await next.call('session.list', {});
  expect(sessions.map(({ name, status }) => `${name} ${status}`)).toEqual(casts.map(({ session }) => `${session.name} lost`));
  expect(await Promise.all(casts.map(({ session }) => shownBy(next, session)))).toEqual(before);
  const begun = performance.now();
  const { code, stdout, stderr } = await rig.run(['restore', '--all']);
  console.log(`${SESSIONS} sessions restored in ${Math.round(performance.now() - begun)} ms`);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.trimEnd().split('\n')).toEqual(
    casts.map(({ session }) => `${session.name} (${session.id}): starts "node" from the beginning`),
  );
  for (const [n, { session, again }] of casts.entries()) {
    const puppet = await again();
    const { environment, cwd } = await puppet.environment();
    expect([environment.WHICH, cwd]).toEqual([`${n}`, session.cwd]);
    expect(await puppet.size()).toEqual([60 + n, 20]);
    puppet.print(`after ${n}`);
    const watcher = await rig.watch(next, session.id, { cols: 60 + n, rows: 20, readOnly: true });
    await watcher.shows(`after ${n}`);
    expect(watcher.text).toMatch(new RegExp(`before ${n}\n\\[.* restored: [^\\]]*\\]\nafter ${n}$`));
    const now = await next.call('session.get', { session: session.id });
    expect(now).toMatchObject({ id: session.id, name: session.name, status: 'running' });
    // Its earlier pane's history stays, and the new one has its own.
    expect(textOf(readAll(rig, session)).endsWith(`before ${n}`)).toBe(true);
    expect(textOf(readAll(rig, now))).toBe(`after ${n}`);
  }
});
