import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LiveSettings, loadSettings, SETTINGS } from '../../src/config/settings.ts';

/** What a user without a file gets: the outside relies on these. */
const DEFAULTS = {
  prefix: 'C-b',
  'shell.command': null,
  'shell.login': false,
  'shell.integration': true,
  'scrollback.lines': 2000,
  'pty.backend': 'auto',
  'sessions.keep_ended': 'unseen',
  'sessions.restart': 'ask',
  'history.keep': true,
  'history.when_full': 'gap',
  'history.level': 3,
  'history.pane_mb': 256,
  'history.total_mb': 4096,
  'history.keep_days': 30,
  'notify.on': ['waiting', 'failed'],
  'notify.bell': true,
  'notify.osc9': false,
  'notify.desktop': false,
  'notify.command': null,
  'notify.webhook': null,
  'notify.webhook_ca': null,
  'notify.hold_seconds': 2,
  'notify.long_seconds': 10,
  'log.level': 'info',
};

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'settings-'));
  file = join(folder, 'config.yaml');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What a file with this text gives, with the file's name left out of the problems. */
function load(text: string | Buffer): ReturnType<typeof loadSettings> {
  writeFileSync(file, text);
  const { settings, problems } = loadSettings(file);
  return { settings, problems: problems.map((problem) => problem.replace(`${file}: `, '')) };
}

test('the defaults hold without a file', () => {
  expect(loadSettings(file)).toEqual({ settings: DEFAULTS, problems: [] });
});

test('each setting says what it means, and its default is a value that it takes', () => {
  expect(
    Object.entries(SETTINGS).filter(([, { means, type, fallback }]) => !/^[A-Z].*\.$/s.test(means) || !type.safeParse(fallback).success),
  ).toEqual([]);
});

test.each(['', '\n\n', '# nothing\n', '---\n', 'null\n', '{}\n'])('an empty file changes nothing: %j', (text) => {
  expect(load(text)).toEqual({ settings: DEFAULTS, problems: [] });
});

test('a file sets what it names', () => {
  const text = [
    'prefix: C-a',
    'shell: { command: /bin/zsh, login: true }',
    'scrollback:\n  lines: 50',
    'pty.backend: node-pty',
    'sessions: { keep_ended: always, restart: never }',
    'history: { keep: false, when_full: block, level: 9, pane_mb: 16, total_mb: 64, keep_days: 0 }',
    'notify: { on: [done], bell: false, osc9: true, desktop: true, command: say it, webhook: "http://localhost/x", webhook_ca: /ca.pem }',
    'notify.hold_seconds: 0.5',
    'notify.long_seconds: 60',
    'log: { level: debug }',
  ];
  expect(load(text.join('\n'))).toEqual({
    settings: {
      prefix: 'C-a',
      'shell.command': '/bin/zsh',
      'shell.login': true,
      'shell.integration': true,
      'scrollback.lines': 50,
      'pty.backend': 'node-pty',
      'sessions.keep_ended': 'always',
      'sessions.restart': 'never',
      'history.keep': false,
      'history.when_full': 'block',
      'history.level': 9,
      'history.pane_mb': 16,
      'history.total_mb': 64,
      'history.keep_days': 0,
      'notify.on': ['done'],
      'notify.bell': false,
      'notify.osc9': true,
      'notify.desktop': true,
      'notify.command': 'say it',
      'notify.webhook': 'http://localhost/x',
      'notify.webhook_ca': '/ca.pem',
      'notify.hold_seconds': 0.5,
      'notify.long_seconds': 60,
      'log.level': 'debug',
    },
    problems: [],
  });
});

test.each(['C-a', 'C-z', 'C-Space', 'C-\\', 'C-]', 'C-^', 'C-_', 'none'])('the prefix may be %s', (prefix) => {
  expect(load(`prefix: '${prefix}'`)).toEqual({ settings: { ...DEFAULTS, prefix }, problems: [] });
});

