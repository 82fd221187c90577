// An MCP server over pipes that talks: `node talker.mjs FILE`. It lists the tools in FILE, writes to its standard error
// when it starts, and every half a second sends a log line that nobody has asked for.

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [file] = process.argv.slice(2);
const say = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
process.stdout.on('error', () => process.exit(0));
process.stderr.write('talker is \u001b[32mready\u001b[0m <b>now</b>\n');

let ticks = 0;
const answers = {
  initialize: ({ protocolVersion }) => {
    setInterval(() => say({ method: 'notifications/message', params: { level: 'warning', logger: 'clock', data: `tick ${(ticks += 1)}` } }), 500);
    return { protocolVersion, capabilities: { tools: { listChanged: true }, logging: {} }, serverInfo: { name: 'talker', version: '1.0.0' } };
  },
  'tools/list': () => ({ tools: JSON.parse(readFileSync(file, 'utf8')) }),
};
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { id, method, params } = JSON.parse(line);
    if (id === undefined) return;
    const answer = answers[method];
    say(answer ? { id, result: answer(params ?? {}) } : { id, error: { code: -32601, message: 'not here' } });
    if (method === 'tools/list') say({ method: 'notifications/tools/list_changed' });
  })
  .on('close', () => process.exit(0));
