// Prints our figures, tmux's and the floor's (the raw PTY, bare Node) side by side, measured in one run on the same work.
//   npm run bench [-- --cases echo,attach] [-- --sessions 500]
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startNodePty } from '../dist/daemon/terminal/node-pty.js';

const { values: options } = parseArgs({
  options: {
    cases: { type: 'string', default: 'cli,echo,echo_loaded,attach,flood,flood_attached,sessions,idle,wait,run' },
    sessions: { type: 'string', default: '500' },
    n: { type: 'string', default: '300' },
    mb: { type: 'string', default: '20' },
  },
});
const N = Number(options.n);
const folder = mkdtempSync(join(tmpdir(), 'aisb-'));
const COLS = 120;
const ROWS = 40;
// Node 20 reads this file at every start, which is no cost of ours or of Node's.
const { NODE_EXTRA_CA_CERTS: _, TMUX: __, AI_SESSION: ___, ...base } = process.env;
const environment = { ...base, TERM: 'xterm-256color', AI_SESSION_HOME: join(folder, 'h') };

const corpus = makeCorpus(Number(options.mb));

/** What is compared. `raw` is the kernel's terminal with nothing between. */
const systems = {
  tmux: {
    base: ['tmux', '-S', join(folder, 't'), '-f', '/dev/null'],
    create: (name, command) => ['new-session', '-d', '-s', name, '-x', `${COLS}`, '-y', `${ROWS}`, command],
    attach: (name) => ['attach-session', '-t', name],
    list: ['list-sessions'],
    capture: (name) => ['capture-pane', '-p', '-t', name],
    stop: ['kill-server'],
    pids: () => [Number(run(systems.tmux, ['display-message', '-p', '#{pid}']).stdout)],
  },
  'ai-session': {
    base: [process.execPath, new URL('../bin/ai-session', import.meta.url).pathname],
    create: (name, command) => ['new', '-d', '-s', name, '-x', `${COLS}`, '-y', `${ROWS}`, '--', 'sh', '-c', command],
    attach: (name) => ['attach', '-t', name],
    list: ['ls'],
    capture: (name) => ['capture', '-t', name],
    stop: ['daemon', 'stop', '--kill-sessions'],
    pids: () => JSON.parse(run(systems['ai-session'], ['daemon', 'status', '--json']).stdout).pids,
  },
};
if (spawnSync('tmux', ['-V']).error) {
  console.log('tmux is not installed: our figures stand alone');
  delete systems.tmux;
}

function run(system, args) {
  const [command, ...rest] = [...system.base, ...args];
  return spawnSync(command, rest, { env: environment, encoding: 'utf8', cwd: folder });
}

const cases = {
  async cli() {
    const time = (command, args) => milliseconds(() => spawnSync(command, args, { env: environment }));
    const floor = median(Array.from({ length: 15 }, () => time(process.execPath, ['-e', '0'])));
    const figures = { 'bare node -e 0': { 'ls ms': floor } };
    for (const [name, system] of Object.entries(systems)) {
      run(system, system.create('a', 'sleep 600'));
      const [command, ...args] = [...system.base, ...system.list];
      figures[name] = { 'ls ms': median(Array.from({ length: 15 }, () => time(command, args))) };
    }
    return figures;
  },
  echo: () => echoes({ isLoaded: false }),
  echo_loaded: () => echoes({ isLoaded: true }),
  async attach() {
    const figures = {
      'bare node -e 0': {
        'attach ms': median(
          Array.from({ length: 9 }, () => milliseconds(() => spawnSync(process.execPath, ['-e', '0'], { env: environment }))),
        ),
      },
    };
    for (const [name, system] of Object.entries(systems)) {
      run(system, system.create('a', `head -n 2000 ${corpus}; printf 'READY''MARK'; touch ${folder}/ready-${name}; exec sleep 600`));
      await appears(join(folder, `ready-${name}`));
      const times = [];
      for (let n = 0; n < 15; n++) {
        const start = performance.now();
        const terminal = await Terminal.open([...system.base, ...system.attach('a')]);
        await terminal.sees('READYMARK');
        times.push(performance.now() - start);
        await terminal.close();
      }
      figures[name] = { 'attach ms': median(times) };
    }
    return figures;
  },
  async flood() {
    const figures = { 'raw PTY': { 'MB/s': await rawFlood() } };
    for (const [name, system] of Object.entries(systems)) figures[name] = { 'MB/s': await flood(name, system, false) };
    return figures;
  },
  async flood_attached() {
    const figures = { 'raw PTY': { 'MB/s': await rawFlood() } };
    for (const [name, system] of Object.entries(systems)) figures[name] = { 'MB/s': await flood(name, system, true) };
    return figures;
  },
  async sessions() {
    const count = Number(options.sessions);
    const figures = {};
    for (const [name, system] of Object.entries(systems)) {
      run(system, system.create('first', 'sleep 600'));
      const before = pss(system.pids());
      const start = performance.now();
      if (name === 'tmux') for (let n = 0; n < count; n++) run(system, system.create(`s${n}`, 'exec sleep 600'));
      else await createOverOneConnection(count);
      const seconds = (performance.now() - start) / 1000;
      await delay(1500);
      const pids = system.pids();
      const holders = name === 'tmux' ? [] : pids.slice(1).map((pid) => pss([pid]));
      figures[name] = {
        sessions: count,
        'created/s': count / seconds,
        'KiB/session': (pss(pids) - before) / count,
        ...(holders.length > 0 && {
          'holder KiB (median)': median(holders),
          'holder KiB (max)': Math.max(...holders),
          'daemon MiB': pss([pids[0]]) / 1024,
        }),
        'idle CPU %': await cpuPercent(pids.slice(0, 1), 3000),
      };
    }
    return figures;
  },
  async idle() {
    const figures = {};
    for (const [name, system] of Object.entries(systems)) {
      for (let n = 0; n < 20; n++) run(system, system.create(`i${n}`, 'exec sleep 600'));
      await delay(1500);
      figures[name] = { 'CPU % (20 idle sessions)': await cpuPercent(system.pids(), 5000) };
    }
    return figures;
  },
  async wait() {
    // tmux has nothing like it. First what is idle: after a flood the daemon has much to compress.
    const idle = { 'CPU % (20 waits, idle)': await idleWaits() };
    return { 'ai-session': { ...idle, ...(await wakeUps()), ...(await waitingFlood()) } };
  },
  run: runs,
};

