import type { Evidence } from './evidence.ts';
import { matchScreen, matchText, quote } from './match.ts';
import type { AgentRules, Rules, ScreenRule } from './rules.ts';
import type { AgentStatus, Source } from './status.ts';

/** What one piece of evidence says about now. */
export interface Claim {
  source: Source;
  rule: string;
  status: AgentStatus;
  text: string;
  /** When it was last said. */
  at: number;
  /** A hook's, notification's or bell's word was said once, and is believed until something contradicts it. The rest stands until it is changed. */
  isWord: boolean;
  /** A title that says "ready" says so while a dialog is open, too; a screen with a prompt and a program's own report know better. */
  knowsDialogs: boolean;
}

/** A piece of evidence that says nothing, and why. */
export interface Silent {
  source: Source;
  rule: string;
  text: string;
  at: number | null;
  why: string;
}

export interface Claims {
  claims: Claim[];
  silent: Silent[];
  /** The screen shows something that tells nothing of now. */
  isSameScreen: boolean;
}

/** Claims with one key are one claim that goes on, however often it is said. */
export const keyOf = ({ source, rule, status }: Claim) => `${source} ${rule} ${status}`;

/** Everything that was heard, as what it says. `rules` are asked for a program that is no agent. */
export function claimsOf(evidence: Evidence, rules: Pick<Rules, 'program'>): Claims {
  const found: Claims = { claims: [], silent: [], isSameScreen: false };
  const agent = evidence.agent?.rules ?? null;
  const since = evidence.agent?.at ?? 0;
  const claim = (source: Source, rule: string, status: AgentStatus, at: number, text: string, more: Partial<Claim> = {}) =>
    found.claims.push({ source, rule, status, text, at, isWord: false, knowsDialogs: false, ...more });
  const silent = (source: Source, rule: string, text: string, at: number | null, why: string) =>
    found.silent.push({ source, rule, text, at, why });
  const isOld = (source: Source, text: string, at: number) => {
    if (at >= since) return false;
    silent(source, source, text, at, 'it was said before this agent began');
    return true;
  };

  const { hook, report, title, progress, notification, bell, hidesInput } = evidence;
  if (hook && !agent) silent('hook', hook.event, hook.text, hook.at, 'no agent is known to run here');
  else if (hook && agent && !isOld('hook', hook.text, hook.at))
    claim('hook', `${agent.id}/${hook.event}`, hook.status, hook.at, hook.text, { isWord: true });

  if (report && !isOld('report', report.report.state, report.at)) {
    const { state, kind, app, message } = report.report;
    const text = `${app || 'the program'} reports "${state}"${kind ? ` (${kind})` : ''}${message && `: ${quote(message)}`}`;
    claim('report', `osc-7501/${state}`, REPORTED[state], report.at, text, { knowsDialogs: true });
  }

  if (agent && title && !isOld('title', title.text, title.at)) {
    const rule = matchText(agent.titles, title.text);
    if (rule) claim('title', `${agent.id}/${rule.id}`, rule.status, title.at, `the title is ${quote(title.text)}`);
    else
      silent('title', 'title', quote(title.text), title.at, agent.titles.length === 0 ? 'its titles tell nothing' : 'no rule matches it');
  }

  if (agent && progress && !isOld('progress', String(progress.state), progress.at)) {
    const status = agent.progress[`${progress.state}`];
    const text = `the progress is ${PROGRESS[progress.state]}${progress.percent === null ? '' : ` (${progress.percent} %)`}`;
    if (status) claim('progress', `${agent.id}/progress-${progress.state}`, status, progress.at, text);
    else silent('progress', `${agent.id}/progress-${progress.state}`, text, progress.at, 'its rules give that no meaning');
  }

  if (agent && notification && !isOld('notification', notification.text, notification.at)) {
    const rule = matchText(agent.notifications, notification.text);
    const text = `it notified: ${quote(notification.text)}`;
    if (rule) claim('notification', `${agent.id}/${rule.id}`, rule.status, notification.at, text, { isWord: true });
    else silent('notification', 'notification', text, notification.at, 'no rule matches it');
  }

  if (agent && bell && !isOld('bell', 'a bell', bell.at)) {
    if (agent.bell) claim('bell', `${agent.id}/bell`, agent.bell, bell.at, 'it rang the bell', { isWord: true });
    else silent('bell', 'bell', 'it rang the bell', bell.at, 'its rules give that no meaning');
  }

  const isAtPrompt = !agent && isShellAtPrompt(evidence);
  if (hidesInput && !agent && !isAtPrompt)
    claim('terminal', 'hidden-input', 'waiting', hidesInput.at, 'what is typed is not shown: it asks for a secret');
  const asked = agent ?? (isAtPrompt ? null : rules.program);
  // What a shell has on its screen is not what an agent shows that it has just begun.
  if (asked && evidence.screen && evidence.screen.at >= since) claimOfScreen(asked, evidence.screen, found);
  return found;
}

/** Only the first screen rule that matches speaks; what a rule says is not stronger for being said twice. */
function claimOfScreen(rules: AgentRules, { view, at }: NonNullable<Evidence['screen']>, found: Claims): void {
  let speaker: ScreenRule | null = null;
  for (const rule of [...rules.screen].sort((a, b) => b.priority - a.priority)) {
    const name = `${rules.id}/${rule.id}`;
    const match = matchScreen(rule, view);
    if (!match.matches) {
      found.silent.push({ source: 'screen', rule: name, text: '', at, why: match.why });
    } else if (speaker) {
      found.silent.push({ source: 'screen', rule: name, text: match.text, at, why: `${rules.id}/${speaker.id} has a higher priority` });
    } else {
      speaker = rule;
      const text = `the screen shows ${quote(match.text)}`;
      if (rule.status === 'same') {
        found.isSameScreen = true;
        found.silent.push({ source: 'screen', rule: name, text, at, why: 'this screen tells nothing of now' });
      } else {
        found.claims.push({ source: 'screen', rule: name, status: rule.status, text, at, isWord: false, knowsDialogs: true });
      }
    }
  }
}

/** Whether a shell waits for a command: by its own marks, and where it sends none by who is in the foreground. */
export function isShellAtPrompt({ command, foreground }: Evidence): boolean {
  return command ? command.is !== 'started' : (foreground?.isShell ?? false);
}

const REPORTED = { idle: 'done', working: 'working', blocked: 'waiting', done: 'done', error: 'done' } as const;
const PROGRESS = { 1: 'under way', 2: 'an error', 3: 'busy', 4: 'paused' } as const;
