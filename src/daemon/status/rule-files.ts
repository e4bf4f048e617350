import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_FOLDER } from '../../base/package.ts';
import { type LoadedRules, loadRules, type Origin, type RuleFile } from './rules.ts';

/** Our rules for agents, and those that the user has in a folder. */
export function readRules(userFolder: string): LoadedRules {
  const problems: string[] = [];
  const files = [...filesOf(join(PACKAGE_FOLDER, 'agents'), 'built-in', problems), ...filesOf(userFolder, 'user', problems)];
  const loaded = loadRules(files);
  return { rules: loaded.rules, problems: [...problems, ...loaded.problems.map((problem) => `agents/${problem}`)] };
}

function filesOf(folder: string, origin: Origin, problems: string[]): RuleFile[] {
  return namesIn(folder, problems).flatMap((file) => {
    try {
      return [{ file, text: readFileSync(join(folder, file), 'utf8'), origin }];
    } catch (error) {
      problems.push(`agents/${file}: it cannot be read (${(error as Error).message})`);
      return [];
    }
  });
}

function namesIn(folder: string, problems: string[]): string[] {
  try {
    return readdirSync(folder).filter((name) => /\.ya?ml$/.test(name));
  } catch (error) {
    // Most people have no rules of their own.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      problems.push(`agents: the folder cannot be read (${(error as Error).message})`);
    return [];
  }
}
