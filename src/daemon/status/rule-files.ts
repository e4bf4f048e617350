import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readSmallFile } from '../../base/small-file.ts';
import { FILE_LIMIT, type Origin, type RuleFile } from './rules.ts';

/** Nobody has so many agents; a folder that was put there by mistake has. */
const FILES_LIMIT = 200;

/** The rule files of a folder. What cannot be read is told in `problems`. */
export function ruleFilesOf(folder: string, origin: Origin, problems: string[]): RuleFile[] {
  const names = namesIn(folder, problems);
  if (names.length > FILES_LIMIT) problems.push(`agents: there are ${names.length} files, and the first ${FILES_LIMIT} are read`);
  return names.slice(0, FILES_LIMIT).flatMap((file) => {
    try {
      // A character has four bytes at most. What is longer is told by its length.
      const text = readSmallFile(join(folder, file), FILE_LIMIT * 4) ?? ' '.repeat(FILE_LIMIT + 1);
      return [{ file, text, origin }];
    } catch (error) {
      problems.push(`agents/${file}: it cannot be read (${(error as Error).message})`);
      return [];
    }
  });
}

function namesIn(folder: string, problems: string[]): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /\.ya?ml$/.test(name))
      .sort();
  } catch (error) {
    // Most people have no rules of their own.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      problems.push(`agents: the folder cannot be read (${(error as Error).message})`);
    return [];
  }
}
