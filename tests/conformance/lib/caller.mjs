// A plain client of the gateway, in either era. It can be asked, and takes what a question offers.

import { setTimeout as sleep } from 'node:timers/promises';

export const ERAS = ['2025-11-25', '2026-07-28'];

const INFO = { name: 'conformance', version: '1' };
const CAPABILITIES = { elicitation: {}, sampling: {}, roots: {} };
/** What is typed where a question offers nothing. */
const TYPED = { boolean: true, string: 'typed', integer: 7, number: 7 };
const NAMED_BY = { 'tools/call': 'name', 'prompts/get': 'name', 'resources/read': 'uri' };

export class Caller {
  #next = 1;
  #session;
  #schemas = new Map();

  constructor(url, token, era) {
    Object.assign(this, { url, token, era, modern: era === ERAS[1] });
  }

  /** A client that is ready to ask. */
  static async open(url, token, era) {
    const caller = new Caller(url, token, era);
    if (!caller.modern) {
      await caller.ask('initialize', { protocolVersion: era, capabilities: CAPABILITIES, clientInfo: INFO });
      await caller.#post({ method: 'notifications/initialized' });
    }
    return caller;
  }

  /** The result of a request; questions on the way are answered. `between` runs before an answer in the newer era. */
  async ask(method, params = {}, between = async () => {}) {
    let message = await this.#once(method, params);
    while (message.result?.resultType === 'input_required') {
      await between();
      const { inputRequests, requestState } = message.result;
      const answers = Object.entries(inputRequests).map(([key, asked]) => [key, answer(asked.method, asked.params)]);
      const again = { ...params, inputResponses: Object.fromEntries(answers), ...(requestState !== undefined && { requestState }) };
      message = await this.#once(method, again);
    }
    if (message.error) throw new Refused(method, message.error);
    return message.result;
  }

  async tools() {
    const { tools } = await this.ask('tools/list');
    this.#schemas = new Map(tools.map((tool) => [tool.name, tool.inputSchema]));
    return tools.map((tool) => tool.name);
  }

  /** The schema of a tool, once the tools were listed. */
  schema(name) {
    return this.#schemas.get(name);
  }

  call(name, args = {}, between) {
    return this.ask('tools/call', { name, arguments: args }, between);
  }

  async #once(method, params) {
    const id = this.#next++;
    const meta = this.modern && {
      _meta: {
        'io.modelcontextprotocol/protocolVersion': this.era,
        'io.modelcontextprotocol/clientInfo': INFO,
        'io.modelcontextprotocol/clientCapabilities': CAPABILITIES
      }
    };
    const message = await this.#post({ id, method, params: { ...params, ...meta } });
    if (message?.id !== id) throw new Error(`${method} has no answer: ${JSON.stringify(message)}`);
    return message;
  }

  /** Sends a message and gives what answers it; what is asked meanwhile is answered. */
  async #post(message) {
    let response = await fetch(this.url, {
      method: 'POST',
      headers: {
        ...this.#who(),
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(this.modern && this.#named(message))
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...message })
    });
    this.#session ??= response.headers.get('mcp-session-id') ?? undefined;
    for (let heard = {}; ; ) {
      if (!isStream(response)) {
        const text = await response.text();
        return text ? JSON.parse(text) : undefined;
      }
      for await (const { id, retry, data } of events(response.body)) {
        heard = { id: id ?? heard.id, retry: retry ?? heard.retry };
        if (data?.method && data.id !== undefined) await this.#post({ id: data.id, result: answer(data.method, data.params) });
        else if (data && data.id === message.id) return data;
      }
      if (this.modern || !heard.id) throw new Error(`the stream of ${message.method} ended without an answer`);
      // The server let go of the request: its answer is on the stream that goes on where this one ended.
      await sleep(Number(heard.retry ?? 0));
      response = await fetch(this.url, { headers: { ...this.#who(), accept: 'text/event-stream', 'last-event-id': heard.id } });
    }
  }

  #who() {
    return {
      authorization: `Bearer ${this.token}`,
      // What is spoken is agreed on by `initialize`, in the older era.
      ...((this.modern || this.#session) && { 'mcp-protocol-version': this.era }),
      ...(this.#session && { 'mcp-session-id': this.#session })
    };
  }

  /** The headers that repeat what a message says. */
  #named({ method, params }) {
    const headers = { 'mcp-method': method };
    if (NAMED_BY[method]) headers['mcp-name'] = wrapped(params[NAMED_BY[method]]);
    for (const [name, schema] of Object.entries(this.#schemas.get(params?.name)?.properties ?? {})) {
      const value = params.arguments?.[name];
      if (schema['x-mcp-header'] && value !== undefined && value !== null) headers[`mcp-param-${schema['x-mcp-header']}`] = wrapped(String(value));
    }
    return headers;
  }
}

/** An answer that is an error. */
export class Refused extends Error {
  constructor(method, error) {
    super(`${method}: ${error.code} ${error.message}`);
    this.error = error;
  }
}

/** What a person answers who agrees to everything, with the defaults that are offered. */
function answer(method, params) {
  if (method !== 'elicitation/create') throw new Error(`the server asks ${method}`);
  const fields = Object.entries(params.requestedSchema?.properties ?? {});
  return { action: 'accept', content: Object.fromEntries(fields.map(([name, field]) => [name, field.default ?? TYPED[field.type]])) };
}

const wrapped = (text) => (/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$|^$/.test(text) ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`);

const isStream = (response) => response.headers.get('content-type')?.startsWith('text/event-stream');

/** The events of a stream: `id` and `retry` where they have them, `data` where they bring a message. */
async function* events(body) {
  let text = '';
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    const blocks = (text + piece).replaceAll('\r\n', '\n').split('\n\n');
    text = blocks.pop();
    for (const block of blocks) {
      const fields = block.split('\n').map((line) => /^(\w+): ?(.*)$/.exec(line)).filter(Boolean);
      const data = fields.filter(([, name]) => name === 'data').map(([, , value]) => value).join('\n');
      const { id, retry } = Object.fromEntries(fields.map(([, name, value]) => [name, value]));
      yield { id, retry, data: data ? JSON.parse(data) : undefined };
    }
  }
}
