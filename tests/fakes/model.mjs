// A model server that speaks OpenAI's chat completions over SSE and is asked for its behaviour by the model's name.
//
// Each scenario is one thing that real servers do to a client. The request is judged first, as strictly as a real
// server would: a conversation in which a tool result answers no call is refused, whatever the scenario. The key is
// `sk-fake-key`. `POST /__script` sets what the tool scenarios call: `{ tool, arguments }`.
//
//   plain         text in three deltas, usage, [DONE]           tool      one tool call, then an answer from its result
//   echo          the last user message, piece by piece         tools     two calls in one answer, fragments interleaved
//   obey          calls what any text in the prompt orders      badargs   a call whose arguments are not JSON
//   split         UTF-8 and lines cut anywhere, comments, CRLF  unknown   a call of a tool that was never offered
//   slow          one delta every 100 ms                        loop      a tool call in answer to everything
//   error200      text, then an error inside the stream         stall     text, then silence
//   disconnect    text, then the connection is cut              noend     text, then a clean end without [DONE]
//   rubbish       bytes that are no SSE                         endless   deltas until the client hangs up
//   unauthorized  401   limited 429 with Retry-After: 1   quota 429 insufficient_quota   html 200 sign-in page
//   broken        500   missing 404 model_not_found       long   context_length_exceeded 400
//   filtered      finish_reason content_filter            hugeline  one SSE line of 32 MiB

import { Buffer } from 'node:buffer';
import { drained, html, isMain, json, main, parseJson, Refusal, serve, sleep } from './lib/http.mjs';

export const KEY = 'sk-fake-key';

const NAMES = [
  'plain', 'echo', 'obey', 'split', 'slow', 'tool', 'tools', 'badargs', 'unknown', 'loop', 'error200', 'stall',
  'disconnect', 'noend', 'rubbish', 'endless', 'unauthorized', 'limited', 'quota', 'html', 'broken', 'missing', 'long',
  'filtered', 'hugeline',
];

const openAiError = (status, message, code, headers) =>
  new Refusal(status, { error: { message, type: 'invalid_request_error', param: null, code } }, headers);

/** Refuse what a real server refuses of a conversation. */
function check(input) {
  const bad = (message) => {
    throw openAiError(400, message, null);
  };
  if (typeof input.model !== 'string' || !input.model) bad('you must provide a model parameter');
  if (!Array.isArray(input.messages) || !input.messages.length) bad('messages: too short');
  let open = new Set();
  for (const [i, message] of input.messages.entries()) {
    if (!['system', 'developer', 'user', 'assistant', 'tool'].includes(message.role)) bad(`messages[${i}].role`);
    if (message.role === 'tool') {
      if (!open.delete(message.tool_call_id)) bad(`messages[${i}]: role 'tool' must follow a message with 'tool_calls'`);
    } else if (open.size) {
      bad(`an assistant message with 'tool_calls' must be followed by tool messages: ${[...open].join(', ')}`);
    }
    const { content } = message;
    const textual = typeof content === 'string' || Array.isArray(content);
    if (!textual && !(message.role === 'assistant' && message.tool_calls?.length)) bad(`messages[${i}].content`);
    for (const call of message.tool_calls ?? []) {
      if (message.role !== 'assistant' || call.type !== 'function' || !call.id) bad(`messages[${i}].tool_calls`);
      if (typeof call.function?.name !== 'string' || typeof call.function.arguments !== 'string') bad('tool_calls.function');
      open.add(call.id);
    }
  }
  if (open.size) bad(`no answer to tool calls ${[...open].join(', ')}`);
  const names = new Set();
  for (const [i, tool] of (input.tools ?? []).entries()) {
    const { name, parameters } = tool.function ?? {};
    if (tool.type !== 'function' || !/^[a-zA-Z0-9_-]{1,64}$/.test(name ?? '')) bad(`tools[${i}].function.name`);
    if (names.has(name)) bad(`tools[${i}]: ${name} twice`);
    if (parameters !== undefined && (typeof parameters !== 'object' || parameters.type !== 'object')) {
      bad(`Invalid schema for function '${name}': schema must be of type "object"`);
    }
    names.add(name);
  }
  if (input.tools && !input.tools.length) bad('tools: [] is too short');
}

const text = (message) =>
  typeof message.content === 'string' ? message.content : (message.content ?? []).map((part) => part.text ?? '').join('');

