import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { groupMembers } from '../../../src/daemon/status/processes.ts';

/** What prints is the one below, so by then it is what it will be. */
const COMMAND = 'sh -c "echo ready; read -r x"; exit';

test.runIf(process.platform === 'linux')('the members of a group are found among what a program started, the leader first', async () => {
  const before = Date.now();
  // A group of its own, with a child in it.
  const leader = spawn('sh', ['-c', COMMAND], { detached: true, stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    await once(leader.stdout, 'data');
    const members = groupMembers(process.pid, leader.pid!);
    expect(members.map(({ argv }) => argv)).toEqual([
      ['sh', '-c', COMMAND],
      ['sh', '-c', 'echo ready; read -r x'],
    ]);
    for (const { startedAt } of members) expect([startedAt >= before - 20, startedAt <= Date.now()]).toEqual([true, true]);
    expect(groupMembers(process.pid, 1)).toEqual([]);
    expect(groupMembers(leader.pid!, leader.pid!)).toHaveLength(2);
  } finally {
    process.kill(-leader.pid!, 'SIGKILL');
    await once(leader, 'close');
  }
});
