import { type Claim, keyOf } from './claims.ts';
import type { Evidence } from './evidence.ts';

/** A claim, and the sentence that says why it does not stand; null when it does. */
export interface Standing {
  claim: Claim;
  doubted: string | null;
}

interface Question {
  claims: readonly Claim[];
  /** Since when each claim has been made without a break. */
  held: Readonly<Record<string, number>>;
  /** Words that were contradicted before, with the sentence. */
  spent: Readonly<Record<string, string>>;
  evidence: Evidence;
  now: number;
}

export interface Doubted {
  standing: Standing[];
  recheckAt: number | null;
  spent: Record<string, string>;
}

/**
 * Which claims no longer stand. A screen shows what is; a hook's word was true when it was said, and hooks are not called for everything:
 * after a permission that was refused with Esc, and after an interruption, Claude Code calls none. So a word ends when the byte stream says
 * otherwise, `stale` being the time (`stale_ms`) that both may take to agree:
 *
 * - "waiting" ends when something says "working" that began, or was said again, at least `stale` after the word: it was answered. And it
 *   ends when a screen with a prompt, or the program's report, has said "done" for `stale` since the word: it was refused. A title that
 *   says "done" does not end it; titles say so while a dialog is open.
 * - "working" ends when something that began to say "done" after the word has said so for `stale`: it was interrupted.
 * - "working", because background tasks run, ends when a new turn begins: "working" that began `stale` after the word or later.
 * - "done" ends when something began to say "working" after the word, or still says so anew `stale` after it.
 * - A notification's or a bell's word ends by the same, and when somebody types.
 *
 * A word that has ended does not come back when what contradicted it has gone.
 *
 * And the other way round: a title, a progress or a report that says "working" and has not moved since a hook said otherwise ends `stale`
 * after the hook. "working" by anything but the screen ends when an agent that always draws has drawn nothing for `silent_ms`.
 */
export function doubt(question: Question): Doubted {
  const { claims, now } = question;
  const spent: Record<string, string> = {};
  let recheckAt: number | null = null;
  const standing = claims.map((claim): Standing => {
    const word = `${claim.source} ${claim.rule} ${claim.at}`;
    let doubted = claim.isWord && Object.hasOwn(question.spent, word) ? question.spent[word]! : null;
    for (const { from, why } of doubted === null ? doubts(claim, question) : []) {
      if (from <= now) {
        doubted = why;
        break;
      }
      if (recheckAt === null || from < recheckAt) recheckAt = from;
    }
    if (claim.isWord && doubted !== null) spent[word] = doubted;
    return { claim, doubted };
  });
  return { standing, recheckAt, spent };
}

interface Doubt {
  /** From when on the claim does not stand, if nothing changes. */
  from: number;
  why: string;
}

function* doubts(claim: Claim, { claims, held, evidence, now }: Question): Generator<Doubt> {
  const rules = evidence.agent?.rules;
  const stale = rules?.stale_ms ?? 1500;
  const began = (other: Claim) => held[keyOf(other)] ?? other.at;
  const signs = claims.filter((other) => !other.isWord && other !== claim);
  const works = signs.filter(({ status }) => status === 'working');
  const rests = signs.filter(({ status }) => status === 'done');

  const isBackground = claim.source === 'hook' && evidence.hook?.isBackground === true;
  if (claim.isWord) {
    if (claim.status === 'waiting') {
      for (const other of works)
        if (Math.max(began(other), other.at) >= claim.at + stale) yield { from: now, why: `it was answered: later ${other.text}` };
      for (const other of rests.filter(({ knowsDialogs }) => knowsDialogs))
        yield { from: Math.max(began(other), claim.at) + stale, why: `no question is open any more: ${other.text}` };
    } else if (claim.status === 'working' && isBackground) {
      for (const other of works)
        if (other.source !== 'screen' && began(other) >= claim.at + stale) yield { from: now, why: `a new turn began: ${other.text}` };
    } else if (claim.status === 'working') {
      for (const other of rests)
        if (began(other) > claim.at) yield { from: began(other) + stale, why: `it stopped without a word: ${other.text}` };
    } else {
      for (const other of works)
        if (began(other) > claim.at || other.at >= claim.at + stale) yield { from: now, why: `it went on: ${other.text}` };
    }
    const { inputAt } = evidence;
    if (claim.source !== 'hook' && inputAt !== null && inputAt > claim.at) yield { from: now, why: 'somebody has typed since' };
  } else if (claim.status === 'working' && claim.source !== 'screen') {
    const word = claims.find(({ source }) => source === 'hook');
    if (word && word.status !== 'working' && word.at > claim.at)
      yield { from: word.at + stale, why: `it has not moved since ${word.text}` };
  }

  if (rules?.silent_ms && claim.status === 'working' && claim.source !== 'screen' && !isBackground && evidence.outputAt !== null)
    yield {
      from: evidence.outputAt + rules.silent_ms,
      why: `${rules.agent} draws while it works, and has written nothing for ${rules.silent_ms / 1000} s`,
    };
}
