// The fixtures judged: the certified server lets an honest client through and refuses what it has to, and each hostile
// mode misbehaves as named.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { BACK, Client, Stop } from './lib/client.mjs';
import { hash } from './lib/journal.mjs';
import { MODES } from './lib/modes.mjs';

const folder = mkdtempSync(join(tmpdir(), 'oauth-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let started = 0;

/** Runs a fixture as tests do, and ends it by closing its standard input. */
async function start(t, program, ...flags) {
  const file = join(folder, `journal-${(started += 1)}`);
  const child = spawn(process.execPath, [join(import.meta.dirname, program), ...flags, '--journal', file], { stdio: ['pipe', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (errors += text));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value } = await lines.next();
  assert.ok(value, errors);
  const end = async () => {
    if (child.exitCode !== null) return;
    child.stdin.end();
    await once(child, 'exit');
  };
  t.after(end);
  return {
    ...JSON.parse(value),
    journal: () => readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line)),
    raw: () => readFileSync(file, 'utf8'),
    end,
    child,
  };
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const said = (answer) => JSON.parse(answer.body.result.content[0].text);

/** What must never stand in a journal. */
function assertSecretless(fixture, client) {
  const { code } = client.back;
  for (const secret of [code, client.verifier, client.state, client.tokens.access_token, client.tokens.refresh_token, client.client.client_secret]) {
    assert.ok(secret === undefined || !fixture.raw().includes(secret), 'a secret stands in the journal');
  }
}

async function through(t, fixture, options) {
  const client = new Client({ mcp: fixture.mcp, ...options });
  await client.connect();
  assert.equal(client.issuer, fixture.issuer);
  assert.equal(client.back.iss, fixture.issuer);
  assert.equal(client.tokens.scope, 'notes:read');
  assert.ok(client.tokens.refresh_token);
  assert.deepEqual(said(await client.call('whoami')), { subject: 'alice', scopes: ['notes:read'] });
  assertSecretless(fixture, client);

  const lines = fixture.journal();
  const authorize = lines.find((line) => line.path === '/authorize');
  const token = lines.find((line) => line.path === '/token');
  assert.equal(authorize.params.resource, fixture.mcp);
  assert.equal(authorize.params.code_challenge_method, 'S256');
  assert.deepEqual(authorize.params.state, { length: client.state.length, sha256: hash(client.state) });
  assert.equal(token.params.resource, fixture.mcp);
  assert.equal(token.params.code_verifier.sha256, authorize.params.code_challenge);
  assert.equal(token.params.code.sha256, hash(client.back.code));
  assert.equal(token.status, 200);
  const called = lines.at(-1);
  assert.deepEqual([called.server, called.path, called.token, called.rpc, called.tool, called.subject], ['mcp', '/mcp', true, 'tools/call', 'whoami', 'alice']);
  return client;
}

test('dynamic registration, as a public and as a confidential client', async (t) => {
  const fixture = await start(t, 'server.mjs', '--auto');
  assert.equal(fixture.client_id, null);
  await through(t, fixture, {});
  assert.equal(fixture.journal().find((line) => line.path === '/token').client_auth, 'none');
  assert.equal(fixture.journal().find((line) => line.path === '/register').params.client_name, 'selftest');
  for (const method of ['client_secret_basic', 'client_secret_post']) {
    const client = new Client({ mcp: fixture.mcp, method });
    await client.connect();
    assert.ok(client.client.client_secret);
    assert.equal(fixture.journal().at(-1).client_auth, method.slice('client_secret_'.length));
    assertSecretless(fixture, client);
  }
});

test('a client ID metadata document, from loopback under its https name', async (t) => {
  const id = 'https://client.test/oauth/client.json';
  const asked = [];
  const site = http.createServer((request, response) => {
    asked.push(request.url);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({
      client_id: id, client_name: 'selftest', redirect_uris: [BACK], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], token_endpoint_auth_method: 'none',
    }));
  });
  await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
  t.after(() => site.close());
  const fixture = await start(t, 'server.mjs', '--auto', '--registration', 'document', '--documents', `https://client.test=http://127.0.0.1:${site.address().port}`);
  const client = await through(t, fixture, { document: id });
  assert.equal(client.server.client_id_metadata_document_supported, true);
  assert.equal(client.server.registration_endpoint, undefined);
  assert.deepEqual(asked, ['/oauth/client.json']);
  await client.refresh();
});

