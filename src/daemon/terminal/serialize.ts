import { RESET_TERMINAL } from '../../wire/terminal-reset.ts';
import { COLOR, changePen, type Look, lookOfCell, lookOfPen, lookOfSaved, PLAIN, sameLook } from './attributes.ts';
import { CellWriter, isBlank, isDressed } from './cells.ts';
import { type Charset, type CoreBuffer, type CoreLine, charsetLetter, type Engine, type SavedCursor } from './engine.ts';
import { ENCODINGS, type KittyKeys, type Modes, SPECIAL_COLOR } from './modes.ts';

/**
 * The bytes that bring a terminal of the same size to ours, whatever its state before `clearTheWay`.
 *
 * `@xterm/addon-serialize` is not used: it puts the cursor one column left after a full row (xterm.js#6165), is a column short when the
 * wrap is pending above the last row, and loses SGR mouse, the hidden cursor, margins, tab stops, character sets, the cursor's style,
 * links, the saved cursor, underline styles and colours, and the title.
 *
 * History and screen are one stream of lines from the top of a blank screen, because only so does a line that begins in the history and
 * ends on the screen stay one line; nothing is addressed before the last history line has scrolled away, which is what sheared other
 * multiplexers' restores (zmx#31).
 */
export function serialize(engine: Engine, modes: Modes, { firstLine }: { firstLine: number }): string {
  const writer = new CellWriter(engine);
  const { normal, cols, rows } = engine;
  const first = normal.lines.get(0);
  // The topmost line has nothing to continue. Upstream's delete and scroll leave the claim behind, and no terminal could be made to agree.
  if (first) first.isWrapped = false;

  if (!engine.isAlternate) writer.sequence(visitAlternate(engine, modes));
  writer.sequence(kittyKeys(modes.kitty.normal));
  writeLines(writer, engine, normal, firstLine);
  writer.setPen(PLAIN);
  writer.sequence(tabStops(normal, cols));
  if (engine.isAlternate) {
    writer.sequence(margins(normal, rows));
    const { saved } = engine;
    // ?1049h is the save of the normal screen's cursor and the switch in one, as most programs do it. Where the cursor was left elsewhere, it
    // is left there too: a resize keeps what is above it.
    if (saved.normal.row === normal.y) writeSaved(writer, saved.normal, '\x1b[?1049h');
    else {
      writeSaved(writer, saved.normal, '\x1b7');
      writer.sequence(`\x1b[${normal.y + 1}H\x1b[?1047h`);
    }
    // Most terminals share margins and tab stops between the screens; where they are apart, these do no harm.
    writer.sequence(`\x1b[r\x1b[2J\x1b[H${wrappedTop(engine.active, cols, rows)}`);
    writeLines(writer, engine, engine.active, 0);
    writer.setPen(PLAIN);
    writer.sequence(`${tabStops(engine.active, cols)}${kittyKeys(modes.kitty.alternate)}`);
    writeSaved(writer, engine.saved.alternate, '\x1b7');
  } else writeSaved(writer, engine.saved.normal, '\x1b7');
  writer.sequence(settings(engine, modes));
  writeCursor(writer, engine);
  return writer.out;
}

/**
 * What the terminal shows before. used: something of its own, which is pushed into its scrollback. new: nothing. same: this very screen, in
 * an earlier or a damaged state, which is worth nothing any more.
 */
export type Onto = 'used' | 'new' | 'same';

/**
 * Every mode off, the alternate screen left, and a blank screen with the cursor at home. Line feeds at the bottom keep what was visible; ED 2
 * would lose it. What is not to be kept is erased in two pieces: ED from the first cell makes tmux push the screen into its history.
 */
export function clearTheWay(rows: number, onto: Onto): string {
  const cleared = { used: `\x1b[${rows};1H${'\n'.repeat(rows)}\x1b[H`, new: '\x1b[H', same: '\x1b[H\x1b[2K\x1b[2H\x1b[J\x1b[H' };
  return `${RESET_TERMINAL}\x1b[?2026h\x1b[?25l${cleared[onto]}`;
}

/** The alternate screen keeps a saved cursor and keyboard flags while it is away. Terminals that have no ?1047 do this on the normal screen, where it is done again. */
function visitAlternate(engine: Engine, modes: Modes): string {
  const writer = new CellWriter(engine);
  writer.sequence('\x1b[?1047h');
  writeSaved(writer, engine.saved.alternate, '\x1b7');
  return `${writer.out}${kittyKeys(modes.kitty.alternate)}\x1b[?1047l\x1b[H`;
}

