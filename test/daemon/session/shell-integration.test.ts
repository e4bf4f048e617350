import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { integrate } from '../../../src/daemon/session/shell-integration.ts';
import { COUNTING_RC, isInstalled, type Kind, READING, SHELL_FOLDER, ShellRig } from './shell-rig.ts';
import { BASH_LINES, BASH_SETTINGS, FISH_LINES, FISH_SETTINGS, STATE, TYPED, ZSH_LINES, ZSH_SETTINGS } from './shell-settings.ts';

const KINDS: readonly Kind[] = ['bash', 'zsh', 'fish'];

describe('which programs are integrated', () => {
  const given = { env: { A: 'b' }, folder: "/it's/shell", log: '/l', nonce: 'n' };
  const told = { A: 'b', AI_SESSION_SHELL_LOG: '/l', AI_SESSION_SHELL_NONCE: 'n' };

  test.each([
    ['bash', 'bash'],
    ['/bin/bash', 'bash'],
    ['bash -i', 'bash'],
    ['bash -l', 'bash'],
    ['bash -il', 'bash'],
    ['bash --login --noprofile', 'bash'],
    ['bash -c true', null],
    ['bash -ic true', null],
    ['bash script.sh', null],
    ['bash -', null],
    ['bash --norc', null],
    ['bash --rcfile x', null],
    ['bash --init-file x', null],
    ['bash --posix', null],
    ['bash -x', null],
    ['bash -s', null],
    ['-bash', null],
    ['zsh', 'zsh'],
    ['/usr/bin/zsh -l', 'zsh'],
    ['zsh --login -i', 'zsh'],
    ['zsh -f', null],
    ['zsh -c true', null],
    ['zsh script', null],
    ['fish', 'fish'],
    ['fish -il', 'fish'],
    ['fish --private', 'fish'],
    ['fish --no-config', null],
    ['fish -N', null],
    ['fish -C true', null],
    ['fish -c true', null],
    ['sh', null],
    ['dash', null],
    ['ksh', null],
    ['python3', null],
    ['bashful', null],
  ])('%s: %s', (line, kind) => {
    expect(integrate({ ...given, argv: line.split(' ') })?.kind ?? null).toBe(kind);
  });

  test('bash is given our file instead of its own, and is told which files a login shell reads', () => {
    const argv = ['/bin/bash', '--init-file', "/it's/shell/bash.sh"];
    const as = (line: string) => integrate({ ...given, argv: line.split(' ') });
    expect(as('/bin/bash')).toEqual({ kind: 'bash', argv, env: { ...told, AI_SESSION_SHELL_STARTUP: 'interactive' } });
    expect(as('/bin/bash --noediting -il')).toEqual({
      kind: 'bash',
      argv: [...argv, '--noediting', '-i'],
      env: { ...told, AI_SESSION_SHELL_STARTUP: 'login' },
    });
    expect(as('/bin/bash --login --noprofile')?.env.AI_SESSION_SHELL_STARTUP).toBe('nothing');
  });

  test('a bash that its environment puts into POSIX mode is left alone', () => {
    expect(integrate({ ...given, argv: ['bash'], env: { POSIXLY_CORRECT: '' } })).toBeNull();
    expect(integrate({ ...given, argv: ['bash'], env: { SHELLOPTS: 'braceexpand:posix' } })).toBeNull();
  });

  test('zsh keeps its arguments, and what ZDOTDIR was is told, or that it was not', () => {
    const ours = { ZDOTDIR: "/it's/shell/zsh" };
    const as = (env: Record<string, string>) => integrate({ ...given, argv: ['zsh', '-l'], env });
    expect(as({ A: 'b' })).toEqual({ kind: 'zsh', argv: ['zsh', '-l'], env: { ...told, ...ours } });
    expect(as({ A: 'b', AI_SESSION_SHELL_ZDOTDIR: 'stale' })?.env).toEqual({ ...told, ...ours });
    expect(as({ A: 'b', ZDOTDIR: '' })?.env).toEqual({ ...told, ...ours, AI_SESSION_SHELL_ZDOTDIR: '' });
  });

  test('fish keeps its arguments and sources our file last', () => {
    const argv = ['fish', '-l', '--init-command', String.raw`source '/it\'s/shell/fish.fish'`];
    expect(integrate({ ...given, argv: ['fish', '-l'] })).toEqual({ kind: 'fish', argv, env: told });
  });
});

