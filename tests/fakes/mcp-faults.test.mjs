// The server that goes wrong on demand, judged: what works is right, each fault is what it is called, and what a client
// does wrong is noticed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { FAULTS, start } from './mcp-faults.mjs';

const script = new URL('./mcp-faults.mjs', import.meta.url).pathname;
const initialize = { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } } };
const initialized = { jsonrpc: '2.0', method: 'notifications/initialized' };
const call = (id, fault) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'fail', arguments: { fault } } });
const STREAM = 'text/event-stream';

let fake;
before(async () => (fake = await start()));
after(() => fake.close());

async function post(message, headers = {}) {
  const answer = await fetch(`${fake.url}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: `application/json, ${STREAM}`, 'mcp-protocol-version': '2025-11-25', ...headers },
    body: JSON.stringify(message),
    redirect: 'manual',
    signal: AbortSignal.timeout(1000),
  });
  return { status: answer.status, headers: answer.headers, type: answer.headers.get('content-type'), text: await answer.text() };
}
const control = async (name, body) => {
  const answer = await fetch(`${fake.url}/__${name}`, body ? { method: 'POST', body: JSON.stringify(body) } : {});
  return answer.json();
};
async function session() {
  const begun = await post(initialize);
  const headers = { 'mcp-session-id': begun.headers.get('mcp-session-id') };
  assert.equal((await post(initialized, headers)).status, 202);
  return headers;
}

test('over HTTP each fault is what it is called, and the rest works', async () => {
  await control('elsewhere', { url: 'http://127.0.0.1:1/' });
  const headers = await session();
  let id = 10;
  const fails = (fault) => post(call((id += 1), fault), headers);
  for (const fault of ['hang', 'half', 'flood', 'endless', 'drop', 'cut']) await assert.rejects(fails(fault), undefined, fault);
  const garbage = await fails('garbage');
  assert.throws(() => JSON.parse(garbage.text));
  assert.equal(JSON.parse((await fails('wrongid')).text).id, 987654);
  assert.equal((await fails('twice')).text.match(/"result"/g).length, 2);
  assert.equal((await fails('e500')).status, 500);
  assert.equal((await fails('redirect')).headers.get('location'), 'http://127.0.0.1:1/');
  const cut = await fails('cutsse');
  assert.equal(cut.type, STREAM);
  assert.doesNotMatch(cut.text, /\n\n$/);
  const list = { jsonrpc: '2.0', id: 100, method: 'tools/list' };
  const before = JSON.parse((await post(list, headers)).text);
  assert.equal((await fails('storm')).text.match(/list_changed/g).length, 1000);
  const changed = JSON.parse((await post({ ...list, id: 101 }, headers)).text);
  assert.notEqual(changed.result.tools[0].description, before.result.tools[0].description);
  await control('huge', { on: true });
  assert.ok((await post({ ...list, id: 102 }, headers)).text.length > 5 * 1024 * 1024);
  assert.equal(await control('lists'), 3);
  assert.deepEqual(await control('violations'), []);
});

test('what a client does wrong is noticed', async () => {
  await control('reset', {});
  const headers = await session();
  await post(call(10, 'twice'), headers);
  await post(call(10, 'twice'), headers);
  await post(call(11, 'twice'), { ...headers, 'mcp-protocol-version': '2024-11-05' });
  await post(call(12, 'twice'), { ...headers, accept: 'application/json' });
  assert.equal((await post(call(13, 'twice'))).status, 400);
  assert.equal((await post(call(13, 'twice'), { 'mcp-session-id': 'no' })).status, 404);
  const early = { 'mcp-session-id': (await post(initialize)).headers.get('mcp-session-id') };
  await post({ jsonrpc: '2.0', id: 2, method: 'ping' }, early);
  const said = (await control('violations')).map((one) => one.split(':')[0]);
  assert.deepEqual(said, ['an id is used a second time', 'MCP-Protocol-Version', 'Accept', 'a request before notifications/initialized']);
});

test('over HTTP+SSE messages go to another path', async () => {
  const stream = await fetch(`${fake.url}/sse`, { headers: { accept: STREAM } });
  const reader = stream.body.pipeThrough(new TextDecoderStream()).getReader();
  const [, place] = /^event: endpoint\ndata: (\S+)/.exec((await reader.read()).value);
  assert.match(place, /^\/rpc\/somewhere\/else\?session=/);
  const sent = await fetch(fake.url + place, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(initialize) });
  assert.equal(sent.status, 202);
  assert.match((await reader.read()).value, /"protocolVersion":"2025-11-25"/);
  await reader.cancel();
});

/** Call over pipes: the lines that came, up to `count`, and the exit code. */
async function piped(fault, { count = 99, ms = 700 } = {}) {
  const journal = join(mkdtempSync(join(tmpdir(), 'faults-')), 'journal');
  const child = spawn(process.execPath, [script, '--stdio', journal], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = [];
  let bytes = 0;
  child.stdout.on('data', (data) => (bytes += data.length));
  const over = new Promise((done) => {
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line) >= count && done());
    child.on('exit', done);
    setTimeout(done, ms).unref();
  });
  for (const message of [initialize, initialized, call(2, fault)]) child.stdin.write(`${JSON.stringify(message)}\n`);
  await over;
  const [whole, code] = [[...lines], child.exitCode];
  if (code === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  return { lines: whole, code, bytes, journal };
}

test('over pipes each fault is what it is called', async () => {
  for (const fault of ['hang', 'half', 'endless']) assert.equal((await piped(fault)).lines.length, 1, fault);
  assert.ok((await piped('endless')).bytes > 5 * 1024 * 1024);
  assert.equal((await piped('flood', { count: 1000, ms: 4000 })).lines.length >= 1000, true);
  for (const fault of ['drop', 'cut']) assert.equal((await piped(fault, { ms: 4000 })).code, 4, fault);
  assert.match((await piped('garbage', { count: 4, ms: 4000 })).lines.at(-1), /"text":"garbage"/);
  assert.match((await piped('wrongid', { count: 3, ms: 4000 })).lines[1], /987654/);
  assert.equal((await piped('twice', { count: 3, ms: 4000 })).lines.length, 3);
  const { lines, journal } = await piped('storm', { count: 1002, ms: 4000 });
  assert.equal(lines.filter((line) => line.includes('list_changed')).length, 1000);
  assert.ok(existsSync(`${journal}.changed`));
  assert.equal(readFileSync(journal, 'utf8'), 'CALL {"fault":"storm"}\n');
  assert.equal(new Set(FAULTS).size, FAULTS.length);
});