function writeLines(writer: CellWriter, engine: Engine, buffer: CoreBuffer, firstLine: number): void {
  const { cols, rows } = engine;
  const end = buffer.ybase + rows;
  for (let i = firstLine; i < end; i++) {
    const line = buffer.lines.get(i)!;
    const next = i + 1 < end ? buffer.lines.get(i + 1) : undefined;
    const isAtBottom = i - firstLine >= rows - 1;
    const how = next?.isWrapped
      ? wayToWrap(line, next, { cols, rows, isAtBottom, afterNext: i + 2 < end ? buffer.lines.get(i + 2) : undefined })
      : 'not';
    if (how === 'before') wrapBefore(writer, cols);
    const length = how === 'early' ? cols - 1 : Math.min(writer.dressedEnd(line), CellWriter.end(line));
    writer.cells(line, 0, length);
    if (!next) break;
    switch (how) {
      case 'not':
        // A line feed at the bottom fills the new line with the pen's background.
        if (writer.pen.bg & COLOR) writer.setPen(PLAIN);
        writer.sequence('\r\n');
        break;
      case 'printing':
        break;
      case 'early':
        writer.sequence(`\x1b[${cols}G`);
        break;
      case 'filler':
        writer.setPen(PLAIN);
        writer.sequence(' \r\x1b[X');
        break;
      case 'before':
        writer.setPen(PLAIN);
        writer.sequence('\x1b[B\r\x1b[X');
        break;
    }
  }
}

/**
 * How to make the next row the continuation of this one.
 * printing: this row is full and the next begins with a character, which wraps by itself. early: a wide character did not fit into the
 * last column. filler: a blank is printed to wrap and taken away again. before: the last column has been erased since the wrap, so the
 * wrap is made first and the row is written after.
 */
function wayToWrap(
  line: CoreLine,
  next: CoreLine,
  { cols, rows, isAtBottom, afterNext }: { cols: number; rows: number; isAtBottom: boolean; afterNext: CoreLine | undefined },
): 'printing' | 'early' | 'filler' | 'before' {
  const beginsWithCharacter = !isBlank(next, 0);
  const nextMustBeEntered = isDressed(next, cols - 1) || (afterNext?.isWrapped === true && isBlank(next, cols - 1));
  const look = lookOfCell(next, 0);
  // The row that scrolls in when wrapping at the bottom is filled with the pen's background.
  const byItself = beginsWithCharacter && !nextMustBeEntered && !(isAtBottom && look.bg & COLOR);
  if (!isBlank(line, cols - 1)) return byItself ? 'printing' : 'filler';
  const isWide = beginsWithCharacter && next._data[0]! >>> 22 === 2;
  if (byItself && isWide && sameLook(lookOfCell(line, cols - 1), look)) return 'early';
  // On a screen of one row the row above is out of reach, and this one wrap flag is lost.
  return rows > 1 ? 'before' : 'filler';
}

function wrapBefore(writer: CellWriter, cols: number): void {
  writer.setPen(PLAIN);
  writer.sequence(`\x1b[${cols}Gx \x1b[A\x1b[${cols}G\x1b[X\r`);
}

/** An alternate screen's first row may continue one that has scrolled off. A wrapped row is made at the bottom and scrolled to the top. */
function wrappedTop(buffer: CoreBuffer, cols: number, rows: number): string {
  if (!buffer.lines.get(0)?.isWrapped) return '';
  return `\x1b[${rows};${cols}Hx ${'\n'.repeat(rows - 1)}\x1b[H\x1b[X`;
}

function writeSaved(writer: CellWriter, saved: SavedCursor, save: string): void {
  writer.sequence(charsets(saved.charsets, saved.level));
  writer.setPen(lookOfSaved(saved));
  writer.sequence(`\x1b[${saved.row + 1};${saved.x + 1}H${save}`);
  writer.setPen(PLAIN);
  writer.sequence(charsets([], 0));
}

function charsets(sets: readonly (Charset | undefined)[], level: number): string {
  const designated = ['(', ')', '*', '+'].map((slot, g) => `\x1b${slot}${charsetLetter(sets[g])}`).join('');
  return designated + (LEVELS[level] ?? '\x0f');
}

function tabStops(buffer: CoreBuffer, cols: number): string {
  let out = '\x1b[3g';
  for (let x = 1; x < cols; x++) if (buffer.tabs[x]) out += `\x1b[${x + 1}G\x1bH`;
  return out;
}

