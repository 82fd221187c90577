// A strict MCP server of the 2025-11-25 era that goes wrong on demand: its tool `fail` does what its argument `fault`
// names, everything else works and is checked. What a client does wrong is kept, for the test to find nothing there.
//
//   node mcp-faults.mjs                        over streamable HTTP, at /mcp; over HTTP+SSE, at /sse (its messages go to
//                                              another path) and at /sse-away (to __elsewhere {url});
//                                              __violations, __lists, __sessions, __huge {on}
//   node mcp-faults.mjs --stdio JOURNAL        over standard input and output
//
// Every fault, and what each transport makes of it:
//
//   hang      no answer                        half      half of an answer, then silence
//   flood     notifications without end        endless   an answer without end
//   drop      the end, in the middle of a call cut       half of an answer, then the end
//   garbage   no JSON (stdio: then the answer) wrongid   an answer to nobody (stdio: then the answer)
//   twice     two answers to one request       e500      (HTTP) an error of the web server, with a page
//   storm     1,000 times the news that the tools have changed, as `echo` has, then the answer
//   cutsse    (HTTP) a stream that ends in the middle of an event         redirect  (HTTP) to __elsewhere {url}
//
// While JOURNAL.huge is there (HTTP: after `__huge`), the tools have 5 MiB of descriptions.

import { randomUUID } from 'node:crypto';
import { appendFileSync, existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { drained, isMain, json, main, parseJson, Refusal, serve } from './lib/http.mjs';

const VERSION = '2025-11-25';
const HUGE_BYTES = 5 * 1024 * 1024;
const text = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] };
const fault = { type: 'object', properties: { fault: { type: 'string' } }, required: ['fault'] };
const NOTICE = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'z'.repeat(4000) } };
export const FAULTS = ['hang', 'half', 'flood', 'endless', 'drop', 'cut', 'garbage', 'wrongid', 'twice', 'storm', 'e500', 'cutsse', 'redirect'];

/** One session, and what its client did wrong. */
class Session {
  initialized = 'no';
  ids = new Set();

  constructor({ violate, isHuge, isChanged, seen, listed }) {
    Object.assign(this, { violate, isHuge, isChanged, seen, listed });
  }

  /** The answer to a message; nothing for what needs none; `{ fault, answer }` where it has to go wrong. */
  take(message) {
    const { jsonrpc, id, method, params = {} } = message;
    if (jsonrpc !== '2.0' || typeof method !== 'string') this.violate('no JSON-RPC request', message);
    if (id === undefined) {
      if (method === 'notifications/initialized') this.initialized = 'yes';
      return undefined;
    }
    if (this.ids.has(id)) this.violate('an id is used a second time', message);
    this.ids.add(id);
    const answer = (result) => ({ jsonrpc: '2.0', id, result });
    const error = (code, text) => ({ jsonrpc: '2.0', id, error: { code, message: text } });
    if (method === 'server/discover') return error(-32601, 'Method not found: server/discover');
    if (method === 'initialize') {
      if (this.initialized !== 'no') this.violate('initialised a second time', message);
      this.initialized = 'half';
      const capabilities = { tools: { listChanged: true }, logging: {}, resources: {} };
      return answer({ protocolVersion: VERSION, capabilities, serverInfo: { name: 'faults', version: '1.0.0' } });
    }
    if (this.initialized !== 'yes') this.violate('a request before notifications/initialized', message);
    switch (method) {
      case 'ping':
      case 'logging/setLevel':
        return answer({});
      case 'tools/list': {
        this.listed();
        const now = this.isChanged() ? 'Says it to somebody else.' : 'Says what it is told.';
        const description = this.isHuge() ? 'x'.repeat(HUGE_BYTES) : now;
        return answer({ tools: [{ name: 'echo', description, inputSchema: text }, { name: 'fail', description: 'Fails.', inputSchema: fault }] });
      }
      // A list that never comes, for those who put lists together.
      case 'resources/list':
        return { fault: 'hang', answer: answer({ resources: [] }) };
      case 'tools/call':
        break;
      default:
        return error(-32601, `Method not found: ${method}`);
    }
    const { name, arguments: args = {} } = params;
    const said = answer({ content: [{ type: 'text', text: String(args.text ?? args.fault) }] });
    this.seen(args);
    if (name === 'echo') return said;
    if (name !== 'fail') return error(-32602, `Unknown tool: ${name}`);
    if (!FAULTS.includes(args.fault)) return error(-32602, `no such fault: ${args.fault}`);
    return { fault: args.fault, answer: said };
  }
}

