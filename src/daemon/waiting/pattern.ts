import { WireError } from '../../wire/errors.ts';
import { queryProblem } from '../history/search.ts';
import type { Pattern } from './finder.ts';

/** Columns. Of a longer line a match that begins further back than this from what is new is not seen until the line is finished. */
const REGEX_REACH = 4096;

/** Text as it stands, letter case included. Throws WireError for what no line can have in it. */
export function textPattern(text: string): Pattern {
  check(text, false);
  return {
    // A code unit may stand in two columns.
    reach: text.length * 2,
    find(line, from) {
      const index = line.indexOf(text, from);
      return index === -1 ? null : { index, length: text.length };
    },
  };
}

/** A JavaScript regular expression, which is asked about one line at a time. Throws WireError when it is none. */
export function regexPattern(source: string): Pattern {
  check(source, true);
  const regex = compile(source);
  // Where it is, nothing would have to be printed.
  if (regex.test(''))
    throw new WireError('bad-params', `The regular expression ${JSON.stringify(source)} matches nothing at all: say what has to be there.`);
  return {
    reach: REGEX_REACH,
    find(line, from) {
      regex.lastIndex = from;
      const match = regex.exec(line);
      return match && { index: match.index, length: match[0].length };
    },
  };
}

function check(pattern: string, isRegex: boolean): void {
  const problem = queryProblem({ pattern, isRegex });
  if (problem) throw new WireError('bad-params', `${problem}.`);
}

/** As `search` reads it, but that letter case counts: who waits for one word should not be woken by another. */
function compile(source: string): RegExp {
  try {
    return new RegExp(source, 'gu');
  } catch {
    return new RegExp(source, 'g');
  }
}
