import type { Status } from '../../wire/pane-status.ts';
import type { Scene, Watch } from './condition.ts';

/** What a pane is doing, and how to hear that it does something else. */
export type DoingOf = (pane: string) => { status: Status; onChange(then: () => void): () => void } | null;

/** The pane does this, or comes to it. */
export function untilState(scene: Scene, wanted: Status, doingOf: DoingOf): Watch {
  const look = () => {
    if (doingOf(scene.pane.id)?.status === wanted) scene.met();
  };
  const unhear = doingOf(scene.pane.id)?.onChange(() => scene.run(look)) ?? (() => {});
  return { caughtUp: look, ended: look, [Symbol.dispose]: unhear };
}