/** Runs a test for each shell that is there, and names those that are not. */
function eachShell(kinds: readonly Kind[], title: string, body: (kind: Kind, rig: ShellRig) => Promise<void>): void {
  for (const kind of kinds) {
    const name = `${kind} ${title}`;
    if (!isInstalled(kind)) test.skip(`${name} (${kind} is not installed)`, () => {});
    else
      test(name, async () => {
        await using rig = new ShellRig();
        await body(kind, rig);
      });
  }
}

/** The files for bash as an older bash reads them, which finds all that it needs in a newer one. */
function asOlderBash(rig: ShellRig): string {
  const folder = join(rig.root, 'shell');
  cpSync(SHELL_FOLDER, folder, { recursive: true });
  const edit = (file: string, from: string, to: string) => {
    const text = readFileSync(join(folder, file), 'utf8');
    expect(text).toContain(from);
    writeFileSync(join(folder, file), text.replace(from, to));
  };
  edit('bash.sh', '< 501', '< 999');
  return folder;
}

/** Types all that, and compares the whole log and all marks. */
async function tellsOfEachCommand(kind: Kind, rig: ShellRig, folder = SHELL_FOLDER): Promise<void> {
  rig.writeRc(kind);
  rig.write('sub/file', '');
  const shell = await rig.start([kind], { folder });
  const time = kind === 'fish' ? '' : 'time';
  const events = [['ready', time, 'pid', rig.home]];
  const marks = ['A'];
  let number = 0;
  const expects = (command: string, status: number, [from, to] = ['', '']) => {
    events.push(['start', `${++number}`, time, rig.home + from, command.replaceAll('\\', '\\\\').replaceAll('\r', '\\n')]);
    events.push(['end', `${number}`, time, `${status}`, rig.home + to]);
    marks.push('C', `D;${status}`, 'A');
  };

  await shell.prompts();
  await shell.enter('true');
  expects('true', 0);
  await shell.enter('');
  await shell.enter('false');
  expects('false', 1);
  await shell.enter('cd sub');
  expects('cd sub', 0, ['', '/sub']);
  await shell.enter('cd ..');
  expects('cd ..', 0, ['/sub', '']);
  await shell.enter('no-such-command');
  expects('no-such-command', 127);
  for (const [line, status] of TYPED[kind]) {
    await shell.enter(line);
    expects(line, status);
  }
  await shell.startsReading();
  shell.terminal.type('\x03');
  await shell.prompts();
  expects(READING, 130);
  // fish stays at its prompt.
  if (kind !== 'fish') {
    const before = shell.prompt;
    shell.terminal.type('echo "never ended\r');
    await shell.terminal.shows(/more>$/);
    // A Ctrl-C that comes before bash reads waits there for another key.
    shell.terminal.type('nor this');
    await shell.terminal.shows(/more> nor this$/);
    shell.terminal.type('\x03');
    await shell.prompts(before);
    await shell.enter('echo )');
    // What Ctrl-Z does.
    await shell.enter("sh -c 'kill -TSTP $$'");
    expects("sh -c 'kill -TSTP $$'", 148);
    await shell.enter('fg');
    expects('fg', 0);
  }
  shell.terminal.type('exit 7\r');
  expects('exit 7', 7);
  marks.pop();
  // bash and zsh are gone before there is anything to say.
  if (kind !== 'fish') [events, marks].map((list) => list.pop());

  expect(await shell.terminal.exited).toEqual({ code: 7, signal: null });
  expect(shell.events).toEqual(events);
  // A prompt without a command before it has an A of its own.
  expect(shell.marks.join(' ').replaceAll(/(A )+A\b/g, 'A')).toBe(marks.join(' '));
}

