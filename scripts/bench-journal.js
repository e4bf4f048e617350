// Measures the journal: how fast it takes output, how small that becomes, what a restart and a long history cost, and memory beside tmux's.
//   npm run bench:journal [-- --cases append,ratio,restart,long,memory] [-- --mb 2048] [-- --gb 10] [-- --sessions 100]
//   npm run bench:journal -- --cases ratio --logs FOLDER     how small your own logs become
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { crc32 } from 'node:zlib';
import { connect } from '../dist/client/daemon.js';
import { pathsFor } from '../dist/config/paths.js';
import { encodeBlock } from '../dist/daemon/persistence/journal/block.js';
import { bestCodec } from '../dist/daemon/persistence/journal/codec.js';
import { journalFileName, SEGMENT_FRAMES, SEGMENT_STORED_BYTES, TAIL_BYTES } from '../dist/daemon/persistence/journal/files.js';
import { Journals } from '../dist/daemon/persistence/journal/journals.js';
import { readJournal } from '../dist/daemon/persistence/journal/reader.js';
import { appendFrame, FRAME_HEADER_BYTES } from '../dist/daemon/persistence/journal/segment.js';

const { values: options } = parseArgs({
  options: {
    cases: { type: 'string', default: 'append,ratio,restart,long,memory' },
    mb: { type: 'string', default: '2048' },
    gb: { type: 'string', default: '10' },
    sessions: { type: 'string', default: '100' },
    logs: { type: 'string' },
    'memory-sessions': { type: 'string', default: '50' },
  },
});
const MIB = 1 << 20;
const CHUNK_BYTES = 64 << 10;
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'aisb-'));
// Node 20 reads this file at every start, which is no cost of ours or of Node's.
const { NODE_EXTRA_CA_CERTS: _, TMUX: __, AI_SESSION: ___, ...base } = process.env;
const environment = { ...base, TERM: 'xterm-256color', AI_SESSION_HOME: join(folder, 'h') };
const cli = join(root, 'bin', 'ai-session');
const tmux = ['-S', join(folder, 't'), '-f', '/dev/null'];
const hasTmux = !spawnSync('tmux', ['-V']).error;

const ours = (...args) => spawnSync(process.execPath, [cli, ...args], { env: environment, encoding: 'utf8', cwd: folder });
const theirs = (...args) => spawnSync('tmux', [...tmux, ...args], { env: environment, encoding: 'utf8', cwd: folder });

const corpus = makeCorpus();

