import { basename } from 'node:path';
import { WireError } from '../../wire/errors.ts';

const LIMIT = 100;

/**
 * A session's name as it was given, or a refusal. Names are only ever compared, never made into paths, so most of Unicode is welcome; what
 * is not: control characters (they forge lines of a listing), a first character that means an option or an id, and tmux's separator.
 */
export function checkName(name: string): string {
  const shown = JSON.stringify(name.length > 40 ? `${name.slice(0, 40)}…` : name);
  const refuse = (why: string) => new WireError('bad-params', `Session name ${shown} ${why}.`, { name: name.slice(0, LIMIT) });
  if (name.length === 0) throw refuse('is empty: give it at least one character');
  if ([...name].length > LIMIT) throw refuse(`has ${[...name].length} characters: use at most ${LIMIT}`);
  if (/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u.test(name))
    throw refuse('contains a control character: leave it out');
  if (/^[-$%@=]/.test(name)) throw refuse(`begins with "${name[0]}", which marks an option or an id: begin with another character`);
  if (/[:/]/.test(name)) throw refuse('contains ":" or "/": use another character');
  if (name !== name.trim()) throw refuse('begins or ends with a space: leave it out');
  return name;
}

/** A short name for a session that was given none: its folder's, with a number when that is taken. */
export function generateName(cwd: string, isTaken: (name: string) => boolean): string {
  const base =
    basename(cwd)
      .replace(/[^\p{L}\p{N}_.+-]+/gu, '-')
      .replace(/^[-.]+|[-.]+$/g, '')
      .slice(0, 24) || 'session';
  for (let n = 1; ; n++) {
    const name = n === 1 ? base : `${base}-${n}`;
    if (!isTaken(name)) return name;
  }
}