/** A terminal that reads everything, as a person's does. */
class Terminal {
  #tail = '';
  #waiting = null;
  #pty;
  #ended = false;
  static async open(argv, env = environment) {
    const terminal = new Terminal();
    const spec = { argv, env, cwd: folder, cols: COLS, rows: ROWS };
    terminal.#pty = await startNodePty(spec, {
      data: (_, bytes) => terminal.#hear(bytes),
      exit: () => terminal.#end(),
      lost: () => terminal.#end(),
    });
    return terminal;
  }
  type(text) {
    this.#pty.write(Buffer.from(text));
  }
  sees(wanted) {
    return new Promise((resolve, reject) => {
      this.#waiting = { wanted, resolve, reject };
      this.#look();
    });
  }
  /** What came before is not what is waited for. */
  forget() {
    this.#tail = '';
  }
  /** Resolves when nothing has come for so long. */
  async quiet(ms) {
    for (let last = -1; last !== this.received; await delay(ms)) last = this.received;
  }
  received = 0;
  async close() {
    if (this.#ended) return;
    await this.#pty.signal('SIGHUP', 'program');
    await new Promise((resolve) => (this.#ended ? resolve() : (this.#closed = resolve)));
  }
  #closed = () => {};
  #hear(bytes) {
    this.received += bytes.length;
    this.#tail = (this.#tail + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')).slice(-8192);
    this.#look();
  }
  #look() {
    if (!this.#waiting) return;
    const at = this.#tail.indexOf(this.#waiting.wanted);
    if (at === -1) return;
    this.#tail = this.#tail.slice(at + this.#waiting.wanted.length);
    const { resolve } = this.#waiting;
    this.#waiting = null;
    resolve();
  }
  #end() {
    this.#ended = true;
    this.#closed();
    this.#waiting?.reject(new Error(`the terminal's program ended before it showed ${this.#waiting.wanted}: ${this.#tail.slice(-500)}`));
  }
}

async function echoes({ isLoaded }) {
  const figures = {};
  const raw = await Terminal.open(['cat']);
  figures['raw PTY'] = await echo(raw);
  await raw.close();
  for (const [name, system] of Object.entries(systems)) {
    run(system, system.create('echo', 'exec cat'));
    if (isLoaded) run(system, system.create('noise', `while :; do cat ${corpus}; done`));
    const terminal = await Terminal.open([...system.base, ...system.attach('echo')]);
    await terminal.quiet(300);
    figures[name] = await echo(terminal);
    await terminal.close();
    run(system, system.stop);
  }
  return figures;
}

async function echo(terminal) {
  await delay(200);
  const times = [];
  for (let n = 0; n < N; n++) {
    const key = String.fromCharCode(97 + (n % 26));
    terminal.forget();
    const start = performance.now();
    const isEchoed = terminal.sees(key);
    terminal.type(key);
    await isEchoed;
    times.push(performance.now() - start);
    await delay(3);
    if (n % 60 === 59) {
      terminal.type('\r');
      await terminal.quiet(30);
    }
  }
  return { 'p50 ms': percentile(times, 0.5), 'p99 ms': percentile(times, 0.99) };
}

