import type { CallInput } from '../../wire/calls.ts';
import { WireError } from '../../wire/errors.ts';
import { writeCursor } from '../session/cursor.ts';
import { picture } from '../terminal/picture.ts';
import type { Condition, Scene, Watch } from './condition.ts';
import { Finder, type Pattern } from './finder.ts';
import { regexPattern, textPattern } from './pattern.ts';
import { type ShellOf, untilCommand, untilPrompt } from './shell-conditions.ts';
import { type DoingOf, untilState } from './state-condition.ts';
import { withinTime } from './within-time.ts';

type Asked = CallInput<'pane.wait'>['conditions'][number];

/** What a chunk of output may take a regular expression: a thousand times what it usually does. Everybody else waits meanwhile. */
const REGEX_LIMIT_MS = 250;

/** Throws WireError for a pattern that cannot be. */
export function conditionOf(asked: Asked, { shellOf, doingOf }: { shellOf: ShellOf; doingOf: DoingOf }): Condition {
  switch (asked.is) {
    case 'exit':
      return { name: 'exit', begin: untilExit };
    case 'idle':
      return { name: `idle=${asked.ms}`, begin: (scene) => new Idle(scene, asked.ms) };
    case 'text': {
      const pattern = textPattern(asked.text);
      return { name: `text=${asked.text}`, begin: (scene) => untilFound(scene, pattern, (work) => work()) };
    }
    case 'regex': {
      const pattern = regexPattern(asked.pattern);
      const bounded = (work: () => void) => {
        if (withinTime(REGEX_LIMIT_MS, work)) return;
        throw new WireError(
          'bad-params',
          `The regular expression ${JSON.stringify(asked.pattern)} took longer than ${REGEX_LIMIT_MS} ms with what was printed: use a simpler one.`,
        );
      };
      return { name: `regex=${asked.pattern}`, begin: (scene) => untilFound(scene, pattern, bounded) };
    }
    case 'change':
      return { name: 'change', begin: (scene) => new Change(scene) };
    case 'prompt':
      return { name: 'prompt', begin: (scene) => untilPrompt(scene, shellOf) };
    case 'command':
      return { name: 'command', begin: (scene) => untilCommand(scene, shellOf) };
    case 'state':
      return { name: `state=${asked.status}`, begin: (scene) => untilState(scene, asked.status, doingOf) };
    default: {
      const never: never = asked;
      return never;
    }
  }
}

function untilExit({ met }: Scene): Watch {
  return { ended: () => met(), [Symbol.dispose]() {} };
}

function untilFound({ before, met }: Scene, pattern: Pattern, bounded: (work: () => void) => void): Watch {
  const finder = new Finder(pattern);
  for (const entry of before()) finder.before(entry);
  finder.begin();
  return {
    output(entry) {
      bounded(() => finder.push(entry));
      const found = finder.push(NOTHING);
      if (found) met(found);
    },
    [Symbol.dispose]() {},
  };
}

const NOTHING = { is: 'input', at: 0, offset: 0, length: 0 } as const;

/** Nothing was printed for so long. One timer, which is not set anew at each byte but looks when it rings. */
class Idle implements Watch {
  readonly #scene: Scene;
  readonly #limitMs: number;
  #lastAt: number;
  #timer: NodeJS.Timeout | null = null;
  #hasHeard = false;

  constructor(scene: Scene, limitMs: number) {
    this.#scene = scene;
    this.#limitMs = limitMs;
    this.#lastAt = this.#askedAt;
  }

  get #askedAt(): number {
    return Date.now() - this.#scene.waitedMs;
  }

  output({ is, at }: Parameters<NonNullable<Watch['output']>>[0]): void {
    if (is !== 'output') return;
    this.#lastAt = at;
    this.#hasHeard = true;
  }

  caughtUp(): void {
    if (!this.#hasHeard) this.#lastAt = this.#askedAt;
    this.#look();
  }

  [Symbol.dispose](): void {
    if (this.#timer) clearTimeout(this.#timer);
  }

  #look(): void {
    // A clock that was set back must not make it wait for longer.
    const left = Math.min(this.#limitMs, this.#lastAt + this.#limitMs - Date.now());
    if (left <= 0) this.#scene.met();
    else this.#timer = setTimeout(() => this.#scene.run(() => this.#look()), left);
  }
}

/** The visible screen is another than it was at the mark. */
class Change implements Watch {
  readonly picture: string;
  readonly #scene: Scene;
  readonly #unhear: () => void;
  #looking: NodeJS.Immediate | null = null;

  constructor(scene: Scene) {
    const { pane, mark } = scene;
    this.#scene = scene;
    if (mark.picture === null && mark.offset < pane.head)
      throw new WireError(
        'bad-params',
        `Nobody knows what the screen showed at cursor ${writeCursor(mark)}. Take the cursor that ai-session screen --json prints as "after".`,
      );
    this.picture = mark.picture ?? picture(pane.screen).hash;
    this.#unhear = pane.onWritten((_, bytes) => scene.run(() => (bytes ? this.#lookSoon() : this.#look())));
  }

  caughtUp(): void {
    this.#look();
  }

  [Symbol.dispose](): void {
    this.#unhear();
    if (this.#looking) clearImmediate(this.#looking);
    this.#looking = null;
  }

  /** Our screen is given the bytes after us. */
  #lookSoon(): void {
    this.#looking ??= setImmediate(() => {
      this.#looking = null;
      this.#scene.run(() => this.#look());
    });
  }

  #look(): void {
    if (picture(this.#scene.pane.screen).hash !== this.picture) this.#scene.met();
  }
}
