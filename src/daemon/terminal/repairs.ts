import {
  CELL,
  CODE_POINT,
  type CoreLine,
  type Engine,
  HAS_CONTENT,
  HAS_EXTENDED,
  IS_COMBINED,
  type Params,
  type StringHandler,
  savedNothing,
  WIDTH_SHIFT,
} from './engine.ts';

/**
 * Defects of `@xterm/headless` 6.0.0 that would make our screen wrong, slow or unreproducible elsewhere, each put right at its cause.
 * The handlers run before upstream's; false hands the sequence on to it.
 */
export function repair(engine: Engine): void {
  repairReflow(engine);
  repairSavedCursor(engine);
  repairLinks(engine);
  repairErase(engine);
  repairPendingWrap(engine);
  repairCutCharacters(engine);
  repairUnwrapped(engine);
  boundCounts(engine);
  boundRepeats(engine);
  boundCombining(engine);
  boundStrings(engine);
}

/**
 * Reflow copies cells, but not underline styles, colours and links (a FIXME upstream), and takes along combined characters that had been
 * overwritten long ago. All lines share one prototype, so this is done once.
 */
function repairReflow(engine: Engine): void {
  const prototype = Object.getPrototypeOf(engine.normal.lines.get(0)) as CoreLine & { isRepaired?: true };
  if (prototype.isRepaired) return;
  prototype.isRepaired = true;
  prototype.copyCellsFrom = function (source, sourceColumn, column, length, inReverse) {
    for (let i = 0; i < length; i++) {
      const step = inReverse ? length - 1 - i : i;
      const from = sourceColumn + step;
      const to = column + step;
      for (let part = 0; part < CELL; part++) this._data[to * CELL + part] = source._data[from * CELL + part]!;
      if (this._data[to * CELL]! & IS_COMBINED) this._combined[to] = source._combined[from]!;
      if (this._data[to * CELL + 2]! & HAS_EXTENDED) this._extendedAttrs[to] = source._extendedAttrs[from];
    }
  };
}

/**
 * DECSC upstream keeps the row relative to the history's top, so that a scroll between save and restore moves the cursor; it keeps the
 * current table of G0-G3 but not which is which, and colours without the underline's style. Here it keeps what a VT220 does.
 */
function repairSavedCursor(engine: Engine): void {
  const { core } = engine;
  const handler = core._inputHandler;
  const softReset = handler.softReset.bind(handler);
  const slot = () => (engine.isAlternate ? 'alternate' : 'normal');
  handler.saveCursor = () => {
    const { x, y } = engine.active;
    const { fg, bg, extended } = engine.pen;
    const { _charsets, glevel } = core._charsetService;
    engine.saved[slot()] = { x: Math.min(x, core.cols - 1), row: y, fg, bg, ext: extended._ext, charsets: [..._charsets], level: glevel };
    return true;
  };
  handler.restoreCursor = () => {
    const saved = engine.saved[slot()];
    engine.active.x = saved.x;
    engine.active.y = saved.row;
    const pen = engine.pen;
    pen.fg = saved.fg;
    pen.bg = saved.bg;
    pen.extended = pen.extended.clone();
    pen.extended._ext = saved.ext;
    pen.updateExtended();
    for (let g = 0; g < 4; g++) core._charsetService.setgCharset(g, saved.charsets[g]);
    core._charsetService.setgLevel(saved.level);
    handler._restrictCursor();
    return true;
  };
  handler.softReset = (params) => {
    softReset(params);
    engine.saved[slot()] = savedNothing();
    return true;
  };
}

function repairLinks(engine: Engine): void {
  const service = engine.core._oscLinkService;
  service.registerLink = (link) => engine.links.register(link, () => linksInUse(engine));
  service.addLineToLink = () => {};
  service.getLinkData = (id) => engine.links.get(id);
}

