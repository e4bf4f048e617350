import type { Entry } from '../persistence/journal/entry.ts';
import type { Cursor } from '../session/cursor.ts';
import type { Pane } from '../session/pane.ts';
import type { Found } from './finder.ts';

/** One thing that can be waited for. It is begun once for each pane that is watched. */
export interface Condition {
  /** As people write it: `text=ready`. */
  readonly name: string;
  /** Throws WireError where it cannot be waited for from there on. */
  begin(scene: Scene): Watch;
}

/** What a condition is told of the pane that it watches. */
export interface Scene {
  readonly pane: Pane;
  readonly mark: Cursor;
  /** How long ago it was first asked for, of an earlier daemon; 0: now. */
  readonly waitedMs: number;
  /** The last of what came before the mark, from which a reader knows whether the mark is inside a sequence. */
  before(): Iterable<Entry>;
  /** It is so. Once; then the watch is ended. */
  met(found?: Found): void;
  /** For what a watch does by itself, on a timer or an event: whatever it throws goes to who waits, and to nobody else. */
  run(work: () => void): void;
}

/** A condition at work. What it does not need to hear it leaves out. */
export interface Watch extends Disposable {
  /** What came after the mark: each byte once, in order. */
  output?(entry: Entry): void;
  /** What had come before anybody asked has been told: from here on everything is told as it comes. */
  caughtUp?(): void;
  /** The program has ended, and all of its output has been told. Its screen may be gone. */
  ended?(): void;
  /** The picture at the mark, for whoever waits again. */
  readonly picture?: string;
}
