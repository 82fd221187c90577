#!/usr/bin/env node
// Runs the public MCP conformance suite against a server and compares two runs. See README.md.
//
//   node judge.mjs server --url URL --requirements ERA [--header 'Name: value'] [--out FOLDER]
//   node judge.mjs delta --direct A.json --through B.json

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { parseArgs } from 'node:util';

const SUITE = join(import.meta.dirname, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
const LIMIT_MS = 10 * 60_000;
// A check that a scenario emits more than once counts as the worst of its outcomes.
const FROM_BEST = ['SUCCESS', 'INFO', 'SKIPPED', 'WARNING', 'FAILURE'];
// What belongs to one connection is not for the next one (RFC 9110, 7.6.1).
const PER_CONNECTION = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

/** Runs the suite and returns `{ "scenario/check-id": status }`. */
export async function judge({ url, requirements, header, out, limitMs = LIMIT_MS }) {
  if (out) mkdirSync(out, { recursive: true });
  const folder = mkdtempSync(join(out ?? tmpdir(), `conformance-${requirements}-`));
  const forwarder = header && (await forward(url, header));
  try {
    const args = ['server', '--url', forwarder?.url ?? url, '--requirements', requirements, '-o', folder];
    const { code, output } = await run([SUITE, ...args], limitMs);
    // The suite exits with 1 where checks failed, which is a result, and where it broke, which is none.
    if (!output.includes('=== SUMMARY ===')) throw new Error(`the suite did not finish (${code}):\n${output.slice(-2000)}`);
    return read(folder);
  } finally {
    forwarder?.close();
    if (!out) rmSync(folder, { recursive: true, force: true });
  }
}

/** Checks that pass direct and not through, or fail through and not direct: `{ key: [direct, through] }`. */
export function delta(direct, through) {
  const worse = {};
  for (const key of new Set([...Object.keys(direct), ...Object.keys(through)])) {
    const [a, b] = [direct[key] ?? 'MISSING', through[key] ?? 'MISSING'];
    if (a !== b && (a === 'SUCCESS' || b === 'FAILURE')) worse[key] = [a, b];
  }
  return worse;
}

/** A proxy on loopback that adds a header to each request; bodies stream, and what is broken off on one side is on the other. */
export async function forward(target, header) {
  const { protocol, hostname, port, host, origin, pathname } = new URL(target);
  if (protocol !== 'http:') throw new Error(`the server is judged over http, not ${protocol}`);
  const [, name, value] = /^([^:\s]+):\s*(.*)$/.exec(header) ?? [];
  if (!name) throw new Error(`not a header: ${header}`);

  const server = http.createServer((request, response) => {
    const own = request.socket.localPort;
    // Only this forwarder's own name becomes the target's: the suite also sends foreign ones, to see them refused.
    const renamed = { host: [`127.0.0.1:${own}`, host], origin: [`http://127.0.0.1:${own}`, origin] };
    const headers = passedOn(request.rawHeaders).map(([key, old]) => {
      const [from, to] = renamed[key.toLowerCase()] ?? [];
      return [key, old === from ? to : old];
    });
    if (request.headers['transfer-encoding']) headers.push(['Transfer-Encoding', 'chunked']);
    const sent = http.request({
      // A connection for each request: none is stale, and to break one off concerns no other.
      agent: false,
      hostname: hostname.replace(/^\[|\]$/g, ''),
      port,
      method: request.method,
      path: request.url,
      headers: [...headers.filter(([key]) => key.toLowerCase() !== name.toLowerCase()), [name, value]].flat()
    });
    sent.setNoDelay(true);
    response.on('close', () => response.writableFinished || sent.destroy());
    sent.on('response', (answer) => {
      response.writeHead(answer.statusCode, answer.statusMessage, passedOn(answer.rawHeaders).flat());
      // The head of a stream arrives before its first event.
      response.flushHeaders();
      pipeline(answer, response, () => {});
    });
    sent.on('error', (error) => {
      if (response.headersSent) response.destroy();
      else response.writeHead(502).end(`forwarder: ${error.message}`);
    });
    pipeline(request, sent, () => {});
  });
  // Streams of servers may be silent for as long as they like.
  server.requestTimeout = 0;
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}${pathname}`,
    close() {
      server.close();
      server.closeAllConnections();
    }
  };
}

/** Headers as pairs, with their spelling and order, without those that stay on their connection. */
function passedOn(raw) {
  const pairs = [];
  for (let i = 0; i < raw.length; i += 2) pairs.push([raw[i], raw[i + 1]]);
  return pairs.filter(([key]) => !PER_CONNECTION.has(key.toLowerCase()));
}

/** Runs Node.js and ends it, by its id, when the time is up or this process is asked to go. */
function run(args, limitMs) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let late = false;
    const collect = (chunk) => (output += chunk);
    const end = () => child.kill('SIGKILL');
    const stop = () => process.exit(130);
    const timer = setTimeout(() => (late = true) && end(), limitMs);
    process.on('exit', end).on('SIGINT', stop).on('SIGTERM', stop);
    child.stdout.setEncoding('utf8').on('data', collect);
    child.stderr.setEncoding('utf8').on('data', collect);
    child.on('error', reject).on('close', (code) => {
      clearTimeout(timer);
      process.off('exit', end).off('SIGINT', stop).off('SIGTERM', stop);
      if (late) reject(new Error(`the suite took longer than ${limitMs / 1000} s`));
      else resolve({ code, output });
    });
  });
}

/** The checks that the suite wrote: a folder for each scenario, `server-NAME-TIME/checks.json`. */
function read(folder) {
  const all = {};
  for (const entry of readdirSync(folder).sort()) {
    const [, scenario] = /^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(entry) ?? [];
    if (!scenario) continue;
    let checks = [{ id: 'scenario', status: 'FAILURE' }];
    try {
      checks = JSON.parse(readFileSync(join(folder, entry, 'checks.json'), 'utf8'));
    } catch (error) {
      // A scenario that broke left no file, and counts as failed.
      if (error.code !== 'ENOENT') throw error;
    }
    for (const { id, status } of checks) {
      const key = `${scenario}/${id}`;
      if (FROM_BEST.indexOf(status) >= FROM_BEST.indexOf(all[key])) all[key] = status;
    }
  }
  if (Object.keys(all).length === 0) throw new Error('the suite wrote no checks');
  return all;
}

async function main() {
  const text = { type: 'string' };
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { url: text, requirements: text, header: text, out: text, direct: text, through: text }
  });
  if (positionals[0] === 'server' && values.url && values.requirements) {
    if (Number.parseInt(process.versions.node, 10) < 22) throw new Error(`Node.js 22 or newer is needed, not ${process.version}`);
    const checks = await judge(values);
    console.log(JSON.stringify(checks, null, 2));
    const counts = FROM_BEST.map((status) => `${Object.values(checks).filter((s) => s === status).length} ${status}`);
    console.error(counts.join(', '));
  } else if (positionals[0] === 'delta' && values.direct && values.through) {
    const load = (path) => JSON.parse(readFileSync(path, 'utf8'));
    const worse = delta(load(values.direct), load(values.through));
    console.log(JSON.stringify(worse, null, 2));
    process.exitCode = Object.keys(worse).length > 0 ? 1 : 0;
  } else {
    throw new Error('usage: judge.mjs server --url URL --requirements ERA [--header LINE] [--out FOLDER] | delta --direct FILE --through FILE');
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === import.meta.filename) {
  main().catch((error) => {
    console.error(error.message);
    process.exitCode = 2;
  });
}