async function rawFlood() {
  const terminal = await Terminal.open(['sh', '-c', `cat ${corpus}; printf 'THE''END'`]);
  const start = performance.now();
  await terminal.sees('THEEND');
  await terminal.close();
  return statSync(corpus).size / 1000 / (performance.now() - start);
}

/** Until the program has written all and the screen shows the end of it. */
async function flood(name, system, isAttached) {
  const [go, done] = [join(folder, `go-${name}`), join(folder, `done-${name}`)];
  for (const file of [go, done]) rmSync(file, { force: true });
  run(
    system,
    system.create('flood', `while [ ! -e ${go} ]; do sleep 0.01; done; cat ${corpus}; printf 'THE''END\\n'; touch ${done}; sleep 600`),
  );
  const terminal = isAttached ? await Terminal.open([...system.base, ...system.attach('flood')]) : null;
  await terminal?.quiet(300);
  const start = performance.now();
  const isSeen = terminal?.sees('THEEND');
  writeFileSync(go, '');
  await appears(done);
  await isSeen;
  while (!run(system, system.capture('flood')).stdout.includes('THEEND'));
  const seconds = (performance.now() - start) / 1000;
  await terminal?.close();
  return statSync(corpus).size / 1e6 / seconds;
}

/** From just before the program's write to the answer in the client. */
async function wakeUps() {
  const daemon = await ourDaemon();
  // It says when it wrote: the clock is the same for all processes.
  const program =
    "process.stdin.setRawMode(true); process.stdin.on('data', () => process.stdout.write('woke' + process.hrtime.bigint() + '.\\r\\n'))";
  const { pane } = await daemon.call('session.create', {
    name: 'wake',
    command: [process.execPath, '-e', program],
    cwd: folder,
    env: environment,
  });
  const times = { text: [], regex: [] };
  const conditions = { text: { is: 'text', text: '.' }, regex: { is: 'regex', pattern: '^woke\\d+\\.' } };
  await delay(300);
  for (let n = 0; n < N; n++) {
    const kind = n % 2 ? 'text' : 'regex';
    const waiting = daemon.call('pane.wait', { sessions: [pane], conditions: [conditions[kind]] });
    await daemon.call('pane.write', { session: pane, input: ['x'] });
    const { matched } = await waiting;
    times[kind].push(Number(process.hrtime.bigint() - BigInt(/woke(\d+)/.exec(matched.line)[1])) / 1e6);
    await delay(3);
  }
  daemon.close();
  return Object.fromEntries(
    Object.entries(times).flatMap(([kind, all]) => [0.5, 0.99].map((p) => [`${kind} p${p * 100} ms`, percentile(all, p)])),
  );
}

/** How fast a flood goes by while somebody waits for its end, beside nobody. */
async function waitingFlood() {
  const daemon = await ourDaemon();
  const figures = {};
  for (const [what, conditions] of [
    ['MB/s, nobody waits', [{ is: 'exit' }]],
    ['MB/s, text', [{ is: 'text', text: 'THEEND' }]],
    ['MB/s, regex', [{ is: 'regex', pattern: '^THE\\w+D$' }]],
  ]) {
    const command = ['sh', '-c', `read x; cat ${corpus}; printf 'THE''END'`];
    const { pane } = await daemon.call('session.create', { command, cwd: folder, env: environment });
    const waiting = daemon.call('pane.wait', { sessions: [pane], conditions });
    const start = performance.now();
    await daemon.call('pane.write', { session: pane, input: ['Enter'] });
    await waiting;
    figures[what] = statSync(corpus).size / 1000 / (performance.now() - start);
  }
  daemon.close();
  return figures;
}

/** `true` in a shell: typed on the raw PTY, until the next prompt; and run by a client that is connected, until it has the answer. */
async function runs() {
  const PROMPT = 'nextprompt> ';
  const home = join(folder, 'home');
  mkdirSync(join(home, '.config', 'fish'), { recursive: true });
  for (const file of ['.bashrc', '.zshrc']) writeFileSync(join(home, file), `PS1='${PROMPT}'\n`);
  writeFileSync(join(home, '.config', 'fish', 'config.fish'), `function fish_prompt; printf '${PROMPT}'; end\nset fish_greeting\n`);
  const env = { ...environment, HOME: home, XDG_CONFIG_HOME: join(home, '.config'), PS1: PROMPT, ENV: '' };
  const figures = { 'raw PTY': {}, 'ai-session': {}, 'over the raw PTY': {} };
  const daemon = await ourDaemon();
  for (const shell of ['bash', 'zsh', 'fish', 'sh']) {
    if (spawnSync(shell, ['-c', 'exit 0']).error) continue;
    const terminal = await Terminal.open([shell], env);
    await terminal.sees(PROMPT);
    await terminal.quiet(300);
    const raw = await timesOf(async () => {
      terminal.forget();
      const isBack = terminal.sees(PROMPT);
      terminal.type('true\r');
      await isBack;
    });
    await terminal.close();
    await daemon.call('session.create', { name: shell, command: [shell], cwd: folder, env });
    const ours = await timesOf(() => daemon.call('command.run', { session: shell, text: 'true' }));
    for (const p of [0.5, 0.99]) {
      const key = `${shell} p${p * 100} ms`;
      figures['raw PTY'][key] = percentile(raw, p);
      figures['ai-session'][key] = percentile(ours, p);
      figures['over the raw PTY'][key] = percentile(ours, p) - percentile(raw, p);
    }
  }
  daemon.close();
  return figures;
}

