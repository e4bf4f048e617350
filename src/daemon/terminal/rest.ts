import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Emulator } from './emulator.ts';
import type { MouseEncoding } from './modes.ts';
import { clearTheWay, type Onto } from './serialize.ts';

/** What is asked of a screen without looking at its cells. */
export interface ScreenFacts {
  cols: number;
  rows: number;
  title: string;
  workingDirectoryUri: string | null;
  cursor: { x: number; y: number; visible: boolean };
  isAlternate: boolean;
  linesScrolled: number;
  historyLines: number;
  keyModes: ScreenKeyModes;
  isInGap: boolean;
}

export interface ScreenKeyModes {
  applicationCursor: boolean;
  applicationKeypad: boolean;
  bracketedPaste: boolean;
  focusReports: boolean;
  mouse: 'none' | 'x10' | 'press' | 'drag' | 'any';
  mouseEncoding: MouseEncoding;
  kittyFlags: number;
  modifyOtherKeys: number;
}

/**
 * A screen of which nobody wants the cells: its facts, and the bytes that make it again. An emulator takes 12 bytes a cell, 3 MB for 2,000
 * lines of 120; this takes some 20 KB.
 */
export interface Rest {
  readonly facts: ScreenFacts;
  /** Null for a screen on which nothing ever happened. */
  readonly drawn: Packed | null;
  readonly unsaid: Unsaid | null;
}

/** What no bytes could set on a viewer's terminal, or not without harm to what is the user's. */
interface Unsaid {
  /** Those beyond the right edge come back when the screen grows. */
  tabs: { normal: TabStops; alternate: TabStops };
  iconName: string;
  iconNameStack: string[];
  windowTitleStack: string[];
  hasTitle: boolean;
}

type TabStops = Record<number, boolean | undefined>;

export function restOf(emulator: Emulator, scrolledBefore: number): Rest {
  const { buffers, _inputHandler: handler } = emulator.engine.core;
  return {
    facts: factsOf(emulator, scrolledBefore),
    drawn: pack(emulator.drawn({ firstLine: 0 })),
    unsaid: {
      tabs: { normal: buffers.normal.tabs, alternate: buffers.alt.tabs },
      iconName: handler._iconName,
      iconNameStack: handler._iconNameStack,
      windowTitleStack: handler._windowTitleStack,
      hasTitle: emulator.modes.hasTitle,
    },
  };
}

export function restOfNothing(cols: number, rows: number): Rest {
  return { facts: { ...NOTHING, cols, rows }, drawn: null, unsaid: null };
}

/** The snapshot with all of the history that the screen had when it came to rest; null when nothing was ever on it. */
export function snapshotOfRest({ facts, drawn }: Rest, onto: Onto): Uint8Array | null {
  return drawn && Buffer.concat([Buffer.from(clearTheWay(facts.rows, onto)), unpack(drawn)]);
}

/** To be called when its bytes have been parsed: what they could not say. */
export function completeFromRest({ engine, modes }: Emulator, { unsaid }: Rest): void {
  if (!unsaid) return;
  const { buffers, _inputHandler: handler } = engine.core;
  buffers.normal.tabs = unsaid.tabs.normal;
  buffers.alt.tabs = unsaid.tabs.alternate;
  handler._iconName = unsaid.iconName;
  handler._iconNameStack = unsaid.iconNameStack;
  handler._windowTitleStack = unsaid.windowTitleStack;
  modes.hasTitle = unsaid.hasTitle;
}

/** `scrolledBefore`: the lines that left the top before this emulator was made. */
export function factsOf(emulator: Emulator, scrolledBefore: number): ScreenFacts {
  const { engine, modes } = emulator;
  const { active, cols, rows, core } = engine;
  const { decPrivateModes } = core.coreService;
  return {
    cols,
    rows,
    title: engine.title,
    workingDirectoryUri: modes.workingDirectory,
    // While a wrap is pending it is in the last column.
    cursor: { x: Math.min(active.x, cols - 1), y: active.y, visible: !core.coreService.isCursorHidden },
    isAlternate: engine.isAlternate,
    linesScrolled: scrolledBefore + engine.linesScrolled,
    historyLines: engine.normal.ybase,
    keyModes: {
      applicationCursor: decPrivateModes.applicationCursorKeys,
      applicationKeypad: decPrivateModes.applicationKeypad,
      bracketedPaste: decPrivateModes.bracketedPasteMode,
      focusReports: decPrivateModes.sendFocus,
      mouse: MOUSE[core.coreMouseService.activeProtocol],
      mouseEncoding: modes.mouseEncoding,
      kittyFlags: modes.kittyNow.flags,
      modifyOtherKeys: modes.modifyOtherKeys,
    },
    isInGap: emulator.isInGap,
  };
}

/** Bytes, deflated where that pays. */
interface Packed {
  isDeflated: boolean;
  bytes: Uint8Array;
}

/** The fastest level takes 1 ms for 200 KB of a log and makes 20 KB of it. */
function pack(bytes: Uint8Array): Packed {
  const isDeflated = bytes.length >= PAYS_BYTES;
  // A copy in either case: what is given may be a piece of a larger buffer.
  return { isDeflated, bytes: isDeflated ? Uint8Array.from(deflateRawSync(bytes, { level: 1 })) : Uint8Array.from(bytes) };
}

function unpack({ isDeflated, bytes }: Packed): Uint8Array {
  return isDeflated ? inflateRawSync(bytes) : bytes;
}

const PAYS_BYTES = 1024;

const MOUSE = { NONE: 'none', X10: 'x10', VT200: 'press', DRAG: 'drag', ANY: 'any' } as const;

const NOTHING: ScreenFacts = {
  cols: 0,
  rows: 0,
  title: '',
  workingDirectoryUri: null,
  cursor: { x: 0, y: 0, visible: true },
  isAlternate: false,
  linesScrolled: 0,
  historyLines: 0,
  keyModes: {
    applicationCursor: false,
    applicationKeypad: false,
    bracketedPaste: false,
    focusReports: false,
    mouse: 'none',
    mouseEncoding: 'default',
    kittyFlags: 0,
    modifyOtherKeys: 0,
  },
  isInGap: true,
};
