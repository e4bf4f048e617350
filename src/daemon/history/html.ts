import { COLOR, type Look, lookOfCell, PLAIN, sameLook } from '../terminal/attributes.ts';
import { CELL, CODE_POINT, type CoreLine, type Engine, HAS_CONTENT, IS_COMBINED, WIDTH_SHIFT } from '../terminal/engine.ts';
import type { Screen } from '../terminal/screen.ts';
import { inPieces } from './pieces.ts';

/**
 * A page of what a screen shows and the history above it, in strings of about 64 KiB, made as they are asked for: the screen must not
 * change meanwhile. It needs nothing else and runs nothing: no script, no font, no image, and a content security policy that allows none.
 * Colors of the palette follow the reader's light or dark; a program's own palette (OSC 4) is not kept. How large it gets is bounded by
 * the screen's history: about 100 bytes a line of text, and 180 a cell where each has another look (2,000 lines of 200 columns: 70 MB).
 */
export function htmlPage(screen: Screen, { title = screen.title }: { title?: string } = {}): Generator<string> {
  screen.settle();
  return inPieces(parts(screen.emulator.engine, title));
}

function* parts(engine: Engine, title: string): Generator<string> {
  yield head(escapeText(title || 'ai-session'), engine.cols);
  const { normal, active, rows } = engine;
  let blank = 0;
  for (let y = 0; y < normal.ybase + rows; y++) {
    // In the alternate screen the history is the normal screen's, as tmux has it.
    const line = y < normal.ybase ? normal.lines.get(y) : active.lines.get(active.ybase + y - normal.ybase);
    const html = line ? row(engine, line) : '';
    blank++;
    if (html === '') continue;
    // What is blank at the end is left out.
    yield '\n'.repeat(blank - 1);
    yield `${html}\n`;
    blank = 0;
  }
  yield '</pre>\n</body>\n</html>\n';
}

function row(engine: Engine, line: CoreLine): string {
  let html = '';
  const end = visibleEnd(line);
  for (let x = 0; x < end; ) {
    const look = lookOfCell(line, x);
    let text = '';
    do text += cell(line, x++);
    while (x < end && sameLook(lookOfCell(line, x), look));
    html += dressed(text, look, engine);
  }
  return html;
}

function visibleEnd(line: CoreLine): number {
  let end = line.length;
  for (; end > 0; end--) {
    const content = line._data[(end - 1) * CELL]!;
    const code = content & (IS_COMBINED | CODE_POINT);
    if ((code !== 0 && code !== SPACE) || content >>> WIDTH_SHIFT === 0) break;
    if (!sameLook(lookOfCell(line, end - 1), PLAIN)) break;
  }
  return end;
}

/** A character takes the columns that the terminal gave it, whatever the reader's font makes of it. */
function cell(line: CoreLine, x: number): string {
  const content = line._data[x * CELL]!;
  const width = content >>> WIDTH_SHIFT;
  if (!(content & HAS_CONTENT)) return width === 0 ? '' : ' ';
  const isCombined = (content & IS_COMBINED) !== 0;
  const code = content & CODE_POINT;
  const text = escapeText(isCombined ? (line._combined[x] ?? '') : String.fromCodePoint(code));
  if (width === 2) return `<span class="w">${text}</span>`;
  return isCombined || !isInMostFonts(code) ? `<span class="n">${text}</span>` : text;
}

/** Latin, Greek, Cyrillic, punctuation, boxes and blocks: fonts for terminals have them in their own width. */
function isInMostFonts(code: number): boolean {
  return code < 0x530 || (code >= 0x2010 && code < 0x2030) || (code >= 0x2500 && code < 0x25a0);
}

