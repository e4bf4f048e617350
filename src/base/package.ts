import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Where the package is installed. Every compiled file lies two folders below it, the bundled command line (`dist/bundle/cli.cjs`) too. */
export const PACKAGE_FOLDER: string = fileURLToPath(new URL('../..', import.meta.url));

/** The package's version, for people: programs compare protocols. */
export const VERSION: string = JSON.parse(readFileSync(`${PACKAGE_FOLDER}package.json`, 'utf8')).version;
