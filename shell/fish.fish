# Tells ai-session where each command of an interactive fish begins and ends. Sourced by --init-command, so after the user's files. What is
# told, and where, stands in src/daemon/session/shell-integration.ts.
#
# fish keeps $status and $pipestatus from what functions on events do. It has no clock, so times are empty.

set -gu __ai_session_nonce $AI_SESSION_SHELL_NONCE
set -gu __ai_session_log $AI_SESSION_SHELL_LOG
set -e AI_SESSION_SHELL_NONCE
set -e AI_SESSION_SHELL_LOG
set -gu __ai_session_number 0
set -gu __ai_session_is_ready no

function __ai_session_preexec --on-event fish_preexec # LINE
    set __ai_session_number (builtin math $__ai_session_number + 1)
    set -l text "$argv[1]"
    if builtin test (builtin string length -- $text) -gt 8192
        set text (builtin string sub -l 8192 -- $text | builtin string collect)
    end
    __ai_session_append start $__ai_session_number '' "$PWD" $text
    __ai_session_mark C
end

function __ai_session_postexec --on-event fish_postexec
    set -l ended $status
    __ai_session_append end $__ai_session_number '' $ended "$PWD"
    __ai_session_mark "D;$ended"
end

function __ai_session_prompt --on-event fish_prompt
    if builtin test $__ai_session_is_ready = no
        set __ai_session_is_ready yes
        __ai_session_append ready '' $fish_pid "$PWD"
    end
    __ai_session_mark A
end

# Ctrl-C shows the prompt once more, and fish_prompt does not tell of it.
function __ai_session_cancel --on-event fish_cancel
    __ai_session_mark A
end

function __ai_session_mark # MARK
    if builtin test -n "$__ai_session_nonce"
        builtin printf '\e]633;%s;%s\a' $argv[1] $__ai_session_nonce
    end
end

# A log that is not there stays away: its session has ended.
function __ai_session_append # KIND FIELD...
    builtin test -w "$__ai_session_log"; or return
    set -l line $argv[1]\t$__ai_session_nonce
    for field in $argv[2..-1]
        # What a command prints is split at newlines, which is half of their escape.
        set -l lines (builtin string replace -a '\\' '\\\\' -- $field)
        set field (builtin string join '\\n' -- $lines)
        if builtin string match -qr '[\x01-\x1f\x7f]' -- $field
            set field (builtin string replace -a \t '\\t' -- $field)
            set field (builtin string replace -a \r '\\r' -- $field)
            for code in 01 02 03 04 05 06 07 08 0b 0c 0e 0f 10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f 7f
                set field (builtin string replace -a (builtin printf "\x$code") "\\x$code" -- $field)
            end
        end
        set line $line\t$field
    end
    # fish itself complains about a full disk, whatever stderr is, so it gets to do so once.
    builtin printf '%s\n' $line >>$__ai_session_log
    or set __ai_session_log
end