const cases = {
  /** (i) What the appending thread can take while another compresses, and what that machine does at most. */
  async append() {
    const bytes = Number(options.mb) * MIB;
    const plain = await plainWrites(bytes);
    const zstd = compressing(Math.min(bytes, 256 * MIB), 3).speed;
    const free = await appending(bytes, { isPaced: false });
    const paced = await appending(bytes, { isPaced: true });
    const speed = (ms) => bytes / 1e6 / (ms / 1000);
    const took = speed(free.appendMs);
    return table(`journal, ${options.mb} MiB in chunks of 64 KiB`, [
      ['plain write of the same bytes', `${round(plain)} MB/s`, 'floor'],
      ['zstd level 3 alone, one thread', `${round(zstd)} MB/s`, ''],
      ['append, on its thread', `${round(took)} MB/s`, `${ratio(took, plain)} of the floor; goal 150: ${verdict(took >= 150)}`],
      ['longest single append', `${round(Math.max(free.longestMs, paced.longestMs))} ms`, ''],
      ['as fast as it can, until all is sealed', `${round(speed(free.wholeMs))} MB/s`, `at most ${free.mostTails} tails waited`],
      ['as fast as it is sealed', `${round(speed(paced.wholeMs))} MB/s`, `${ratio(speed(paced.wholeMs), zstd)} of zstd alone`],
      ['on disk', `${round(paced.stored / MIB)} MiB`, `${ratio(bytes, paced.stored)} smaller`],
    ]);
  },

  /** (ii) Why level 3, and why no dictionary. */
  async ratio() {
    const rows = [1, 3, 6, 9].map((level) => {
      const { speed, ratio: times } = compressing(corpus.length, level);
      return [`level ${level}`, `${times.toFixed(2)} times smaller`, `${round(speed)} MB/s`];
    });
    table(`frames of 1 MiB, ${round(corpus.length / MIB)} MiB of text, most of it source code`, rows);
    table('logs, level 3, goal 7 times', logs());
    const small = smallSessions();
    if (typeof small === 'string') console.log(`\n  with a dictionary: not measured, ${small}`);
    else table('sessions that wrote little, level 3 (bytes of the frame; on disk each file takes 4 KiB pages)', small);
  },

  /** (iii) The daemon is gone; `ls` starts the next one, which takes everything back. */
  async restart() {
    const count = Number(options.sessions);
    const text = join(folder, 'screenful');
    writeFileSync(text, corpus.subarray(0, 200 * 80));
    const daemon = await connectOurs();
    for (let n = 0; n < count; n++) {
      const command = ['sh', '-c', `cat ${text}; exec sleep 3600`];
      await daemon.call('session.create', { name: `s${n}`, command, cwd: folder, env: environment });
    }
    daemon.close();
    await delay(500);
    const bare = median(
      Array.from({ length: 9 }, () => milliseconds(() => spawnSync(process.execPath, ['-e', '0'], { env: environment }))),
    );
    const list = () =>
      milliseconds(() => {
        const { status, stdout, stderr } = ours('ls', '--json');
        if (status !== 0) throw new Error(`ls failed: ${stderr}`);
        const running = JSON.parse(stdout).filter(({ status }) => status === 'running').length;
        if (running !== count) throw new Error(`${running} of ${count} sessions run`);
      });
    list();
    const warm = median(Array.from({ length: 5 }, list));
    const crashed = [];
    const stopped = [];
    for (let n = 0; n < 5; n++) {
      const [pid] = JSON.parse(ours('daemon', 'status', '--json').stdout).pids;
      process.kill(pid, 'SIGKILL');
      while (isAlive(pid)) await delay(2);
      crashed.push(list());
      ours('daemon', 'stop');
      stopped.push(list());
    }
    ours('daemon', 'stop', '--kill-sessions');
    const row = (what, ms) => [what, `${round(ms)} ms`, `${round(ms - bare)} ms without Node; goal 1000: ${verdict(ms - bare <= 1000)}`];
    return table(`the first answer of ls, ${count} sessions`, [
      ['bare node -e 0', `${round(bare)} ms`, ''],
      ['a daemon runs', `${round(warm)} ms`, `${round(warm - bare)} ms without Node`],
      row('after kill -9', median(crashed)),
      row('after daemon stop', median(stopped)),
    ]);
  },

  /** (iv) A history that nobody would read from its beginning. */
  async long() {
    const place = { folder: join(folder, 'long'), purpose: 'bench', vault: null };
    const made = makeLong(place.folder, Number(options.gb) * 1024);
    const journals = newJournals();
    const before = process.memoryUsage().rss;
    const begun = performance.now();
    const journal = openJournal(journals, place.folder);
    const openMs = performance.now() - begun;
    const { end } = journal;
    if (end !== made.end) throw new Error(`the journal ends at ${end}, not at ${made.end}`);
    const lastMs = milliseconds(() => {
      let bytes = 0;
      for (const entry of journal.read({ from: end - MIB })) if (entry.is === 'output') bytes += entry.bytes.length;
      if (bytes !== MIB) throw new Error(`${bytes} bytes where 1 MiB was asked for`);
    });
    const sinceMs = milliseconds(() => {
      const moment = Math.floor((made.from + made.to) / 2);
      const first = journal.read({ since: moment }).next().value;
      if (first.at < moment || first.at > moment + 2 * made.msPerFrame) throw new Error('another moment');
    });
    const offsetMs = milliseconds(() => journal.read({ from: Math.floor(end / 2) }).next());
    const hundredMs = milliseconds(() => {
      for (const _ of readJournal(place, { from: Math.floor(end / 2), to: Math.floor(end / 2) + 100 * MIB }));
    });
    const memory = process.memoryUsage().rss - before;
    await journals[Symbol.asyncDispose]();
    return table(`a pane with ${options.gb} GiB of output: ${made.segments} segments of ${made.framesEach} frames`, [
      ['Journal.open', `${round(openMs)} ms`, ''],
      ['the last MiB', `${round(lastMs)} ms`, ''],
      ['an offset in the middle', `${round(offsetMs)} ms`, ''],
      ['since a moment in the middle', `${round(sinceMs)} ms`, ''],
      ['100 MiB from the middle', `${round(100 / (hundredMs / 1000))} MiB/s`, `${round(memory / MIB)} MiB more resident after all this`],
    ]);
  },

  /** (v) Sessions whose scrollback is full. */
  async memory() {
    const count = Number(options['memory-sessions']);
    const text = join(folder, 'scrollback');
    // A screen more than the scrollback has lines.
    writeFileSync(text, `${corpus.toString('latin1').split('\r\n').slice(0, 2100).join('\n')}\nTHE END\n`, 'latin1');
    const shell = `cat ${text}; exec sleep 3600`;
    const rows = [];
    const daemon = await connectOurs();
    const pids = () => JSON.parse(ours('daemon', 'status', '--json').stdout).pids;
    const createOurs = (name) =>
      daemon.call('session.create', { name, command: ['sh', '-c', shell], cwd: folder, env: environment, cols: 120, rows: 40 });
    await createOurs('first');
    await shows(() => ours('capture', '-t', 'first').stdout);
    await delay(1500);
    const before = { daemon: pss(pids().slice(0, 1)), holders: pss(pids().slice(1)) };
    for (let n = 0; n < count; n++) await createOurs(`m${n}`);
    for (let n = 0; n < count; n++) await shows(() => ours('capture', '-t', `m${n}`).stdout);
    daemon.close();
    const [first, ...holders] = pids();
    const awakeKib = (pss([first]) - before.daemon) / count;
    // Holders give back what a flood took after a second of quiet; screens are put to rest after three to
    // twelve, and V8 makes its heap smaller half a minute later.
    await delay(40_000);
    const daemonKib = (pss([first]) - before.daemon) / count;
    const holderKib = (pss(holders) - before.holders) / count;
    ours('daemon', 'stop', '--kill-sessions');
    rows.push([
      'ai-session: daemon',
      `${round(daemonKib)} KiB`,
      `the first session and Node itself are not in it (${round(before.daemon / 1024)} MiB)`,
    ]);
    rows.push(['ai-session: daemon, at once', `${round(awakeKib)} KiB`, 'before the screens are at rest']);
    rows.push(['ai-session: holder', `${round(holderKib)} KiB`, '']);
    if (hasTmux) {
      const create = (name) => theirs('new-session', '-d', '-s', name, '-x', '120', '-y', '40', shell);
      create('first');
      await shows(() => theirs('capture-pane', '-p', '-t', 'first').stdout);
      const server = () => [Number(theirs('display-message', '-p', '#{pid}').stdout)];
      const alone = pss(server());
      for (let n = 0; n < count; n++) create(`m${n}`);
      for (let n = 0; n < count; n++) await shows(() => theirs('capture-pane', '-p', '-t', `m${n}`).stdout);
      const tmuxKib = (pss(server()) - alone) / count;
      theirs('kill-server');
      rows.push(['tmux', `${round(tmuxKib)} KiB`, `ours is ${ratio(daemonKib + holderKib, tmuxKib)} of it`]);
    }
    return table(`memory (PSS) for each of ${count} sessions with 2,000 lines of scrollback`, rows);
  },
};