describe('what is wrong is said, and the default stands in its place:', () => {
  test.each<[string, string[]]>([
    [
      'scrollback: { lines: many }',
      ['scrollback.lines: "many" is not taken (Invalid input: expected number, received string); using 2000'],
    ],
    ['scrollback: { lines: -1 }', ['scrollback.lines: -1 is not taken (Too small: expected number to be >=0); using 2000']],
    ['scrollback: { lines: 1.5 }', ['scrollback.lines: 1.5 is not taken (Invalid input: expected int, received number); using 2000']],
    ['scrollback: { lines: 1e99 }', ['scrollback.lines: 1e+99 is not taken']],
    ['scrollback: { lines: .nan }', ['scrollback.lines: null is not taken']],
    ['scrollback: { lines: [1] }', ['scrollback.lines: [1] is not taken']],
    ['scrollback: { lines: { deep: 1 } }', ['scrollback.lines: {"deep":1} is not taken']],
    ['scrollback: 5', ['no setting "scrollback"']],
    ['prefix: C-1', ['prefix: "C-1" is not taken (a key such as "C-b", or "none"); using "C-b"']],
    ['prefix: null', ['prefix: null is not taken']],
    ['shell: { login: "yes" }', ['shell.login: "yes" is not taken']],
    ['shell: { command: "" }', ['shell.command: "" is not taken']],
    ['pty: { backend: screen }', ['pty.backend: "screen" is not taken']],
    ['log: { level: [] }', ['log.level: [] is not taken']],
    ['notify: { webhook: "file:///etc/passwd" }', ['"notify.webhook" is not taken (an address that begins with']],
    ['notify: { webhook: nowhere }', ['"notify.webhook" is not taken (an address that begins with']],
    ['notify: { on: [everything] }', ['notify.on: ["everything"] is not taken (Invalid option: expected one of "waiting"|"failed"|"done"']],
    ['notify: { webhok: x }', ['no setting "notify.webhok"; did you mean "notify.webhook"?']],
    ['prefixx: C-a', ['no setting "prefixx"; did you mean "prefix"?']],
    ['scrollback: { line: 5 }', ['no setting "scrollback.line"; did you mean "scrollback.lines"?']],
    ['shel: { login: true }', ['no setting "shel.login"; did you mean "shell.login"?']],
    ['utterly: { different: 1 }', ['no setting "utterly.different"']],
    ['constructor: 1', ['no setting "constructor"']],
    ['__proto__: { prefix: C-a }', ['no setting "__proto__.prefix"']],
    ['- a\n- b', ['no setting ""']],
    ['just words', ['no setting ""']],
    ['prefix: "\\', ['not YAML: ']],
    ['a: b: c: d', ['not YAML: ']],
    ['prefix: C-a\nprefix: C-c', ['not YAML: ']],
    ['{', ['not YAML: ']],
    ['\tprefix: C-a', ['not YAML: ']],
  ])('%s', (text, problems) => {
    const { settings, problems: found } = load(text);
    expect(settings).toEqual(DEFAULTS);
    expect(found.map((problem, i) => problem.slice(0, problems[i]?.length))).toEqual(problems);
  });

  test('and the rest of the file counts', () => {
    const { settings, problems } = load('prefix: C-a\nscrollback: { lines: x }\nlog: { level: warn }\nmade: up');
    expect(settings).toEqual({ ...DEFAULTS, prefix: 'C-a', 'log.level': 'warn' });
    expect(problems).toHaveLength(2);
  });

  test.each([
    'notify: { webhook: "htps://hooks.example.com/hunter2" }',
    'notify: { webhook: { url: "https://hooks.example.com/hunter2" } }',
    'notify: { webhook: ["https://hooks.example.com/hunter2"] }',
    'notify: { command: [curl, -H, "Authorization: hunter2"] }',
    'notify: { command: { curl: hunter2 } }',
  ])('but not the value, where it may be a secret: %s', (text) => {
    const { settings, problems } = load(text);
    expect(settings).toEqual(DEFAULTS);
    expect(problems).toEqual([expect.stringMatching(/^"notify\.(webhook|command)" is not taken \(.+\); using null$/)]);
    expect(problems[0]).not.toContain('hunter2');
  });

  test('a long value is not repeated whole', () => {
    expect(load(`prefix: ${'x'.repeat(100_000)}`).problems[0]!.length).toBeLessThan(250);
  });
});

