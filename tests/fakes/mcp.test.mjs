// The hostile MCP servers, judged: the well-behaved middle works over both transports, and each mode misbehaves as named.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { API_KEY, BEARER, start } from './mcp-http.mjs';

const script = new URL('./mcp-stdio.mjs', import.meta.url).pathname;
const initialize = { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } } };
const list = { jsonrpc: '2.0', id: 2, method: 'tools/list' };
const call = { jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: 'echo', arguments: { text: 'hi' } } };

/** Run a mode, send lines, and give back what came within `ms` or until `count` lines. */
async function stdio(mode, messages, { count = messages.length, ms = 4000, journal } = {}) {
  const child = spawn(process.execPath, [script, mode, ...(journal ? [journal] : [])], { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => {});
  const lines = [];
  let errors = '';
  child.stderr.on('data', (data) => (errors = (errors + data).slice(0, 10000)));
  const enough = new Promise((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line) >= count && resolve());
    child.on('exit', resolve);
    setTimeout(resolve, ms).unref();
  });
  for (const message of messages) child.stdin.write(`${JSON.stringify(message)}\n`);
  await enough;
  // What is half a line now would be counted as a line when the process ends.
  const whole = [...lines];
  const code = child.exitCode;
  if (code === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  const parsed = whole.flatMap((line) => {
    try {
      return [JSON.parse(line)];
    } catch {
      return [];
    }
  });
  return { lines: whole, code, errors, answers: parsed };
}

test('stdio: initialise, list, call, and a journal', async () => {
  const journal = join(mkdtempSync(join(tmpdir(), 'mcp-')), 'journal');
  for (const mode of ['ok', 'split']) {
    const { answers } = await stdio(mode, [initialize, { jsonrpc: '2.0', method: 'notifications/initialized' }, list, call], { count: 3, journal });
    assert.equal(answers[0].result.protocolVersion, '2025-11-25');
    assert.deepEqual(answers[1].result.tools.map((tool) => tool.name), ['echo', 'restart_service']);
    assert.equal(answers[2].result.content[0].text, 'hi');
  }
  assert.match(readFileSync(journal, 'utf8'), /"text":"hi"/);
});

test('stdio: what stands in a file is what it offers and answers', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'mcp-')), 'script.json');
  const said = { content: [{ type: 'text', text: 'said $text' }] };
  const ask = (id, name) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: { text: 'hi' } } });
  const tools = ['echo', 'wrong', 'silent'].map((name) => ({ name }));
  writeFileSync(file, JSON.stringify({ tools, answers: { echo: said, wrong: { code: -32000, message: 'no' } } }));
  const { answers } = await stdio(`scripted:${file}`, [initialize, list, ask(3, 'echo'), ask(4, 'silent'), ask(5, 'wrong')], { count: 4 });
  assert.deepEqual(answers.map((one) => one.id), [1, 2, 3, 5]);
  assert.deepEqual(answers[1].result.tools, tools);
  assert.equal(answers[2].result.content[0].text, 'said hi');
  assert.deepEqual(answers[3].error, { code: -32000, message: 'no' });
});

test('stdio: each misbehaves', async () => {
  const exit = await stdio('exit', [initialize]);
  assert.equal(exit.code, 3);
  assert.match(exit.errors, /cannot read/);
  assert.equal((await stdio('hang', [initialize], { ms: 400 })).lines.length, 0);
  assert.equal((await stdio('hangcall', [initialize, list, call], { ms: 600 })).answers.length, 2);
  assert.equal((await stdio('exitcall', [initialize, list, call])).code, 4);
  assert.ok((await stdio('flood', [initialize, list], { count: 1000 })).lines.length >= 1000);
  assert.ok((await stdio('stderr', [initialize], { count: 99, ms: 400 })).errors.length >= 10000);
  assert.equal((await stdio('slow', [initialize], { ms: 600 })).lines.length, 0);
  assert.equal((await stdio('bigline', [initialize], { ms: 300 })).lines.length, 0);
  assert.ok((await stdio('batch', [initialize], { count: 6 })).lines.length >= 6);
});

test('stdio: what is listed and answered', async () => {
  assert.deepEqual((await stdio('empty', [initialize, list])).answers[1].result.tools, []);
  assert.equal((await stdio('listerror', [initialize, list])).answers[1].error.code, -32603);
  const rug = (await stdio('rug', [initialize, list, list])).answers;
  assert.notDeepEqual(rug[1].result, rug[2].result);
  assert.equal((await stdio('callerror', [initialize, list, call])).answers[2].result.isError, true);
  assert.match((await stdio('pii', [initialize, list, call])).answers[2].result.content[0].text, /jane\.roe@example\.com/);
  assert.equal((await stdio('ok', [{ jsonrpc: '2.0', id: 9, method: 'server/discover' }])).answers[0].error.code, -32601);
});

let fake;
before(async () => (fake = await start()));
after(() => fake.close());
async function post(mode, message, headers = {}) {
  const answer = await fetch(`${fake.url}/mcp/${mode}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify(message),
    redirect: 'manual',
    signal: AbortSignal.timeout(1500),
  });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}

test('http: sessions, both forms of answer, credentials', async () => {
  for (const mode of ['ok', 'sse', 'noheaders']) {
    const first = await post(mode, initialize);
    const session = { 'mcp-session-id': first.headers.get('mcp-session-id'), 'mcp-protocol-version': '2025-11-25' };
    assert.match((await post(mode, call, session)).text, /"text":"hi"/, mode);
    assert.equal((await post(mode, call)).status, 400);
    assert.equal((await post(mode, call, { ...session, 'mcp-session-id': 'no' })).status, 404);
  }
  assert.equal((await post('bearer', initialize)).status, 401);
  assert.equal((await post('bearer', initialize, { authorization: `Bearer ${BEARER}` })).status, 200);
  assert.equal((await post('key', initialize, { 'x-api-key': API_KEY })).status, 200);
  assert.equal((await post('stateless', list)).status, 200);
  const forgets = { 'mcp-session-id': (await post('forgets', initialize)).headers.get('mcp-session-id') };
  const statuses = [];
  for (let i = 0; i < 5; i += 1) statuses.push((await post('forgets', list, forgets)).status);
  assert.deepEqual(statuses, [200, 200, 200, 404, 404]);
});

test('http: each misbehaves', async () => {
  assert.match((await post('html', initialize)).text, /Sign in/);
  assert.equal((await post('e500', initialize)).status, 500);
  assert.equal((await post('redirect', initialize)).headers.get('location'), 'http://169.254.169.254/mcp');
  await assert.rejects(post('hang', initialize));
  await assert.rejects(post('cut', initialize));
  await assert.rejects(post('garbage', initialize).then(({ text }) => JSON.parse(text)));
  assert.equal((await post('wrongtype', initialize)).headers.get('content-type'), 'text/plain');
  const session = { 'mcp-session-id': (await post('flood', initialize)).headers.get('mcp-session-id') };
  await assert.rejects(post('flood', call, session));
});
