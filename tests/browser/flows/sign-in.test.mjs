// An operator signs in at an MCP server with OAuth 2.1, there and back in one browser. The issuer is another site than
// Fumehood (localhost and 127.0.0.1), so that what the cookies are worth on the way back is seen.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { becomeAdministrator, launch, picture, session } from '../lib/browser.mjs';
import { root, startServer } from '../lib/server.mjs';

const folder = join(root, 'tests/oauth');
const missing = existsSync(join(folder, 'node_modules/oidc-provider')) ? false : 'the authorization server is not installed: npm ci in tests/oauth';

let server, browser, one, page, fixture, away;
before(async () => {
  if (missing) return;
  [server, browser, fixture] = await Promise.all([startServer(), launch(), authorizationServer()]);
  away = new URL(fixture.issuer);
  one = await session(browser, server);
  page = one.page;
  await becomeAdministrator(page, server);
});
after(async () => {
  await browser?.close();
  fixture?.stop();
  await server?.remove();
});

/** The MCP server and its issuer; a person has to agree on the issuer's page. */
async function authorizationServer() {
  const child = spawn(process.execPath, [join(folder, 'server.mjs'), '--issuer-host', 'localhost'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return { ...JSON.parse(line), stop: () => child.stdin.end() };
}

/** Nothing happened that must not happen. The browser goes to the issuer, and only when it is sent there. */
function clean(atIssuer = 0) {
  const there = `request to ${away.origin}/`;
  const [expected, rest] = [one.seen.filter((what) => what.startsWith(there)), one.seen.filter((what) => !what.startsWith(there))];
  one.seen.length = 0;
  assert.deepEqual(rest, []);
  assert.equal(expected.length > 0, atIssuer > 0, expected.join('\n'));
}
const AT_ISSUER = 1;

async function add(name, url) {
  await page.goto('/servers/new');
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByText('An address', { exact: true }).click();
  await page.getByRole('textbox', { name: 'Address' }).fill(url);
  await page.getByText('one sign-in for everybody').click();
  await page.getByRole('button', { name: 'Add server' }).click();
  await page.goto('/servers');
  await page.getByRole('link', { name, exact: true }).click();
  await page.getByText('Nobody has signed in. One sign-in is for everybody.').waitFor();
  await page.getByRole('button', { name: 'Sign in…' }).waitFor();
}

async function leave(name) {
  await page.getByRole('button', { name: 'Sign in…' }).click();
  await page.getByRole('heading', { name: `Sign in at ${name}` }).waitFor();
}

/** From the page in between to the issuer's. */
async function goOn() {
  await page.getByRole('link', { name: 'Continue to the issuer' }).click();
  await page.getByRole('heading', { name: 'Sign in and agree' }).waitFor();
  assert.equal(new URL(page.url()).origin, away.origin);
}

test('a server that asks for a sign-in says so, before and on the page in between', { skip: missing }, async () => {
  await add('notes', fixture.mcp);
  const own = new URL(page.url()).pathname;
  await page.locator('h1 .tag:not(.pending)').waitFor();
  assert.equal(await page.locator('h1 .tag.connected').count(), 0, 'it is not connected yet');
  assert.match(await page.getByRole('main').innerText(), /They are not known while it is not connected/);
  assert.deepEqual(await picture(page, own, 'sign-in-before'), []);
  await leave('notes');
  const between = page.getByRole('main');
  assert.match(await between.innerText(), new RegExp(`${away.host}`), 'it names the issuer');
  await between.getByText('notes:read', { exact: true }).waitFor();
  await between.getByText(`${server.url}/oauth/callback`).waitFor();
  assert.deepEqual(await picture(page, undefined, 'sign-in-between'), []);
  const link = new URL(await page.getByRole('link', { name: 'Continue to the issuer' }).getAttribute('href'));
  assert.deepEqual(
    ['response_type', 'code_challenge_method', 'resource', 'redirect_uri'].map((name) => link.searchParams.get(name)),
    ['code', 'S256', fixture.mcp, `${server.url}/oauth/callback`],
  );
  clean();
});

test('somebody agrees at the issuer, and is back at a server that is connected', { skip: missing }, async () => {
  await goOn();
  await page.getByLabel('Name').fill('alice');
  await page.getByRole('button', { name: 'Allow' }).click();
  await page.waitForURL(/\/servers\/[0-9a-f-]{36}$/);
  await page.locator('h1 .tag.connected').waitFor();
  await page.getByText('Everybody’s calls go by this sign-in.').waitFor();
  assert.match(await page.getByRole('main').innerText(), new RegExp(`signed in .*at .*${away.host}.*for notes:read`));
  await page.getByRole('button', { name: 'Sign in again…' }).waitFor();
  assert.doesNotMatch(page.url(), /code|state/, 'what the issuer gave is not in the address');
  assert.deepEqual(await picture(page, undefined, 'sign-in-after'), []);
  clean(AT_ISSUER);
});

test('its tools are looked at and allowed, and answer as the person who signed in', { skip: missing }, async () => {
  await page.getByText(/2 tools wait until you have looked/).waitFor();
  for (const name of ['whoami', 'write_note']) {
    const tool = page.locator('ul.tools > li').filter({ has: page.locator('strong', { hasText: new RegExp(`^${name}$`) }) });
    await tool.locator('summary').click();
    await tool.getByRole('button', { name: `Allow ${name} without asking` }).click();
    await tool.getByText('allowed without asking').waitFor();
  }
  assert.equal(await page.getByText(/until you have looked/).count(), 0);
  const headers = { authorization: `Bearer ${server.token('responder')}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  const body = JSON.stringify({
    jsonrpc: '2.0', id: 1, method: 'tools/call',
    params: { name: 'whoami', arguments: {}, _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {}, 'io.modelcontextprotocol/clientInfo': { name: 'flows', version: '1' },
    } },
  });
  const versioned = { ...headers, 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'whoami' };
  const answer = await (await fetch(`${server.url}/mcp/notes`, { method: 'POST', headers: versioned, body })).text();
  assert.match(answer, /alice/);
  assert.deepEqual(await picture(page, undefined, 'sign-in-allowed'), []);
  clean();
});

test('no at the issuer leads to a page that says what happened', { skip: missing }, async () => {
  // The issuer remembers who was there; somebody else comes.
  await one.context.clearCookies({ domain: 'localhost' });
  await add('other', fixture.other);
  await leave('other');
  await goOn();
  await page.getByRole('button', { name: 'Deny' }).click();
  await page.waitForURL(`${server.url}/**`);
  await page.getByRole('heading', { name: 'Sign-in refused' }).waitFor();
  const said = await page.getByRole('main').innerText();
  assert.match(said, /said no/);
  assert.match(said, new RegExp(away.host));
  assert.doesNotMatch(said, /\b409\b|Conflict/, 'it is no failure of ours');
  assert.deepEqual(await picture(page, undefined, 'sign-in-denied'), []);
  // Nothing came of it, and it can be tried again.
  await page.getByRole('link', { name: 'Back to other' }).click();
  await page.locator('h1 .tag.sign-in', { hasText: 'Sign-in needed' }).waitFor();
  await page.getByText('Nobody has signed in. One sign-in is for everybody.').waitFor();
  await page.getByRole('button', { name: 'Sign in…' }).waitFor();
  clean(AT_ISSUER);
});

test('an answer of the issuer is good once, and for nobody else', { skip: missing }, async () => {
  await page.goto('/oauth/callback?code=made-up&state=made-up');
  await page.getByRole('main').getByRole('heading').first().waitFor();
  assert.doesNotMatch(await page.getByRole('main').innerText(), /made-up/);
  assert.deepEqual(await picture(page, undefined, 'sign-in-unknown'), []);
  const stranger = await session(browser, server);
  await stranger.page.goto('/oauth/callback?code=made-up&state=made-up');
  assert.match(stranger.page.url(), /sign-in/);
  assert.deepEqual(stranger.seen, []);
  await stranger.context.close();
  clean();
});
