import type { Status } from '../../wire/pane-status.ts';
import { type Claim, claimsOf, isShellAtPrompt, keyOf, type Silent } from './claims.ts';
import { doubt, type Standing } from './doubt.ts';
import type { Evidence } from './evidence.ts';
import type { Rules } from './rules.ts';
import { type Because, SOURCES, type Source } from './status.ts';

export interface Decision {
  status: Status;
  because: Because;
  since: number;
  /** When to decide again though nothing was heard; null: then nothing can change by itself. */
  recheckAt: number | null;
  /** Since when it has looked done, while that is not believed yet. */
  settlingFrom: number | null;
  /** Since when each claim has been made without a break, for the next decision. */
  held: Readonly<Record<string, number>>;
  /** Words that are not believed any more, and why. */
  spent: Readonly<Record<string, string>>;
}

/** One piece of evidence, and what became of it. */
export interface Considered {
  source: Source;
  rule: string;
  status: Status | null;
  text: string;
  at: number | null;
  ageMs: number | null;
  /** `settling`: it will win when it has stood for long enough. `expired`: later evidence contradicts it. `silent`: it says nothing. */
  verdict: 'won' | 'lost' | 'settling' | 'expired' | 'silent';
  why: string;
}

export interface Explanation {
  decision: Decision;
  agent: { id: string; name: string; because: string; since: number; file: string } | null;
  /** Most trusted first, what speaks before what is silent. */
  considered: Considered[];
}

/**
 * The status of a pane, from all that is known. Nothing is kept between calls but `before`, the last decision: call it whenever something
 * was heard, and at `recheckAt`.
 *
 * Among claims that stand, waiting beats working beats done; of equals the more trusted source gives the reason. Claims that later evidence
 * contradicts do not stand (`doubt.ts`). `working` and `waiting` are believed at once. `done` is when it has held for a while, longer if it
 * only looks so, because agents pause and titles flicker, and people are told of it.
 */
export function decide(evidence: Evidence, now: number, before: Decision | null, rules: Pick<Rules, 'program'>): Decision {
  return weigh(evidence, now, before, rules).decision;
}

/** The same decision with everything that was considered, for `ai-session explain`. */
export function explain(evidence: Evidence, now: number, before: Decision | null, rules: Pick<Rules, 'program'>): Explanation {
  const { decision, standing, silent, winner } = weigh(evidence, now, before, rules);
  const age = (at: number | null) => ({ at, ageMs: at === null ? null : Math.max(0, now - at) });
  const spoken = standing.map(({ claim, doubted }): Considered => {
    const { source, rule, status, text } = claim;
    const about = { source, rule, status, text, ...age(claim.at) };
    if (doubted) return { ...about, verdict: 'expired', why: doubted };
    if (claim !== winner) return { ...about, verdict: 'lost', why: winner ? whyLost(claim, winner) : decision.because.text };
    if (decision.settlingFrom === null) return { ...about, verdict: 'won', why: `${status} is the strongest of what stands` };
    const leftMs = decision.settlingFrom + settleOf(claim, evidence) - now;
    const why = `it is believed when it has held for ${leftMs} ms more; until then it is ${decision.status}`;
    return { ...about, verdict: 'settling', why };
  });
  const unspoken = silent.map(({ at, ...about }): Considered => ({ ...about, status: null, ...age(at), verdict: 'silent' }));
  const { agent } = evidence;
  return {
    decision,
    agent: agent && {
      id: agent.rules.id,
      name: agent.rules.agent,
      because: agent.because,
      since: agent.at,
      file: `${agent.rules.file} (${agent.rules.origin})`,
    },
    considered: [...spoken.sort(byTrust), ...unspoken.sort(byTrust)],
  };
}

interface Weighed {
  decision: Decision;
  standing: Standing[];
  silent: Silent[];
  winner: Claim | null;
}

function weigh(evidence: Evidence, now: number, before: Decision | null, rules: Pick<Rules, 'program'>): Weighed {
  const end = endOf(evidence);
  if (end) return { decision: settled(end, evidence.program.at, before), standing: [], silent: [], winner: null };
  const { claims, silent, isSameScreen } = claimsOf(evidence, rules);
  const held: Record<string, number> = {};
  for (const claim of claims) held[keyOf(claim)] = before?.held[keyOf(claim)] ?? Math.min(claim.at, now);
  const { standing, recheckAt, spent } = doubt({ claims, held, spent: before?.spent ?? {}, evidence, now });
  const next = { held, spent, recheckAt, settlingFrom: null };
  const prompt = promptOf(evidence);
  if (prompt) return { decision: { ...settled(prompt, prompt.at, before), ...next, recheckAt: null }, standing, silent, winner: null };

  const believed = standing.filter(({ doubted }) => doubted === null).map(({ claim }) => claim);
  const winner = believed.sort(byStrength)[0] ?? null;
  const answer = (decision: Decision): Weighed => ({ decision, standing, silent, winner });
  if (!winner) {
    const guess = withoutClaims(evidence, now, isSameScreen ? before : null);
    return answer({ ...settled(guess, guess.at, before), ...next, recheckAt: earliest(recheckAt, guess.recheckAt) });
  }
  const because = { source: winner.source, rule: winner.rule, text: winner.text };
  if (winner.status !== 'done' || before === null || !SETTLES.includes(before.status)) {
    // With nothing before it, as after a restart of the daemon, the evidence itself says since when.
    return answer({ ...settled({ status: winner.status, because }, before ? now : held[keyOf(winner)]!, before), ...next });
  }
  // What is shown can still change while it settles; a word was said.
  const looksDoneSince = Math.max(before.settlingFrom ?? now, winner.source === 'screen' ? Math.min(winner.at, now) : 0);
  const wait = settleOf(winner, evidence);
  if (now - looksDoneSince >= wait) return answer({ ...settled({ status: 'done', because }, looksDoneSince, null), ...next });
  const { status, because: reason, since } = before;
  return answer({
    ...next,
    status,
    because: reason,
    since,
    settlingFrom: looksDoneSince,
    recheckAt: earliest(recheckAt, looksDoneSince + wait),
  });
}