/** Text as programs print it: this repository's files and history, and a long listing. The same for the same checkout. */
function makeCorpus() {
  const said = (command, args) => spawnSync(command, args, { cwd: root, maxBuffer: 64 * MIB, env: { ...base, LC_ALL: 'C' } }).stdout ?? '';
  const files = ['src', 'test', 'scripts', 'native']
    .flatMap((name) => readdirSync(join(root, name), { recursive: true, encoding: 'utf8' }).map((file) => join(root, name, file)))
    .filter((file) => /\.(ts|js|c|md|json)$/.test(file) && statSync(file).isFile());
  const parts = [
    ...files.map((file) => readFileSync(file)),
    said('git', ['log', '--stat', '--color=always', '-n', '500']),
    said('git', ['log', '-p', '--color=always', '-n', '400']),
    said('ls', ['-lR', '--color=always', 'node_modules/']),
  ];
  const text = Buffer.concat(parts.map((part) => Buffer.from(part))).toString('latin1');
  const whole = Buffer.from(text.slice(0, 64 * MIB).replaceAll('\n', '\r\n'), 'latin1');
  return whole.subarray(0, Math.floor(whole.length / MIB) * MIB);
}

/** What programs on this machine print, and the files of `--logs`: as a terminal gets it, with CR LF. */
function logs() {
  const commands = [
    ['npm', 'ls', '--all'],
    ['npx', 'vitest', 'run', 'test/base', 'test/wire', '--reporter=verbose'],
    ['npx', 'tsc', '-p', 'tsconfig.build.json', '--noEmit', '--listFiles', '--extendedDiagnostics'],
    ['git', 'log', '--stat', '--color=always'],
    ['ls', '-lR', '--color=always', 'node_modules'],
    ['find', '/usr/share', '-maxdepth', '4'],
    ['ps', 'auxf'],
  ];
  const printed = commands.map((command) => [
    command.slice(0, 2).join(' '),
    spawnSync(command[0], command.slice(1), { cwd: root, maxBuffer: 64 * MIB, env: base }).stdout ?? Buffer.alloc(0),
  ]);
  const files = options.logs
    ? readdirSync(options.logs, { recursive: true, encoding: 'utf8' })
        .filter((name) => /\.(out|log|txt|in)$/.test(name))
        .map((name) => readFileSync(join(options.logs, name)))
    : [];
  if (files.length > 0) printed.push([`${files.length} files of --logs`, Buffer.concat(files)]);
  const codec = bestCodec(3);
  let whole = 0;
  let stored = 0;
  const rows = printed.map(([name, text]) => {
    const bytes = Buffer.from(text.toString('latin1').replaceAll('\n', '\r\n'), 'latin1');
    let small = 0;
    for (let at = 0; at < bytes.length; at += MIB)
      small += FRAME_HEADER_BYTES + codec.compress(encodeBlock({ entries: outputs(bytes.subarray(at, at + MIB), at) })).length;
    whole += bytes.length;
    stored += small;
    return [name, `${(bytes.length / Math.max(1, small)).toFixed(2)} times smaller`, `${round(bytes.length / 1024)} KiB`];
  });
  return [...rows, ['all', `${(whole / stored).toFixed(2)} times smaller`, `${round(whole / 1024)} KiB: ${verdict(whole / stored >= 7)}`]];
}

