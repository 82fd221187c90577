// A hostile MCP server over standard input and output: `node mcp-stdio.mjs MODE [JOURNAL]`.
//
// Every line that arrives is appended to JOURNAL, as it came. The modes of `lib/mcp.mjs` change what is listed and
// answered; these change how the process behaves:
//
//   ok                well                          exit          ends at once with status 3 and a word on stderr
//   hang              reads, never answers          exitcall      ends in the middle of a call
//   hangcall          answers all but calls         flood         valid notifications without end after the list
//   garbage           bytes that are no JSON        bigline       one line without end
//   stderr            floods standard error         slow          answers after 3 s each
//   orphan            starts a child that outlives  split         one byte at a time
//   deaf              never reads, closes nothing   batch         junk lines between the answers

import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Machine } from './lib/mcp.mjs';

const [mode = 'ok', journal] = process.argv.slice(2);
const machine = new Machine(mode);

// The other end going away is how every one of these ends.
process.stdout.on('error', () => process.exit(0));
process.stderr.on('error', () => {});

const write = (text) => new Promise((done) => (process.stdout.write(text) ? done() : process.stdout.once('drain', done)));

async function send(message) {
  const line = `${JSON.stringify(message)}\n`;
  if (mode === 'split') {
    for (const byte of Buffer.from(line)) {
      await write(Buffer.of(byte));
      await sleep(0);
    }
    return;
  }
  if (mode === 'batch') await write('\n  \nthis is not JSON\n{"jsonrpc":"2.0"}\n[]\n');
  await write(line);
}

async function endless(piece) {
  for (;;) await write(piece);
}

async function receive(line) {
  if (journal) appendFileSync(journal, `${line}\n`);
  let message;
  try {
    message = JSON.parse(line);
  } catch {
    return;
  }
  if (mode === 'hang') return;
  if (mode === 'hangcall' && message.method === 'tools/call') return;
  if (mode === 'exitcall' && message.method === 'tools/call') process.exit(4);
  if (mode === 'slow') await sleep(3000);
  for (const answer of machine.answer(message)) await send(answer);
  if (mode === 'flood' && message.method === 'tools/list') {
    const params = { level: 'info', data: 'z'.repeat(1000) };
    await endless(`${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params })}\n`.repeat(64));
  }
}

if (mode === 'exit') {
  process.stderr.write('hostile: cannot read /etc/hostile.conf\n');
  process.exit(3);
}
if (mode === 'orphan') {
  // A grandchild in the group of its own parent: whoever kills the group gets it, whoever kills the process does not.
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', 'fumehood-orphan'], { stdio: 'ignore' });
  child.unref();
}
if (mode === 'garbage') await write(Buffer.from(Array.from({ length: 65536 }, (_, i) => (i * 31 + 7) % 256)));
if (mode === 'bigline') await endless('{"jsonrpc":"2.0","method":"'.padEnd(1 << 20, 'x'));
if (mode === 'stderr') setInterval(() => process.stderr.write('noise \u001b[2J\r\n'.repeat(5000)), 1);
if (mode === 'deaf') {
  setInterval(() => {}, 1000);
} else {
  const lines = createInterface({ input: process.stdin, crlfDelay: Infinity });
  let queue = Promise.resolve();
  lines.on('line', (line) => (queue = queue.then(() => receive(line))));
  lines.on('close', () => queue.then(() => process.exit(0)));
}
