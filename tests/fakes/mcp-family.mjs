// An MCP server over pipes with a family, as those have that start browsers, compilers or workers: three grandchildren,
// of which one does what it is told, one ignores SIGTERM, and one ignores it and holds the server's own pipes open.
//
//   node mcp-family.mjs MODE MARK         MARK stands in the command line of every process
//
//   ok        ends when its input ends              stubborn  ignores that and SIGTERM
//   crash     its tool `echo` ends it with status 7, after saying who is left behind
//   abort     the same by a signal, SIGKILL         early     ends with status 7 before it has said anything

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Machine } from './lib/mcp.mjs';

const [mode = 'ok', mark = 'family'] = process.argv.slice(2);
const member = (script, stdio) => spawn('/bin/sh', ['-c', `${script} while :; do sleep 1; done`, mark], { stdio });

member('', 'ignore');
member('trap "" TERM;', 'ignore');
member('trap "" TERM HUP;', 'inherit');
if (mode === 'early') process.exit(7);
if (mode === 'stubborn') {
  process.on('SIGTERM', () => {});
  setInterval(() => {}, 1000);
}

const machine = new Machine('ok');
const lines = createInterface({ input: process.stdin, crlfDelay: Infinity });
process.stdout.on('error', () => {});
lines.on('line', (line) => {
  const message = JSON.parse(line);
  if (message.method === 'tools/call' && mode === 'crash') process.exit(7);
  if (message.method === 'tools/call' && mode === 'abort') process.kill(process.pid, 'SIGKILL');
  for (const answer of machine.answer(message)) process.stdout.write(`${JSON.stringify(answer)}\n`);
});
lines.on('close', () => mode !== 'stubborn' && process.exit(0));