function linksInUse(engine: Engine): Set<number> {
  const used = new Set([engine.pen.extended._urlId]);
  for (const buffer of [engine.core.buffers.normal, engine.core.buffers.alt]) {
    for (let y = 0; y < buffer.lines.length; y++) {
      for (const extended of Object.values(buffer.lines.get(y)?._extendedAttrs ?? {})) if (extended) used.add(extended._urlId);
    }
  }
  return used;
}

/** ED 1 with the cursor in the last column clears the wrap flag of a line counted from the history's top instead of the screen's: the wrong line, or none at all, which throws. */
function repairErase(engine: Engine): void {
  const handler = engine.core._inputHandler;
  const erase = (respectProtect: boolean) => (params: Params) => {
    const buffer = engine.active;
    if (params.params[0] !== 1 || buffer.x + 1 < engine.cols) return false;
    handler._restrictCursor();
    handler._eraseInBufferLine(buffer.y, 0, buffer.x + 1, true, respectProtect);
    const next = buffer.y + 1 < engine.rows ? buffer.lines.get(buffer.ybase + buffer.y + 1) : undefined;
    if (next) next.isWrapped = false;
    for (let y = buffer.y - 1; y >= 0; y--) handler._resetBufferLine(y, respectProtect);
    return true;
  };
  engine.onCsi({ final: 'J' }, erase(false));
  engine.onCsi({ prefix: '?', final: 'J' }, erase(true));
}

/**
 * The cursor waits to the right of the last column after printing there. Upstream lets it wait on when that character is erased or moved
 * away, a state no sequence can make. Terminals forget the wait, and so do we.
 */
function repairPendingWrap(engine: Engine): void {
  const settle = () => {
    const buffer = engine.active;
    if (buffer.x >= engine.cols) buffer.x = engine.cols - 1;
    return false;
  };
  const settleIfErased = (params: Params) => (params.params[0] === 1 || params.params[0] === 2 ? settle() : false);
  for (const final of ['J', 'K']) {
    engine.onCsi({ final }, settleIfErased);
    engine.onCsi({ prefix: '?', final }, settleIfErased);
  }
  for (const final of ['S', 'T']) engine.onCsi({ final }, settle);
  for (const final of ['@', 'A']) engine.onCsi({ intermediates: ' ', final }, settle);
  for (const final of ['}', '~']) engine.onCsi({ intermediates: "'", final }, settle);
  engine.core.buffers.onBufferActivate(() => {
    settle();
    const buffer = engine.active;
    // The other screen may have other margins, and with origin mode the cursor lives inside them.
    if (engine.core.coreService.decPrivateModes.origin) buffer.y = Math.min(buffer.scrollBottom, Math.max(buffer.scrollTop, buffer.y));
  });
}

/** Inserting in the middle of a wide character blanks its first half and pushes the second, a cell of width 0, to the right. */
function repairCutCharacters(engine: Engine): void {
  const mend = (y: number, x: number) => {
    const line = engine.active.lines.get(engine.active.ybase + y);
    if (!line || x <= 0 || x >= line.length) return;
    const content = line._data[x * CELL]!;
    if (content >>> WIDTH_SHIFT !== 0 || content & HAS_CONTENT) return;
    const { fg, bg } = engine.core._inputHandler._eraseAttrData();
    for (const column of [x - 1, x]) {
      line._data[column * CELL] = 1 << WIDTH_SHIFT;
      line._data[column * CELL + 1] = fg;
      line._data[column * CELL + 2] = bg;
    }
  };
  engine.onCsi({ final: '@' }, () => {
    mend(engine.active.y, Math.min(engine.active.x, engine.cols - 1));
    return false;
  });
  for (const final of ['}', '~']) {
    engine.onCsi({ intermediates: "'", final }, () => {
      const { y, x, scrollTop, scrollBottom } = engine.active;
      if (y >= scrollTop && y <= scrollBottom) for (let row = scrollTop; row <= scrollBottom; row++) mend(row, x);
      return false;
    });
  }
}

