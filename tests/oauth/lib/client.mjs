// A minimal client of MCP's authorization, for the selftest: careful by default, or careless, who believes everything.

import { randomBytes } from 'node:crypto';
import { hash } from './journal.mjs';

const BODY_LIMIT_BYTES = 1024 * 1024;
export const BACK = 'http://127.0.0.1:9/callback';
const random = () => randomBytes(32).toString('base64url');

/** Why a careful client stops. */
export class Stop extends Error {}

export class Client {
  cookies = new Map();
  tokens;

  /** `reach` says which origins may be asked; `registered` is a client that was put in by hand, `document` a client's address. */
  constructor({ mcp, resource = mcp, careless = false, reach = () => true, registered, document, method = 'none', name = 'alice', timeoutMs = 1500 }) {
    Object.assign(this, { mcp, resource, careless, reach, registered, document, method, name, timeoutMs });
  }

  insist(condition, text) {
    if (!condition && !this.careless) throw new Stop(text);
  }

  async fetch(url, options = {}) {
    this.insist(/^https?:$/.test(new URL(url).protocol) && this.reach(new URL(url).origin), `may not ask ${url}`);
    const response = await fetch(url, { redirect: this.careless ? 'follow' : 'manual', signal: AbortSignal.timeout(this.timeoutMs), ...options });
    const parts = [];
    let size = 0;
    for await (const part of response.body ?? []) {
      size += part.length;
      this.insist(size <= BODY_LIMIT_BYTES, 'too large');
      parts.push(part);
    }
    const text = Buffer.concat(parts).toString('utf8');
    let body;
    try {
      body = JSON.parse(text);
    } catch {
      // Pages and empty answers.
    }
    return { status: response.status, headers: response.headers, text, body };
  }

  async json(url) {
    const { status, body } = await this.fetch(url);
    this.insist(status === 200 && body, `${status} for ${url}`);
    return body ?? {};
  }

  /** Steps until the metadata of the authorization server. */
  async discover() {
    const first = await this.rpc('initialize', undefined, null);
    if (first.status !== 401) throw new Error(`${first.status} without a token`);
    this.challenge = first.headers.get('www-authenticate');
    this.described = await this.json(/resource_metadata="([^"]+)"/.exec(this.challenge)[1]);
    this.insist(this.described.resource === this.resource, 'the metadata is of another resource');
    this.issuer = this.described.authorization_servers?.[0];
    await this.discoverServer();
  }

  async discoverServer() {
    this.server = await this.json(`${this.issuer.replace(/\/$/, '')}/.well-known/oauth-authorization-server`);
    this.insist(this.server.issuer === this.issuer, 'the metadata is of another issuer');
    this.insist(this.server.code_challenge_methods_supported?.includes('S256'), 'no S256');
    for (const name of ['authorization_endpoint', 'token_endpoint']) {
      const { protocol, hostname } = new URL(this.server[name]);
      this.insist(protocol === 'https:' || (protocol === 'http:' && hostname === '127.0.0.1'), `${name} is not safe`);
    }
  }

  async register() {
    if (this.registered) return (this.client = this.registered);
    if (this.document) return (this.client = { client_id: this.document });
    const { status, body } = await this.fetch(this.server.registration_endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        client_name: 'selftest',
        redirect_uris: [BACK],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: this.method,
      }),
    });
    if (status !== 201) throw new Stop(`registration: ${status} ${JSON.stringify(body)}`);
    return (this.client = body);
  }

  /** Sends the person to the authorization server, as a browser would go, and gives the parameters that come back. */
  async authorize(scope = 'notes:read', change = {}) {
    this.state = random();
    this.verifier = random();
    const url = new URL(this.server.authorization_endpoint);
    const params = {
      response_type: 'code', client_id: this.client.client_id, redirect_uri: BACK, scope, state: this.state, resource: this.resource,
      code_challenge: hash(this.verifier), code_challenge_method: 'S256', ...change,
    };
    for (const [name, value] of Object.entries(params)) if (value !== undefined) url.searchParams.set(name, value);
    const back = await this.browse(url.href);
    this.back = Object.fromEntries(new URL(back).searchParams);
    if (this.back.error) throw new Stop(`${this.back.error}: ${this.back.error_description}`);
    this.insist(this.back.state === this.state, 'a foreign state');
    this.insist(!this.server.authorization_response_iss_parameter_supported || this.back.iss === this.issuer, 'a foreign iss');
    return this.back;
  }

  /** A browser without scripts that fills in the one form there is. */
  async browse(start) {
    let request = [start, {}];
    for (let hops = 0; hops < 10; hops += 1) {
      const [url, options] = request;
      const cookie = [...this.cookies].map((pair) => pair.join('=')).join('; ');
      const response = await fetch(url, { redirect: 'manual', ...options, headers: { ...options.headers, ...(cookie && { cookie }) } });
      for (const line of response.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
        if (value) this.cookies.set(name, value);
        else this.cookies.delete(name);
      }
      const location = response.headers.get('location');
      const page = await response.text();
      if (location) {
        const next = new URL(location, url).href;
        if (next.startsWith(BACK)) return next;
        request = [next, {}];
      } else if (page.includes('<form method="post">')) {
        this.pages = [...(this.pages ?? []), page];
        request = [url, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `login=${this.name}&answer=${this.answer ?? 'allow'}` }];
      } else {
        throw new Stop(`the browser stands at ${response.status}: ${page.slice(0, 300)}`);
      }
    }
    throw new Stop('redirects without end');
  }

  async ask(params) {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const form = new URLSearchParams({ resource: this.resource, ...params });
    const { client_id, client_secret, token_endpoint_auth_method: method = 'client_secret_basic' } = this.client;
    if (client_secret && method === 'client_secret_basic') headers.authorization = `Basic ${btoa(`${client_id}:${client_secret}`)}`;
    else form.set('client_id', client_id);
    if (client_secret && method === 'client_secret_post') form.set('client_secret', client_secret);
    const answer = await this.fetch(this.server.token_endpoint, { method: 'POST', headers, body: form.toString() });
    this.answered = answer;
    if (answer.status !== 200) throw new Stop(`${answer.status} ${answer.body?.error}`);
    this.insist(/^bearer$/i.test(answer.body?.token_type ?? ''), 'no token type');
    return (this.tokens = answer.body);
  }

  redeem(change = {}) {
    return this.ask({ grant_type: 'authorization_code', code: this.back.code, code_verifier: this.verifier, redirect_uri: BACK, ...change });
  }

  refresh(token = this.tokens.refresh_token) {
    return this.ask({ grant_type: 'refresh_token', refresh_token: token });
  }

  /** The whole way, with a careless second look at the metadata before the code is redeemed. */
  async connect(scope) {
    await this.discover();
    await this.register();
    await this.authorize(scope);
    if (this.careless) await this.discoverServer();
    return this.redeem();
  }

  rpc(method, params = {}, token = this.tokens?.access_token, url = this.mcp) {
    return this.fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2025-11-25',
        ...(token && { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
  }

  call(name, args = {}, token = undefined, url = undefined) {
    return this.rpc('tools/call', { name, arguments: args }, token, url);
  }
}
