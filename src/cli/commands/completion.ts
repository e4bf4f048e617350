import { constants } from 'node:os';
import { Argument, Command, type Option } from 'commander';
import type { SessionInfo } from '../../wire/calls.ts';
import { STATUSES as STATUSES_OF_PANES } from '../../wire/pane-status.ts';
import { COMMANDS } from '../commands.ts';
import { print, UsageError } from '../output.ts';

export function define(command: Command): void {
  command
    .addArgument(new Argument('[shell]', 'bash, zsh or fish'))
    .addHelpText(
      'after',
      [
        '',
        'Load it when the shell starts:',
        '  bash  eval "$(ai-session completion bash)"    in ~/.bashrc',
        '  zsh   eval "$(ai-session completion zsh)"     in ~/.zshrc, after compinit',
        '  fish  ai-session completion fish | source     in ~/.config/fish/config.fish',
      ].join('\n'),
    )
    .action(async (shell: string | undefined) => {
      const script = SCRIPTS.get(shell ?? '');
      if (!script)
        throw new UsageError(
          `${shell === undefined ? 'Which shell?' : `"${shell}" is no shell that can be completed in.`} Use bash, zsh or fish.`,
        );
      print(script(await describeCommands()).trimEnd());
    });
}

const SCRIPTS = new Map([
  ['bash', bashScript],
  ['zsh', zshScript],
  ['fish', fishScript],
]);

/* ---- What there is to complete ---- */

/** What can stand somewhere. `anything` is known to nobody: nothing is offered. */
type Kind = 'session' | 'directory' | 'anything' | readonly string[];

interface Described {
  /** As it is typed: "new", or "daemon logs". */
  name: string;
  aliases: readonly string[];
  summary: string;
  options: { flags: string[]; takes: Kind | null; summary: string }[];
  /** By position; the last one goes on when `isEndless`. */
  operands: Kind[];
  isEndless: boolean;
  /** Whether a program and its arguments follow "--". */
  takesCommand: boolean;
  verbs: Described[];
}

const STATUSES: readonly SessionInfo['status'][] = ['starting', 'running', 'exited', 'failed', 'lost'];

/** By the option's long name. Any other option that takes a value takes anything. */
const VALUES: Record<string, Kind> = {
  '--target': 'session',
  '--directory': 'directory',
  '--status': STATUSES,
  '--format': ['table', 'json', 'csv'],
  '--to': ['foreground', 'group', 'program'],
  '--for': [
    'exit',
    'idle',
    'idle=',
    'text=',
    'regex=',
    'prompt',
    'command',
    'change',
    ...STATUSES_OF_PANES.map((status) => `state=${status}`),
  ],
};

const SIGNALS = Object.keys(constants.signals).map((name) => name.replace(/^SIG/, ''));

async function describeCommands(): Promise<Described[]> {
  const described = await Promise.all(
    COMMANDS.map(async ({ name, aliases, summary, takesCommand, load }) => {
      const command = new Command(name);
      (await load()).define(command, []);
      return { ...describeCommand(command, name, summary), aliases, takesCommand: takesCommand ?? false };
    }),
  );
  const names = described.flatMap(({ name, aliases }) => [name, ...aliases]);
  return [...described, { ...describeCommand(new Command('help'), 'help', 'explain a command'), operands: [names] }];
}

function describeCommand(command: Command, name: string, summary: string): Described {
  const options = [...command.options.map(describeOption), { flags: ['-h', '--help'], takes: null, summary: 'display help for command' }];
  // Whatever has -t takes the session as its first operand too.
  const takesSession = command.options.some(({ long }) => long === '--target');
  const choices = command.registeredArguments.flatMap(({ argChoices }) => (argChoices ? [argChoices] : []));
  return {
    name,
    aliases: [],
    summary,
    options,
    operands:
      name === 'completion' ? [[...SCRIPTS.keys()]] : takesSession ? (name === 'signal' ? ['session', SIGNALS] : ['session']) : choices,
    isEndless: name === 'kill' || name === 'wait',
    takesCommand: false,
    verbs: command.commands.map((verb) => describeCommand(verb, `${name} ${verb.name()}`, verb.description())),
  };
}

function describeOption({ short, long, required, optional, description }: Option) {
  const flags = [short, long].filter((flag) => flag !== undefined);
  return { flags, takes: required || optional ? (VALUES[long ?? ''] ?? 'anything') : null, summary: description };
}

/* ---- What bash and zsh have in common: tables as `case`, each setting REPLY ---- */