function chunk(n) {
  const at = (n * CHUNK_BYTES) % corpus.length;
  return corpus.subarray(at, at + CHUNK_BYTES);
}

function newJournals() {
  return new Journals({
    vault: null,
    level: 3,
    limits: () => ({ paneBytes: Number.POSITIVE_INFINITY, totalBytes: Number.POSITIVE_INFINITY }),
    elsewhere: { bytes: 0, free: () => 0 },
    onDropped: () => {},
  });
}

function openJournal(journals, where) {
  const complain = (...about) => console.error(...about);
  return journals.open({
    folder: where,
    purpose: 'bench',
    cols: 120,
    rows: 40,
    whenFull: () => 'gap',
    onTrouble: complain,
    onDamage: complain,
    onSafe: () => {},
  });
}

/** In files of the size of a tail, of which the oldest go: nobody is to be slowed by 2 GiB that wait for the disk. */
async function plainWrites(bytes) {
  const where = join(folder, 'plain');
  mkdirSync(where);
  let ms = 0;
  for (let n = 0; n * MIB < bytes; n++) {
    const begun = performance.now();
    const fd = openSync(join(where, `${n}`), 'wx');
    for (let i = 0; i < 16; i++) writeSync(fd, chunk(n * 16 + i));
    closeSync(fd);
    ms += performance.now() - begun;
    if (n >= 64) rmSync(join(where, `${n - 64}`));
    await turn();
  }
  rmSync(where, { recursive: true });
  return bytes / 1e6 / (ms / 1000);
}

/** Ended tails that may wait for the one who compresses, where it sets the pace. */
const PACE_TAILS = 16;

