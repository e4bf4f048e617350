# The end of bash.sh for bash 3.2 to 5.0. There PROMPT_COMMAND is one string, and each command in it sees what the one before left. So ours
# comes first, a command like any other that hands on $? and $_: the user's own prompt commands see a PIPESTATUS of one element, and a DEBUG
# trap and xtrace of theirs see ours. A PROMPT_COMMAND that is assigned at a prompt takes it away for good.
#
# Before 4.4 there is no PS0 either, and a DEBUG trap tells of the start. Who has a DEBUG trap keeps it, and we are silent.

__ai_session_hook='__ai_session_prompted "$_"'
__ai_session_slot=0
__ai_session_at_prompt=1

__ai_session_prompted() { # $_
  builtin local status=$? yield
  __ai_session_was=$__ai_session_is
  __ai_session_is=$__ai_session_at_prompt
  yield=$({ __ai_session_prompt "$status"; __ai_session_count; } 3>&2 4>&1 >/dev/null 2>&1) || :
  __ai_session_next=${yield#x}
  case $yield in x*) __ai_session_mend ;; esac
  # Errexit would end the shell for it.
  case $- in *e*) return 0 ;; esac
  return "$status"
}

# HISTCMD does not count in PROMPT_COMMAND here.
__ai_session_count() {
  builtin local last
  last=$(HISTTIMEFORMAT= builtin history 1)
  last=${last%"${last#*[0-9][* ] }"}
  builtin printf %d $((${last//[!0-9]/} + 1)) >&4
}

__ai_session_debug() { # $_
  # Commands run by keys and completions are none of the user's, and a prompt command may come first after an empty line.
  if [[ $__ai_session_is == 1 && $BASH_COMMAND != "$__ai_session_hook" && -z ${COMP_LINE-}${READLINE_LINE-} ]]; then
    __ai_session_is=2
    ((__ai_session_number += 1))
    ({ __ai_session_start; } >/dev/null 2>&1)
    if [[ -t 2 ]]; then builtin printf %s "$__ai_session_mark" >&2; fi
  fi
}

if [[ -r $__ai_session_file ]]; then . "$__ai_session_file"; fi
__ai_session_status=$?

if [[ -z $__ai_session_nonce ]]; then
  :
elif ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)); then
  PROMPT_COMMAND=$__ai_session_hook${PROMPT_COMMAND:+$'\n'$PROMPT_COMMAND}
  PS0=${PS0-}$__ai_session_ps0
elif [[ -z $(trap -p DEBUG) ]]; then
  # Not before the last prompt command has run is the next command the user's.
  __ai_session_at_prompt=3
  __ai_session_is_whole() { :; }
  PROMPT_COMMAND=$__ai_session_hook${PROMPT_COMMAND:+$'\n'$PROMPT_COMMAND}$'\n__ai_session_is=1'
  trap '__ai_session_debug "$_"' DEBUG
fi 2>/dev/null

(exit "$__ai_session_status") >/dev/null 2>&1 && (:) >/dev/null 2>&1
