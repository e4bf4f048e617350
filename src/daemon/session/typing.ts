/**
 * Whether input from a terminal is a person at the keys. Terminals also send on their own: mouse and focus reports, and answers to queries
 * (DA, DSR, DECRPM, kitty flags, colours, XTVERSION). Those must not make a client the one whose size counts.
 */
export function isTyping(bytes: Uint8Array): boolean {
  // Longer input than any run of reports is a paste.
  if (bytes.length > 4096) return true;
  return Buffer.from(bytes).toString('latin1').replace(REPORTS, '') !== '';
}

const REPORTS = new RegExp(
  [
    '\\x1b\\[<[\\d;]*[Mm]', // SGR mouse
    '\\x1b\\[M[\\s\\S]{3}', // X10 mouse
    '\\x1b\\[[IO]', // focus
    '\\x1b\\[[?>=]?[\\d;]*c', // DA1, DA2
    '\\x1b\\[\\??[\\d;]*[nR]', // DSR, CPR
    '\\x1b\\[\\??[\\d;]*\\$y', // DECRPM
    '\\x1b\\[\\?\\d*u', // kitty keyboard flags
    '\\x1b\\[[\\d;]+t', // window reports
    '\\x1b\\][\\d;]*[^\\x07\\x1b]*(?:\\x07|\\x1b\\\\)', // OSC answers
    '\\x1b[P_][^\\x1b]*\\x1b\\\\', // DCS and APC answers
  ].join('|'),
  'g',
);