/** A shell's single quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function withVerbs(commands: readonly Described[]): Described[] {
  return commands.flatMap((command) => [command, ...command.verbs]);
}

function kindWord(kind: Kind): string {
  return typeof kind === 'string' ? kind : `words ${kind.join(' ')}`;
}

function tables(commands: readonly Described[]): string {
  const all = withVerbs(commands);
  const values = new Map<string, string[]>();
  for (const { name, options } of all) {
    for (const { flags, takes } of options) {
      if (takes === null) continue;
      const patterns = flags.map((flag) => quoted(`${name} ${flag}`));
      values.set(kindWord(takes), [...(values.get(kindWord(takes)) ?? []), ...patterns]);
    }
  }
  const operands = all.flatMap(({ name, operands, isEndless, verbs }) =>
    verbs.length > 0
      ? [arm([quoted(`${name} 0`)], `words ${verbs.map((verb) => verb.name.split(' ')[1]).join(' ')}`)]
      : operands.map((kind, at) =>
          arm([isEndless && at === operands.length - 1 ? `${quoted(name)}' '*` : quoted(`${name} ${at}`)], kindWord(kind)),
        ),
  );
  return `# The command of which "$1" is another name.
_ai_session_full_name() {
  case "$1" in
${commands
  .filter(({ aliases }) => aliases.length > 0)
  .map(({ name, aliases }) => arm(aliases.map(quoted), name))
  .join('\n')}
    *) REPLY="$1" ;;
  esac
}

# What the value of option "$2" of command "$1" is; nothing when it takes none.
_ai_session_value() {
  case "$1 $2" in
${[...values].map(([kind, patterns]) => arm(patterns, kind)).join('\n')}
    *) REPLY='' ;;
  esac
}

# What operand number "$2" of command "$1" is.
_ai_session_operand() {
  case "$1 $2" in
    ' 0') REPLY=commands ;;
${operands.join('\n')}
    *) REPLY=anything ;;
  esac
}

# The sessions there are, one a line. Without a daemon there is nobody to ask, and none is started for this.
_ai_session_names() {
  [ -S "\${AI_SESSION_HOME:-$HOME/.ai-session}/run/daemon.sock" ] && command ai-session ls -F '{name}' 2>/dev/null </dev/null
}

# Reads the word "$1" that stands before the one to complete; in: and out: command, operands, pending, separated.
_ai_session_read() {
  if [[ -n $pending ]]; then
    pending=''
  elif [[ -n $separated ]]; then
    operands=$((operands + 1))
  elif [[ $1 == -- ]]; then
    separated=yes
    ${takers(commands)} && operands=0
  elif [[ $1 == -?* ]]; then
    _ai_session_value "$command" "$1"
    [[ -n $REPLY ]] && pending="$1"
  elif [[ -z $command ]]; then
    _ai_session_full_name "$1"
    command="$REPLY"
  elif [[ $operands == 0 && (${commands
    .filter(({ verbs }) => verbs.length > 0)
    .map(({ name }) => `$command == ${name}`)
    .join(' || ')}) ]]; then
    command="$command $1"
  else
    operands=$((operands + 1))
  fi
}`;
}

function arm(patterns: readonly string[], reply: string): string {
  return `    ${patterns.join('|')}) REPLY=${quoted(reply)} ;;`;
}

function takers(commands: readonly Described[]): string {
  return `[[ ${commands
    .filter(({ takesCommand }) => takesCommand)
    .map(({ name }) => `$command == ${name}`)
    .join(' || ')} ]]`;
}

/* ---- bash, from 3.2 on ---- */