/** A decision that stands: `since` goes on while the status is the same. */
function settled({ status, because }: { status: Status; because: Because }, at: number, before: Decision | null): Decision {
  const since = before?.status === status ? before.since : at;
  return { status, because, since, recheckAt: null, settlingFrom: null, held: {}, spent: {} };
}

function endOf({ program }: Evidence): { status: Status; because: Because } | null {
  if (program.is === 'alive') return null;
  const ended = (status: Status, rule: string, text: string) => ({ status, because: { source: 'exit' as const, rule, text } });
  if (program.is === 'lost') return ended('lost', 'lost', 'the program is gone, and nobody saw it end');
  if (program.signal !== null) return ended('failed', 'signal', `the program was ended by ${program.signal}`);
  if (program.code === null) return ended('lost', 'no-code', 'the program has ended, and nobody knows how');
  return program.code === 0
    ? ended('exited', 'exit-0', 'the program ended with 0')
    : ended('failed', 'exit-code', `the program ended with ${program.code}`);
}

/** A shell at its prompt, which is no agent's business, unless an agent began after that prompt. */
function promptOf(evidence: Evidence): { status: Status; because: Because; at: number } | null {
  const { agent, command, foreground } = evidence;
  if (!isShellAtPrompt(evidence) || (agent && (!command || command.at < agent.at))) return null;
  const ended = command && command.exitCode !== null ? `; the last command ended with ${command.exitCode}` : '';
  return command
    ? { status: 'prompt', because: { source: 'command', rule: command.is, text: `the shell is at its prompt${ended}` }, at: command.at }
    : {
        status: 'prompt',
        because: { source: 'process', rule: 'shell', text: 'the shell itself is in the foreground' },
        at: foreground!.at,
      };
}

/** A screen that has changed within this time is being written to. */
const QUIET_MS = 3000;
/** A program that has printed nothing for so long has begun all the same. */
const SILENT_START_MS = 1000;
/** What changes so soon after a key is its echo. */
const ECHO_MS = 1000;

/** When nothing that is known says anything: what little can be said. */
function withoutClaims(evidence: Evidence, now: number, same: Decision | null) {
  const { agent, command, foreground, screen, drawnAt, inputAt, program } = evidence;
  const say = (status: Status, source: Source, rule: string, text: string, at: number, recheckAt: number | null = null) => ({
    status,
    because: { source, rule, text },
    at,
    recheckAt,
  });
  const beganAt = agent?.at ?? program.at;
  if (drawnAt === null || (screen && screen.at < beganAt)) {
    // Agents draw when they are ready. Other programs may never print anything.
    const runsAt = agent || !foreground || foreground.isShell ? null : beganAt + SILENT_START_MS;
    if (runsAt !== null && now >= runsAt)
      return say('running', 'process', 'program', `${quoted(foreground!.command)} is in the foreground, and has printed nothing`, runsAt);
    return say('starting', 'silence', 'nothing-drawn', 'nothing has been drawn yet', beganAt, runsAt);
  }
  if (!agent) {
    if (command?.is === 'started')
      return say('running', 'command', 'started', command.text ? `${quoted(command.text)} runs` : 'a command runs', command.at);
    const name = foreground?.command ? `${quoted(foreground.command)} is in the foreground` : 'a program runs that is no known agent';
    return say('running', 'process', 'program', name, foreground?.at ?? drawnAt);
  }
  if (same) return { status: same.status, because: same.because, at: now, recheckAt: null };
  const changedAt = screen?.at ?? drawnAt;
  const isEcho = inputAt !== null && changedAt - inputAt < ECHO_MS && changedAt >= inputAt;
  // What it draws first is its greeting.
  const isWriting = now - changedAt < QUIET_MS && !isEcho && changedAt - Math.max(drawnAt, agent.at) >= QUIET_MS;
  if (isWriting) return say('working', 'silence', 'writing', 'its screen is changing', now, changedAt + QUIET_MS);
  return say('unknown', 'silence', 'quiet', `nothing that ${agent.rules.agent} shows says what it does`, now);
}

/** From these `done` is entered slowly. A shell at which an agent was found at rest has had no turn to end. */
const SETTLES: readonly Status[] = ['starting', 'working', 'waiting', 'unknown'];

function settleOf(claim: Claim, { agent }: Evidence): number {
  const { settle_ms, settle_said_ms } = agent?.rules ?? { settle_ms: 2000, settle_said_ms: 300 };
  return claim.source === 'hook' || claim.source === 'report' ? settle_said_ms : settle_ms;
}

const STRENGTH = { waiting: 3, working: 2, done: 1 } as const;
const trust = (source: Source) => SOURCES.indexOf(source);
const byTrust = (a: { source: Source }, b: { source: Source }) => trust(a.source) - trust(b.source);
const byStrength = (a: Claim, b: Claim) => STRENGTH[b.status] - STRENGTH[a.status] || byTrust(a, b);
const quoted = (text: string) => `"${text.slice(0, 100)}"`;

function whyLost(claim: Claim, winner: Claim): string {
  return claim.status === winner.status
    ? `it says the same, and ${winner.source} is trusted more`
    : `${winner.status} beats ${claim.status}: ${winner.rule} says so`;
}

function earliest(a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : Math.min(a, b);
}
