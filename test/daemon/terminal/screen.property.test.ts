import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lookOfCell, lookOfPen, lookOfSaved } from '../../../src/daemon/terminal/attributes.ts';
import { isDressed } from '../../../src/daemon/terminal/cells.ts';
import type { CoreBuffer, Engine } from '../../../src/daemon/terminal/engine.ts';
import { Screen } from '../../../src/daemon/terminal/screen.ts';

const SEED = 20_261_121;

/** Everything a later byte could make visible, in a form that does not depend on how much history lies above. */
function stateOf(screen: Screen, { historyLines }: { historyLines?: number } = {}) {
  const { engine, modes } = screen.emulator;
  const { coreService, coreMouseService, optionsService, _charsetService, _inputHandler } = engine.core;
  const { active } = engine;
  const saved = ({ x, row, level, charsets, ...pen }: Engine['saved']['normal']) => ({
    x,
    row,
    level,
    charsets: [0, 1, 2, 3].map((g) => charsets[g]),
    look: lookOfSaved({ x, row, level, charsets, ...pen }),
  });
  const pen = lookOfPen(engine.pen);
  const join = engine.joinState;
  return {
    normal: linesOf(engine, engine.normal, historyLines ?? engine.normal.ybase),
    alternate: engine.isAlternate ? linesOf(engine, active, 0) : null,
    cursor: { x: active.x, y: active.y, visible: !coreService.isCursorHidden },
    // What a combining mark or REP would act upon: the kind of character and its width.
    join: join === 0 ? null : { kind: (join >> 3) & 15, width: (join >> 1) & 3 },
    pen: { ...pen, link: engine.links.get(pen.link) },
    saved: { normal: saved(engine.saved.normal), alternate: saved(engine.saved.alternate) },
    tabs: tabsOf(active, engine.cols),
    normalTabs: tabsOf(engine.normal, engine.cols),
    margins: [active.scrollTop, active.scrollBottom, engine.normal.scrollTop, engine.normal.scrollBottom],
    charsets: { sets: [0, 1, 2, 3].map((g) => _charsetService._charsets[g]), level: _charsetService.glevel },
    modes: {
      ...coreService.decPrivateModes,
      ...coreService.modes,
      lnm: optionsService.options.convertEol,
      blink: optionsService.options.cursorBlink,
    },
    mouse: [coreMouseService.activeProtocol, modes.mouseEncoding],
    keys: { kitty: modes.kitty, other: modes.modifyOtherKeys },
    passedOn: [...modes.passedOn].sort(([a], [b]) => a - b),
    colors: [...modes.colors].sort(([a], [b]) => a - b),
    workingDirectory: modes.workingDirectory,
    title: modes.hasTitle ? [engine.title, _inputHandler._windowTitleStack] : null,
  };
}

function tabsOf(buffer: CoreBuffer, cols: number): number[] {
  return Array.from({ length: cols - 1 }, (_, i) => i + 1).filter((x) => buffer.tabs[x]);
}

function linesOf(engine: Engine, buffer: CoreBuffer, historyLines: number) {
  const first = buffer.ybase - historyLines;
  return Array.from({ length: historyLines + engine.rows }, (_, i) => {
    const line = buffer.lines.get(first + i)!;
    const cells = Array.from({ length: line.length }, (_, x) => {
      const content = line._data[x * 3]!;
      const text = content & 0x200000 ? line._combined[x] : content & 0x1fffff ? String.fromCodePoint(content & 0x1fffff) : '';
      const { link, ...look } = lookOfCell(line, x);
      const target = engine.links.get(link);
      return `${content >>> 22}${text}|${look.fg},${look.bg},${look.underline},${look.underlineColor}${target ? `,${target.id ?? ''};${target.uri}` : ''}`;
    });
    // What the topmost line continues is gone, and in the other terminal something else lies above it.
    return `${i > 0 && line.isWrapped ? '>' : ' '}${cells.join(' ')}`;
  });
}

type Step = { is: 'bytes'; bytes: Buffer } | { is: 'resize'; cols: number; rows: number };