/**
 * Without autowrap a wide character that does not fit is not printed, but upstream remembers it as if it were, and the next combining
 * mark lands on whatever stands before the cursor. How much goes wrong depends on the chunks. So here it goes one by one.
 */
function repairUnwrapped(engine: Engine): void {
  const { core } = engine;
  const handler = core._inputHandler;
  const print = handler.print.bind(handler);
  handler.print = (codes, start, end) => {
    if (core.coreService.decPrivateModes.wraparound) {
      print(codes, start, end);
      return;
    }
    for (let i = start; i < end; i++) {
      const before = handler._parser.precedingJoinState;
      const properties = engine.joined(codes[i]!, before);
      const width = (properties >> 1) & 3;
      const grows = properties & 1 ? width - ((before >> 1) & 3) : width;
      if (width === 2 && engine.active.x + grows > engine.cols) {
        engine.active.x = engine.cols - 1;
        handler._parser.precedingJoinState = 0;
        continue;
      }
      // Standing after the last column it prints into it, and must see that this may cut a wide character.
      if (grows > 0 && engine.active.x + grows > engine.cols) engine.active.x = engine.cols - 1;
      print(codes, i, i + 1);
    }
  };
}

/** `CSI 2147483647 S` loops two thousand million times. More than a screenful of scrolling is a screenful. */
function boundCounts(engine: Engine): void {
  const bound = (limit: () => number) => (params: Params) => {
    if (params.params[0]! > limit()) params.params[0] = limit();
    return false;
  };
  for (const final of ['S', 'T', 'L', 'M'])
    engine.onCsi(
      { final },
      bound(() => engine.rows),
    );
  for (const final of ['I', 'Z'])
    engine.onCsi(
      { final },
      bound(() => engine.cols),
    );
}

/**
 * REP. Upstream prints one by one as often as it is told (`CSI 2147483647 b` allocates 8 GB), so nine bytes buy seconds. Here a screenful
 * is the limit, kept at the same column, so that the screen ends as it would have: only the history above holds fewer rows of it. And within
 * a row the cells are copied, between a first and a last one printed in upstream's way, which see to the wrap and to the neighbours.
 */
function boundRepeats(engine: Engine): void {
  const { core } = engine;
  const handler = core._inputHandler;
  engine.onCsi({ final: 'b' }, (params) => {
    const state = handler._parser.precedingJoinState;
    const { cols, rows, active } = engine;
    const width = (state >> 1) & 3;
    const text = state === 0 ? '' : textOf(active.lines.get(active.ybase + active.y)!, active.x - width);
    if (text === '') return true;
    const codes = Uint32Array.from(text, (character) => character.codePointAt(0)!);
    const print = () => handler.print(codes, 0, codes.length);
    let left = params.params[0] || 1;
    if (width === 0 || !core.coreService.decPrivateModes.wraparound || engine.joined(codes[0]!, state) & 1) {
      // It stays in this row, or joins itself (half a flag): nothing to copy, and no reason to go on for more than a row.
      for (left = Math.min(left, cols + 1); left > 0; left--) print();
      return true;
    }
    const perRow = Math.floor(cols / width);
    const screenful = perRow * rows;
    if (left > screenful) left = screenful + ((left - screenful) % perRow);
    while (left > 0) {
      print();
      left--;
      const run = Math.min(left, Math.floor((cols - active.x) / width));
      if (run < 2) continue;
      repeatInRow(engine, width, run - 1);
      const { insertMode } = core.coreService.modes;
      // The room has been made.
      core.coreService.modes.insertMode = false;
      print();
      core.coreService.modes.insertMode = insertMode;
      left -= run;
    }
    return true;
  });
}