/** An SSE stream of one answer. */
class Stream {
  constructor(response, model) {
    Object.assign(this, { response, model, id: `chatcmpl-${Math.random().toString(36).slice(2, 12)}` });
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', 'x-request-id': `req_${this.id}` });
  }

  line(delta, more = {}) {
    const { finish_reason: finish = null, ...rest } = more;
    const choices = delta === undefined ? [] : [{ index: 0, delta, finish_reason: finish }];
    const chunk = { id: this.id, object: 'chat.completion.chunk', created: 1795000000, model: this.model, choices, ...rest };
    return `data: ${JSON.stringify(chunk)}\n\n`;
  }

  delta(delta, more) {
    this.response.write(this.line(delta, more));
  }

  text(content) {
    this.delta({ content });
  }

  /** The end as it should be. */
  done(finish = 'stop') {
    this.delta({}, { finish_reason: finish });
    this.delta(undefined, { usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 } });
    this.response.end('data: [DONE]\n\n');
  }

  /** Calls, each `[name, arguments]`, with their arguments in fragments, interleaved as parallel calls are. */
  calls(calls) {
    this.delta({ role: 'assistant', content: null });
    calls.forEach(([name], index) => {
      const id = `call_${this.id.slice(-6)}${index}`;
      this.delta({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] });
    });
    const length = Math.max(...calls.map(([, args]) => args.length));
    for (let at = 0; at < length; at += 7) {
      calls.forEach(([, args], index) => {
        const piece = args.slice(at, at + 7);
        if (piece) this.delta({ tool_calls: [{ index, function: { arguments: piece } }] });
      });
    }
    this.done('tool_calls');
  }
}

/** Arguments that satisfy the required part of a schema, so that any tool can be called. */
function example(schema) {
  const value = ({ type, enum: values, default: preset, properties, required = [] } = {}) => {
    if (preset !== undefined) return preset;
    if (values) return values[0];
    const kind = Array.isArray(type) ? type[0] : type;
    if (kind === 'object') return Object.fromEntries(required.map((key) => [key, value(properties?.[key])]));
    return { string: 'example', number: 1, integer: 1, boolean: true, array: [], null: null }[kind] ?? 'example';
  };
  return value({ ...schema, type: 'object' });
}