const CHARACTERS = [
  'a',
  'b',
  ' ',
  'é',
  '—',
  '…',
  '│',
  '漢',
  '字',
  '한',
  '🙂',
  '👩‍👩‍👧',
  '👍🏽',
  '🇩🇪',
  '☺️',
  'e\u0301',
  '\u0301',
  '\u200d',
  '\ufe0f',
  '🇫',
  'ก็',
  'q',
  'x',
  '#',
  '~',
  '€',
  'ﷺ',
];

function terminalBytes(cols: number, rows: number): fc.Arbitrary<string> {
  const small = fc.integer({ min: 0, max: Math.max(cols, rows) + 1 });
  const row = fc.integer({ min: 1, max: rows + 1 });
  const col = fc.integer({ min: 1, max: cols + 1 });
  const character = fc.constantFrom(...CHARACTERS);
  const text = fc.array(character, { minLength: 1, maxLength: cols + 3 }).map((all) => all.join(''));
  const exactRow = fc.constantFrom('x', '=', 'é').map((c) => c.repeat(cols));
  const almostRow = fc.constantFrom('漢', 'ab', '🙂').map((c) => `${'-'.repeat(cols - 1)}${c}`);
  const sgr = fc
    .array(
      fc.constantFrom(
        '0',
        '1',
        '2',
        '3',
        '4',
        '5',
        '7',
        '8',
        '9',
        '21',
        '22',
        '23',
        '24',
        '25',
        '27',
        '28',
        '29',
        '31',
        '42',
        '39',
        '49',
        '53',
        '55',
        '93',
        '104',
        '4:3',
        '4:5',
        '4:0',
        '38;5;196',
        '48;5;23',
        '38;2;1;2;3',
        '48;2;200;100;0',
        '58;5;9',
        '58:2::9:8:7',
        '59',
      ),
      { minLength: 1, maxLength: 4 },
    )
    .map((params) => `\x1b[${params.join(';')}m`);
  const edit = fc
    .tuple(small, fc.constantFrom('@', 'P', 'X', 'L', 'M', 'S', 'T', 'b', 'I', 'Z', ' @', ' A', "'}", "'~", 'A', 'B', 'C', 'D', 'E', 'F'))
    .map(([n, final]) => `\x1b[${n}${final}`);
  const erase = fc
    .tuple(fc.constantFrom('', '?'), fc.integer({ min: 0, max: 3 }), fc.constantFrom('J', 'K'))
    .map(([prefix, n, final]) => `\x1b[${prefix}${n === 3 && final === 'K' ? 2 : n}${final}`);
  const jump = fc.tuple(row, col).map(([y, x]) => `\x1b[${y};${x}H`);
  const edgeJump = fc.tuple(row, fc.constantFrom(cols, cols - 1)).map(([y, x]) => `\x1b[${y};${x}H`);
  const margins = fc.tuple(row, row).map(([a, b]) => `\x1b[${Math.min(a, b)};${Math.max(a, b)}r`);
  const mode = fc
    .tuple(
      fc.constantFrom(
        '?1',
        '?5',
        '?6',
        '?7',
        '?9',
        '?12',
        '?25',
        '?45',
        '?66',
        '?1000',
        '?1002',
        '?1003',
        '?1004',
        '?1005',
        '?1006',
        '?1007',
        '?1015',
        '?1016',
        '?2004',
        '?2026',
        '?2031',
        '4',
        '20',
        '?6;7',
        '?47',
        '?1047',
        '?1048',
        '?1049',
      ),
      fc.constantFrom('h', 'l'),
    )
    .map(([number, final]) => `\x1b[${number}${final}`);
  const keys = fc.constantFrom(
    '\x1b[>1u',
    '\x1b[>31u',
    '\x1b[<u',
    '\x1b[<5u',
    '\x1b[=5u',
    '\x1b[=2;2u',
    '\x1b[>4;2m',
    '\x1b[>4m',
    '\x1b=',
    '\x1b>',
  );
  const strings = fc.constantFrom(
    '\x1b]0;title — é\x07',
    '\x1b]2;other\x1b\\',
    '\x1b]1;icon\x07',
    '\x1b[22;0t',
    '\x1b[23;0t',
    '\x1b]8;;http://a.example/?x=1;y\x1b\\',
    '\x1b]8;id=i;http://b.example\x07',
    '\x1b]8;;\x1b\\',
    '\x1b]4;1;#123456;200;red\x07',
    '\x1b]10;rgb:1/2/3\x1b\\',
    '\x1b]12;blue\x07',
    '\x1b]104;1\x07',
    '\x1b]104\x07',
    '\x1b]110\x07',
    '\x1b]7;file://h/tmp/%20a\x1b\\',
    '\x1bPq~~\x1b\\',
    '\x1b_Ga=q;AAAA\x1b\\',
    '\x1b]52;c;aGk=\x07',
  );
  const control = fc.constantFrom(
    '\r',
    '\n',
    '\r\n',
    '\r\n',
    '\b',
    '\t',
    '\v',
    '\x0e',
    '\x0f',
    '\x1b(0',
    '\x1b(B',
    '\x1b)0',
    '\x1b)A',
    '\x1b*0',
    '\x1bn',
    '\x1bo',
    '\x1bM',
    '\x1bD',
    '\x1bE',
    '\x1bH',
    '\x1b[g',
    '\x1b[3g',
    '\x1b7',
    '\x1b8',
    '\x1b[s',
    '\x1b[u',
    '\x1b[!p',
    '\x1b#8',
    '\x1b[1"q',
    '\x1b[0"q',
    '\x1b[3 q',
    '\x1b[0 q',
    '\x18',
    '\x07',
    '\x1b[3\n1m',
    '\x1b[6n',
    '\x1b[c',
  );
  const rare = fc.constantFrom('\x1bc', '\xff', '\x1b\\', '\x1b[2147483647S');
  const scroll = fc.integer({ min: 1, max: rows * 2 }).map((n) => Array.from({ length: n }, (_, i) => `line ${i}\r\n`).join(''));
  return fc.oneof(
    { weight: 8, arbitrary: text },
    { weight: 3, arbitrary: exactRow },
    { weight: 2, arbitrary: almostRow },
    { weight: 5, arbitrary: sgr },
    { weight: 6, arbitrary: edit },
    { weight: 3, arbitrary: erase },
    { weight: 3, arbitrary: jump },
    { weight: 3, arbitrary: edgeJump },
    { weight: 2, arbitrary: margins },
    { weight: 5, arbitrary: mode },
    { weight: 2, arbitrary: keys },
    { weight: 3, arbitrary: strings },
    { weight: 7, arbitrary: control },
    { weight: 1, arbitrary: rare },
    { weight: 2, arbitrary: scroll },
  );
}