describe('every command', () => {
  eachShell(KINDS, 'tells of each command, its text, status and directory', tellsOfEachCommand);

  eachShell(['bash'], '5.0 does so in its way', (kind, rig) => tellsOfEachCommand(kind, rig, asOlderBash(rig)));

  eachShell(KINDS, 'escapes what would break a line, and cuts what is long', async (kind, rig) => {
    const folder = 'tab\tnew\nline\u001b[1m\\n\u007f';
    rig.write(`${folder}/file`, '');
    rig.writeRc(kind);
    const shell = await rig.start([kind]);
    await shell.prompts();
    await shell.enter(kind === 'fish' ? 'cd tab*' : 'cd tab*/');
    await shell.enter(`: ${'\u00e9\\'.repeat(5000)}n`);
    const [, , time, , cwd] = shell.events.find(([event]) => event === 'end')!;
    expect([time, cwd]).toEqual([kind === 'fish' ? '' : 'time', String.raw`${rig.home}/tab\tnew\nline\x1b[1m\\n\x7f`]);
    expect(shell.events.at(-2)!.at(-1)).toBe(`: ${'\u00e9\\\\'.repeat(4095)}`);
  });

  eachShell(['bash', 'zsh'], 'tells of each of two commands that were pasted', async (kind, rig) => {
    rig.writeRc(kind);
    const shell = await rig.start([kind]);
    await shell.prompts();
    await shell.enter('false\rtrue', 2);
    expect(shell.ended).toEqual([
      ['false', '1'],
      ['true', '0'],
    ]);
  });

  eachShell(['bash'], 'does not guess what the history was not given', async (kind, rig) => {
    rig.writeRc(kind, 'HISTCONTROL=ignoreboth');
    const shell = await rig.start([kind]);
    await shell.prompts();
    for (const line of [
      'echo 1',
      ' echo secret',
      'echo 2',
      'echo 2',
      'HISTCONTROL=ignoredups',
      'echo 3',
      'echo 3',
      'set +o history',
      'echo 4',
    ])
      await shell.enter(line);
    expect(shell.ended.map(([command]) => command)).toEqual([
      'echo 1',
      '',
      'echo 2',
      '',
      'HISTCONTROL=ignoredups',
      'echo 3',
      'echo 3',
      'set +o history',
      '',
    ]);
  });
});

/** The same lines with and without us: what a person sees, and what the shell says of itself, must not differ. */
async function makesNoDifference(kind: Kind, rig: ShellRig, rc: string, lines: readonly string[], folder = SHELL_FOLDER): Promise<void> {
  const outcomes = [];
  for (const isIntegrated of [false, true]) {
    rmSync(rig.home, { recursive: true });
    rig.write('a', '');
    rig.writeRc(kind, rc);
    const shell = await rig.start([kind], { isIntegrated, folder });
    await shell.prompts();
    for (const line of [...lines, STATE[kind]]) await shell.enter(line);
    shell.terminal.type('exit 3\r');
    const exit = await shell.terminal.exited;
    // bash knows that our file read theirs as its last command.
    outcomes.push({
      screen: shell.terminal.text.replaceAll(join(rig.home, '.bashrc'), ''),
      state: readFileSync(join(rig.home, 'state'), 'utf8'),
      exit,
    });
    if (!isIntegrated) continue;
    const [ready, ...events] = shell.events;
    const numbers = events.flatMap(([event, number]) => (event === 'start' ? [Number(number)] : []));
    expect([ready![0], numbers]).toEqual(['ready', numbers.map((_, index) => index + 1)]);
  }
  expect(outcomes[1]).toEqual(outcomes[0]);
  expect(outcomes[0]!.state.split('\n').length).toBeGreaterThan(30);
}

describe('what is the user\u2019s stays', () => {
  for (const [setting, rc] of Object.entries(BASH_SETTINGS))
    eachShell(['bash'], `makes no difference to ${setting}`, (kind, rig) => makesNoDifference(kind, rig, rc, BASH_LINES));

  eachShell(['bash'], '5.0 hands on $? and $_ to prompt commands', async (kind, rig) => {
    rig.writeRc(kind, `PROMPT_COMMAND='echo "[$? $_]"'`);
    const shell = await rig.start([kind], { folder: asOlderBash(rig) });
    await shell.prompts();
    await shell.enter('false');
    await shell.enter('echo a b');
    await shell.enter('set -e');
    await shell.enter('! true');
    expect(shell.terminal.text).toMatch(
      /^\[0 \S+\]\n1> false\n\[1 false\]\n2> echo a b\na b\n\[0 b\]\n3> set -e\n\[0 -e\]\n4> ! true\n\[0 true\]\n5>$/,
    );
  });

  eachShell(['bash'], 'makes no difference to xtrace', (kind, rig) =>
    makesNoDifference(kind, rig, 'set -x', [':', 'echo "$?"', '', 'for i in 1; do echo $i; done', 'set +x']),
  );

  eachShell(['bash'], 'makes no difference to errexit', (kind, rig) =>
    makesNoDifference(kind, rig, 'set -euo pipefail', [':', '! true', 'echo "$?"', '']),
  );

  for (const [setting, rc] of Object.entries(ZSH_SETTINGS))
    eachShell(['zsh'], `makes no difference to ${setting}`, (kind, rig) => makesNoDifference(kind, rig, rc, ZSH_LINES));

  eachShell(['zsh'], 'makes no difference to errexit', (kind, rig) =>
    makesNoDifference(kind, rig, 'setopt errexit nounset', [':', '! true', 'print "$?"', '']),
  );

  eachShell(['zsh'], 'makes no difference to xtrace', (kind, rig) =>
    makesNoDifference(kind, rig, 'setopt xtrace', [':', 'print "$?"', '', 'for i in 1; do print $i; done', 'unsetopt xtrace']),
  );

  for (const [setting, rc] of Object.entries(FISH_SETTINGS))
    eachShell(['fish'], `makes no difference to ${setting}`, (kind, rig) => makesNoDifference(kind, rig, rc, FISH_LINES));

  eachShell(KINDS, 'says nothing of a second shell in it', async (kind, rig) => {
    rig.writeRc(kind);
    const shell = await rig.start([kind]);
    await shell.prompts();
    await shell.enter('true');
    shell.terminal.type(`${kind}\r`);
    await shell.terminal.shows(/\n1>$/);
    shell.terminal.type('false\r');
    await shell.terminal.shows(/\n2>$/);
    shell.terminal.type('exit 4\r');
    await shell.prompts(2);
    expect(shell.ended).toEqual([
      ['true', '0'],
      [kind, '4'],
    ]);
    expect(shell.marks).toEqual(['A', 'C', 'D;0', 'A', 'C', 'D;4', 'A']);
  });
});

