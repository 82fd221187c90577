// The programs of others that the product is judged with: aimock as the model, Anthropic's reference MCP server over
// HTTP, Confluence's own OpenAPI document behind Prism.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { LLMock } from '@copilotkit/aimock';
import { root } from './server.mjs';

const packages = new URL('../node_modules', import.meta.url).pathname;

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** A program that listens on a port of its own; waits until it does. */
async function program(arguments_, port, environment = {}) {
  const child = spawn(process.execPath, arguments_, { env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (log = (log + bytes).slice(-20_000)));
  for (let waited = 0; ; waited += 100) {
    const open = await new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (open) break;
    if (child.exitCode !== null || waited > 60_000) throw new Error(`${arguments_[0]} does not listen: ${log}`);
    await sleep(100);
  }
  return { url: `http://127.0.0.1:${port}`, log: () => log, stop: () => child.kill('SIGKILL') };
}

/** A deterministic model. `rules` are `[predicate(text of the last message, request), response]`, the first that fits. */
export async function model(rules) {
  const mock = new LLMock({ port: 0, chunkSize: 9, latency: 3 });
  const last = (request) => {
    const { content } = request.messages.at(-1);
    return typeof content === 'string' ? content : JSON.stringify(content ?? '');
  };
  for (const [fits, response] of rules) mock.on({ predicate: (request) => Boolean(fits(last(request), request)) }, response);
  await mock.start();
  return {
    base: `${mock.url}/v1`,
    /** All that it was sent, headers too. */
    received: () => JSON.stringify(mock.getRequests().map(({ path, headers, body }) => ({ path, headers, body }))),
    requests: () => mock.getRequests(),
    stop: () => mock.stop(),
  };
}

/** `@modelcontextprotocol/server-everything` over streamable HTTP. */
export async function everything() {
  const port = await freePort();
  const path = join(packages, '@modelcontextprotocol/server-everything/dist/index.js');
  const started = await program([path, 'streamableHttp'], port, { PORT: String(port) });
  return { ...started, endpoint: `${started.url}/mcp` };
}

/** Prism over Confluence's document; nothing where the document is not beside this checkout. */
export async function prism() {
  const shared = process.env.FUMEHOOD_SHARED ?? join(root, '../shared');
  const packed = join(shared, 'data/openapi/confluence-v2.json.gz');
  if (!existsSync(packed)) return undefined;
  const path = join(mkdtempSync(join(tmpdir(), 'prism-')), 'confluence.json');
  writeFileSync(path, gunzipSync(readFileSync(packed)));
  const port = await freePort();
  return program([join(packages, '@stoplight/prism-cli/dist/index.js'), 'mock', '--errors', '-h', '127.0.0.1', '-p', String(port), path], port);
}

/** What the document says against requests that a Confluence has received (as the fake's journal lists them). */
export async function judge(prismUrl, journal) {
  const objections = [];
  let judged = 0;
  for (const { method, url, headers, body } of journal) {
    if (!url.startsWith('/wiki/api/v2/')) continue;
    const kept = Object.entries(headers).filter(([name]) => ['authorization', 'content-type', 'accept'].includes(name));
    const answer = await fetch(prismUrl + url.slice('/wiki/api/v2'.length), { method, headers: Object.fromEntries(kept), body: body || undefined });
    judged += 1;
    const violations = answer.headers.get('sl-violations');
    const text = await answer.text();
    if (violations?.includes('"request"') || [401, 404, 405, 415, 422].includes(answer.status)) {
      objections.push(`${method} ${url}: ${answer.status} ${violations ?? text.slice(0, 300)}\n${body}`);
    }
  }
  return { judged, objections };
}
