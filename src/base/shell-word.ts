/** A word as every shell reads it alike: in fish a backslash means something between single quotes too. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replace(/[\\']/g, "'\\$&'")}'`;
}