describe('how a shell starts', () => {
  eachShell(KINDS, 'is ready when the files of the user are through, however they end', async (kind, rig) => {
    const syntaxError = { bash: 'if then', zsh: 'if then', fish: 'eval end' }[kind];
    // In fish an exit ends the file and not the shell.
    const ends = ['sleep 0.3', 'return 3', syntaxError, 'no-such-command', ...(kind === 'fish' ? ['exit 5'] : [])];
    for (const [index, end] of ends.entries()) {
      const log = join(rig.root, `log-${index}`);
      writeFileSync(log, '');
      rig.writeRc(kind, `cp ${log} ${log}-then\n${end}`);
      const shell = await rig.start([kind], { log });
      await shell.prompts();
      await shell.enter('true');
      expect([readFileSync(`${log}-then`, 'utf8'), shell.events.map(([event]) => event)]).toEqual(['', ['ready', 'start', 'end']]);
    }
    if (kind === 'fish') return;
    rig.writeRc(kind, 'exit 5');
    expect(await (await rig.start([kind])).terminal.exited).toEqual({ code: 5, signal: null });
    expect(readFileSync(rig.log, 'utf8')).toBe('');
  });

  eachShell(['bash', 'zsh'], 'shows its first prompt what the last line of those files left', async (kind, rig) => {
    rig.writeRc(kind, 'false');
    const shell = await rig.start([kind]);
    await shell.prompts();
    await shell.enter('echo "status $?"');
    expect(shell.terminal.text).toContain('status 1');
  });

  eachShell(KINDS, 'hands on nothing that was for it alone', async (kind, rig) => {
    rig.writeRc(kind, kind === 'fish' ? '' : 'env > at-start');
    const shell = await rig.start([kind]);
    await shell.prompts();
    await shell.enter('env > later');
    for (const file of kind === 'fish' ? ['later'] : ['at-start', 'later'])
      expect(readFileSync(join(rig.home, file), 'utf8')).not.toMatch(/ai_session|n0nce/i);
  });

  eachShell(KINDS, 'is as it always was when our file is read without a nonce', async (kind, rig) => {
    rig.writeRc(kind);
    const argv: Record<Kind, [string, ...string[]]> = {
      bash: ['bash', '--init-file', join(SHELL_FOLDER, 'bash.sh')],
      zsh: ['zsh'],
      fish: ['fish', '--init-command', `source ${join(SHELL_FOLDER, 'fish.fish')}`],
    };
    const shell = await rig.start(argv[kind], { isIntegrated: false, env: kind === 'zsh' ? { ZDOTDIR: join(SHELL_FOLDER, 'zsh') } : {} });
    await shell.prompts();
    await shell.enter('echo hello');
    expect([shell.terminal.text, shell.terminal.written.includes('633')]).toEqual(['1> echo hello\nhello\n2>', false]);
  });

  eachShell(['zsh'], 'finds ZDOTDIR as it was in each of its files, and in a zsh that it starts', async (kind, rig) => {
    const outcomes = [];
    for (const isIntegrated of [false, true])
      for (const ZDOTDIR of [undefined, join(rig.home, 'dots')]) {
        const folder = ZDOTDIR ? 'dots/' : '';
        rmSync(rig.home, { recursive: true });
        for (const file of ['.zshenv', '.zprofile', '.zshrc', '.zlogin'])
          rig.write(folder + file, `print "${file} \${ZDOTDIR-none}" >> ~/seen\n`);
        rig.write(`${folder}.zshrc`, `${readFileSync(join(rig.home, folder, '.zshrc'), 'utf8')}${COUNTING_RC.zsh}`);
        const shell = await rig.start([kind, '-l'], { isIntegrated, env: ZDOTDIR ? { ZDOTDIR } : {} });
        await shell.prompts();
        await shell.enter('zsh -c true; env | grep ZDOTDIR >> seen');
        outcomes.push(readFileSync(join(rig.home, 'seen'), 'utf8').replaceAll(`${join(rig.home, folder)}`, ''));
      }
    expect(outcomes.slice(2)).toEqual(outcomes.slice(0, 2));
    expect(outcomes[0]!.split('\n').length).toBe(6);
  });

  eachShell(['bash'], 'reads the files of a login shell when it was to be one', async (_, rig) => {
    const files = ['.bash_profile', '.bash_login', '.profile', '.bashrc'];
    const start = async (line: string, isIntegrated: boolean) => {
      rig.write('seen', '');
      const shell = await rig.start(line.split(' ') as [string], { isIntegrated });
      await shell.prompts();
      return readFileSync(join(rig.home, 'seen'), 'utf8');
    };
    // Each time without the one that was read.
    for (const missing of [0, 1, 2]) {
      rmSync(rig.home, { recursive: true });
      for (const file of files.slice(missing)) rig.write(file, `echo ${file} $PATH >> ~/seen\n${COUNTING_RC.bash}`);
      for (const line of ['bash -l', 'bash', 'bash --login -i']) expect(await start(line, true)).toBe(await start(line, false));
    }
  });
});