interface Story {
  cols: number;
  rows: number;
  scrollbackLines: number;
  before: Step[];
  after: Buffer;
  dirt: Buffer;
}

const stories: fc.Arbitrary<Story> = fc
  .record({ cols: fc.integer({ min: 2, max: 12 }), rows: fc.integer({ min: 2, max: 7 }), scrollbackLines: fc.constantFrom(0, 3, 20, 200) })
  .chain(({ cols, rows, scrollbackLines }) => {
    const bytes = (maxLength: number) => fc.array(terminalBytes(cols, rows), { maxLength }).map((parts) => Buffer.from(parts.join('')));
    const resize = fc.record({
      is: fc.constant('resize' as const),
      cols: fc.integer({ min: 2, max: 12 }),
      rows: fc.integer({ min: 2, max: 7 }),
    });
    const step: fc.Arbitrary<Step> = fc.oneof(
      { weight: 5, arbitrary: bytes(12).map((all) => ({ is: 'bytes' as const, bytes: all })) },
      { weight: 1, arbitrary: resize },
    );
    return fc.record({
      cols: fc.constant(cols),
      rows: fc.constant(rows),
      scrollbackLines: fc.constant(scrollbackLines),
      before: fc.array(step, { maxLength: 5 }),
      after: bytes(10),
      dirt: bytes(10),
    });
  });

function newScreen(cols: number, rows: number, scrollbackLines: number): Screen {
  return new Screen({
    cols,
    rows,
    scrollbackLines,
    answer: () => {},
    onPoison: (error) => {
      throw error;
    },
  });
}

