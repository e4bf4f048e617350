import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Paths, pathsFor } from '../../src/config/paths.ts';
import { checkSocket, makeDataFolder, makePrivateFolders, UnsafePathError } from '../../src/config/private-folder.ts';

let top: string;
let paths: Paths;

beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'private-'));
  paths = pathsFor({ AI_SESSION_HOME: join(top, 'home') });
});

afterEach(() => rmSync(top, { recursive: true, force: true }));

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

/** The sentence of a refusal, with the folder of this test left out. */
function refusal(action: () => unknown): string | null {
  try {
    action();
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(UnsafePathError);
    return (error as Error).message.replaceAll(top, '');
  }
}

/** Holds a real socket for as long as `work` runs. */
async function withSocket(work: () => void): Promise<void> {
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(paths.socket, resolve));
  try {
    work();
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

describe('making the folders', () => {
  test('makes home and run for nobody else, whatever the umask', () => {
    const before = process.umask(0);
    try {
      makePrivateFolders(paths);
    } finally {
      process.umask(before);
    }
    expect([mode(paths.home), mode(paths.run)]).toEqual(['700', '700']);
  });

  test('a second time changes nothing', () => {
    makePrivateFolders(paths);
    writeFileSync(join(paths.run, 'kept'), '');
    makePrivateFolders(paths);
    expect(statSync(join(paths.run, 'kept')).isFile()).toBe(true);
  });

  test('makes the folders above a home that lies deep', () => {
    paths = pathsFor({ AI_SESSION_HOME: join(top, 'a', 'b') });
    makePrivateFolders(paths);
    expect(mode(paths.run)).toBe('700');
  });

  test('takes a home that others may read, since what is private in it says so itself', () => {
    mkdirSync(paths.home, { mode: 0o755 });
    expect(refusal(() => makePrivateFolders(paths))).toBeNull();
  });

  test('takes a home that is a symbolic link of ours', () => {
    mkdirSync(join(top, 'bigger-disk'), { mode: 0o700 });
    symlinkSync(join(top, 'bigger-disk'), paths.home);
    expect(refusal(() => makePrivateFolders(paths))).toBeNull();
    expect(mode(join(top, 'bigger-disk', 'run'))).toBe('700');
  });

  test.each([0o720, 0o702, 0o777])('refuses a home that others may write (%o)', (bits) => {
    mkdirSync(paths.home);
    chmodSync(paths.home, bits);
    expect(refusal(() => makePrivateFolders(paths))).toBe('Folder "/home" can be written by others. Fix it with: chmod go-w "/home"');
  });

  test.each<[number, string]>([
    [0o750, '750'],
    [0o701, '701'],
    [0o777, '777'],
  ])('refuses a run folder that others may reach (%o)', (bits, shown) => {
    makePrivateFolders(paths);
    chmodSync(paths.run, bits);
    expect(refusal(() => makePrivateFolders(paths))).toBe(
      `The folder "/home/run" is open to others (mode ${shown}). Fix it with: chmod go= "/home/run"`,
    );
  });

  test('refuses a run folder that is a symbolic link', () => {
    mkdirSync(paths.home, { mode: 0o700 });
    mkdirSync(join(top, 'theirs'), { mode: 0o700 });
    symlinkSync(join(top, 'theirs'), paths.run);
    expect(refusal(() => makePrivateFolders(paths))).toBe(
      '"/home/run" is a symbolic link, which somebody else may control. Remove it and try again.',
    );
  });

  test('refuses a run folder that is a file', () => {
    mkdirSync(paths.home, { mode: 0o700 });
    writeFileSync(paths.run, '');
    expect(refusal(() => makePrivateFolders(paths))).toBe('"/home/run" is not a folder. Remove it and try again.');
  });

  // Only root can give a folder away.
  test.runIf(process.geteuid?.() === 0)('refuses what belongs to somebody else', () => {
    makePrivateFolders(paths);
    chownSync(paths.run, 12345, 12345);
    expect(refusal(() => makePrivateFolders(paths))).toBe(
      'The folder "/home/run" belongs to user 12345, not to you (0). Remove it, or set AI_SESSION_HOME to a folder of your own.',
    );
    chownSync(paths.home, 12345, 12345);
    expect(refusal(() => makePrivateFolders(paths))).toBe(
      'Folder "/home" belongs to user 12345, not to you (0). Set AI_SESSION_HOME to a folder of your own.',
    );
  });
});

describe('a socket', () => {
  test('that is not there is nobody listening', () => {
    expect(checkSocket(paths)).toBeNull();
    makePrivateFolders(paths);
    expect(checkSocket(paths)).toBeNull();
  });

  test('below a file, where nothing can be, is nobody listening either', () => {
    writeFileSync(join(top, 'file'), '');
    expect(checkSocket(pathsFor({ AI_SESSION_HOME: join(top, 'file', 'home') }))).toBeNull();
  });

  test('of ours, for us alone, is trusted', async () => {
    makePrivateFolders(paths);
    await withSocket(() => {
      chmodSync(paths.socket, 0o600);
      expect(checkSocket(paths)).toBe('present');
    });
  });

  test('that others may open is refused', async () => {
    makePrivateFolders(paths);
    await withSocket(() => {
      chmodSync(paths.socket, 0o666);
      expect(refusal(() => checkSocket(paths))).toBe(
        'The socket "/home/run/daemon.sock" is open to others (mode 666). Fix it with: chmod go= "/home/run/daemon.sock"',
      );
    });
  });

  test('in a folder that others may write is refused', async () => {
    makePrivateFolders(paths);
    await withSocket(() => {
      chmodSync(paths.socket, 0o600);
      chmodSync(paths.run, 0o777);
      expect(refusal(() => checkSocket(paths))).toContain('The folder "/home/run" is open to others (mode 777).');
    });
  });

  test('that is a file or a symbolic link is refused', () => {
    makePrivateFolders(paths);
    writeFileSync(paths.socket, '', { mode: 0o600 });
    expect(refusal(() => checkSocket(paths))).toBe('"/home/run/daemon.sock" is not a socket. Remove it and try again.');
    rmSync(paths.socket);
    symlinkSync('/nowhere', paths.socket);
    expect(refusal(() => checkSocket(paths))).toBe(
      '"/home/run/daemon.sock" is a symbolic link, which somebody else may control. Remove it and try again.',
    );
  });
});

test('a data folder is made private each time it is used', () => {
  const folder = join(top, 'a', 'data');
  makeDataFolder(folder);
  expect(mode(folder)).toBe('700');
  chmodSync(folder, 0o777);
  makeDataFolder(folder);
  expect(mode(folder)).toBe('700');
});