describe('what a user does later', () => {
  eachShell(['bash'], 'a hook that was taken away is back with the next command', async (kind, rig) => {
    rig.writeRc(kind, "PROMPT_COMMAND='echo first'");
    const shell = await rig.start([kind]);
    await shell.prompts();
    for (const line of [
      "PROMPT_COMMAND='echo second'",
      "PROMPT_COMMAND+=('echo third')",
      "PS0='theirs '",
      'echo 4',
      "PROMPT_COMMAND=('echo only')",
      'echo 6',
      'unset PS0',
      'echo 8',
      `PROMPT_COMMAND=(true "\${PROMPT_COMMAND[@]}")`,
      'echo 10',
      'echo 11',
    ])
      await shell.enter(line);
    expect(shell.events.map(([event, number]) => `${event} ${number}`).slice(1)).toEqual(
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].flatMap((number) => (number === 5 ? ['start 5'] : [`start ${number}`, `end ${number}`])),
    );
    expect(shell.terminal.text).toContain('> echo 4\ntheirs 4\nsecond\nthird\n');
    // The copy that was moved is gone, so a prompt is told once.
    expect(shell.marks.slice(-4)).toEqual(['A', 'C', 'D;0', 'A']);
  });

  eachShell(['zsh'], 'a hook that was taken away is back with the next command', async (kind, rig) => {
    rig.writeRc(kind, 'mine() { print mine }');
    const shell = await rig.start([kind]);
    await shell.prompts();
    for (const line of ['precmd_functions=(mine)', 'echo 2', 'preexec_functions=()', 'echo 4', 'unset precmd_functions', 'echo 6'])
      await shell.enter(line);
    expect(shell.events.map(([event, number]) => `${event} ${number}`).slice(1)).toEqual([
      'start 1',
      'start 2',
      'end 2',
      'start 3',
      'end 3',
      'start 4',
      'end 4',
      'start 5',
      'start 6',
      'end 6',
    ]);
    expect(shell.terminal.text).toContain('> echo 4\n4\nmine\n');
  });

  eachShell(KINDS, 'a log that is gone is missed by nobody, and not made again', async (kind, rig) => {
    rig.writeRc(kind, { bash: 'set -e', zsh: 'setopt errexit', fish: '' }[kind]);
    const shell = await rig.start([kind]);
    await shell.prompts();
    rmSync(rig.log);
    await shell.enter('echo hello');
    expect([shell.terminal.text, existsSync(rig.log)]).toEqual(['1> echo hello\nhello\n2>', false]);
  });

  eachShell(KINDS, 'a disk that is full is not the user\u2019s trouble', async (kind, rig) => {
    rig.writeRc(kind);
    const shell = await rig.start([kind], { log: '/dev/full' });
    await shell.prompts();
    await shell.enter('echo hello');
    // fish says this by itself, and once.
    expect(shell.terminal.text.replace('write: No space left on device\n', '')).toBe('1> echo hello\nhello\n2>');
  });
});
