import { cut, type View } from './regions.ts';
import type { ScreenRule, TextRule } from './rules.ts';

export type Match = { matches: true; text: string } | { matches: false; why: string };

/** Whether a rule matches what is seen, with the text that matched, or with the first condition that did not hold. */
export function matchScreen(rule: ScreenRule, view: View): Match {
  const rows = cut(view, rule.region);
  if (rows.every((row) => row.trim() === '')) return no('there is nothing in its region');
  // An agent wraps its texts where the terminal is narrow: white space of any length counts as one space.
  const flat = rows.join(' ').replace(/\s+/g, ' ').toLowerCase();
  const holds = (text: string) => flat.includes(text.replace(/\s+/g, ' ').toLowerCase());
  const wanted = [...(rule.contains === undefined ? [] : [rule.contains]), ...rule.all];
  const missing = wanted.find((text) => !holds(text));
  if (missing !== undefined) return no(`${quote(missing)} is not there`);
  const one = rule.any.find(holds);
  if (rule.any.length > 0 && one === undefined) return no(`none of ${rule.any.map(quote).join(', ')} is there`);
  const forbidden = rule.not.find(holds);
  if (forbidden !== undefined) return no(`${quote(forbidden)} is there`);
  let seen = one ?? wanted[0];
  if (rule.regex) {
    const text = rows.join('\n');
    const found = rule.regex.find(text);
    if (!found) return no(`nothing matches /${rule.regex.source}/`);
    seen = text.slice(found.start, found.end);
  }
  if (rule.line_regex) {
    const line = rows.findLast((row) => rule.line_regex!.find(row) !== null);
    if (line === undefined) return no(`no row matches /${rule.line_regex.source}/`);
    seen = line;
  }
  return { matches: true, text: shorten(seen ?? '') };
}

/** The first rule that matches a title or a notification. */
export function matchText(rules: readonly TextRule[], text: string): TextRule | null {
  return rules.find(({ regex }) => regex.find(text) !== null) ?? null;
}

export function quote(text: string): string {
  return `"${shorten(text)}"`;
}

function shorten(text: string): string {
  const flat = text.replace(/\s+/g, ' ').trim();
  return flat.length > 100 ? `${flat.slice(0, 99)}…` : flat;
}

function no(why: string): Match {
  return { matches: false, why };
}