function kittyKeys({ flags, stack }: KittyKeys): string {
  const levels = [...stack, flags];
  return `\x1b[<99u\x1b[=${levels[0]};1u${levels
    .slice(1)
    .map((level) => `\x1b[>${level}u`)
    .join('')}`;
}

/** All that neither moves the cursor nor stands in the way of drawing it. */
function settings(engine: Engine, modes: Modes): string {
  const { decPrivateModes } = engine.core.coreService;
  const handler = engine.core._inputHandler;
  let out = '';
  if (modes.workingDirectory !== null) out += `\x1b]7;${modes.workingDirectory}\x1b\\`;
  // Where the program never named one, what it has put aside is the user's own title.
  for (const title of handler._windowTitleStack) out += modes.hasTitle ? `\x1b]2;${title}\x1b\\\x1b[22;2t` : '\x1b[22;2t';
  if (handler._iconName) out += `\x1b]1;${handler._iconName}\x1b\\`;
  if (modes.hasTitle) out += `\x1b]2;${handler._windowTitle}\x1b\\`;
  for (const [color, spec] of modes.colors)
    out += color < 256 ? `\x1b]4;${color};${spec}\x1b\\` : `\x1b]${color - SPECIAL_COLOR};${spec}\x1b\\`;
  for (const [mode, isSet] of modes.passedOn) out += `\x1b[?${mode}${isSet ? 'h' : 'l'}`;
  const mouse = MOUSE[engine.core.coreMouseService.activeProtocol];
  if (mouse) out += `\x1b[?${mouse}h`;
  for (const [mode, encoding] of ENCODINGS) if (modes.mouseEncoding === encoding) out += `\x1b[?${mode}h`;
  if (modes.modifyOtherKeys) out += `\x1b[>4;${modes.modifyOtherKeys}m`;
  if (decPrivateModes.applicationCursorKeys) out += '\x1b[?1h';
  if (decPrivateModes.applicationKeypad) out += '\x1b=';
  if (decPrivateModes.bracketedPasteMode) out += '\x1b[?2004h';
  if (decPrivateModes.sendFocus) out += '\x1b[?1004h';
  if (decPrivateModes.reverseWraparound) out += '\x1b[?45h';
  if (engine.core.optionsService.options.cursorBlink) out += '\x1b[?12h';
  const style = cursorStyle(engine);
  if (style) out += `\x1b[${style} q`;
  if (!engine.core.coreService.isCursorHidden) out += '\x1b[?25h';
  if (!decPrivateModes.synchronizedOutput) out += '\x1b[?2026l';
  return out;
}

/** DECSCUSR's number; 0 is the user's own. */
export function cursorStyle(engine: Engine): number {
  const { cursorStyle, cursorBlink } = engine.core.coreService.decPrivateModes;
  if (!cursorStyle) return cursorBlink === undefined ? 0 : cursorBlink ? 7 : 8;
  return { block: 2, underline: 4, bar: 6 }[cursorStyle] - (cursorBlink ? 1 : 0);
}

/**
 * The last of all. Where the last thing that happened was the printing of a character, it is printed again, as the very last thing: a
 * combining mark, REP and the pending wrap are about that character, and any sequence in between would end that.
 */
function writeCursor(writer: CellWriter, engine: Engine): void {
  const { active, cols, joinState } = engine;
  const { decPrivateModes, modes } = engine.core.coreService;
  const line = active.lines.get(active.ybase + active.y)!;
  const width = joinState ? (joinState >> 1) & 3 : 1;
  let x = active.x >= cols || joinState ? active.x - width : active.x;
  if (active.x >= cols && !joinState && line._data[x * 3]! >>> 22 === 0) x--;
  const again = x >= 0 && x < active.x ? characterAt(line, x) : '';
  const pen = lookOfPen(engine.pen);

  writer.sequence(margins(active, engine.rows));
  if (decPrivateModes.origin) writer.sequence('\x1b[?6h');
  const row = active.y - (decPrivateModes.origin ? active.scrollTop : 0) + 1;
  const { _charsets, glevel } = engine.core._charsetService;
  const rest = () => {
    writer.sequence(charsets(_charsets, glevel));
    if (modes.insertMode) writer.sequence('\x1b[4h');
    if (engine.core.optionsService.options.convertEol) writer.sequence('\x1b[20h');
    if (!decPrivateModes.wraparound) writer.sequence('\x1b[?7l');
    writer.sequence(openPen(writer, pen, engine));
  };

  if (again === '') {
    rest();
    writer.sequence(`\x1b[${row};${Math.min(active.x, cols - 1) + 1}H`);
  } else if (joinState) {
    rest();
    writer.sequence(`\x1b[${row};${x + 1}H`);
    // In insert mode it will push the rest of the row to the right, so the room is taken away first.
    const first = engine.joined(again.codePointAt(0)!, 0);
    if (modes.insertMode) writer.sequence(`\x1b[${(first >> 1) & 3}P`);
    writer.out += again;
  } else {
    writer.sequence(`\x1b[${row};${x + 1}H`);
    writer.setPen(lookOfCell(line, x));
    writer.out += again;
    rest();
  }
}

function characterAt(line: CoreLine, x: number): string {
  const content = line._data[x * 3]!;
  if (content & 0x200000) return line._combined[x] ?? '';
  return content & 0x1fffff ? String.fromCodePoint(content & 0x1fffff) : '';
}

function openPen(writer: CellWriter, pen: Look, engine: Engine): string {
  const change = changePen(writer.pen, pen, engine);
  writer.pen = pen;
  return change;
}

function margins({ scrollTop, scrollBottom }: CoreBuffer, rows: number): string {
  return scrollTop === 0 && scrollBottom === rows - 1 ? '' : `\x1b[${scrollTop + 1};${scrollBottom + 1}r`;
}

const LEVELS = ['\x0f', '\x0e', '\x1bn', '\x1bo'];
const MOUSE = { NONE: 0, X10: 9, VT200: 1000, DRAG: 1002, ANY: 1003 };
