import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { FILE_LIMIT, type Origin, type RuleFile } from './rules.ts';

/** Nobody has so many agents; a folder that was put there by mistake has. */
const FILES_LIMIT = 200;

/** The rule files of a folder. What cannot be read is told in `problems`. */
export function ruleFilesOf(folder: string, origin: Origin, problems: string[]): RuleFile[] {
  const names = namesIn(folder, problems);
  if (names.length > FILES_LIMIT) problems.push(`agents: there are ${names.length} files, and the first ${FILES_LIMIT} are read`);
  return names.slice(0, FILES_LIMIT).flatMap((file) => {
    try {
      const path = join(folder, file);
      const { size } = statOfFile(path);
      // A byte is a character at most.
      return size > FILE_LIMIT * 4
        ? [{ file, text: ' '.repeat(FILE_LIMIT + 1), origin }]
        : [{ file, text: readFileSync(path, 'utf8'), origin }];
    } catch (error) {
      problems.push(`agents/${file}: it cannot be read (${(error as Error).message})`);
      return [];
    }
  });
}

/** A pipe would be waited for, and a device has no end. */
function statOfFile(path: string) {
  const stat = statSync(path);
  if (!stat.isFile()) throw new Error('it is no file');
  return stat;
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
