import { WireError } from '../../wire/errors.ts';
import type { CommandRecord } from '../output/command-file.ts';
import type { Tracker } from '../output/tracker.ts';
import type { Scene, Watch } from './condition.ts';

/** The shell of a pane and the commands that it has ended so far, or null where the program is none that tells. */
export type ShellOf = (pane: string) => { tracker: Tracker; commands(): readonly CommandRecord[] } | null;

/** The shell is at its prompt, or comes back to it. */
export function untilPrompt(scene: Scene, shellOf: ShellOf): Watch {
  const { tracker } = shell(scene, shellOf);
  const look = () => {
    if (tracker.is === 'prompt') scene.met();
  };
  const unhear = tracker.onChange(() => scene.run(look));
  return { caughtUp: look, [Symbol.dispose]: unhear };
}

/** A command has ended after the mark. */
export function untilCommand(scene: Scene, shellOf: ShellOf): Watch {
  const { tracker, commands } = shell(scene, shellOf);
  const { pane, offset } = scene.mark;
  const look = () => {
    const ended = commands().find((command) => command.pane === pane && command.endedAt !== null && (command.to ?? 0) > offset);
    if (!ended) return;
    const end = ended.to ?? offset;
    scene.met({ text: `exit ${ended.exitCode ?? 'unknown'}`, line: ended.text ?? '', offset: end, end });
  };
  const unhear = tracker.onChange(() => scene.run(look));
  return { caughtUp: look, [Symbol.dispose]: unhear };
}

function shell({ pane }: Scene, shellOf: ShellOf) {
  const found = shellOf(pane.id);
  if (found) return found;
  throw new WireError(
    'bad-params',
    `Pane ${pane.id} runs no shell that tells of its commands. Wait for exit, idle, text, regex or change instead.`,
  );
}