const half = (message) => {
  const whole = JSON.stringify(message);
  return whole.slice(0, whole.length / 2);
};
const toNobody = (answer) => ({ ...answer, id: 987654, result: { content: [{ type: 'text', text: 'for nobody' }] } });
const CHANGED = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };
const STORM = Array.from({ length: 1000 }, () => CHANGED);
const again = (answer) => ({ ...answer, result: { content: [{ type: 'text', text: 'the second answer' }] } });

export async function start(port = 0) {
  let sessions = new Map();
  let [violations, huge, changed, lists, elsewhere] = [[], false, false, 0, undefined];
  const streams = new Map();
  const of = {
    violate: (what, message) => violations.push(`${what}: ${JSON.stringify(message).slice(0, 300)}`),
    isHuge: () => huge,
    isChanged: () => changed,
    listed: () => (lists += 1),
    seen: () => {},
  };

  /** HTTP+SSE: what answers a message comes on the stream that named the place to send it to. */
  const overStream = (request, response, url, body) => {
    if (url.pathname.startsWith('/sse')) {
      if (request.method !== 'GET') throw new Refusal(405, { error: 'a stream is for reading' });
      const id = randomUUID();
      const place = url.pathname === '/sse' ? `/rpc/somewhere/else?session=${id}` : `${elsewhere}?session=${id}`;
      streams.set(id, { stream: response, session: new Session(of) });
      response.on('close', () => streams.delete(id));
      return response.writeHead(200, { 'content-type': 'text/event-stream' }).write(`event: endpoint\ndata: ${place}\n\n`);
    }
    const { stream, session } = streams.get(url.searchParams.get('session')) ?? {};
    if (request.method !== 'POST' || !stream) throw new Refusal(404, { error: 'no such session' });
    const answer = session.take(parseJson(request, body));
    response.writeHead(202).end();
    return answer && stream.write(`event: message\ndata: ${JSON.stringify(answer)}\n\n`);
  };

  const handle = async ({ request, response, url, body }) => {
    if (url.pathname.startsWith('/sse') || url.pathname === '/rpc/somewhere/else') {
      return overStream(request, response, url, body);
    }
    if (url.pathname !== '/mcp') throw new Refusal(404, { error: 'not here' });
    const id = request.headers['mcp-session-id'];
    if (request.method === 'GET') throw new Refusal(405, { error: 'no stream of my own' });
    if (request.method === 'DELETE') {
      if (!sessions.delete(id)) of.violate('the end of no session', { id });
      return json(response, 200, {});
    }
    if (request.method !== 'POST') throw new Refusal(405, { error: 'method not allowed' });
    const accept = request.headers.accept ?? '';
    if (!accept.includes('application/json') || !accept.includes('text/event-stream')) of.violate('Accept', { accept });
    const message = parseJson(request, body);
    let session = sessions.get(id);
    const headers = {};
    if (message.method === 'initialize' || message.method === 'server/discover') {
      session = new Session(of);
      if (message.method === 'initialize') {
        headers['mcp-session-id'] = randomUUID();
        sessions.set(headers['mcp-session-id'], session);
      }
    } else {
      if (request.headers['mcp-protocol-version'] !== VERSION) of.violate('MCP-Protocol-Version', message);
      if (!session) throw new Refusal(id ? 404 : 400, { jsonrpc: '2.0', id: message.id ?? null, error: { code: -32000, message: 'no session' } });
    }
    const answer = session.take(message);
    if (answer === undefined) return response.writeHead(202).end();
    if (!answer.fault) return json(response, 200, answer, headers);
    return goWrong(answer, request, response);
  };

  const goWrong = async ({ fault, answer }, request, response) => {
    const whole = JSON.stringify(answer);
    const begin = (type, more = {}) => response.writeHead(200, { 'content-type': type, ...more });
    const flood = async (piece) => {
      while (!response.destroyed) {
        if (!response.write(piece)) await drained(response);
      }
    };
    const event = (one) => `event: message\ndata: ${JSON.stringify(one)}\n\n`;
    switch (fault) {
      case 'hang':
        return undefined;
      case 'half':
        begin('application/json', { 'content-length': whole.length });
        return response.write(half(answer));
      case 'flood':
        begin('text/event-stream');
        return flood(event(NOTICE));
      case 'endless':
        begin('application/json');
        response.write('{"jsonrpc":"2.0","result":{"content":[{"type":"text","text":"');
        return flood('y'.repeat(65536));
      case 'drop':
        return request.socket.destroy();
      case 'cut':
        begin('application/json', { 'content-length': whole.length });
        response.write(half(answer));
        return setTimeout(() => request.socket.destroy(), 20);
      case 'garbage':
        begin('application/json');
        return response.end(Buffer.from([0x7b, 0xff, 0xfe, 0x00, 0x22]));
      case 'wrongid':
        return json(response, 200, toNobody(answer));
      case 'twice':
        begin('text/event-stream');
        return response.end(event(answer) + event(again(answer)));
      case 'storm':
        changed = true;
        begin('text/event-stream');
        return response.end(STORM.map(event).join('') + event(answer));
      case 'e500':
        response.writeHead(500, { 'content-type': 'text/html' });
        return response.end('<h1>Internal Server Error</h1>');
      case 'cutsse':
        begin('text/event-stream');
        return response.end(`event: message\ndata: ${half(answer)}`);
      default:
        response.writeHead(307, { location: elsewhere });
        return response.end();
    }
  };

  const control = {
    violations: () => violations,
    lists: () => lists,
    huge: ({ on }) => void (huge = on),
    elsewhere: ({ url }) => void (elsewhere = url),
    sessions: () => ({ open: sessions.size }),
  };
  const reset = () => {
    sessions = new Map();
    [violations, huge, changed, lists] = [[], false, false, 0];
  };
  return serve({ handle, control, reset }, port);
}

