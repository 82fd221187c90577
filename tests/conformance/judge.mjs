#!/usr/bin/env node
// Runs the public MCP conformance suite against a server, compares two runs, and runs it against Fumehood as a client. See
// README.md.
//
//   node judge.mjs server --url URL --requirements ERA [--header 'Name: value'] [--out FOLDER]
//   node judge.mjs delta --direct A.json --through B.json
//   node judge.mjs client --bin FUMEHOOD --requirements ERA [--data FOLDER] [--scenario NAME]… [--out FOLDER]

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import http from 'node:http';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream';
import { parseArgs } from 'node:util';
import { outcomeOf, prepare, remove } from './lib/fumehood.mjs';

const SUITE = join(import.meta.dirname, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
const LIMIT_MS = 10 * 60_000;
// A check that a scenario emits more than once counts as the worst of its outcomes.
const FROM_BEST = ['SUCCESS', 'INFO', 'SKIPPED', 'WARNING', 'FAILURE'];
// The end of the name of what the suite wrote.
const TIME = /-\d{4}-\d\d-\d\dT[\d-]+Z$/;

// What the suite runs as the client, how long it may take for one scenario, and how many of them run at once.
const CLIENT = join(import.meta.dirname, 'client.mjs');
const SCENARIO_MS = 60_000;
const AT_ONCE = availableParallelism();
// A scenario that the suite runs without asking for it, and that is asked for here.
const BESIDE = ['json-schema-2020-12-preservation'];
/** Checks of clients that do not pass, with what is found instead, and why. Whatever else is found is a problem. */
const EXPECTED = {
  'auth/basic-cimd/cimd-client-id-used': {
    status: 'WARNING',
    details: { actualClientId: 'https://fumehood.example/oauth/client.json' },
    reason: 'the suite takes an address of its own for a document only, and Fumehood is known by its public one, as is meant'
  }
};
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

/**
 * Runs every scenario that a revision requires of clients, each with a Fumehood of its own. Returns `checks`, as `judge` does,
 * with `scenario/steps` for what was seen on Fumehood's side; and `problems`, what should have gone otherwise.
 */
export async function judgeClient({ requirements, bin, data, scenario: chosen, out, limitMs = LIMIT_MS }) {
  if (out) mkdirSync(out, { recursive: true });
  const folder = mkdtempSync(join(out ?? tmpdir(), `conformance-client-${requirements}-`));
  try {
    const required = await scenarios(requirements);
    const unknown = (chosen ?? []).filter((name) => !required.includes(name));
    if (unknown.length > 0) throw new Error(`${requirements} does not require ${unknown.join(', ')}`);
    const prepared = await prepare(resolve(bin), data ? resolve(data) : join(folder, 'prepared'));
    const environment = {
      CONFORMANCE_NODE: process.execPath,
      CONFORMANCE_CLIENT: CLIENT,
      CONFORMANCE_FOLDER: folder,
      CONFORMANCE_SETUP: JSON.stringify({ prepared, folder, limitMs: SCENARIO_MS })
    };
    // The suite begins all scenarios at once, and runs a line of the shell for each. Here they wait for one of a few places.
    const command = `exec flock "$CONFORMANCE_FOLDER/place-$(($$ % ${AT_ONCE}))" "$CONFORMANCE_NODE" "$CONFORMANCE_CLIENT"`;
    const common = ['client', '--command', command, '--timeout', `${limitMs}`, '-o', folder];
    const one = (name) => ['--scenario', name, '--spec-version', requirements, '--force'];
    let said = '';
    for (const which of chosen?.map(one) ?? [['--requirements', requirements]]) {
      said += (await run([SUITE, ...common, ...which], limitMs, environment)).output;
    }
    const found = (chosen ?? required).map((name) => readClient(folder, name, said));
    const checks = Object.assign({}, ...found.map(({ checks }) => checks));
    return { checks, problems: found.flatMap(({ problems }) => problems) };
  } finally {
    if (!out) remove(folder);
  }
}

/** The names of the scenarios that a revision requires of clients, and of those beside. */
async function scenarios(requirements) {
  const { code, output } = await run([SUITE, 'list', '--requirements', requirements], LIMIT_MS);
  const [, section] = /^Client scenarios[^\n]*\n((?: +- .*\n)+)/m.exec(output) ?? [];
  if (code !== 0 || !section) throw new Error(`the suite names no scenarios: ${output}`);
  return [...section.trim().split('\n').map((line) => line.trim().slice(2)), ...BESIDE];
}

/** What the suite and `client.mjs` wrote of one scenario; `said` is what the suite printed. */
function readClient(folder, name, said) {
  const place = join(folder, dirname(name));
  const written = existsSync(place) ? readdirSync(place).find((entry) => entry.replace(TIME, '') === basename(name) && TIME.test(entry)) : undefined;
  const text = (path) => (existsSync(path) ? readFileSync(path, 'utf8') : undefined);
  const list = JSON.parse((written && text(join(place, written, 'checks.json'))) ?? '[]');
  const ended = said.slice(-2000);
  // A scenario that sees nothing has nothing to object to.
  if (!list.some(({ status }) => status === 'SUCCESS')) list.push({ id: 'judged', status: 'FAILURE', errorMessage: `no check has passed: ${ended}` });
  const outcome = text(outcomeOf(folder, name)) ?? `it was not begun, or ended from outside: ${ended}`;
  list.push({ id: 'steps', status: outcome === '' ? 'SUCCESS' : 'FAILURE', errorMessage: outcome });

  const [checks, problems] = [{}, []];
  for (const { id, status, description, errorMessage, details } of list) {
    const key = `${name}/${id}`;
    if (FROM_BEST.indexOf(status) >= FROM_BEST.indexOf(checks[key])) checks[key] = status;
    const known = EXPECTED[key];
    const asKnown = known?.status === status && Object.entries(known.details).every(([field, value]) => details?.[field] === value);
    if (['FAILURE', 'WARNING'].includes(status) && !asKnown) {
      problems.push(`${key} ${status}: ${errorMessage ?? description} ${details ? JSON.stringify(details) : ''}`.trim());
    }
  }
  for (const [key, known] of Object.entries(EXPECTED)) {
    if (!key.startsWith(`${name}/`) || checks[key] === known.status) continue;
    problems.push(`${key} is expected to be ${known.status}, and is ${checks[key] ?? 'not there'}: is it to be taken out of the list?`);
  }
  return { checks, problems };
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
function run(args, limitMs, environment = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
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
    const [, scenario] = /^server-(.+)$/.exec(TIME.test(entry) ? entry.replace(TIME, '') : '') ?? [];
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
    options: {
      url: text,
      requirements: text,
      header: text,
      out: text,
      direct: text,
      through: text,
      bin: text,
      data: text,
      scenario: { type: 'string', multiple: true }
    }
  });
  if (Number.parseInt(process.versions.node, 10) < 22) throw new Error(`Node.js 22 or newer is needed, not ${process.version}`);
  const count = (checks) => {
    console.log(JSON.stringify(checks, null, 2));
    const counts = FROM_BEST.map((status) => `${Object.values(checks).filter((s) => s === status).length} ${status}`);
    console.error(counts.join(', '));
  };
  if (positionals[0] === 'server' && values.url && values.requirements) {
    count(await judge(values));
  } else if (positionals[0] === 'client' && values.bin && values.requirements) {
    const { checks, problems } = await judgeClient(values);
    count(checks);
    for (const problem of problems) console.error(`\n${problem}`);
    process.exitCode = problems.length > 0 ? 1 : 0;
  } else if (positionals[0] === 'delta' && values.direct && values.through) {
    const load = (path) => JSON.parse(readFileSync(path, 'utf8'));
    const worse = delta(load(values.direct), load(values.through));
    console.log(JSON.stringify(worse, null, 2));
    process.exitCode = Object.keys(worse).length > 0 ? 1 : 0;
  } else {
    throw new Error('usage: judge.mjs server --url URL --requirements ERA [--header LINE] [--out FOLDER] | client --bin FUMEHOOD --requirements ERA [--data FOLDER] [--scenario NAME] [--out FOLDER] | delta --direct FILE --through FILE');
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === import.meta.filename) {
  main().catch((error) => {
    console.error(error.message);
    process.exitCode = 2;
  });
}
