/**
 * What is written to a person's terminal when we let go of it: whatever the program had set, the terminal is sane again. It does not clear
 * the screen, move the text or, where the terminal allows, move the cursor.
 */
export const RESET_TERMINAL: string = [
  '\x1b\\', // ends a string (title, link, image) the program was in the middle of
  '\x1b7\x1b[?1049l', // leaves the alternate screen; without the save before it, a terminal not in it would jump to an old saved cursor
  '\x1b7\x1b[?69l\x1b[?6l\x1b[r\x1b8', // margins and origin mode off: both send the cursor home, so it is put back
  '\x1b[!p', // soft reset: origin mode again, which DECRC brings back in some terminals, and protection
  '\x1b(B\x1b)B\x1b*B\x1b+B\x0f', // ASCII, not line drawing
  '\x1b[4l\x1b[20l\x1b[?7h\x1b[?45l', // insert mode and newline mode off, autowrap on
  '\x1b[?1l\x1b>', // cursor keys and keypad send what shells expect
  '\x1b[?9l\x1b[?1000l\x1b[?1001l\x1b[?1002l\x1b[?1003l', // mouse reports off
  '\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?1016l', // and in no special encoding
  '\x1b[?1004l\x1b[?2004l\x1b[?2031l', // no focus reports, pastes not bracketed, no colour scheme reports
  '\x1b[<99u\x1b[=0;1u', // the kitty keyboard protocol's stack emptied
  '\x1b[>4m', // modifyOtherKeys as the user has configured it
  '\x1b[?5l', // not in reverse video
  '\x1b]8;;\x1b\\\x1b[m\x1b[0"q', // no open link, no colours, no protection
  '\x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\', // the user's own palette
  '\x1b[?12l\x1b[0 q\x1b[?25h', // the user's own cursor, visible
  '\x1b[?2026l', // and what is drawn is shown
].join('');
