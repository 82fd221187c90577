#!/usr/bin/env node
// An MCP server behind OAuth 2.1, with a certified authorization server. See README.md.

import { parseArgs } from 'node:util';
import { randomUUID } from 'node:crypto';
import { createLocalJWKSet, errors, jwtVerify } from 'jose';
import { consent } from './lib/consent.mjs';
import { Journal, masked } from './lib/journal.mjs';
import { authorizationServer } from './lib/provider.mjs';
import { answer, bearer, metadataPath, readBody, Refused, resourceMetadata, send } from './lib/resource.mjs';
import { listen, ready, usage } from './lib/start.mjs';

// The library says what it thinks of a setup for tests; the first line of standard output is ours.
console.info = console.error;

const text = { type: 'string' };
const { values: flags } = parseArgs({
  options: {
    registration: { ...text, default: 'dynamic' },
    'access-token-seconds': { ...text, default: '3600' },
    'token-format': { ...text, default: 'jwt' },
    'client-auth': { ...text, default: 'client_secret_basic' },
    'redirect-uri': { ...text, multiple: true, default: [] },
    documents: { ...text, multiple: true, default: [] },
    'issuer-host': { ...text, default: '127.0.0.1' },
    auto: { type: 'boolean', default: false },
    user: { ...text, default: 'alice' },
    journal: text,
  },
});
const registration = flags.registration;
const seconds = Number(flags['access-token-seconds']);
if (!['dynamic', 'document', 'manual'].includes(registration)) usage('--registration is dynamic, document or manual');
if (!['jwt', 'opaque'].includes(flags['token-format'])) usage('--token-format is jwt or opaque');
if (!(seconds > 0)) usage('--access-token-seconds is a number above 0');
if (registration === 'manual' && flags['redirect-uri'].length === 0) usage('--registration manual needs --redirect-uri URI');
if (!['127.0.0.1', 'localhost'].includes(flags['issuer-host'])) usage('--issuer-host is 127.0.0.1 or localhost');

const journal = new Journal(flags.journal);
const secretless = flags['client-auth'] === 'none';
const client = registration === 'manual' && {
  client_id: 'fumehood-by-hand',
  ...(!secretless && { client_secret: randomUUID() + randomUUID() }),
  token_endpoint_auth_method: flags['client-auth'],
  redirect_uris: flags['redirect-uri'],
};

// Each side has to know the other's address before either can answer, so handlers come after the ports.
let toProvider, toResource;
const issuer = await listen((request, response) => toProvider(request, response), flags['issuer-host']);
const origin = await listen((request, response) => toResource(request, response));
// The second resource trusts the same issuer: a token for one is not good for the other.
const resources = ['/mcp', '/other'].map((path) => origin + path);

const { provider, keys } = authorizationServer({
  issuer,
  resources,
  registration,
  format: flags['token-format'],
  seconds,
  client,
  documents: Object.fromEntries(flags.documents.map((pair) => pair.split('='))),
});

// Outermost, and before the answer goes out: what was asked, and what came of it.
provider.use(async (ctx, next) => {
  try {
    await next();
  } finally {
    const sent = { ...ctx.query, ...ctx.oidc?.body };
    const basic = /^basic /i.test(ctx.get('authorization'));
    const location = URL.parse(ctx.response.get('location') ?? '');
    journal.write({
      server: 'issuer',
      method: ctx.method,
      path: ctx.path,
      token: Boolean(bearer(ctx.req)),
      ...(ctx.path === '/token' && { client_auth: basic ? 'basic' : sent.client_secret ? 'post' : 'none' }),
      params: masked(sent),
      status: ctx.status,
      error: ctx.body?.error ?? location?.searchParams.get('error') ?? undefined,
      error_description: ctx.body?.error_description ?? location?.searchParams.get('error_description') ?? undefined,
    });
  }
});
provider.use(consent(provider, flags.auto ? flags.user : undefined));
toProvider = provider.callback();

const keySet = createLocalJWKSet(keys);
/** Who a token speaks for at a resource. */
async function verify(token, resource) {
  if (flags['token-format'] === 'opaque') {
    const found = await provider.AccessToken.find(token, { ignoreExpiration: true });
    if (!found) throw new Refused('unknown');
    if (found.isExpired) throw new Refused('expired');
    if (![found.aud].flat().includes(resource)) throw new Refused('audience');
    return { subject: found.accountId, scopes: [...found.scopes] };
  }
  try {
    const { payload } = await jwtVerify(token, keySet, { issuer, audience: resource, typ: 'at+jwt', algorithms: ['RS256'] });
    return { subject: payload.sub, scopes: payload.scope?.split(' ') ?? [] };
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw new Refused('expired');
    if (error.claim === 'aud') throw new Refused('audience');
    if (error.claim === 'iss') throw new Refused('issuer');
    throw new Refused('unknown');
  }
}

toResource = async (request, response) => {
  const { pathname } = new URL(request.url, origin);
  const body = await readBody(request);
  const resource = resources.find((one) => one === origin + pathname);
  const described = resources.find((one) => pathname === metadataPath(new URL(one).pathname));
  const reply = resource
    ? await answer({ request, body, resource, verify: (token) => verify(token, resource) })
    : described && request.method === 'GET'
      ? { status: 200, body: resourceMetadata(described, issuer) }
      : { status: 404 };
  journal.write({ server: 'mcp', method: request.method, path: pathname, token: Boolean(bearer(request)), status: reply.status, ...reply.note });
  send(response, reply);
};

ready({
  mcp: resources[0],
  other: resources[1],
  issuer,
  client_id: client ? client.client_id : null,
  client_secret: client?.client_secret ?? null,
});
