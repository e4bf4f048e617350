# Tells ai-session where each command of an interactive zsh begins and ends. ZDOTDIR leads here and is given back before anything of the
# user's is read, so zsh finds their other files by itself, and their code finds ZDOTDIR as it was. What is told, and where, stands in
# src/daemon/session/shell-integration.ts.

if (( ${+AI_SESSION_SHELL_ZDOTDIR} )); then
  ZDOTDIR=$AI_SESSION_SHELL_ZDOTDIR
else
  unset ZDOTDIR
fi
typeset -g +x __ai_session_nonce=${AI_SESSION_SHELL_NONCE-} __ai_session_log=${AI_SESSION_SHELL_LOG-}
unset AI_SESSION_SHELL_ZDOTDIR AI_SESSION_SHELL_NONCE AI_SESSION_SHELL_LOG
# 0 before the first prompt, 1 at a prompt, 2 in a command.
typeset -gi +x __ai_session_is=0 __ai_session_number=0

# zsh keeps $?, $_ and pipestatus from what hooks do. Each begins by putting options right, and DEBUG and ZERR traps away until it returns; the
# group around it is for xtrace. A DEBUG trap is run for these two steps, and not for the rest.

__ai_session_preexec() { # LINE
  {
    builtin emulate -L zsh && builtin trap - DEBUG ZERR
    __ai_session_is=2
    (( __ai_session_number += 1 ))
    __ai_session_append start $__ai_session_number "${(%):-%D{%s.%6.\}}" "$PWD" "${1[1,8192]}"
    __ai_session_mark C
    __ai_session_hook
  } 2>/dev/null
}

# The first of the hooks before a prompt.
__ai_session_precmd() {
  {
    builtin local __ai_session_status=$?
    builtin emulate -L zsh && builtin trap - DEBUG ZERR
    if (( __ai_session_is == 2 )); then
      __ai_session_is=1
      __ai_session_append end $__ai_session_number "${(%):-%D{%s.%6.\}}" $__ai_session_status "$PWD"
      __ai_session_mark "D;$__ai_session_status"
    fi
    __ai_session_hook
    # This time it has come too late for zsh to call it.
    if (( __ai_session_is == 0 )); then __ai_session_prompt; fi
  } 2>/dev/null
}

# The last of them.
__ai_session_prompt() {
  {
    builtin emulate -L zsh && builtin trap - DEBUG ZERR
    if (( __ai_session_is == 0 )); then
      __ai_session_is=1
      __ai_session_append ready "${(%):-%D{%s.%6.\}}" $$ "$PWD"
    fi
    __ai_session_mark A
  } 2>/dev/null
}

# Puts back what an assignment to one of the two arrays took away; the hooks in the other find that out.
__ai_session_hook() {
  if [[ -z ${(M)precmd_functions:#__ai_session_precmd} ]]; then precmd_functions=(__ai_session_precmd "${precmd_functions[@]}"); fi
  if [[ -z ${(M)precmd_functions:#__ai_session_prompt} ]]; then precmd_functions+=(__ai_session_prompt); fi
  if [[ -z ${(M)preexec_functions:#__ai_session_preexec} ]]; then preexec_functions+=(__ai_session_preexec); fi
}

__ai_session_mark() { # MARK
  builtin print -rn -- $'\e]633;'"$1;$__ai_session_nonce"$'\a' >$TTY
}

# A log that is not there stays away: its session has ended.
__ai_session_append() { # KIND FIELD...
  [[ -w $__ai_session_log ]] || return
  builtin local line=$1 field
  builtin shift
  for field in "$__ai_session_nonce" "$@"; do
    __ai_session_escape
    line+=$'\t'$field
  done
  builtin print -r -- "$line" >>$__ai_session_log
}

# Escapes `field`.
__ai_session_escape() {
  builtin local -i code
  builtin local byte escaped
  field=${field//\\/\\\\}
  [[ $field == *[[:cntrl:]]* ]] || return
  for code in {0..31} 127; do
    byte=${(#)code}
    case $code in
      (9) escaped='\t' ;;
      (10) escaped='\n' ;;
      (13) escaped='\r' ;;
      (*) escaped="\\x${(Ll:2::0:)$(( [##16]code ))}" ;;
    esac
    field=${field//$byte/$escaped}
  done
}

if [[ -o interactive && -n $__ai_session_nonce ]]; then
  precmd_functions=(__ai_session_precmd)
fi

if [[ -r ${ZDOTDIR-$HOME}/.zshenv ]]; then
  source "${ZDOTDIR-$HOME}/.zshenv"
fi
