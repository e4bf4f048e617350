import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the package is installed. Every compiled file lies two folders below it, the bundled command line (`dist/bundle/cli.cjs`) too. */
export const PACKAGE_FOLDER: string = join(import.meta.dirname, '../../');

/** The package's version, for people: programs compare protocols. */
export const VERSION: string = JSON.parse(readFileSync(`${PACKAGE_FOLDER}package.json`, 'utf8')).version;