function tailsIn(where) {
  return readdirSync(where).filter((name) => name.endsWith('.tail')).length;
}

async function appending(bytes, { isPaced }) {
  const where = join(folder, 'append');
  const journals = newJournals();
  const journal = openJournal(journals, where);
  const begun = performance.now();
  let appendMs = 0;
  let longestMs = 0;
  let mostTails = 0;
  for (let n = 0; n * CHUNK_BYTES < bytes; n++) {
    const piece = chunk(n);
    const at = performance.now();
    journal.append(n * CHUNK_BYTES, piece);
    const took = performance.now() - at;
    appendMs += took;
    longestMs = Math.max(longestMs, took);
    if (n % 16 !== 15) continue;
    // The daemon's loop turns too, and hears what has been sealed.
    await turn();
    // Then the one who compresses sets the pace: what it has not come to yet lies on the disk as it was written.
    for (let tails = tailsIn(where); isPaced && tails > PACE_TAILS; tails = tailsIn(where)) await delay(1);
    if (n % 1024 === 15) mostTails = Math.max(mostTails, tailsIn(where));
  }
  await journal.seal();
  const wholeMs = performance.now() - begun;
  const stored = journal.stored.bytes;
  await journals[Symbol.asyncDispose]();
  rmSync(where, { recursive: true });
  return { appendMs, wholeMs, longestMs, mostTails, stored };
}

/** The corpus as one sealed frame after the other, with what the list of a frame costs. */
function compressing(bytes, level) {
  const codec = bestCodec(level);
  let stored = 0;
  let ms = 0;
  for (let at = 0; at < bytes; at += MIB) {
    const block = corpus.subarray(at % corpus.length, (at % corpus.length) + MIB);
    const plain = encodeBlock({ entries: outputs(block, at) });
    const begun = performance.now();
    stored += FRAME_HEADER_BYTES + codec.compress(plain).length;
    ms += performance.now() - begun;
  }
  return { speed: bytes / 1e6 / (ms / 1000), ratio: bytes / stored };
}

/** As they come from a terminal: some KiB at a time, a millisecond apart. */
function outputs(bytes, start) {
  const pieces = [];
  for (let at = 0; at < bytes.length; at += 8192)
    pieces.push({ is: 'output', at: 1_700_000_000_000 + (start + at) / 8192, offset: start + at, bytes: bytes.subarray(at, at + 8192) });
  return pieces;
}

/** Rows of a table, or why there are none. Trained on one half of the text and measured on the other. */
function smallSessions() {
  let Compressor;
  try {
    ({ Compressor } = createRequire(import.meta.url)('zstd-napi'));
  } catch {
    return 'zstd-napi is not installed';
  }
  if (spawnSync('zstd', ['--version']).error) return 'zstd is not installed';
  const rows = [];
  for (const size of [1, 4, 16].map((kib) => kib * 1024)) {
    // Taken from all over the text by turns, so that both halves have all kinds of it.
    const samples = [];
    for (let at = 0; at + size <= corpus.length && samples.length < 4000; at += Math.max(size, Math.floor(corpus.length / 4000)))
      samples.push(corpus.subarray(at, at + size));
    const where = join(folder, `samples-${size}`);
    mkdirSync(where);
    const training = samples.filter((_, n) => n % 2 === 0);
    for (const [n, sample] of training.entries()) writeFileSync(join(where, `${n}`), sample);
    const dictionaryFile = join(folder, `dictionary-${size}`);
    const { status, stderr } = spawnSync('zstd', ['-q', '--train', '-r', where, '-o', dictionaryFile], { encoding: 'utf8' });
    if (status !== 0) return `zstd --train: ${stderr}`;
    const dictionary = readFileSync(dictionaryFile);
    const without = new Compressor();
    without.setParameters({ compressionLevel: 3, checksumFlag: true });
    const using = new Compressor();
    using.setParameters({ compressionLevel: 3, checksumFlag: true });
    using.loadDictionary(dictionary);
    const tests = samples.filter((_, n) => n % 2 === 1);
    const mean = (compressor) =>
      tests.reduce((sum, sample) => {
        const plain = encodeBlock({ entries: outputs(sample, 0) });
        return sum + FRAME_HEADER_BYTES + compressor.compress(plain).length;
      }, 0) / tests.length;
    const [bare, trained] = [mean(without), mean(using)];
    rows.push([
      `${size / 1024} KiB`,
      `${round(bare)} bytes without`,
      `${round(trained)} with (${ratio(trained, bare)}); pages ${Math.ceil(bare / 4096)} and ${Math.ceil(trained / 4096)}`,
    ]);
    rmSync(where, { recursive: true });
  }
  return rows;
}