function bashScript(commands: readonly Described[]): string {
  const options = withVerbs(commands).map(({ name, options }) => arm([quoted(name)], options.flatMap(({ flags }) => flags).join(' ')));
  return `# bash completion for ai-session. Load it with: eval "$(ai-session completion bash)"

${tables(commands)}

_ai_session_options() {
  case "$1" in
    '') REPLY='-V --version -h --help' ;;
${options.join('\n')}
    *) REPLY='' ;;
  esac
}

# Adds "$1" to the replies when the word begins with it, quoted as the word is.
_ai_session_offer() {
  [[ $1 == "$plain"* ]] || return 0
  local text="$1"
  case "$quote" in
    "'") text="\${text//\\'/\\'\\\\\\'\\'}" ;;
    '"') text="\${text//\\\\/\\\\\\\\}" text="\${text//\\"/\\\\\\"}" text="\${text//\\$/\\\\$}" text="\${text//\\\`/\\\\\\\`}" ;;
    *) printf -v text '%q' "$text" ;;
  esac
  text="$before$text"
  COMPREPLY+=("\${text#"$cut"}")
}

_ai_session() {
  COMPREPLY=()
  local -a typed=()
  local IFS=$' \\t\\n' REPLY='' command='' operands=0 pending='' separated='' raw='' last='' word i
  # Readline cuts words at "=" and "@" too: here they are whole again.
  for ((i = 1; i <= COMP_CWORD; i++)); do
    raw="\${COMP_WORDS[i]}"
    if [[ \${#typed[@]} -gt 0 && ($raw =~ ^[=@]+$ || $last =~ ^[=@]+$) ]]; then
      typed[\${#typed[@]}-1]+="$raw"
    else
      typed+=("$raw")
    fi
    last="$raw"
  done
  word="\${typed[\${#typed[@]}-1]}"
  # What readline keeps of the word, and what a reply must therefore leave out.
  local cut="\${word%"$raw"}" before='' quote='' plain
  [[ -n $cut && $raw =~ ^[=@]+$ ]] && cut="$word"
  for ((i = 0; i < \${#typed[@]} - 1; i++)); do _ai_session_read "\${typed[i]}"; done

  if [[ -n $pending ]]; then
    _ai_session_value "$command" "$pending"
  elif [[ -n $separated ]] && ${takers(commands)}; then
    REPLY=program
  elif [[ -z $separated && $word == --*=* ]]; then
    _ai_session_value "$command" "\${word%%=*}"
    before="\${word%%=*}=" word="\${word#*=}"
  elif [[ -z $separated && $word == -* ]]; then
    _ai_session_options "$command"
    REPLY="words $REPLY"
  else
    _ai_session_operand "$command" "$operands"
  fi

  case "$word" in
    [\\'\\"]*) quote="\${word:0:1}" plain="\${word:1}" ;;
    *) plain="\${word//\\\\/}" ;;
  esac
  local name
  case "$REPLY" in
    commands) for name in ${commands.flatMap(({ name, aliases }) => [name, ...aliases]).join(' ')}; do _ai_session_offer "$name"; done ;;
    words\\ *) for name in \${REPLY#words }; do _ai_session_offer "$name"; done ;;
    session) while IFS= read -r name; do _ai_session_offer "$name"; done < <(_ai_session_names) ;;
    directory | program)
      compopt -o filenames 2>/dev/null
      local action=-f
      if [[ $REPLY == directory ]]; then action=-d; elif [[ $operands == 0 ]]; then action=-c; fi
      while IFS= read -r name; do COMPREPLY+=("$name"); done < <(compgen $action -- "$plain")
      ;;
  esac
}

complete -F _ai_session ai-session
`;
}

/* ---- zsh ---- */

function zshScript(commands: readonly Described[]): string {
  const described = (name: string, summary: string) => quoted(`${name.replaceAll(':', '\\:')}:${summary}`);
  const options = withVerbs(commands).map(
    ({ name, options }) =>
      `    ${quoted(name)}) reply=(${options.flatMap(({ flags, summary }) => flags.map((flag) => described(flag, summary))).join(' ')}) ;;`,
  );
  const names = commands.flatMap(({ name, aliases, summary }) => [name, ...aliases].map((each) => described(each, summary)));
  return `#compdef ai-session
# zsh completion for ai-session. Load it, after compinit, with: eval "$(ai-session completion zsh)"

${tables(commands)}

_ai_session_options() {
  case "$1" in
    '') reply=('-V:print the version' '--version:print the version' '-h:display help' '--help:display help') ;;
${options.join('\n')}
    *) reply=() ;;
  esac
}

_ai_session() {
  local REPLY='' command='' operands=0 pending='' separated='' at i
  local -a reply
  for ((i = 2; i < CURRENT; i++)); do
    [[ -z $separated ]] && at=$i
    _ai_session_read "\${(Q)words[i]}"
  done

  if [[ -n $pending ]]; then
    _ai_session_value "$command" "$pending"
  elif [[ -n $separated ]] && ${takers(commands)}; then
    # From here on it is the other program's line.
    words=("\${(@)words[at + 1, -1]}")
    CURRENT=$((CURRENT - at))
    _normal
    return
  elif [[ -z $separated && $PREFIX == --*=* ]]; then
    _ai_session_value "$command" "\${PREFIX%%=*}"
    compset -P 1 '*='
  elif [[ -z $separated && $PREFIX == -* ]]; then
    _ai_session_options "$command"
    _describe -o option reply
    return
  else
    _ai_session_operand "$command" "$operands"
  fi

  case "$REPLY" in
    commands)
      reply=(${names.join(' ')})
      _describe command reply
      ;;
    words\\ *) compadd -- \${=REPLY#words } ;;
    session) compadd -- \${(f)"$(_ai_session_names)"} ;;
    directory) _files -/ ;;
    *) _message 'a value' ;;
  esac
}

# As a file in $fpath this is the function itself; by eval it is made known.
if [[ \${funcstack[1]} == _ai_session ]]; then
  _ai_session "$@"
else
  compdef _ai_session ai-session
fi
`;
}

