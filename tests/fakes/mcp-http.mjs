// A hostile MCP server over streamable HTTP, of the 2025-11-25 era: one endpoint a mode, at `/mcp/MODE`.
//
// The modes of `lib/mcp.mjs` change what is listed and answered; these change how HTTP behaves:
//
//   ok        JSON answers, sessions               sse        answers as SSE, cut into small pieces, with comments
//   bearer    asks for `Bearer mcp-fake-token`     key        asks for `X-Api-Key: mcp-fake-key`
//   forgets   404 for its session after 3 posts    stateless  no session, 405 for GET and DELETE
//   html      200 sign-in page                     e500       500      hang   accepts, never answers
//   garbage   200 application/json, not JSON       cut        hangs up in the middle of an answer
//   flood     SSE without end                      redirect   307 to `POST /__elsewhere {url}`
//   noheaders refuses a post without MCP-Protocol-Version after initialisation, as the specification asks
//   wrongtype 200 text/plain                       slow       3 s for each answer
//   hangcall  answers all but calls

import { randomUUID } from 'node:crypto';
import { drained, html, isMain, json, main, parseJson, Refusal, serve, sleep } from './lib/http.mjs';
import { Machine } from './lib/mcp.mjs';

export const BEARER = 'mcp-fake-token';
export const API_KEY = 'mcp-fake-key';

export async function start(port = 0) {
  let sessions = new Map();
  let machines = new Map();
  let deleted = [];
  let elsewhere;

  const machineFor = (mode) => machines.get(mode) ?? machines.set(mode, new Machine(mode)).get(mode);

  const handle = async ({ request, response, url, body }) => {
    const mode = /^\/mcp\/([a-z0-9]+)$/.exec(url.pathname)?.[1];
    if (!mode) return html(response, 404, 'not here');
    const challenge = { 'www-authenticate': 'Bearer error="invalid_token", error_description="who are you?"' };
    if (mode === 'bearer' && request.headers.authorization !== `Bearer ${BEARER}`) {
      throw new Refusal(401, { error: 'unauthorized' }, challenge);
    }
    if (mode === 'key' && request.headers['x-api-key'] !== API_KEY) throw new Refusal(401, { error: 'unauthorized' });
    if (request.headers.origin) throw new Refusal(403, { error: 'a browser has no business here' });
    switch (mode) {
      case 'html':
        return html(response, 200, '<!doctype html><title>Sign in</title>');
      case 'e500':
        return json(response, 500, { error: 'boom' });
      case 'hang':
        return undefined;
      case 'garbage':
        response.writeHead(200, { 'content-type': 'application/json' });
        return response.end(Buffer.from([0x7b, 0xff, 0xfe, 0x00, 0x22]));
      case 'wrongtype':
        response.writeHead(200, { 'content-type': 'text/plain' });
        return response.end('ok');
      case 'redirect':
        response.writeHead(307, { location: elsewhere ?? 'http://169.254.169.254/mcp' });
        return response.end();
      case 'slow':
        await sleep(3000);
        break;
      default:
    }
    if (request.method === 'GET' || request.method === 'DELETE') return other(mode, request, response);
    if (request.method !== 'POST') throw new Refusal(405, { error: 'method not allowed' });

    const accept = request.headers.accept ?? '';
    if (!accept.includes('application/json') || !accept.includes('text/event-stream')) {
      throw new Refusal(406, { error: 'accept must list application/json and text/event-stream' });
    }
    const message = parseJson(request, body);
    const headers = checkSession(mode, request, message);
    if (message.method === 'tools/call' && mode === 'hangcall') return undefined;
    const answers = machineFor(mode).answer(message);
    if (message.id === undefined) {
      response.writeHead(202, headers);
      return response.end();
    }
    // What is not the answer itself has nowhere to go in a JSON body.
    const answer = answers.find((one) => one.id !== undefined);
    if (mode === 'cut') {
      const text = JSON.stringify(answer);
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length, ...headers });
      response.write(text.slice(0, text.length / 2));
      return setTimeout(() => request.socket.destroy(), 20);
    }
    if (mode === 'sse' || (mode === 'flood' && message.method === 'tools/call')) {
      return stream(mode, response, answers, headers);
    }
    return json(response, 200, answer, headers);
  };

  const checkSession = (mode, request, message) => {
    if (mode === 'stateless' || message.method === 'server/discover') return {};
    if (message.method === 'initialize') {
      const id = randomUUID();
      sessions.set(id, { mode, posts: 0 });
      return { 'mcp-session-id': id };
    }
    const session = sessions.get(request.headers['mcp-session-id']);
    if (!request.headers['mcp-session-id']) throw new Refusal(400, rpcError(message, 'Mcp-Session-Id is missing'));
    if (session) session.posts += 1;
    if (session && mode === 'forgets' && session.posts > 3) sessions.delete(request.headers['mcp-session-id']);
    if (!sessions.has(request.headers['mcp-session-id'])) throw new Refusal(404, rpcError(message, 'Session not found'));
    if (mode === 'noheaders' && !request.headers['mcp-protocol-version']) {
      throw new Refusal(400, rpcError(message, 'MCP-Protocol-Version is missing'));
    }
    return {};
  };

  const other = (mode, request, response) => {
    if (mode === 'stateless' || mode !== 'sse') {
      if (request.method === 'DELETE' && sessions.delete(request.headers['mcp-session-id'])) {
        deleted.push(request.headers['mcp-session-id']);
        return json(response, 200, {});
      }
      throw new Refusal(405, { error: 'method not allowed' });
    }
    if (request.method === 'DELETE') return json(response, 200, {});
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    return response.write(': open\n\n');
  };

  const stream = async (mode, response, answers, headers) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', ...headers });
    if (mode === 'flood') {
      const line = `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'z'.repeat(4000) } })}\n\n`;
      while (!response.destroyed) {
        if (!response.write(line)) await drained(response);
      }
      return;
    }
    const events = answers.map((one, i) => `id: ${i}\nevent: message\ndata: ${JSON.stringify(one)}\n\n`);
    const bytes = Buffer.from(`: hello\r\n\r\nretry: 100\n\n${events.join(': ping\n\n')}`);
    response.socket.setNoDelay(true);
    for (let at = 0; at < bytes.length; at += 11) {
      response.write(bytes.subarray(at, at + 11));
      if (at % 121 === 0) await sleep(1);
    }
    response.end();
  };

  const control = {
    elsewhere: ({ url }) => (elsewhere = url),
    calls: () => Object.fromEntries([...machines].map(([mode, machine]) => [mode, machine.calls])),
    sessions: () => ({ open: sessions.size, deleted: deleted.length }),
  };
  const reset = () => {
    [sessions, machines, deleted, elsewhere] = [new Map(), new Map(), [], undefined];
  };
  return serve({ handle, control, reset }, port);
}

const rpcError = (message, text) => ({ jsonrpc: '2.0', id: message.id ?? null, error: { code: -32000, message: text } });

if (isMain(import.meta)) await main(start);