/**
 * Sealed segments as so many MiB of output leave them: as many frames in each, and every frame with its place and time. Their text repeats
 * itself after 64 KiB, so that 10 GiB are compressed in seconds.
 */
function makeLong(where, frames) {
  mkdirSync(where);
  const codec = bestCodec(3);
  const framesEach = Math.min(SEGMENT_FRAMES, Math.floor(SEGMENT_STORED_BYTES / (MIB / compressing(corpus.length, 3).ratio)));
  const header = templateHeader(codec);
  const from = Date.parse('2026-01-01');
  const msPerFrame = 1000;
  for (let n = 0; n < frames; n += framesEach) {
    const pieces = [];
    for (let tail = n; tail < Math.min(frames, n + framesEach); tail++) {
      const start = tail * TAIL_BYTES;
      const at = from + tail * msPerFrame;
      const entries = Array.from({ length: 16 }, (_, i) => {
        return { is: 'output', at: at + i * 50, offset: start + i * CHUNK_BYTES, bytes: chunk(tail) };
      });
      const plain = encodeBlock({ entries });
      const compressed = codec.compress(plain);
      header.writeUInt32LE(crc32(compressed), 8);
      header.writeUInt32LE(compressed.length, 12);
      header.writeUInt32LE(plain.length, 16);
      for (const [i, number] of [tail + 1, start, start + TAIL_BYTES, at, at + 750].entries()) header.writeDoubleLE(number, 24 + i * 8);
      header.writeUInt32LE(crc32(header.subarray(8)), 4);
      pieces.push(Buffer.from(header), compressed);
    }
    writeFileSync(join(where, journalFileName('segment', n + 1, n * TAIL_BYTES)), Buffer.concat(pieces));
  }
  return {
    end: frames * TAIL_BYTES,
    from,
    to: from + frames * msPerFrame,
    msPerFrame,
    segments: Math.ceil(frames / framesEach),
    framesEach,
  };
}

/** What the journal itself writes before a frame. */
function templateHeader(codec) {
  const file = join(folder, 'template');
  const block = { start: 0, end: MIB, cols: 120, rows: 40, entries: outputs(corpus.subarray(0, MIB), 0) };
  appendFrame(file, { block, tail: 1, at: 0, purpose: 'bench', codec, vault: null });
  return Buffer.from(readFileSync(file).subarray(0, FRAME_HEADER_BYTES));
}

function connectOurs() {
  return connect(pathsFor(environment));
}

async function shows(read) {
  while (!read().includes('THE END')) await delay(20);
}

function pss(pids) {
  return pids.reduce((sum, pid) => sum + Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]), 0);
}

function isAlive(pid) {
  return existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
}

function milliseconds(work) {
  const start = performance.now();
  work();
  return performance.now() - start;
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

function round(value) {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

function ratio(value, to) {
  return `${(value / to).toFixed(2)}x`;
}

function verdict(isGood) {
  return isGood ? 'met' : 'MISSED';
}

function table(title, rows) {
  console.log(`\n${title}`);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column].length)));
  for (const [what, figure, note] of rows) console.log(`  ${what.padEnd(widths[0])}  ${figure.padStart(widths[1])}  ${note}`.trimEnd());
}

function cleanUp() {
  if (existsSync(environment.AI_SESSION_HOME)) ours('daemon', 'stop', '--kill-sessions');
  if (hasTmux) theirs('kill-server');
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    cleanUp();
    process.exit(128 + constants.signals[signal]);
  });
}

try {
  for (const name of options.cases.split(',')) {
    if (!cases[name]) throw new Error(`no case "${name}": use ${Object.keys(cases).join(', ')}`);
    await cases[name]();
  }
} finally {
  cleanUp();
}
