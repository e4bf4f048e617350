# Tells ai-session where each command of an interactive bash begins and ends. It is bash's --init-file, so it reads the user's files too.
# What it tells, and where, stands in src/daemon/session/shell-integration.ts.
#
# From bash 5.1 on, no command of ours runs in the user's shell. Both hooks are expansions: the words of a loop that has no rounds, and a
# prompt string. Arithmetic in them keeps the few numbers there are; the rest happens in a child, which may change any option, trap or variable
# that is in its way. So DEBUG and ERR traps, xtrace, errexit, $?, $_ and PIPESTATUS have nothing to meet: one assignment in PROMPT_COMMAND
# fires the DEBUG trap that bash-preexec and many prompts are built on. The price is three forks a command.

unset ${!__ai_session_@}
__ai_session_nonce=${AI_SESSION_SHELL_NONCE-}
__ai_session_log=${AI_SESSION_SHELL_LOG-}
__ai_session_startup=${AI_SESSION_SHELL_STARTUP-}
unset AI_SESSION_SHELL_NONCE AI_SESSION_SHELL_LOG AI_SESSION_SHELL_STARTUP

__ai_session_none=
# Arrays, because `set -a` would hand numbers that change on to children.
__ai_session_number=(0)
__ai_session_status=(0)
# 0 before the first prompt, 1 at a prompt, 2 in a command; and the same before the last change.
__ai_session_is=(0)
__ai_session_was=(0)
# The number in the history that the next line will have.
__ai_session_next=(0)

# ---- In a child. Descriptor 3 is the terminal and 4 what the expansion yields; 1 and 2 lead nowhere.

__ai_session_start() {
  builtin trap - DEBUG ERR
  builtin set +ekux
  builtin local time=${EPOCHREALTIME-} text=
  __ai_session_typed
  text=${text:0:8192}
  __ai_session_append start "$__ai_session_number" "${time/,/.}" "$PWD" "$text"
}

__ai_session_prompt() { # STATUS
  builtin trap - DEBUG ERR
  builtin set +ekux
  builtin local time=${EPOCHREALTIME-} ended=
  case $__ai_session_was in
    0) __ai_session_append ready "${time/,/.}" $$ "$PWD" ;;
    2)
      __ai_session_append end "$__ai_session_number" "${time/,/.}" "$1" "$PWD"
      ended=$'\e]633;D;'$1\;$__ai_session_nonce$'\a'
      ;;
  esac
  if [[ -t 3 ]]; then builtin printf '%s\e]633;A;%s\a' "$ended" "$__ai_session_nonce" >&3; fi
  __ai_session_is_whole || builtin printf x >&4
}

# Sets `text` to the line that was typed, as the history has it, or to nothing where the history cannot tell: none is kept, the line became
# several entries (cmdhist is off), or it became none while lines are kept out for a blank or a pattern. That may be the last one again, or a
# secret one.
__ai_session_typed() {
  [[ -o history ]] || return
  builtin local last typed
  last=$(HISTTIMEFORMAT= builtin history 1)
  typed=${last#*[0-9][* ] }
  last=${last%"$typed"}
  case $((${last//[!0-9]/} - __ai_session_next)) in
    0) text=$typed ;;
    -1) case :${HISTCONTROL-}:${HISTIGNORE:+ignorespace:} in *:ignorespace:* | *:ignoreboth:*) ;; *) text=$typed ;; esac ;;
  esac
}

# A log that is not there stays away: its session has ended.
__ai_session_append() { # KIND FIELD...
  [[ -w $__ai_session_log ]] || return
  builtin local LC_ALL=C line=$1 field
  builtin shift
  for field in "$__ai_session_nonce" "$@"; do
    __ai_session_escape
    line+=$'\t'$field
  done
  builtin printf '%s\n' "$line" >>"$__ai_session_log"
}

