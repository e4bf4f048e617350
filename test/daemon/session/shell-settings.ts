import type { Kind } from './shell-rig.ts';

/** What people type, the command that is told of it, and its status. */
export const TYPED: Record<Kind, readonly (readonly [line: string, status: number, command?: string])[]> = {
  bash: [
    ["printf 'h\u00e9llo\\n'", 0],
    ["echo 'a\rb' <<X\rtext\rX", 0, "echo 'a\\nb' <<X\\ntext\\nX"],
    ['sleep 0 & wait', 0],
    ["sh -c 'exit 3' | sh -c 'exit 4'", 4],
    ['f() { return 9; }', 0],
    ['f', 9],
    ['(exit 5)', 5],
    ['! true', 1],
    ["bash --norc -ic 'echo nested'", 0],
  ],
  zsh: [
    ["printf 'h\u00e9llo\\n'", 0],
    ["echo 'a\rb' <<X\rtext\rX", 0, "echo 'a\\nb' <<X\\ntext\\nX"],
    ['sleep 0 & wait', 0],
    ["sh -c 'exit 3' | sh -c 'exit 4'", 4],
    ['f() { return 9; }', 0],
    ['f', 9],
    ['(exit 5)', 5],
    ['! true', 1],
    ["zsh -ic 'echo nested'", 0],
    // Neither of the history's options keeps a line from us here.
    [' echo blank', 0],
  ],
  fish: [
    ["printf 'h\u00e9llo\\n'", 0],
    ["echo 'a\rb'", 0, "echo 'a\\nb'"],
    ['sleep 0 &; wait', 0],
    ["sh -c 'exit 3' | sh -c 'exit 4'", 4],
    ['function f; return 9; end', 0],
    ['f', 9],
    ['not true', 1],
    ["fish -ic 'echo nested'", 0],
    [' echo blank', 0],
  ],
};

/** Writes down all that the shell tells of itself, but for names and values of ours. */
export const STATE: Record<Kind, string> = {
  bash: [
    `{ trap -p; set +o; shopt; history; declare -p PS1 IFS; echo "\${PROMPT_COMMAND-}"; env | grep -v ^PS0= | sort; jobs; ls /dev/fd`,
    'compgen -v | grep -Ev "^(__ai_session_.*|PROMPT_COMMAND|PS0)$"; compgen -A function | grep -v ^__ai_session_; } > state 2>&1 || :',
  ].join('; '),
  zsh: [
    '{ trap; setopt; fc -l 1; typeset -p PS1 IFS; env | sort; jobs; ls /dev/fd; zmodload; zle -l; alias',
    `print -l \${(k)parameters} \${(k)functions} \${precmd_functions-} \${preexec_functions-} | grep -Ev "^(__ai_session_.*|pre(cmd|exec)_functions)$" | sort; } >| state 2>&1 || :`,
  ].join('; '),
  fish: [
    'begin; history; env | sort; jobs; ls /dev/fd; bind; abbr; functions -an | string match -v "__ai_session_*"',
    'set -n | string match -v "__ai_session_*"; functions fish_prompt; end > state 2>&1',
  ].join('; '),
};

/** The first line is for $_, which before it names the file that was read. */
export const BASH_LINES = [
  ':',
  'false | true | (exit 5)',
  `echo "$? $_ \${PIPESTATUS[*]}"`,
  'echo a b c',
  'echo "$?$_"',
  '{ sleep 0 & } 2>/dev/null; wait; echo $(($! > 0))',
  '',
  'no-such-command',
  ' echo "$?"',
];

export const BASH_SETTINGS: Record<string, string> = {
  'nothing special': '',
  'a prompt command that looks back': `PROMPT_COMMAND='echo "[$? $_ \${PIPESTATUS[*]}]"'`,
  'several of them': `PROMPT_COMMAND=('echo "[$? $_ \${PIPESTATUS[*]}]"' 'echo "[$? $_ \${PIPESTATUS[*]}]"')`,
  'traps of all kinds': `trap 'echo "debug $BASH_COMMAND"' DEBUG; trap 'echo error' ERR; trap 'echo bye' EXIT; trap 'echo int' INT`,
  'traps that functions inherit': `set -ET; trap 'echo "debug $BASH_COMMAND"' DEBUG; trap 'echo error' ERR`,
  'options that are strict': 'set -uo pipefail; set -CfB; shopt -s failglob nocasematch',
  'variables for every child': 'set -ak',
  'separators of its own': 'IFS=x1; set +B; shopt -u expand_aliases; HISTTIMEFORMAT="at "; LC_ALL=C',
  'POSIX mode': 'set -o posix',
  'a PS0 of its own': `PS0='theirs\\n'`,
  'no promptvars': `shopt -u promptvars; PROMPT_COMMAND='PS1="$((++n))> "'`,
  'functions named as builtins': 'printf() { echo "not $1"; }; local() { :; }; history() { echo none; }; trap() { :; }',
  'a tool that arms a DEBUG trap': [
    "before() { [[ $armed ]] || return; armed=; [[ $'\\n'$PROMPT_COMMAND$'\\n' == *$'\\n'$BASH_COMMAND$'\\n'* ]] || echo \"runs $BASH_COMMAND\"; }",
    `trap before DEBUG; PROMPT_COMMAND=$'echo prompt\\narmed=yes'`,
  ].join('\n'),
};

export const ZSH_LINES = [
  ':',
  'false | true | (exit 5)',
  'print "$? $_ $pipestatus"',
  'echo a b c',
  'print "$?$_"',
  '',
  'no-such-command',
  ' print "$?"',
];

export const ZSH_SETTINGS: Record<string, string> = {
  'nothing special': '',
  'hooks that look back': 'precmd() { print "[$? $_ $pipestatus]" }; preexec() { print "<$? $1>" }; precmd_functions+=(precmd)',
  'traps of all kinds': `trap 'print error' ZERR; trap 'print bye' EXIT; trap 'print int' INT`,
  'options that change the language':
    'setopt ksharrays shwordsplit nounset warncreateglobal noclobber noglob octalzeroes allexport nopromptpercent errreturn',
  'another shell\u2019s ways': 'emulate ksh; setopt promptsubst',
  'functions named as builtins': 'print() { echo "not $1" }; local() { : }; emulate() { : }; trap() { : }',
};

export const FISH_LINES = ["false | true | sh -c 'exit 5'", 'echo $status $pipestatus', '', 'no-such-command', ' echo $status'];

export const FISH_SETTINGS: Record<string, string> = {
  'nothing special': '',
  'functions on its events': [
    'function before --on-event fish_preexec; echo "<$argv $status>"; end',
    'function after --on-event fish_postexec; echo "[$status $pipestatus]"; end',
    'function prompt --on-event fish_prompt; echo "($status)"; end',
  ].join('\n'),
  tracing: 'set -g fish_trace 1',
  'functions named as builtins': 'function math; echo 0; end; function count; echo 7; end',
};
