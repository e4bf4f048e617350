import { constants } from 'node:os';

/** A signal by name with or without SIG, in any case, or by number; null when this system has none such. */
export function signalNamed(wanted: string): NodeJS.Signals | null {
  const entries = Object.entries(constants.signals) as [NodeJS.Signals, number][];
  if (/^\d{1,3}$/.test(wanted)) return entries.find(([, number]) => number === Number(wanted))?.[0] ?? null;
  const name = wanted.toUpperCase().replace(/^(SIG)?/, 'SIG');
  return entries.find(([known]) => known === name)?.[0] ?? null;
}