# Escapes `field`. The quotes keep bash 5.2 from looking for & and \ in a replacement.
__ai_session_escape() {
  builtin local code byte escaped
  field=${field//\\/"\\\\"}
  [[ $field == *[[:cntrl:]]* ]] || return
  for ((code = 1; code < 128; code += code == 31 ? 96 : 1)); do
    case $code in
      9) escaped='\t' ;;
      10) escaped='\n' ;;
      13) escaped='\r' ;;
      *) builtin printf -v escaped '\\x%02x' "$code" ;;
    esac
    builtin printf -v byte '\\x%02x' "$code"
    builtin printf -v byte "$byte"
    field=${field//"$byte"/"$escaped"}
  done
}

# ---- In the user's shell.

# "$?" is the command's: bash gives each element of PROMPT_COMMAND the state that the command left.
__ai_session_hook='for __ai_session_round in ${__ai_session_none:$((__ai_session_was=__ai_session_is,__ai_session_is=1,__ai_session_next=${HISTCMD:-0})):0} $({ __ai_session_prompt "$?"; } 3>&2 4>&1 >/dev/null 2>&1); do __ai_session_mend; done'
# The element of PROMPT_COMMAND that is ours. `PROMPT_COMMAND=...` changes element 0 and `+=(...)` goes behind ours. Whoever makes a new array
# takes ours away, and the next command puts it back: what PS0 prints is the mark without the hook before it, where it never is.
__ai_session_slot=633
__ai_session_mark=$'\e]633;C;'$__ai_session_nonce$'\a'
__ai_session_before='${__ai_session_none:$((__ai_session_is=2,__ai_session_number+=1)):0}$({ __ai_session_start; } >/dev/null 2>&1)${__ai_session_mark#"${PROMPT_COMMAND[__ai_session_slot]:=$__ai_session_hook}"}'
# What PS0 gets. In a child shell, if PS0 has been exported, it is nothing.
__ai_session_ps0='${__ai_session_before:+${__ai_session_before@P}}'

# True while PS0 has what it should have: without promptvars it would be shown as it is written. And a hook that was moved is there twice.
__ai_session_is_whole() {
  case ${PROMPT_COMMAND[*]-} in *"$__ai_session_hook"*"$__ai_session_hook"*) return 1 ;; esac
  case ${PS0-} in
    *"$__ai_session_ps0"*) shopt -q promptvars ;;
    *) ! shopt -q promptvars ;;
  esac
}

# The one function that runs in the user's shell, and only when that is not so.
__ai_session_mend() {
  {
    PS0=${PS0-}
    PS0=${PS0//"$__ai_session_ps0"/}
    if builtin shopt -q promptvars; then PS0+=$__ai_session_ps0; fi
    if [[ -z $PS0 ]]; then builtin unset PS0; fi
    builtin local slot
    for slot in "${!PROMPT_COMMAND[@]}"; do
      if [[ ${PROMPT_COMMAND[slot]} == "$__ai_session_hook" && $slot != "$__ai_session_slot" ]]; then builtin unset "PROMPT_COMMAND[$slot]"; fi
    done
  } 2>/dev/null
}

__ai_session_file=~/.bashrc
case $__ai_session_startup in
  nothing) __ai_session_file= ;;
  login)
    if [[ -r /etc/profile ]]; then . /etc/profile; fi
    for __ai_session_file in ~/.bash_profile ~/.bash_login ~/.profile; do
      if [[ -r $__ai_session_file ]]; then break; fi
    done
    ;;
esac

if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 501)); then
  . "${BASH_SOURCE%/*}/bash-before-5.1.sh"
else
  if [[ -r $__ai_session_file ]]; then . "$__ai_session_file"; fi
  # The first prompt sees what the user's last line left, errexit or not, and a DEBUG trap of theirs sees nothing.
  for __ai_session_round in ${__ai_session_none:$((__ai_session_status=$?)):0}; do :; done 2>/dev/null \
    <<<"${__ai_session_nonce:+${PROMPT_COMMAND[__ai_session_slot]:=$__ai_session_hook}${PS0:=$__ai_session_ps0}}"
  (exit "$__ai_session_status") >/dev/null 2>&1 && (:) >/dev/null 2>&1
fi
