import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Rig } from '../support/rig.ts';
import { chooseSeed, daemonsOf, kill, reconnect, seededRandom } from './tools.ts';

const ROUNDS = Number(process.env.SOAK_ROUNDS ?? 60);
/** A round's daemon is killed so long after the runs were asked for, where nothing else says when. */
const LATEST_MS = 500;
/** From what was seen to the kill, in turns of this event loop: some of the daemon's steps take microseconds. */
const MOST_TURNS = 200;

const SHELLS = ['bash', 'zsh', 'fish', 'dash'].filter((shell) => spawnSync(shell, ['-c', 'exit 0']).error === undefined);

test(`${ROUNDS} daemons are killed while runs begin, go on and end: each ran once and has its result, or never began`, async () => {
  await using rig = await Rig.start();
  const random = seededRandom(chooseSeed());
  const client = await rig.connect();
  for (const shell of SHELLS)
    await client.call('session.create', {
      name: shell,
      command: [shell],
      cwd: rig.home,
      env: { ...rig.environment, HOME: rig.home, ENV: '' },
    });
  client.close();
  const folder = join(rig.paths.run, 'shell');
  const done = (name: string) => join(rig.home, `done-${name}`);
  const counts = { once: 0, notStarted: 0, lost: 0, kills: 0 };
  for (let round = 1; round <= ROUNDS; round++) {
    const code = random(100);
    // One that is killed while it starts is another matter.
    (await reconnect(rig)).close();
    // At once: each kill meets them at moments of their own.
    const runs = [...SHELLS, 'alone'].map(async (name) => {
      const text = `echo ${round} >>${done(name)}; echo said ${round}; sh -c "exit ${code}"`;
      const argv = name === 'alone' ? ['run', '--json', '--', 'sh', '-c', text] : ['run', name, '--json', '--', text];
      return { name, ...(await rig.run(argv)) };
    });
    const sizes = () => SHELLS.reduce((sum, name) => sum + (statSync(done(name), { throwIfNoEntry: false })?.size ?? 0), 0);
    const files = () => readdirSync(folder).filter((name) => !name.endsWith('.log')).length;
    const before = sizes();
    // A text that lies there, a command that has just done what it does, or any moment.
    const isTime = [() => files() > 0, () => sizes() > before, null][random(3)]!;
    let isAnswered = false;
    void Promise.race(runs).then(() => (isAnswered = true));
    if (isTime) while (!isTime() && !isAnswered) await turn();
    else await delay(random(LATEST_MS));
    for (let turns = random(MOST_TURNS); turns > 0; turns--) await turn();
    for (const pid of daemonsOf(rig)) if (kill(pid)) counts.kills++;
    for (const { name, stdout, stderr, ...ran } of await Promise.all(runs)) {
      const times = linesOf(done(name)).filter((line) => line === `${round}`).length;
      expect(stdout, `round ${round} in ${name}: ${stderr}`).not.toBe('');
      const { status, exitCode, output } = JSON.parse(stdout);
      const told = { round, name, status, exitCode, output, times, code: ran.code };
      if (status === 'not_started') {
        counts.notStarted++;
        expect(told).toMatchObject({ times: 0, code: 125 });
      } else if (name === 'alone' && exitCode === null) {
        counts.lost++;
        expect(told).toMatchObject({ code: 125 });
      } else {
        counts.once++;
        expect(told).toEqual({ round, name, status: 'finished', exitCode: code, output: `said ${round}\n`, times: 1, code });
      }
    }
  }
  console.log(`${JSON.stringify(counts)} of ${ROUNDS * (SHELLS.length + 1)} runs`);
  expect(readdirSync(folder).filter((name) => !name.endsWith('.log'))).toEqual([]);
});

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}