/** The same over standard input and output. */
async function stdio(journal) {
  const note = (word, value) => appendFileSync(journal, `${word} ${JSON.stringify(value)}\n`);
  const session = new Session({
    violate: (what, message) => note('VIOLATION', { what, message }),
    isHuge: () => existsSync(`${journal}.huge`),
    isChanged: () => existsSync(`${journal}.changed`),
    listed: () => note('LIST', {}),
    seen: (args) => note('CALL', args),
  });
  process.stdout.on('error', () => process.exit(0));
  const write = (piece) => new Promise((done) => (process.stdout.write(piece) ? done() : process.stdout.once('drain', done)));
  const send = (message) => write(`${JSON.stringify(message)}\n`);
  const goWrong = async ({ fault, answer }) => {
    switch (fault) {
      case 'hang':
        return undefined;
      case 'half':
        return write(half(answer));
      case 'flood':
        for (;;) await write(`${JSON.stringify(NOTICE)}\n`.repeat(16));
      case 'endless':
        for (;;) await write('y'.repeat(65536));
      case 'drop':
        return process.exit(4);
      case 'cut':
        await write(half(answer));
        return process.exit(4);
      case 'garbage':
        await write(Buffer.from([0x7b, 0xff, 0xfe, 0x00, 0x22, 0x0a]));
        await write('{"jsonrpc":"2.0","id":\n');
        return send(answer);
      case 'wrongid':
        await send(toNobody(answer));
        return send(answer);
      case 'twice':
        await send(answer);
        return send(again(answer));
      case 'storm':
        appendFileSync(`${journal}.changed`, '');
        await write(STORM.map((one) => `${JSON.stringify(one)}\n`).join(''));
        return send(answer);
      default:
        return send({ ...answer, result: undefined, error: { code: -32602, message: `no ${fault} over pipes` } });
    }
  };
  const lines = createInterface({ input: process.stdin, crlfDelay: Infinity });
  lines.on('line', async (line) => {
    let message;
    try {
      message = JSON.parse(line);
    } catch {
      return note('VIOLATION', { what: 'no JSON', line });
    }
    if (message.method === 'notifications/cancelled') note('CANCELLED', message.params);
    const answer = session.take(message);
    if (answer === undefined) return undefined;
    return answer.fault ? goWrong(answer) : send(answer);
  });
  lines.on('close', () => process.exit(0));
}

if (isMain(import.meta)) {
  const at = process.argv.indexOf('--stdio');
  if (at > 0) await stdio(process.argv[at + 1]);
  else await main(start);
}
