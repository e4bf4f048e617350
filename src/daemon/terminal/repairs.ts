import {
  CELL,
  type CoreLine,
  type Engine,
  HAS_CONTENT,
  HAS_EXTENDED,
  IS_COMBINED,
  type Params,
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

/** `CSI 2147483647 S` loops two thousand million times and `CSI 2147483647 b` allocates 8 GB. More than a screenful of scrolling is a screenful; nobody repeats a character more than 65,535 times. */
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
  engine.onCsi(
    { final: 'b' },
    bound(() => 65_535),
  );
}