/* ---- fish ---- */

function fishScript(commands: readonly Described[]): string {
  const all = withVerbs(commands);
  const quotedForFish = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const offer = (kind: Kind) => {
    if (kind === 'session') return " -a '(__ai_session_names)'";
    if (kind === 'directory') return " -a '(__fish_complete_directories)'";
    return typeof kind === 'string' ? '' : ` -a ${quotedForFish(kind.join(' '))}`;
  };
  const at = (name: string, where = '') => ` -n ${quotedForFish(`__ai_session_at ${name.includes(' ') ? `"${name}"` : name}${where}`)}`;
  const optionLines = all.flatMap(({ name, options }) =>
    options.map(({ flags, takes, summary }) => {
      const names = flags.map((flag) => (flag.startsWith('--') ? ` -l ${flag.slice(2)}` : ` -s ${flag.slice(1)}`)).join('');
      return `complete -c ai-session${at(name)}${names}${takes === null ? '' : ` -x${offer(takes)}`} -d ${quotedForFish(summary)}`;
    }),
  );
  const operandLines = all.flatMap(({ name, operands, isEndless, verbs }) => [
    ...operands.map((kind, n) => `complete -c ai-session${at(name, isEndless && n === operands.length - 1 ? '' : ` ${n}`)}${offer(kind)}`),
    ...verbs.map((verb) => `complete -c ai-session${at(name, ' 0')} -a ${verb.name.split(' ')[1]} -d ${quotedForFish(verb.summary)}`),
  ]);
  const commandLines = commands.flatMap(({ name, aliases, summary }) =>
    [name, ...aliases].map((each) => `complete -c ai-session -n '__ai_session_at ""' -a ${each} -d ${quotedForFish(summary)}`),
  );
  const valued = all.flatMap(({ name, options }) =>
    options.flatMap(({ flags, takes }) => (takes === null ? [] : flags.map((flag) => `'${name} ${flag}'`))),
  );
  return `# fish completion for ai-session. Load it with: ai-session completion fish | source

# The sessions there are, one a line. Without a daemon there is nobody to ask, and none is started for this.
function __ai_session_names
    set -l home ~/.ai-session
    test -n "$AI_SESSION_HOME"; and set home $AI_SESSION_HOME
    test -S $home/run/daemon.sock; and command ai-session ls -F '{name}' 2>/dev/null </dev/null
end

# Prints what the words before the one to complete say: the command, how many operands, and where a program after "--" begins (or 0).
function __ai_session_read
    set -l words (commandline -opc)
    set -l command ''
    set -l operands 0
    set -l program 0
    set -l pending no
    set -l separated no
    for n in (seq 2 (count $words))
        set -l word $words[$n]
        if test $pending = yes
            set pending no
        else if test $separated = yes
            set operands (math $operands + 1)
        else if test "$word" = --
            set separated yes
            contains -- "$command" ${commands
              .filter(({ takesCommand }) => takesCommand)
              .map(({ name }) => name)
              .join(' ')}; and set program (math $n + 1)
        else if string match -q -- '-?*' "$word"
            contains -- "$command $word" ${valued.join(' ')}; and set pending yes
        else if test -z "$command"
            switch "$word"
${commands.flatMap(({ name, aliases }) => aliases.map((alias) => `                case ${alias}\n                    set command ${name}`)).join('\n')}
                case '*'
                    set command "$word"
            end
        else if test $operands = 0; and contains -- "$command" ${commands
          .filter(({ verbs }) => verbs.length > 0)
          .map(({ name }) => name)
          .join(' ')}
            set command "$command $word"
        else
            set operands (math $operands + 1)
        end
    end
    printf '%s\\n' "$command" $operands $program
end

# Whether the command is "$argv[1]" and, when "$argv[2]" is given, as many operands were typed.
function __ai_session_at
    set -l state (__ai_session_read)
    test "$state[1]" = "$argv[1]"; and test $state[3] = 0; and begin
        not set -q argv[2]; or test $state[2] = $argv[2]
    end
end

function __ai_session_in_program
    test (__ai_session_read)[3] != 0
end

# The other program's own completions.
function __ai_session_program
    set -l words (commandline -opc) (commandline -ct)
    complete -C (string join ' ' -- (string escape -- $words[(__ai_session_read)[3]..-2]) $words[-1])
end

complete -c ai-session -f
complete -c ai-session -n __ai_session_in_program -a '(__ai_session_program)'
complete -c ai-session -n '__ai_session_at ""' -s V -l version -d 'print the version'
complete -c ai-session -n '__ai_session_at ""' -s h -l help -d 'display help'
${[...commandLines, ...optionLines, ...operandLines].join('\n')}
`;
}