test('a client that was put in by hand', async (t) => {
  for (const method of ['client_secret_basic', 'client_secret_post', 'none']) {
    const fixture = await start(t, 'server.mjs', '--auto', '--registration', 'manual', '--client-auth', method, '--redirect-uri', BACK);
    const { client_id, client_secret } = fixture;
    assert.equal(client_secret === null, method === 'none');
    const client = await through(t, fixture, { registered: { client_id, client_secret: client_secret ?? undefined, token_endpoint_auth_method: method } });
    assert.equal(client.server.registration_endpoint, undefined);
    if (method !== 'none') {
      client.client = { ...client.client, client_secret: 'wrong' };
      await assert.rejects(client.refresh(), /invalid_client/);
    }
  }
});

for (const format of ['jwt', 'opaque']) {
  test(`${format}: expiry, refresh, rotation, and a refresh token that is used twice`, async (t) => {
    const fixture = await start(t, 'server.mjs', '--auto', '--access-token-seconds', '3', '--token-format', format);
    // Times are whole seconds: what is made at the end of one has lived one a moment later.
    const client = await through(t, fixture, {});
    assert.equal(client.tokens.access_token.split('.').length === 3, format === 'jwt');
    await sleep(4100);
    const late = await client.call('whoami');
    assert.equal(late.status, 401);
    assert.match(late.headers.get('www-authenticate'), /error="invalid_token"/);
    assert.match(fixture.journal().at(-1).refused, format === 'jwt' ? /^expired$/ : /^(expired|unknown)$/);

    const first = client.tokens.refresh_token;
    await client.refresh();
    const second = client.tokens.refresh_token;
    assert.notEqual(second, first);
    assert.equal((await client.call('whoami')).status, 200);
    await assert.rejects(client.refresh(first), /invalid_grant/);
    await assert.rejects(client.refresh(second), /invalid_grant/, 'the whole grant is gone');
    const { params, error } = fixture.journal().at(-1);
    assert.deepEqual([params.grant_type, params.refresh_token.sha256, error], ['refresh_token', hash(second), 'invalid_grant']);
  });

  test(`${format}: a token for one resource is not good for another`, async (t) => {
    const fixture = await start(t, 'server.mjs', '--auto', '--token-format', format);
    const other = new Client({ mcp: fixture.other });
    await other.connect();
    assert.equal((await other.call('whoami')).status, 200);
    assert.equal((await other.call('whoami', {}, undefined, fixture.mcp)).status, 401);
    assert.equal(fixture.journal().at(-1).refused, 'audience');
    assert.equal((await other.call('whoami', {}, 'nonsense')).status, 401);
    assert.equal(fixture.journal().at(-1).refused, 'unknown');
  });
}

test('the step-up: 403 names the scopes, and a second authorisation gives them', async (t) => {
  const fixture = await start(t, 'server.mjs', '--auto');
  const client = await through(t, fixture, {});
  assert.match(client.challenge, /scope="notes:read"/);
  const refused = await client.call('write_note', { text: 'x' });
  assert.equal(refused.status, 403);
  const challenge = refused.headers.get('www-authenticate');
  assert.match(challenge, /^Bearer error="insufficient_scope", scope="notes:read notes:write", resource_metadata="/);
  await client.authorize(/ scope="([^"]+)"/.exec(challenge)[1]);
  await client.redeem();
  assert.equal((await client.call('write_note', { text: 'x' })).body.result.content[0].text, 'written: x');
  assert.deepEqual(said(await client.call('whoami')).scopes, ['notes:read', 'notes:write']);
});

test('what the authorization server insists on', async (t) => {
  const fixture = await start(t, 'server.mjs', '--auto');
  const client = new Client({ mcp: fixture.mcp });
  await client.discover();
  await client.register();
  await assert.rejects(client.authorize(undefined, { resource: undefined }), /invalid_target/);
  await assert.rejects(client.authorize(undefined, { resource: 'https://elsewhere.test/mcp' }), /invalid_target/);
  await assert.rejects(client.authorize(undefined, { code_challenge: undefined, code_challenge_method: undefined }), /PKCE/);
  await assert.rejects(client.authorize(undefined, { code_challenge_method: 'plain' }), /code_challenge_method/);
  await assert.rejects(client.authorize(undefined, { redirect_uri: 'http://127.0.0.1:9/elsewhere' }), Stop);
  assert.equal(fixture.journal().filter((line) => line.path === '/authorize' && line.error).length, 5);
  await client.authorize();
  await assert.rejects(client.redeem({ code_verifier: 'x'.repeat(43) }), /invalid_grant/);
  await client.authorize();
  await assert.rejects(client.redeem({ resource: fixture.other }), /invalid_target/);
  await client.authorize();
  await assert.rejects(client.redeem({ resource: [] }), /invalid_target/);
  await client.authorize();
  await client.redeem();
  await assert.rejects(client.redeem(), /invalid_grant/, 'a code works once');
});