/** Copies the character before the cursor `times` over and moves on; in insert mode it makes room for one more. */
function repeatInRow(engine: Engine, width: number, times: number): void {
  const { active, cols, core } = engine;
  const line = active.lines.get(active.ybase + active.y)!;
  const from = active.x - width;
  const end = active.x + times * width;
  if (core.coreService.modes.insertMode) {
    line.insertCells(active.x, (times + 1) * width, active.getNullCell(engine.pen));
    if (line._data[(cols - 1) * CELL]! >>> WIDTH_SHIFT === 2) line.setCellFromCodepoint(cols - 1, 0, 1, engine.pen);
  }
  for (let copied = active.x; copied < end; ) {
    const length = Math.min(copied - from, end - copied);
    line._data.copyWithin(copied * CELL, from * CELL, (from + length) * CELL);
    copied += length;
  }
  const isCombined = (line._data[from * CELL]! & IS_COMBINED) !== 0;
  const isExtended = (line._data[from * CELL + 2]! & HAS_EXTENDED) !== 0;
  if (isCombined) for (let x = active.x; x < end; x += width) line._combined[x] = line._combined[from]!;
  if (isExtended) for (let x = active.x; x < end; x++) line._extendedAttrs[x] = line._extendedAttrs[from + ((x - from) % width)];
  active.x = end;
}

function textOf(line: CoreLine, x: number): string {
  const content = line._data[x * CELL]!;
  if (content & IS_COMBINED) return line._combined[x] ?? '';
  return content & CODE_POINT ? String.fromCodePoint(content & CODE_POINT) : '';
}

/**
 * One cell takes marks for as long as they come: gigabytes. What comes after the limit is dropped, though it still counts for the width,
 * which is the one thing a late joiner may then see otherwise. All lines share one prototype.
 */
function boundCombining(engine: Engine): void {
  const prototype = Object.getPrototypeOf(engine.normal.lines.get(0)) as CoreLine & { isBounded?: true };
  if (prototype.isBounded) return;
  prototype.isBounded = true;
  const add = prototype.addCodepointToCell;
  prototype.addCodepointToCell = function (index, codePoint, width) {
    const content = this._data[index * CELL]!;
    if (!(content & IS_COMBINED) || (this._combined[index] ?? '').length < CLUSTER_LIMIT) add.call(this, index, codePoint, width);
    else if (width) this._data[index * CELL] = (content & HAS_CONTENT) | (width << WIDTH_SHIFT);
  };
}

/** Titles and the payloads of OSC and DCS are kept as long as they come, up to 10 MB each, for every handler. */
function boundStrings(engine: Engine): void {
  const handler = engine.core._inputHandler;
  const setTitle = handler.setTitle.bind(handler);
  const setIconName = handler.setIconName.bind(handler);
  handler.setTitle = (title) => setTitle(cutToBytes(title, TITLE_LIMIT_BYTES));
  handler.setIconName = (name) => setIconName(cutToBytes(name, TITLE_LIMIT_BYTES));

  const { _oscParser, _dcsParser } = handler._parser;
  for (const { _handlers } of [_oscParser, _dcsParser]) {
    const one = Object.values(_handlers).flat()[0];
    if (!one) throw new Error('@xterm/headless has no string handlers where they were');
    const prototype = Object.getPrototypeOf(one) as StringHandler & { isBounded?: true };
    if (prototype.isBounded) continue;
    prototype.isBounded = true;
    const put = prototype.put;
    prototype.put = function (data, start, end) {
      put.call(this, data, start, end);
      if (this._data.length <= PAYLOAD_LIMIT) return;
      this._data = '';
      this._hitLimit = true;
    };
  }
}

function cutToBytes(text: string, limitBytes: number): string {
  if (text.length * 3 <= limitBytes || Buffer.byteLength(text) <= limitBytes) return text;
  let bytes = 0;
  let end = 0;
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > limitBytes) break;
    end += character.length;
  }
  return text.slice(0, end);
}

/** Code units. The longest emoji sequences have fewer than twenty. */
const CLUSTER_LIMIT = 32;
const TITLE_LIMIT_BYTES = 1024;
/** Characters. What is longer is ignored, as upstream does from 10 million. */
const PAYLOAD_LIMIT = 1 << 20;
