import { TEXT_LIMIT } from './pattern.ts';

/** What is seen of a pane: the visible rows, top to bottom, and what a person sees beside them. */
export interface View {
  rows: readonly string[];
  title: string;
  cursorRow: number;
  isAlternate: boolean;
}

/**
 * A part of the screen. What a transcript quotes must not count, so rules name the smallest part in which an agent shows what it does now.
 * Those with a number in `counts` take one, as in `cursor_lines(2)`.
 */
export const REGIONS = {
  title: 'the title of the terminal',
  whole_screen: 'all rows',
  screen_without_prompt_box: 'all rows, and nothing while a prompt box is to be seen: for what takes the whole screen',
  bottom_non_empty_lines: 'the last N rows that are not empty',
  cursor_lines: 'the row of the cursor and the N-1 above it, and nothing when there is text below the cursor: for questions in a line',
  after_last_horizontal_rule: 'what follows the last line that is drawn across the screen, and nothing when there is none',
  prompt_box: 'what is in the box in which one types to the agent, and nothing when there is none',
  above_prompt_box: 'the last N rows above that box that are not empty',
  after_prompt_box: 'what follows that box',
  bottom_box: 'the inside of a box that is the last thing on the screen, and nothing when something follows it: for dialogs',
  after_last_prompt_marker: 'the last row that begins with ›, ❯ or > and a space, and what follows it',
  before_last_prompt_marker: 'the last N rows before that one that are not empty',
} as const;

export type RegionName = keyof typeof REGIONS;

export interface Region {
  name: RegionName;
  /** Rows, for the regions that have a number. */
  count: number;
}

const COUNTED: ReadonlySet<RegionName> = new Set<RegionName>([
  'bottom_non_empty_lines',
  'cursor_lines',
  'above_prompt_box',
  'before_last_prompt_marker',
]);

/** Reads `name` or `name(N)`; null when it is neither. */
export function readRegion(written: string): Region | null {
  const [, name, count] = /^([a-z_]+)(?:\((\d{1,3})\))?$/.exec(written) ?? [];
  if (!name || !Object.hasOwn(REGIONS, name)) return null;
  const isCounted = COUNTED.has(name as RegionName);
  if (isCounted !== (count !== undefined) || Number(count) === 0) return null;
  return { name: name as RegionName, count: Number(count ?? 0) };
}

/** Characters of a row that are looked at. Terminals are not wider, and a hostile program's may be. */
export const ROW_LIMIT = 500;

/** The region's rows without what is drawn at their sides, at most TEXT_LIMIT characters of its end. */
export function cut(view: View, region: Region): string[] {
  if (region.name === 'title') return [view.title.slice(0, ROW_LIMIT)];
  const cleaned = cutRows(view, region).map(withoutSides);
  let left = TEXT_LIMIT;
  let first = cleaned.length;
  while (first > 0 && (left -= cleaned[first - 1]!.length + 1) >= 0) first--;
  return cleaned.slice(first);
}

function cutRows({ rows: all, cursorRow }: View, { name, count }: Region): string[] {
  const rows = all.map((row) => row.slice(0, ROW_LIMIT).replaceAll('\u00a0', ' ').trimEnd());
  switch (name) {
    case 'title':
      return [];
    case 'whole_screen':
      return rows;
    case 'screen_without_prompt_box':
      return findPromptBox(rows) ? [] : rows;
    case 'bottom_non_empty_lines':
      return nonEmpty(rows).slice(-count);
    case 'cursor_lines':
      return nonEmpty(rows.slice(cursorRow + 1)).length > 0 ? [] : rows.slice(Math.max(0, cursorRow - count + 1), cursorRow + 1);
    case 'after_last_horizontal_rule': {
      const rule = rows.findLastIndex(isHorizontalRule);
      return rule < 0 ? [] : rows.slice(rule + 1);
    }
    case 'prompt_box': {
      const box = findPromptBox(rows);
      return box ? rows.slice(box.first, box.last + 1) : [];
    }
    case 'above_prompt_box': {
      const box = findPromptBox(rows);
      return box ? nonEmpty(rows.slice(0, box.top)).slice(-count) : [];
    }
    case 'after_prompt_box': {
      const box = findPromptBox(rows);
      return box ? rows.slice(box.last + 2) : [];
    }
    case 'bottom_box':
      return bottomBox(rows);
    case 'after_last_prompt_marker': {
      const marker = rows.findLastIndex(hasPromptMarker);
      return marker < 0 ? [] : rows.slice(marker);
    }
    case 'before_last_prompt_marker': {
      const marker = rows.findLastIndex(hasPromptMarker);
      return marker < 0 ? [] : nonEmpty(rows.slice(0, marker)).slice(-count);
    }
    default: {
      const never: never = name;
      return never;
    }
  }
}