async function timesOf(action) {
  const times = [];
  // The first ones find nothing in the caches.
  for (let n = -10; n < N; n++) {
    const start = performance.now();
    await action();
    if (n >= 0) times.push(performance.now() - start);
    await delay(3);
  }
  return times;
}

async function idleWaits() {
  const daemon = await ourDaemon();
  for (let n = 0; n < 20; n++) {
    const { pane } = await daemon.call('session.create', { name: `w${n}`, command: ['sleep', '600'], cwd: folder, env: environment });
    daemon
      .call('pane.wait', { sessions: [pane], conditions: [{ is: 'text', text: 'never' }, { is: 'change' }, { is: 'exit' }] })
      .catch(() => {});
  }
  await delay(1500);
  const percent = await cpuPercent([daemon.daemon.pid], 5000);
  daemon.close();
  return percent;
}

async function ourDaemon() {
  const { connect } = await import('../dist/client/daemon.js');
  const { pathsFor } = await import('../dist/config/paths.js');
  return await connect(pathsFor(environment));
}

async function createOverOneConnection(count) {
  const daemon = await ourDaemon();
  for (let n = 0; n < count; n++)
    await daemon.call('session.create', { name: `s${n}`, command: ['sleep', '600'], cwd: folder, env: environment });
  daemon.close();
}

async function appears(file) {
  while (!existsSync(file)) await delay(2);
}

function pss(pids) {
  return pids.reduce((sum, pid) => sum + Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]), 0);
}

async function cpuPercent(pids, ms) {
  const ticks = () =>
    pids.reduce(
      (sum, pid) =>
        sum +
        readFileSync(`/proc/${pid}/stat`, 'latin1')
          .split(') ')[1]
          .split(' ')
          .slice(11, 13)
          .reduce((a, b) => a + Number(b), 0),
      0,
    );
  const before = ticks();
  await delay(ms);
  return ((ticks() - before) * 10 * 100) / ms;
}

function milliseconds(work) {
  const start = performance.now();
  work();
  return performance.now() - start;
}

function percentile(values, p) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))];
}

function median(values) {
  return percentile(values, 0.5);
}

/** Lines such as build tools print: words, some colours, some wide characters. The same every time. */
function makeCorpus(megabytes) {
  const path = join(folder, 'corpus');
  const words =
    'compile build test module warning error src lib index function const return import export async await server client daemon session output parser token naïve größe 変更 ✓'.split(
      ' ',
    );
  let seed = 7;
  const random = (below) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % below;
  const lines = [];
  for (let bytes = 0; bytes < megabytes * 1e6; ) {
    let line = Array.from({ length: 3 + random(12) }, () => words[random(words.length)]).join(' ');
    const kind = random(10);
    if (kind < 2) line = `\x1b[32m✓\x1b[39m ${line} \x1b[2m(${1 + random(999)} ms)\x1b[22m`;
    else if (kind < 3) line = `\x1b[1m\x1b[31merror\x1b[39m\x1b[22m: ${line}`;
    lines.push(line);
    bytes += Buffer.byteLength(line) + 1;
  }
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

try {
  for (const name of options.cases.split(',')) {
    if (!cases[name]) throw new Error(`no case "${name}": use ${Object.keys(cases).join(', ')}`);
    const figures = await cases[name]();
    console.log(`\n${name}`);
    const ratios = {};
    for (const key of Object.keys(figures['ai-session']))
      if (figures.tmux?.[key]) ratios[key] = figures['ai-session'][key] / figures.tmux[key];
    if (figures.tmux) figures['ai-session / tmux'] = ratios;
    for (const [system, row] of Object.entries(figures)) {
      console.log(
        `  ${system.padEnd(20)}${Object.entries(row)
          .map(([key, value]) => `${key} ${Number.isInteger(value) ? value : value.toFixed(2)}`)
          .join('   ')}`,
      );
    }
    for (const system of Object.values(systems)) run(system, system.stop);
  }
} finally {
  for (const system of Object.values(systems)) run(system, system.stop);
  rmSync(folder, { recursive: true, force: true });
}