describe('a hostile file costs neither time nor the daemon:', () => {
  test('aliases that multiply', () => {
    const lines = [
      'a: &a [x, x, x, x, x, x, x, x, x]',
      ...'bcdefghi'.split('').map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`),
    ];
    const { settings, problems } = load(lines.join('\n'));
    expect(settings).toEqual(DEFAULTS);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain('not YAML: ');
  });

  test('nesting ten thousand deep', () => {
    const { settings, problems } = load(`a: ${'['.repeat(10_000)}${']'.repeat(10_000)}`);
    expect(settings).toEqual(DEFAULTS);
    expect(problems).toHaveLength(1);
  });

  test.each([500, 1000, 2000, 4000, 8000])('mappings %i deep', (depth) => {
    const { settings, problems } = load('{a: '.repeat(depth) + '}'.repeat(depth));
    expect(settings).toEqual(DEFAULTS);
    expect(problems).toHaveLength(1);
  });

  test.each(['a: &a\n  b: *a\n', 'prefix: &a { b: *a }', 'log: &a [*a]', 'a: &a C-a\nprefix: *a'])(
    'a value that may contain itself: %j',
    (text) => {
      expect(load(text)).toEqual({ settings: DEFAULTS, problems: ['not YAML: Alias resolution is disabled'] });
    },
  );

  test('bytes that are no text', () => {
    const { settings, problems } = load(Buffer.from([0xff, 0xfe, 0x00, 0x01, 0x80]));
    expect(settings).toEqual(DEFAULTS);
    expect(problems.length).toBeGreaterThan(0);
  });

  test('tags that name types', () => {
    const { settings, problems } = load('prefix: !!js/function "() => 1"\nlog: { level: !!binary aW5mbw== }');
    expect(settings).toEqual(DEFAULTS);
    expect(problems.length).toBeGreaterThan(0);
  });
});

describe('a file that cannot be read', () => {
  test('because it is a folder, is said', () => {
    mkdirSync(file);
    const { settings, problems } = loadSettings(file);
    expect(settings).toEqual(DEFAULTS);
    expect(problems).toEqual([`${file}: cannot be read: EISDIR: illegal operation on a directory, read`]);
  });

  test('because its links lead in a circle, is said, also when it is looked at again', () => {
    symlinkSync(file, file);
    const loaded = {
      settings: DEFAULTS,
      problems: [`${file}: cannot be read: ELOOP: too many symbolic links encountered, open '${file}'`],
    };
    expect(loadSettings(file)).toEqual(loaded);
    const live = new LiveSettings(file);
    expect([live.now, live.now]).toEqual([loaded, loaded]);
  });
});

describe('live settings', () => {
  test('follow the file as it comes, changes and goes', () => {
    const live = new LiveSettings(file);
    const prefixes = [live.now.settings.prefix];
    for (const prefix of ['C-a', 'C-c']) {
      writeFileSync(file, `prefix: ${prefix}\n# ${prefix.repeat(prefixes.length)}`);
      prefixes.push(live.now.settings.prefix);
    }
    rmSync(file);
    prefixes.push(live.now.settings.prefix);
    expect(prefixes).toEqual(['C-b', 'C-a', 'C-c', 'C-b']);
  });

  test('notice a change that keeps the size', () => {
    writeFileSync(file, 'prefix: C-a');
    utimesSync(file, 1000, 1000);
    const live = new LiveSettings(file);
    expect(live.now.settings.prefix).toBe('C-a');
    writeFileSync(file, 'prefix: C-c');
    utimesSync(file, 2000, 2000);
    expect(live.now.settings.prefix).toBe('C-c');
  });

  test('do not read again what has not changed', () => {
    writeFileSync(file, 'prefix: C-a');
    const live = new LiveSettings(file);
    const first = live.now;
    expect(live.now).toBe(first);
  });

  test('tell the problems of the file as it is now', () => {
    writeFileSync(file, 'prefix: 7');
    const live = new LiveSettings(file);
    expect(live.now.problems).toHaveLength(1);
    writeFileSync(file, 'prefix: C-a # mended');
    expect(live.now).toEqual({ settings: { ...DEFAULTS, prefix: 'C-a' }, problems: [] });
  });
});

test('loading leaves the file as it is', () => {
  writeFileSync(file, 'nonsense: [');
  const before = statSync(file);
  loadSettings(file);
  expect(statSync(file).mtimeMs).toBe(before.mtimeMs);
});