const nonEmpty = (rows: readonly string[]) => rows.filter((row) => row.trim() !== '');

/** Bars at the sides, of boxes and of scrolled views, are not what an agent says. */
function withoutSides(row: string): string {
  return row
    .replace(/^( {0,3})[│┃║]/, '$1')
    .replace(/[│┃║]$/, '')
    .trimEnd();
}

/** Drawn across, with a label in it or none. What is quoted in a transcript is indented. */
function isHorizontalRule(row: string): boolean {
  return /^ ?[─━═]{8,}(?:.{1,80}[─━═]{2,})?$/.test(row);
}

/** Indented like the choices of a dialog, or not at all. A quotation that is, is followed by the agent's own prompt. */
function hasPromptMarker(row: string): boolean {
  return /^ {0,2}[›❯>] /.test(row);
}

interface Box {
  /** The row of the upper border, or the first row where there is none. */
  top: number;
  first: number;
  last: number;
}

/** Rows of text in a prompt box; more is a page between two lines. */
const PROMPT_BOX_ROWS = 20;

/**
 * The box in which one types: between two lines across (Claude Code), between half blocks (Gemini CLI), or at a bar (opencode, Copilot).
 * A box that is further up belongs to the transcript, so nothing but a footer may follow it.
 */
function findPromptBox(rows: readonly string[]): Box | null {
  const bottom = rows.findLastIndex((row) => isHorizontalRule(row) || /^ ?▀{8,}$/.test(row) || /^ *╹▀{8,}/.test(row));
  if (bottom < 0) return null;
  const border = rows[bottom]!.trim()[0]!;
  if (border === '╹') {
    let first = bottom;
    while (first > 0 && /^ *┃/.test(rows[first - 1]!)) first--;
    if (first === bottom) return null;
    return { top: first > 0 && /^ *╻/.test(rows[first - 1]!) ? first - 1 : first, first, last: bottom - 1 };
  }
  const isTop = border === '▀' ? (row: string) => /^ ?▄{8,}$/.test(row) : isHorizontalRule;
  for (let top = bottom - 1; top >= 0 && bottom - top - 1 <= PROMPT_BOX_ROWS; top--)
    if (isTop(rows[top]!))
      return /^ ?[❯›>!#*$]/.test(rows[top + 1]!) && top + 1 < bottom ? { top, first: top + 1, last: bottom - 1 } : null;
  return null;
}

/** A dialog with round corners (Gemini CLI, Copilot), or one that hangs on a bar (opencode). */
function bottomBox(rows: readonly string[]): string[] {
  const last = rows.findLastIndex((row) => row.trim() !== '');
  if (last < 0) return [];
  const end = rows[last]!;
  if (/^ *┃/.test(end)) {
    let first = last;
    while (first > 0 && /^ *┃/.test(rows[first - 1]!)) first--;
    return rows.slice(first, last + 1);
  }
  const [, indent] = /^( *)╰─{8,}╯$/.exec(end) ?? [];
  if (indent === undefined) return [];
  const top = rows.slice(0, last).findLastIndex((row) => row.startsWith(`${indent}╭─`));
  // Of a dialog that is higher than the screen the upper border is out of sight.
  return rows.slice(top + 1, last);
}