test('the page: a name, a consent, a refusal, and no script', async (t) => {
  const fixture = await start(t, 'server.mjs', '--issuer-host', 'localhost');
  assert.match(fixture.issuer, /^http:\/\/localhost:/);
  const client = new Client({ mcp: fixture.mcp, name: 'bob' });
  client.insist = () => {};
  await client.connect();
  assert.equal(client.pages.length, 1);
  assert.match(client.pages[0], /<input name="login"/);
  assert.doesNotMatch(client.pages[0], /<script/);
  assert.equal(said(await client.call('whoami')).subject, 'bob');
  // The session is known, so that a step-up asks for the consent only.
  await client.authorize('notes:read notes:write');
  assert.equal(client.pages.length, 2);
  assert.match(client.pages[1], /Signed in as bob/);
  const second = new Client({ mcp: fixture.mcp });
  second.insist = () => {};
  second.answer = 'deny';
  await second.discover();
  await second.register();
  await assert.rejects(second.authorize(), /access_denied/);
  assert.equal(fixture.journal().at(-1).error, 'access_denied');
});

test('the MCP server answers as one of its era', async (t) => {
  const fixture = await start(t, 'server.mjs', '--auto');
  const client = await through(t, fixture, {});
  const { body } = await client.rpc('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } });
  assert.equal(body.result.protocolVersion, '2025-11-25');
  assert.deepEqual((await client.rpc('tools/list')).body.result.tools.map((tool) => tool.name), ['whoami', 'write_note']);
  assert.equal((await client.rpc('server/discover')).body.error.code, -32601);
  assert.equal((await fetch(fixture.mcp)).status, 401);
  await fixture.end();
  assert.equal(fixture.child.exitCode, 0);
});

test('hostile ok: the fake itself is no obstacle', async (t) => {
  for (const method of ['none', 'client_secret_basic', 'client_secret_post']) {
    const fixture = await start(t, 'hostile.mjs', '--mode', 'ok', '--access-token-seconds', '3');
    const client = new Client({ mcp: fixture.mcp, method });
    await client.connect();
    assert.equal(said(await client.call('whoami')).subject, 'mallory');
    assert.equal((await client.call('write_note', { text: 'x' })).status, 403);
    await sleep(3100);
    assert.equal((await client.call('whoami')).status, 401);
    await client.refresh();
    assert.equal((await client.call('whoami')).status, 200);
    await client.authorize('notes:read notes:write');
    await assert.rejects(client.redeem({ code_verifier: 'x'.repeat(43) }), /invalid_grant/);
    await client.authorize('notes:read notes:write');
    await client.redeem();
    assert.equal((await client.call('write_note', { text: 'x' })).status, 200);
    assert.ok(fixture.journal().every((line) => !line.leaked && !line.late));
    const token = fixture.journal().find((line) => line.step === 'token');
    assert.deepEqual(token.secrets.sort(), ['code', ...(method === 'none' ? [] : ['client_secret']), 'code_verifier'].sort());
    assertSecretless(fixture, client);
  }
  const fixture = await start(t, 'hostile.mjs');
  const client = new Client({ mcp: fixture.mcp, registered: fixture });
  await client.connect();
  assert.equal((await client.call('whoami')).status, 200);
  // A secret in a place where it has no business is seen, wherever it hides.
  await fetch(`${fixture.issuer}/elsewhere?x=${client.tokens.access_token}`);
  assert.deepEqual([fixture.journal().at(-1).leaked, fixture.journal().at(-1).secrets], [true, ['access_token']]);
});

test('the sink tells of what reaches it', async (t) => {
  const sink = await start(t, 'hostile.mjs', '--sink');
  await fetch(`${sink.sink}/a`);
  await fetch(`${sink.sink}/b`, { method: 'POST', body: new URLSearchParams({ code: 'geheim', x: '1' }) });
  await fetch(`${sink.sink}/c`, { headers: { authorization: 'Basic geheim' } });
  const lines = sink.journal();
  assert.deepEqual(lines.map(({ method, path, leaked, secrets }) => [method, path, leaked, secrets]), [
    ['GET', '/a', false, []],
    ['POST', '/b', true, ['code']],
    ['GET', '/c', true, ['authorization']],
  ]);
  assert.equal(lines[1].params.x, '1');
  assert.ok(!sink.raw().includes('geheim'));
});

/** What a careful client says when it stops, what a careless one is led to, and what the mode looks like. */
const EXPECTED = {
  'pkce-absent': { stops: /no S256/, shows: ({ server }) => assert.ok(!('code_challenge_methods_supported' in server)) },
  'pkce-plain': { stops: /no S256/, shows: ({ server }) => assert.deepEqual(server.code_challenge_methods_supported, ['plain']) },
  'other-issuer': { stops: /another issuer/, shows: ({ server }) => assert.equal(server.issuer, 'https://issuer.invalid') },
  'other-resource': { stops: /another resource/, shows: ({ described }) => assert.equal(described.resource, 'https://resource.invalid/mcp') },
  'javascript-url': { stops: /authorization_endpoint is not safe/, fails: true, shows: ({ server }) => assert.equal(server.authorization_endpoint, 'javascript:alert(1)') },
  'http-endpoint': { stops: /token_endpoint is not safe/, fails: true, shows: ({ server }) => assert.equal(server.token_endpoint, 'http://token.example/token') },
  'metadata-internal': { stops: /may not ask/, sink: false, shows: ({ issuer }, sink) => assert.equal(issuer, sink.sink) },
  'metadata-redirect': { stops: /302 for/, sink: false },
  'token-redirect': { stops: /307/, sink: true },
  'wrong-iss': { stops: /foreign iss/, shows: ({ back }) => assert.equal(back.iss, 'https://issuer.invalid') },
  'missing-iss': {
    stops: /foreign iss/,
    shows: ({ back, server }) => assert.deepEqual([server.authorization_response_iss_parameter_supported, 'iss' in back], [true, false]),
  },
  'state-drop': { stops: /foreign state/, shows: ({ back }) => assert.ok(!('state' in back)) },
  'state-swap': { stops: /foreign state/, shows: ({ back, state }) => assert.ok(back.state && back.state !== state) },
  'no-token-type': { stops: /no token type/, shows: ({ tokens }) => assert.ok(tokens.access_token && !('token_type' in tokens)) },
  huge: { stops: /too large/, shows: ({ server }) => assert.equal(server.padding.length, 50 * 1024 * 1024) },
};

for (const [mode, { stops, shows, fails, sink: leaks }] of Object.entries(EXPECTED)) {
  test(`hostile ${mode}: a careful client stops, a careless one is caught`, async (t) => {
    const sink = leaks === undefined ? undefined : await start(t, 'hostile.mjs', '--sink');
    const flags = ['--mode', mode, ...(sink ? ['--target', sink.sink] : [])];

    const first = await start(t, 'hostile.mjs', ...flags);
    const origins = [first.mcp, first.issuer].map((url) => new URL(url).origin);
    const careful = new Client({ mcp: first.mcp, method: 'client_secret_basic', reach: (origin) => origins.includes(origin) });
    await assert.rejects(careful.connect(), (error) => error instanceof Stop && stops.test(error.message));
    assert.ok(first.journal().every((line) => !line.leaked && !line.late), first.raw());
    assert.deepEqual(sink?.journal() ?? [], []);
    if (mode === 'huge') {
      await sleep(100);
      assert.ok(first.journal().at(-1).sent < 20 * 1024 * 1024, 'the rest was not sent');
    }

    const second = await start(t, 'hostile.mjs', ...flags);
    const careless = new Client({ mcp: second.mcp, method: 'client_secret_basic', careless: true, timeoutMs: 20_000 });
    const went = await careless.connect().then(() => careless.call('whoami'), (error) => error);
    shows?.(careless, sink);
    if (sink) {
      assert.ok(sink.journal().length > 0);
      assert.equal(sink.journal().some((line) => line.leaked), leaks);
    } else if (fails) {
      assert.ok(went instanceof Error);
    } else {
      assert.equal(went.status, 200, String(went));
      assert.ok(second.journal().some((line) => line.leaked && line.late), second.raw());
    }
  });
}

test('hostile http-endpoint and javascript-url take another address', async (t) => {
  const sink = await start(t, 'hostile.mjs', '--sink');
  const fixture = await start(t, 'hostile.mjs', '--mode', 'http-endpoint', '--target', `${sink.sink}/token`);
  const careless = new Client({ mcp: fixture.mcp, careless: true });
  await careless.connect();
  assert.deepEqual(sink.journal().at(-1).secrets, ['code', 'code_verifier']);
  const second = await start(t, 'hostile.mjs', '--mode', 'javascript-url', '--target', 'file:///etc/passwd');
  const client = new Client({ mcp: second.mcp });
  await assert.rejects(client.discover(), /not safe/);
  assert.equal(client.server.authorization_endpoint, 'file:///etc/passwd');
});

test('hostile metadata-internal, without a target', async (t) => {
  const fixture = await start(t, 'hostile.mjs', '--mode', 'metadata-internal');
  const client = new Client({ mcp: fixture.mcp, reach: (origin) => !origin.includes('169.254') });
  await assert.rejects(client.discover(), /may not ask http:\/\/169\.254\.169\.254/);
});

test('hostile slow, huge and metadata-redirect, at each place', async (t) => {
  const steps = { resource: 'resource', issuer: 'metadata', register: 'register', token: 'token' };
  for (const [at, step] of Object.entries(steps)) {
    const fixture = await start(t, 'hostile.mjs', '--mode', 'slow', '--at', at);
    const client = new Client({ mcp: fixture.mcp, timeoutMs: 300 });
    await assert.rejects(client.connect(), { name: 'TimeoutError' });
    assert.deepEqual([fixture.journal().at(-1).step, fixture.journal().some((line) => line.leaked)], [step, false]);

    const large = await start(t, 'hostile.mjs', '--mode', 'huge', '--at', at);
    await assert.rejects(new Client({ mcp: large.mcp }).connect(), /too large/);
    const moved = await start(t, 'hostile.mjs', '--mode', 'metadata-redirect', '--at', at, '--target', 'http://127.0.0.1:9/');
    await assert.rejects(new Client({ mcp: moved.mcp }).connect(), /302/);
  }
});

test('hostile token-echo: the code and the secret come back, long and with control characters', async (t) => {
  const fixture = await start(t, 'hostile.mjs', '--mode', 'token-echo');
  const client = new Client({ mcp: fixture.mcp, method: 'none' });
  await assert.rejects(client.connect(), /400 invalid_grant/);
  const { error_description: text } = client.answered.body;
  assert.equal(text.length, 65536);
  assert.ok(text.includes(client.back.code) && text.includes(client.client.client_secret));
  for (const sign of ['\u0000', '\u001b', '\r\n', '\u202e']) assert.ok(text.includes(sign));
});

test('hostile refresh-dead and refresh-500', async (t) => {
  for (const [mode, answers] of [['refresh-dead', [400, 400, 400]], ['refresh-500', [500, 500, 200]]]) {
    const fixture = await start(t, 'hostile.mjs', '--mode', mode);
    const client = new Client({ mcp: fixture.mcp });
    await client.connect();
    assert.equal(client.tokens.expires_in, 2);
    assert.equal((await client.call('whoami')).status, 200);
    for (const status of answers) {
      await client.refresh().catch((error) => assert.ok(error instanceof Stop));
      assert.equal(client.answered.status, status);
    }
    if (mode === 'refresh-500') assert.equal((await client.call('whoami')).status, 200);
    assert.ok(fixture.journal().every((line) => !line.leaked));
  }
});

test('hostile second-iss: after the registration, all metadata leads to the second issuer', async (t) => {
  // Who knew the first issuer, and keeps to it, gets through.
  const fixture = await start(t, 'hostile.mjs', '--mode', 'second-iss');
  const keeps = new Client({ mcp: fixture.mcp, method: 'client_secret_basic' });
  await keeps.connect();
  assert.equal((await keeps.call('whoami')).status, 200);
  assert.ok(fixture.journal().every((line) => !line.leaked));

  // Who looks again sees another issuer in the same place.
  await assert.rejects(keeps.discoverServer(), /another issuer/);
  assert.deepEqual([keeps.server.issuer, keeps.server.token_endpoint], [fixture.second, `${fixture.second}/token`]);

  // Who starts again with the second one, registers there, and is sent to the first one to sign in.
  const starts = new Client({ mcp: fixture.mcp, method: 'client_secret_basic' });
  await assert.rejects(starts.connect(), /foreign iss/);
  assert.deepEqual([starts.issuer, starts.back.iss], [fixture.second, fixture.issuer]);
  assert.ok(fixture.journal().every((line) => !line.leaked));

  // Who does not look sends the code, the verifier and, where credentials are not kept by issuer, the secret.
  const careless = new Client({ mcp: fixture.mcp, registered: keeps.client, careless: true });
  await careless.connect();
  const { server, secrets, leaked } = fixture.journal().at(-1);
  assert.deepEqual([server, secrets.sort(), leaked], ['second', ['client_secret', 'code', 'code_verifier'], true]);
});

test('every mode has a test', () => {
  const source = readFileSync(import.meta.filename, 'utf8');
  for (const mode of Object.keys(MODES)) assert.ok(EXPECTED[mode] || source.includes(`hostile ${mode}`) || /^(slow|refresh-500)$/.test(mode), mode);
});