function play(screen: Screen, steps: readonly Step[]): void {
  for (const step of steps) {
    if (step.is === 'resize') screen.resize(step.cols, step.rows);
    else screen.feed(step.bytes, false);
  }
  screen.settle();
}

/** Cuts the last bytes before the snapshot anywhere: what comes after the cut reaches both. */
function check(story: Story, cutBack: number, isDirty: boolean): void {
  const witness = newScreen(story.cols, story.rows, story.scrollbackLines);
  const last = story.before.at(-1);
  let rest = story.after;
  const before = [...story.before];
  if (last?.is === 'bytes') {
    const at = Math.max(0, last.bytes.length - cutBack);
    before[before.length - 1] = { is: 'bytes', bytes: last.bytes.subarray(0, at) };
    rest = Buffer.concat([last.bytes.subarray(at), story.after]);
  }
  play(witness, before);
  // The one exception, documented at `CellWriter.dressedEnd`.
  fc.pre(!hasRowOfDressedBlanks(witness));
  const joiner = newScreen(witness.cols, witness.rows, story.scrollbackLines);
  if (isDirty) play(joiner, [{ is: 'bytes', bytes: story.dirt }]);
  const snapshot = witness.snapshot({ history: 'all' });
  joiner.feed(snapshot, false);
  joiner.settle();
  const shown = isDirty ? withoutLeftovers : (state: ReturnType<typeof stateOf>) => state;
  try {
    expect(differences(joiner, witness, shown)).toEqual({});
    play(witness, [{ is: 'bytes', bytes: rest }]);
    play(joiner, [{ is: 'bytes', bytes: rest }]);
    expect(differences(joiner, witness, shown)).toEqual({});
  } catch (error) {
    const found = JSON.stringify(differences(joiner, witness, shown), null, 1);
    const steps = before.map((step) => (step.is === 'bytes' ? JSON.stringify(step.bytes.toString()) : `resize ${step.cols}x${step.rows}`));
    throw new Error(
      `${(error as Error).message}\n${found}\nbefore: ${steps.join(', ')}\nrest: ${JSON.stringify(rest.toString())}\nsnapshot: ${JSON.stringify(snapshot.toString()).slice(JSON.stringify(snapshot.toString()).indexOf('[?25l'))}`,
    );
  } finally {
    witness.dispose();
    joiner.dispose();
  }
}

function hasRowOfDressedBlanks({ emulator: { engine } }: Screen): boolean {
  return [engine.normal, engine.active].some((buffer) => {
    for (let y = 0; y < buffer.lines.length; y++) {
      const line = buffer.lines.get(y)!;
      if (Array.from({ length: line.length }, (_, x) => isDressed(line, x)).every(Boolean)) return true;
    }
    return false;
  });
}

/** What is not the same, by name. */
function differences(
  joiner: Screen,
  witness: Screen,
  shown: (state: ReturnType<typeof stateOf>) => object,
): Record<string, { joiner: unknown; witness: unknown }> {
  const ours = Object.entries(shown(stateOf(witness)));
  const theirs = Object.entries(shown(stateOf(joiner, { historyLines: witness.historyLines })));
  return Object.fromEntries(
    ours.flatMap(([name, value], i) =>
      isDeepStrictEqual(value, theirs[i]![1]) ? [] : [[name, { joiner: theirs[i]![1], witness: value }]],
    ),
  );
}

/** A used terminal keeps what the program has never said anything about: its title and the modes that have no common default. */
function withoutLeftovers(state: ReturnType<typeof stateOf>) {
  return { ...state, title: null, workingDirectory: null, passedOn: null };
}

const RUNS = Number(process.env.PROPERTY_RUNS ?? 800);

for (const [name, seed] of [
  ['a fixed seed', SEED],
  ['a random seed', undefined],
] as const) {
  test(`a late joiner ends where one who saw everything ends (${name})`, () => {
    fc.assert(
      fc.property(stories, fc.nat({ max: 40 }), fc.boolean(), (story, cutBack, isDirty) => check(story, cutBack, isDirty)),
      { numRuns: RUNS, ...(seed === undefined ? {} : { seed }) },
    );
  });
}

