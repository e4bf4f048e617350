// A client as it was when protocol 1 was made. It is frozen: it imports nothing of ours, and what it says is never brought up to date, so a
// daemon that it cannot talk to any more has broken its promise to clients that people have installed.
//   node client-1.js SOCKET HELLO: speaks as the JSON in HELLO says, and prints what it met as one JSON object.
import { createConnection } from 'node:net';

const [socketPath, hello] = process.argv.slice(2);
const socket = createConnection(socketPath);
const waiting = new Map();
const met = {
  hello: null,
  created: null,
  listed: null,
  attached: null,
  snapshot: null,
  output: '',
  ended: null,
  stopped: null,
  refused: null,
};
let nextId = 1;
let unread = Buffer.alloc(0);
let hasOutput = () => {};
let hasEnded = () => {};
let saidHello;
const greeted = new Promise((resolve) => {
  saidHello = resolve;
});

socket.on('data', (chunk) => {
  unread = Buffer.concat([unread, chunk]);
  // [length u32 big-endian][kind u8][body]
  while (unread.length >= 4 && unread.length >= 4 + unread.readUInt32BE(0)) {
    const length = unread.readUInt32BE(0);
    hear(unread[4], unread.subarray(5, 4 + length));
    unread = unread.subarray(4 + length);
  }
});
socket.on('error', (error) => finish(`${error.code}`));
socket.on('close', () => finish('closed'));

function hear(kind, body) {
  if (kind === 2 || kind === 3) {
    // [stream u32][offset u64][bytes]
    const text = body.subarray(12).toString();
    if (kind === 3) met.snapshot = { stream: body.readUInt32BE(0), offset: Number(body.readBigUInt64BE(4)), isEmpty: text === '' };
    else met.output += text;
    return hasOutput();
  }
  const message = JSON.parse(body.toString());
  if (message.hello) saidHello((met.hello = message.hello));
  else if (message.method === 'stream.ended') hasEnded((met.ended = message.params));
  else if (waiting.has(message.id)) {
    const { resolve, reject } = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.error) reject(message.error);
    else resolve(message.result);
  } else if (message.error) met.refused = message.error;
}

function send(kind, body) {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(body.length + 1, 0);
  header[4] = kind;
  socket.write(Buffer.concat([header, body]));
}

function sendJson(value) {
  send(1, Buffer.from(JSON.stringify(value)));
}

function call(method, params) {
  const id = nextId++;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    sendJson({ jsonrpc: '2.0', id, method, params });
  });
}

function type(stream, text) {
  const bytes = Buffer.alloc(12 + Buffer.byteLength(text));
  bytes.writeUInt32BE(stream, 0);
  bytes.write(text, 12);
  send(2, bytes);
}

async function outputHas(text) {
  while (!met.output.includes(text)) {
    await new Promise((resolve) => {
      hasOutput = resolve;
    });
  }
}

function finish(how) {
  if (how !== 'done' && met.refused === null) met.refused = how;
  console.log(JSON.stringify(met));
  process.exit(0);
}

sendJson({ hello: JSON.parse(hello) });
await greeted;
try {
  met.created = await call('session.create', {
    name: 'old',
    command: ['cat'],
    cwd: '/',
    env: { PATH: process.env.PATH },
    cols: 80,
    rows: 24,
  });
  met.listed = await call('session.list', {});
  met.attached = await call('pane.attach', { session: 'old', cols: 80, rows: 24 });
  type(met.attached.stream, 'typed\r');
  await outputHas('typed\r\ntyped\r\n');
  await call('pane.write', { session: 'old', input: ['written', 'Enter'] });
  await outputHas('written\r\nwritten\r\n');
} catch (error) {
  met.refused = error;
}
const isOver = new Promise((resolve) => {
  hasEnded = resolve;
});
met.stopped = await call('daemon.stop', { killSessions: false }).catch((error) => ({ error }));
if (met.attached) await isOver;
finish('done');
