import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Rig } from '../support/rig.ts';
import { ended, expectFlood, floodUntil, journalHead, readAll, shownBy, until } from './tools.ts';

const TIMES = 10;

for (const how of [['restart'], ['upgrade', '--force']]) {
  test(`daemon ${how[0]}, ${TIMES} times during a flood: nothing is lost, and who is attached sees the end`, async () => {
    await using rig = await Rig.start({ config: 'sessions:\n  keep_ended: always\n' });
    const client = await rig.connect();
    const stop = join(rig.home, 'stop');
    const flood = await client.call('session.create', { name: 'flood', command: floodUntil(stop), cwd: rig.home, env: rig.environment });
    const { session: echo, puppet } = await rig.puppet(client, { name: 'echo' });
    puppet.reads();
    const terminals = [await rig.terminal(['attach', 'flood']), await rig.terminal(['attach', 'echo'])] as const;
    const daemons = new Set([client.daemon.pid]);
    let typed = '';
    const took = [];
    for (let times = 0; times < TIMES; times++) {
      const head = journalHead(rig, flood);
      // While it is replaced, too: the attached client keeps it for the next daemon.
      const restarting = rig.run(['daemon', ...how, '--json']);
      const begun = performance.now();
      terminals[1].type(`key ${times}\r`);
      typed += `key ${times}\n`;
      expect(await restarting).toMatchObject({ code: 0, stderr: '' });
      took.push(Math.round(performance.now() - begun));
      const next = await rig.connect({ start: false });
      daemons.add(next.daemon.pid);
      next.close();
      await until(() => journalHead(rig, flood) > head + (1 << 20));
    }
    console.log(`daemon ${how[0]} under flood: ${took.join(' ')} ms`);
    expect(daemons.size).toBe(TIMES + 1);
    expect((await puppet.input(typed.length)).toString()).toBe(typed);
    writeFileSync(stop, '');
    expect(await ended(rig, flood)).toMatchObject({ status: 'exited', exitCode: 7 });
    expect((await terminals[0].exited).code).toBe(0);
    const all = readAll(rig, flood);
    const lines = expectFlood(all);
    console.log(`${all.bytes} bytes, ${all.gaps} gaps, ${all.duplicates} duplicates`);
    expect([all.gaps, all.duplicates]).toEqual([0, 0]);
    expect(terminals[0].text).toContain(`the end after ${lines}`);
    const last = await rig.connect();
    expect((await shownBy(last, flood)).lines.filter(Boolean).at(-1)).toBe(`the end after ${lines}`);
    await terminals[1].shows(`key ${TIMES - 1}`);
    expect((await last.call('session.get', { session: echo.id })).status).toBe('running');
  });
}