test('a late joiner may come at any byte', () => {
  fc.assert(
    fc.property(stories, (story) => {
      const last = story.before.at(-1);
      const length = last?.is === 'bytes' ? last.bytes.length : 0;
      for (let cutBack = 0; cutBack <= Math.min(length, 24); cutBack++) check(story, cutBack, false);
    }),
    { numRuns: Math.ceil(RUNS / 15), seed: SEED + 1 },
  );
});

test('a screen that has been at rest is the one that never was', () => {
  fc.assert(
    fc.property(stories, fc.array(fc.boolean(), { maxLength: 6 }), (story, rests) => {
      const [awake, resting] = [1, 2].map(() => newScreen(story.cols, story.rows, story.scrollbackLines)) as [Screen, Screen];
      const steps: Step[] = [...story.before, { is: 'bytes', bytes: story.after }];
      const facts = ({ cols, rows, title, workingDirectory, cursor, isAlternate, linesScrolled, historyLines, keyModes }: Screen) =>
        JSON.stringify({ cols, rows, title, workingDirectory, cursor, isAlternate, linesScrolled, historyLines, keyModes });
      steps.forEach((step, i) => {
        for (const screen of [awake, resting]) play(screen, [step]);
        fc.pre(!hasRowOfDressedBlanks(awake));
        if (rests[i] === false) return;
        resting.park();
        expect(resting.isAwake).toBe(false);
        expect(facts(resting)).toBe(facts(awake));
        expect(Buffer.from(resting.snapshot({ history: 'all' })).toString()).toBe(
          Buffer.from(awake.snapshot({ history: 'all' })).toString(),
        );
      });
      expect(differences(resting, awake, (state) => state)).toEqual({});
      expect(facts(resting)).toBe(facts(awake));
      awake.dispose();
      resting.dispose();
    }),
    { numRuns: Math.ceil(RUNS / 2), seed: SEED + 3 },
  );
});

test('it never matters how the bytes are cut into chunks', () => {
  fc.assert(
    fc.property(stories, (story) => {
      const bytes = Buffer.concat(story.before.flatMap((step) => (step.is === 'bytes' ? [step.bytes] : [])));
      const whole = newScreen(story.cols, story.rows, story.scrollbackLines);
      const single = newScreen(story.cols, story.rows, story.scrollbackLines);
      whole.feed(bytes, false);
      whole.settle();
      for (let i = 0; i < bytes.length; i++) single.emulator.parse(bytes.subarray(i, i + 1), false);
      expect(stateOf(single)).toEqual(stateOf(whole));
    }),
    { numRuns: Math.ceil(RUNS / 3), seed: SEED + 2 },
  );
});

test('a repeated character is the character printed so often', () => {
  fc.assert(
    fc.property(
      stories,
      fc.constantFrom('a', '漢', '🙂', 'é', 'e\u0301', '👩‍👩‍👧'),
      fc.integer({ min: 1, max: 60 }),
      fc.boolean(),
      (story, character, times, isInserting) => {
        const start = story.before;
        const mode = isInserting ? '\x1b[4h\x1b[?7h' : '\x1b[?7h';
        const [repeated, printed] = [1, 2].map(() => newScreen(story.cols, story.rows, story.scrollbackLines)) as [Screen, Screen];
        for (const screen of [repeated, printed]) play(screen, [...start, { is: 'bytes', bytes: Buffer.from(`\x18\x1b(B\x0f${mode}`) }]);
        // Beyond a screenful the history holds fewer rows of it.
        const count = Math.min(times, Math.floor(repeated.cols / 2) * repeated.rows);
        play(repeated, [{ is: 'bytes', bytes: Buffer.from(`${character}\x1b[${count}b`) }]);
        // Any sequence that does nothing ends the cluster, as REP does.
        play(printed, [{ is: 'bytes', bytes: Buffer.from(`${character.repeat(count + 1)}\x1b\\`) }]);
        expect(stateOf(repeated)).toEqual(stateOf(printed));
        repeated.dispose();
        printed.dispose();
      },
    ),
    { numRuns: RUNS, seed: SEED + 3 },
  );
});
