// What every fake HTTP server here shares: a journal of each byte that it received, a control surface under `/__`, and
// a start that prints `listening on http://127.0.0.1:PORT` as its first line, so that a test can ask for port 0.
//
// The journal is the judge of the canary tests: it keeps the request line, the headers and the body exactly as they
// arrived, from requests that were refused, too.

import http from 'node:http';
import { Buffer } from 'node:buffer';

/// The largest body that a fake reads. A peer that sends more is cut off, as a real one would do.
const BODY_LIMIT_BYTES = 64 * 1024 * 1024;

/** An answer that a handler throws to stop at once. */
export class Refusal extends Error {
  constructor(status, body, headers = {}) {
    super(typeof body === 'string' ? body : JSON.stringify(body));
    Object.assign(this, { status, body, headers });
  }
}

export function json(response, status, value, headers = {}) {
  const bytes = Buffer.from(JSON.stringify(value));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length, ...headers });
  response.end(bytes);
}

export function html(response, status, text, headers = {}) {
  response.writeHead(status, { 'content-type': 'text/html;charset=UTF-8', ...headers });
  response.end(text);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** When a response that was full takes more, or has no reader any more. */
export const drained = (response) =>
  new Promise((resolve) => {
    const go = () => {
      response.off('drain', go).off('close', go);
      resolve();
    };
    response.on('drain', go).on('close', go);
  });

/** Read a request's whole body, or cut it off at the limit. */
export async function readBody(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > BODY_LIMIT_BYTES) throw new Refusal(413, { message: 'too large' });
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Parse a body that has to be JSON, and say so by its content type. */
export function parseJson(request, body) {
  const type = (request.headers['content-type'] ?? '').split(';')[0].trim();
  if (type !== 'application/json') throw new Refusal(415, { message: `Unsupported Media Type: ${type || 'none'}` });
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new Refusal(400, { message: `malformed JSON: ${error.message}` });
  }
}

/** Every request, byte for byte. */
export class Journal {
  entries = [];

  add(request, body) {
    const head = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      head.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
    }
    const entry = { method: request.method, url: request.url, headers: request.headers, head: head.join('\r\n'), body };
    this.entries.push(entry);
    return entry;
  }

  /** All of it, as it came. */
  raw() {
    return Buffer.concat(
      this.entries.flatMap(({ head, body }) => [Buffer.from(`${head}\r\n\r\n`), body, Buffer.from('\r\n')]),
    );
  }

  list() {
    return this.entries.map(({ method, url, headers, body }) => ({
      method,
      url,
      headers,
      body: body.toString('utf8'),
    }));
  }
}

/**
 * Serve `handle({ request, response, url, body, entry })`, with the control surface in front:
 * `GET /__journal` (JSON), `GET /__journal/raw` (bytes), `POST /__reset`, and what `control` adds by name.
 */
export function serve({ handle, control = {}, reset = () => {} }, port = 0) {
  const journal = new Journal();
  const sockets = new Set();

  const answerControl = async (request, response, url, body) => {
    const name = url.pathname.slice('/__'.length);
    if (name === 'journal') return json(response, 200, journal.list());
    if (name === 'journal/raw') {
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      return response.end(journal.raw());
    }
    if (name === 'reset') {
      journal.entries = [];
      reset();
      return json(response, 200, {});
    }
    if (!Object.hasOwn(control, name)) return json(response, 404, { message: `no control ${name}` });
    const value = await control[name](body.length ? JSON.parse(body.toString('utf8')) : undefined);
    return json(response, 200, value ?? {});
  };

  const server = http.createServer(async (request, response) => {
    // A peer that hangs up in the middle is an ordinary event here, never the end of the fake.
    response.on('error', () => {});
    request.on('error', () => {});
    try {
      const url = new URL(request.url, 'http://fake.invalid');
      const body = await readBody(request);
      if (url.pathname.startsWith('/__')) return await answerControl(request, response, url, body);
      const entry = journal.add(request, body);
      await handle({ request, response, url, body, entry });
    } catch (error) {
      if (response.headersSent || response.destroyed) return response.destroy();
      if (!(error instanceof Refusal)) {
        if (error.code !== 'ECONNRESET') process.stderr.write(`fake: ${error.stack}\n`);
        return json(response, 500, { message: 'the fake failed' });
      }
      if (typeof error.body === 'string') html(response, error.status, error.body, error.headers);
      else json(response, error.status, error.body, error.headers);
    }
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const url = `http://127.0.0.1:${server.address().port}`;
      const close = () =>
        new Promise((done) => {
          server.close(() => done());
          for (const socket of sockets) socket.destroy();
        });
      resolve({ url, journal, server, close, connections: () => sockets.size });
    });
  });
}

/** What the fakes do when they are run as programs: `node FAKE.mjs [--port N]`. */
export async function main(start) {
  const at = process.argv.indexOf('--port');
  const { url } = await start(at > 0 ? Number(process.argv[at + 1]) : 0);
  process.stdout.write(`listening on ${url}\n`);
  // The starter holds our standard input: when it is gone, so are we, whatever killed it.
  process.stdin.resume();
  process.stdin.on('end', () => process.exit(0));
}

/** Whether a module is the program that was started. */
export const isMain = (meta) => process.argv[1] === new URL(meta.url).pathname;
