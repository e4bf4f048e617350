// Runs the README's first command as a person would, on a real terminal, and looks at what appears. node-pty comes from a folder of its own,
// because the clone has nothing installed yet: that is the point.
import { createRequire } from 'node:module';

const [tools] = process.argv.slice(2);
const { spawn } = createRequire(`${tools}/`)('node-pty');

const terminal = spawn('npm', ['start'], { name: 'xterm-256color', cols: 100, rows: 30, env: { ...process.env, SHELL: '/bin/bash' } });
let seen = '';
let waiting = null;
const look = () => {
  if (!waiting || !seen.includes(waiting.wanted)) return;
  seen = seen.slice(seen.indexOf(waiting.wanted) + waiting.wanted.length);
  const { resolve } = waiting;
  waiting = null;
  resolve();
};
terminal.onData((text) => {
  process.stdout.write(text);
  seen += text;
  look();
});
terminal.onExit(({ exitCode }) => {
  if (waiting) console.log(`\nended before it showed ${JSON.stringify(waiting.wanted)}`);
  process.exitCode = exitCode !== 0 || waiting ? 1 : 0;
  if (process.exitCode === 0) console.log('\nfirst run:\n1 passed, 0 failed');
});
const shows = (wanted) =>
  new Promise((resolve) => {
    waiting = { wanted, resolve };
    look();
  });

// The title is saved at the moment the terminal becomes the session's; what is typed from then on reaches the shell.
await shows('\x1b[22;0t');
terminal.write('echo "I am in $AI_SESSION, $((40 + 2))"\r');
await shows('I am in $1, 42');
terminal.write('\x02d');
await shows('[detached from session');
