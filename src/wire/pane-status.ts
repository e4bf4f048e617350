/**
 * What a pane is doing, in one word. A program that is no known agent is `running`, a shell waits at its `prompt`; an agent is `working`,
 * `waiting` for its human (a question, a permission, a password) or `done` with its turn. `starting` has drawn nothing yet. An ended
 * program has `exited` (0) or `failed`, and of a `lost` one nobody knows. `unknown` is an answer too: better than a guess.
 */
export const STATUSES = ['starting', 'running', 'prompt', 'working', 'waiting', 'done', 'failed', 'exited', 'lost', 'unknown'] as const;

export type Status = (typeof STATUSES)[number];
