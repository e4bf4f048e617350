// A program that does what the test says. Started with the path of the test's socket and its own name; speaks JSON lines.
import { createConnection } from 'node:net';

const [path, name] = process.argv.slice(2);
const socket = createConnection(path);
const tell = (message) => socket.write(`${JSON.stringify(message)}\n`);

const orders = {
  print: ({ text }) => process.stdout.write(text),
  printHex: ({ hex }) => process.stdout.write(Buffer.from(hex, 'hex')),
  raw: () => {
    process.stdin.setRawMode(true);
    tell({ did: 'raw' });
  },
  read: () => process.stdin.on('data', (bytes) => tell({ input: bytes.toString('hex') })).resume(),
  catch: ({ signal }) => {
    process.on(signal, () => {
      // Node caches the size and may ask for it again only after us.
      process.stdout._refreshSize();
      tell({ signal, size: [process.stdout.columns, process.stdout.rows] });
    });
    tell({ did: 'catch' });
  },
  size: () => {
    process.stdout._refreshSize();
    tell({ size: [process.stdout.columns, process.stdout.rows] });
  },
  environment: () => tell({ environment: process.env, cwd: process.cwd(), argv: process.argv.slice(4) }),
  exit: ({ code }) => process.exit(code),
};

let rest = '';
socket.on('data', (chunk) => {
  const lines = (rest + chunk).split('\n');
  rest = lines.pop();
  for (const line of lines) {
    const { order, ...details } = JSON.parse(line);
    orders[order](details);
  }
});
// The test has gone: so do we, whatever signals are being caught.
socket.on('close', () => process.exit(99));
socket.on('error', () => process.exit(98));
tell({ hello: name, pid: process.pid });