export async function start(port = 0) {
  let script = {};
  const complete = async ({ request, response, body }) => {
    const input = parseJson(request, body);
    check(input);
    const model = input.model;
    const name = model.split(':')[0];
    if (!NAMES.includes(name)) throw openAiError(404, `The model '${model}' does not exist`, 'model_not_found');
    switch (name) {
      case 'unauthorized':
        throw openAiError(401, 'Incorrect API key provided: sk-fa****key.', 'invalid_api_key');
      case 'limited':
        throw openAiError(429, 'Rate limit reached for requests', 'rate_limit_exceeded', { 'retry-after': '1' });
      case 'quota':
        throw openAiError(429, 'You exceeded your current quota', 'insufficient_quota');
      case 'broken':
        throw openAiError(500, 'The server had an error while processing your request', null);
      case 'missing':
        throw openAiError(404, `The model '${model}' does not exist`, 'model_not_found');
      case 'long':
        throw openAiError(400, "This model's maximum context length is 8192 tokens", 'context_length_exceeded');
      case 'html':
        return html(response, 200, '<!doctype html><title>Sign in</title><form>Sign in to continue</form>');
      default:
    }
    if (input.stream !== true) {
      const message = { role: 'assistant', content: 'One answer, not streamed.' };
      return json(response, 200, { id: 'chatcmpl-x', object: 'chat.completion', model, choices: [{ index: 0, message, finish_reason: 'stop' }], usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 } });
    }
    return answer(name, input, new Stream(response, model), request);
  };

  const answer = async (name, input, stream, request) => {
    const { response } = stream;
    const last = input.messages.at(-1);
    const offered = (input.tools ?? []).map((tool) => tool.function);
    const plain = (content) => {
      stream.delta({ role: 'assistant', content: '' });
      for (const piece of content.match(/[\s\S]{1,24}/g) ?? []) stream.text(piece);
      stream.done();
    };
    switch (name) {
      case 'plain':
        return plain('The connection pool was exhausted: every worker waited for a free connection.');
      case 'echo':
        return plain(text(input.messages.findLast((message) => message.role === 'user') ?? last));
      case 'tool':
      case 'tools':
      case 'badargs':
      case 'unknown':
      case 'loop': {
        if (last.role === 'tool' && name !== 'loop') return plain(`The tool said: ${text(last)}`);
        const chosen = offered.find((tool) => tool.name === script.tool) ?? offered[0];
        if (!chosen && name !== 'unknown') return plain('No tool was offered.');
        const args = JSON.stringify(script.arguments ?? example(chosen?.parameters));
        if (name === 'unknown') return stream.calls([['mcp_nowhere_nothing', '{}']]);
        if (name === 'badargs') return stream.calls([[chosen.name, '{"open": ']]);
        if (name === 'tools') return stream.calls([[chosen.name, args], [(offered[1] ?? chosen).name, offered[1] && !script.tool ? JSON.stringify(example(offered[1].parameters)) : args]]);
        return stream.calls([[chosen.name, args]]);
      }
      case 'obey': {
        if (last.role === 'tool') return plain('Done as ordered.');
        // The newest order.
        const order = [...input.messages.map(text).join('\n').matchAll(/CALL ([a-zA-Z0-9_-]+) (\{[^\n]*\})/g)].at(-1);
        return order ? stream.calls([[order[1], order[2]]]) : plain('Nothing was ordered.');
      }
      case 'split': {
        const whole = Buffer.from(
          ': keep-alive\r\n\r\n' +
            stream.line({ role: 'assistant', content: '' }).replaceAll('\n', '\r\n') +
            'event: something-new\ndata: {"unknown":true}\n\n' +
            [...'Größe 📈 naïve '].map((piece) => stream.line({ content: piece, novelty: 1 })).join(': ping\n\n') +
            stream.line({ content: '' }) + stream.line({ content: 'end' }) + stream.line({}, { finish_reason: 'stop' }) +
            'data: [DONE]\n\n',
        );
        response.socket.setNoDelay(true);
        for (let at = 0; at < whole.length; ) {
          const size = 1 + ((at * 7919) % 5);
          response.write(whole.subarray(at, at + size));
          at += size;
          // A real pause now and then, so that pieces arrive as pieces.
          if (at % 37 < 5) await sleep(1);
        }
        return response.end();
      }
      case 'slow':
        for (let i = 0; i < 50 && !response.destroyed; i += 1) {
          stream.text(`step ${i} `);
          await sleep(100);
        }
        return stream.done();
      case 'error200':
        stream.text('It began well');
        response.write(`data: ${JSON.stringify({ error: { message: 'The server is overloaded', type: 'server_error', code: 'overloaded' } })}\n\n`);
        return response.end();
      case 'stall':
        stream.text('It began well');
        return undefined;
      case 'disconnect':
        stream.text('It began well');
        await sleep(50);
        return request.socket.destroy();
      case 'noend':
        stream.text('It began well');
        return response.end();
      case 'rubbish':
        response.write(Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 151 + 13) % 256)));
        response.write('\n\ndata: {"choices":[{"delta":{"content":\n\ndata: not json\n\n');
        return response.end();
      case 'filtered':
        stream.text('I can');
        return stream.done('content_filter');
      case 'hugeline':
        response.write('data: {"choices":[{"index":0,"delta":{"content":"');
        for (let i = 0; i < 32 && !response.destroyed; i += 1) {
          if (!response.write('x'.repeat(1 << 20))) await drained(response);
        }
        return response.end('"}}]}\n\ndata: [DONE]\n\n');
      default: // endless
        while (!response.destroyed) {
          if (!response.write(stream.line({ content: 'and on '.repeat(64) }))) await drained(response);
        }
        return undefined;
    }
  };

  const handle = async (exchange) => {
    const { request, response, url } = exchange;
    if (request.headers.authorization !== `Bearer ${KEY}`) {
      throw openAiError(401, 'Incorrect API key provided', 'invalid_api_key');
    }
    if (request.method === 'GET' && url.pathname === '/v1/models') {
      return json(response, 200, { object: 'list', data: NAMES.map((id) => ({ id, object: 'model', owned_by: 'fake' })) });
    }
    if (request.method === 'POST' && url.pathname === '/v1/chat/completions') return complete(exchange);
    throw openAiError(404, `Invalid URL (${request.method} ${url.pathname})`, null);
  };
  return serve({ handle, control: { script: (value) => (script = value) }, reset: () => (script = {}) }, port);
}

if (isMain(import.meta)) await main(start);
