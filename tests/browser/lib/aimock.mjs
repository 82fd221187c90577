// Every vendor's API on one port, by aimock, as a program for the black-box tests; and before it a forwarder that keeps
// what really came (aimock's own journal keeps requests as it translates them).
//
// What a model does stands in its name: `…tool…` asks for two tools at once and then answers with what they said, `…think…`
// does so with thoughts, `…limited…`, `…broken…`, `…denied…`, `…gone…` refuse. `POST /__aimock/chaos` sets aimock's faults.
// `GET /__journal` gives the requests, `GET /__journal/raw` every byte of them. Ends with its standard input.

import http from 'node:http';
import { LLMock } from '@copilotkit/aimock';

const mock = new LLMock({ port: 0, chunkSize: 7, latency: 1 });
const named = (part) => (request) => request.model.includes(part);
const asked = (request) => request.messages.slice(request.messages.findLastIndex(({ role }) => role === 'user'));
const told = (request) => asked(request).filter(({ role }) => role === 'tool');
const text = ({ content }) => (typeof content === 'string' ? content : JSON.stringify(content));
const CALLS = ['first', 'second'].map((word) => ({ name: 'mcp_hostile_echo', arguments: JSON.stringify({ text: `${word} Größe 📈` }) }));

const refusals = { limited: 429, broken: 500, denied: 401, gone: 404 };
for (const [part, status] of Object.entries(refusals)) {
  const type = { 429: 'rate_limit_error', 401: 'authentication_error', 404: 'not_found_error' }[status] ?? 'server_error';
  mock.on({ predicate: named(part) }, { error: { message: `it is ${part}`, type }, status, retryAfter: 7 });
}
mock.on({ predicate: (request) => named('think')(request) && told(request).length === 0 },
  { toolCalls: CALLS, reasoning: 'Two lines have to be compared.', reasoningSignature: 'c2lnbmVkIGJ5IHRoZSB2ZW5kb3I=' });
mock.on({ predicate: (request) => named('tool')(request) && told(request).length === 0 }, { toolCalls: CALLS });
mock.on({ predicate: (request) => told(request).length > 0 },
  (request) => ({ content: `The tools said: ${told(request).map(text).join(' and ')}` }));
mock.on({ predicate: () => true },
  { content: 'Every worker waited for a free connection: Größe 📈, naïve.' });
await mock.start();

const journal = [];
const forwarder = http.createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts);
  if (request.url.startsWith('/__journal')) {
    response.end(request.url.endsWith('/raw') ? Buffer.concat(journal.map(({ raw }) => raw)) : JSON.stringify(journal.map(({ raw, ...one }) => one)));
    return;
  }
  if (!request.url.startsWith('/__')) {
    const head = `${request.method} ${request.url}\n${request.rawHeaders.join('\n')}\n\n`;
    journal.push({ method: request.method, url: request.url, headers: request.headers, body: body.toString(), raw: Buffer.concat([Buffer.from(head), body]) });
  }
  const { hostname, port } = new URL(mock.url);
  const { host, ...headers } = request.headers;
  const onward = http.request({ hostname, port, method: request.method, path: request.url, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response).on('error', () => {});
    answer.on('aborted', () => response.destroy());
  });
  onward.on('error', () => response.destroy());
  response.on('close', () => onward.destroy());
  onward.end(body);
});
forwarder.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${forwarder.address().port}`));
process.stdin.resume().on('end', () => process.exit(0));