function dressed(text: string, look: Look, engine: Engine): string {
  if (sameLook(look, PLAIN)) return text;
  const classes: string[] = [];
  const styles: string[] = [];
  const isInverse = (look.fg & INVERSE) !== 0;
  const [foreground, background] = isInverse ? [look.bg, look.fg] : [look.fg, look.bg];
  const color = colorOf(foreground) ?? (isInverse ? 'var(--bg)' : null);
  const behind = colorOf(background) ?? (isInverse ? 'var(--fg)' : null);
  if (look.fg & HIDDEN) styles.push('color:transparent');
  else if (color) styles.push(`color:${color}`);
  if (behind) styles.push(`background:${behind}`);
  if (look.fg & BOLD) classes.push('b');
  if (look.bg & DIM) classes.push('d');
  if (look.bg & ITALIC) classes.push('i');
  const lines = [look.underline ? 'underline' : '', look.fg & STRUCK ? 'line-through' : '', look.bg & OVERLINE ? 'overline' : ''].filter(
    Boolean,
  );
  if (lines.length > 0) styles.push(`text-decoration-line:${lines.join(' ')}`);
  if (look.underline > 1) styles.push(`text-decoration-style:${UNDERLINES[look.underline] ?? 'solid'}`);
  const underlineColor = look.underlineColor === DEFAULT_UNDERLINE ? null : colorOf(look.underlineColor);
  if (underlineColor) styles.push(`text-decoration-color:${underlineColor}`);
  const attributes = attribute('class', classes.join(' ')) + attribute('style', styles.join(';'));
  const address = safeAddress(engine.links.get(look.link)?.uri);
  if (address) return `<a href="${escapeText(address)}" rel="noopener noreferrer"${attributes}>${text}</a>`;
  return attributes ? `<span${attributes}>${text}</span>` : text;
}

function attribute(name: string, value: string): string {
  return value === '' ? '' : ` ${name}="${value}"`;
}

/** What a browser opens without running anything: the scheme is the one a browser reads, not the one that stands there. */
function safeAddress(uri: string | undefined): string | null {
  if (uri === undefined) return null;
  try {
    const url = new URL(uri);
    return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

function colorOf(color: number): string | null {
  const value = color & 0xffffff;
  switch ((color & COLOR) >>> 24) {
    case 0:
      return null;
    case 3:
      return `#${value.toString(16).padStart(6, '0')}`;
  }
  const index = value & 0xff;
  if (index < 16) return `var(--c${index})`;
  if (index >= 232) return `#${(8 + (index - 232) * 10).toString(16).padStart(2, '0').repeat(3)}`;
  const level = (step: number) => (step === 0 ? 0 : 55 + step * 40).toString(16).padStart(2, '0');
  const cube = index - 16;
  return `#${level(Math.floor(cube / 36))}${level(Math.floor(cube / 6) % 6)}${level(cube % 6)}`;
}

/** For text and for attributes in double quotes. Control characters have no place in a page; the emulator keeps none, titles may. */
function escapeText(text: string): string {
  if (!/[&<>"'\x00-\x1f\x7f-\x9f]/.test(text)) return text;
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, '\ufffd').replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function head(title: string, cols: number): string {
  return `<!DOCTYPE html>
<html lang="und">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>
:root { color-scheme: light dark; --fg: #24292f; --bg: #ffffff; ${palette(LIGHT)} }
@media (prefers-color-scheme: dark) { :root { --fg: #d0d0d0; --bg: #16181d; ${palette(DARK)} } }
body { margin: 1rem; color: var(--fg); background: var(--bg); }
pre { margin: 0; min-width: ${cols}ch; font: 14px/1.3 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
pre { font-variant-ligatures: none; }
a { color: inherit; text-decoration: underline dotted; }
.b { font-weight: bold; } .d { opacity: .6; } .i { font-style: italic; }
.w, .n { display: inline-block; text-decoration: inherit; white-space: pre; height: 1.3em; line-height: 1.3; vertical-align: bottom; }
.w { width: 2ch; } .n { width: 1ch; }
</style>
</head>
<body>
<pre>
`;
}

function palette(colors: readonly string[]): string {
  return colors.map((color, i) => `--c${i}: #${color};`).join(' ');
}

const BOLD = 0x8000000;
const INVERSE = 0x4000000;
const HIDDEN = 0x40000000;
const STRUCK = 0x80000000;
const ITALIC = 0x4000000;
const DIM = 0x8000000;
const OVERLINE = 0x40000000;
/** How the emulator keeps SGR 59. */
const DEFAULT_UNDERLINE = 0x3ffffff;
const SPACE = 0x20;
const UNDERLINES = ['', 'solid', 'double', 'wavy', 'dotted', 'dashed'];
/** Sixteen colors that can be read on white, and sixteen that can on nearly black. */
const LIGHT = [
  ...['24292f', 'c4232b', '1a7f37', '8a6100', '0a5fd0', '8250df', '0f7785', '6e7781'],
  ...['57606a', 'e0303a', '2da44e', 'b07d00', '2f81f7', 'a475f9', '1b9aaa', '8c959f'],
];
const DARK = [
  ...['484f58', 'ff7b72', '56d364', 'e3b341', '6cb6ff', 'd2a8ff', '56d4dd', 'c9d1d9'],
  ...['6e7681', 'ffa198', '7ee787', 'f2cc60', '96d0ff', 'e2c5ff', '76e3ea', 'ffffff'],
];
