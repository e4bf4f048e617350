// Compiles each native/*.c to native/bin/: programs, and trim.node, which Node loads. `npm install` runs this, so it never fails: without a C compiler it says what is lost and how to
// get it back. It does nothing when the programs are up to date.
//
//   --sanitize          also builds hold-asan and report-asan, for the tests
//   AI_SESSION_CC=cmd   uses this compiler; `none` acts as if there were none
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const native = join(dirname(dirname(fileURLToPath(import.meta.url))), 'native');
const bin = join(native, 'bin');

const FLAGS = ['-O2', '-Wall', '-Wextra'];
// A static program starts faster and shares nothing with a C library that may be replaced under it: 88 KiB of PSS against 115 dynamic.
const LINKING = [['-static'], []];
const SANITIZED = ['-g', '-O1', '-Wall', '-Wextra', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer'];

const compiler = findCompiler();
if (process.platform === 'win32') {
  console.error(
    'ai-session: the native programs do not run on Windows, so programs will not survive a daemon crash or restart: using node-pty.',
  );
} else if (compiler === null) {
  console.error(
    [
      'ai-session: no C compiler was found, so native/hold was not built.',
      '  lost   programs will not survive a daemon crash or restart: using node-pty',
      '  fix    install one (Debian, Ubuntu: apt install gcc libc6-dev; Fedora: dnf install gcc; Alpine: apk add gcc musl-dev;',
      '         macOS: xcode-select --install), then run: npm rebuild ai-session',
    ].join('\n'),
  );
} else {
  mkdirSync(bin, { recursive: true });
  const sources = readdirSync(native).filter((name) => name.endsWith('.c'));
  for (const source of sources) {
    if (source !== 'trim.c') build(source, basename(source, '.c'), FLAGS, LINKING);
    else if (isGlibc()) build(source, 'trim.node', [...FLAGS, '-fvisibility=hidden'], [['-shared', '-fPIC']]);
  }
  if (process.argv.includes('--sanitize')) for (const name of ['hold', 'report']) build(`${name}.c`, `${name}-asan`, SANITIZED, [[]]);
}

/** The first that answers, as a command and its first arguments: CC may be `ccache gcc`. */
function findCompiler() {
  const asked = process.env.AI_SESSION_CC;
  if (asked === 'none') return null;
  const candidates = asked ? [asked] : [process.env.CC, 'cc', 'gcc', 'clang'].filter(Boolean);
  for (const candidate of candidates) {
    const words = candidate.split(/\s+/).filter(Boolean);
    if (words.length > 0 && spawnSync(words[0], [...words.slice(1), '--version'], { stdio: 'ignore' }).status === 0) return words;
  }
  return null;
}

/** Whether Node runs on glibc, which alone needs trim. */
function isGlibc() {
  if (process.platform !== 'linux') return false;
  process.report.excludeNetwork = true;
  return process.report.getReport().header.glibcVersionRuntime !== undefined;
}

function build(source, name, flags, linkings) {
  const [command, ...first] = compiler;
  const output = join(bin, name);
  const stampFile = join(bin, `.${name}.stamp`);
  const stamp = [process.platform, process.arch, ...compiler, ...flags, ...inputs(source)].join(' ');
  if (existsSync(output) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;

  // Two builds at once (two test runs, say) each write their own file, and the rename puts a whole program in place. A holder that runs
  // keeps the old one.
  const temporary = join(bin, `.${name}.${process.pid}.tmp`);
  let said = '';
  for (const linking of linkings) {
    const { status, stderr } = spawnSync(command, [...first, ...flags, ...linking, '-o', temporary, join(native, source)], {
      encoding: 'utf8',
    });
    said = stderr ?? '';
    if (status !== 0) continue;
    if (said) console.error(said.trimEnd());
    renameSync(temporary, output);
    writeFileSync(`${temporary}.stamp`, stamp);
    renameSync(`${temporary}.stamp`, stampFile);
    return;
  }
  // The program of an older source may not speak the protocol of this one.
  for (const file of [temporary, output, stampFile]) rmSync(file, { force: true });
  const loss =
    {
      hold: '; programs will not survive a daemon crash or restart: using node-pty',
      'trim.node': '; the daemon keeps memory that it does not need',
      report: "; agents' hooks are reported by Node, which takes them 50 ms each time",
    }[name] ?? '';
  console.error(`ai-session: "${compiler.join(' ')}" could not build native/${source}${loss}\n${said.trimEnd()}`);
}

/** What the program is made from, and when each was changed. Any header may be included by any source. */
function inputs(source) {
  const headers = readdirSync(native).filter((name) => name.endsWith('.h'));
  return [source, ...headers].map((name) => `${name}@${statSync(join(native, name)).mtimeMs}`);
}
