/** The same text in strings of about 64 KiB: a write for each line is what makes a long log slow. No character is cut in two. */
export function* inPieces(texts: Iterable<string>): Generator<string> {
  let piece = '';
  for (const text of texts) {
    piece += text;
    while (piece.length >= PIECE_LENGTH) {
      const end = PIECE_LENGTH - (isHighSurrogate(piece.charCodeAt(PIECE_LENGTH - 1)) ? 1 : 0);
      yield piece.slice(0, end);
      piece = piece.slice(end);
    }
  }
  if (piece.length > 0) yield piece;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}

/** Code units. */
const PIECE_LENGTH = 64 * 1024;
