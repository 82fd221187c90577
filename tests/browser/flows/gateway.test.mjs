// What other people's clients asked through the gateway, as an administrator reads it: charts and numbers, a row of its
// own for each request, what was asked and answered, and what comes in while the page is open.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { becomeAdministrator, createIncident, launch, picture, session } from '../lib/browser.mjs';
import { everything } from '../lib/peers.mjs';
import { plants } from '../lib/plants.mjs';
import { startServer } from '../lib/server.mjs';

const VERSION = '2026-07-28';
const [mail] = plants;

let server, browser, tools, one, page, responder, viewer;
before(async () => {
  [server, browser, tools] = await Promise.all([startServer(), launch(), everything()]);
  one = await session(browser, server);
  page = one.page;
  page.on('console', (message) => message.type() === 'error' && one.seen.push(`console on ${page.url()}: ${message.text()}`));
  await becomeAdministrator(page, server);
  [responder, viewer] = ['responder', 'viewer'].map(server.token);
});
after(async () => {
  await browser?.close();
  tools?.stop();
  await server?.remove();
});

const clean = () => assert.deepEqual(one.seen.splice(0), []);
const main = () => page.getByRole('main');
const tab = (name) => page.getByRole('navigation', { name: 'MCP servers' }).getByRole('link', { name, exact: true });

/** A request as a client of the current era makes it; the answer, be it JSON or the end of a stream. */
async function ask(method, params = {}, { path = '/mcp', token = responder, client = 'flows' } = {}) {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': VERSION, 'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': { name: client, version: '1.2.3' },
  };
  const answer = await fetch(server.url + path, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream',
      'mcp-protocol-version': VERSION, 'mcp-method': method, ...(params.name && { 'mcp-name': params.name }),
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta } }),
  });
  const text = await answer.text();
  const last = text.split('\n').findLast((line) => /^data: *\{/.test(line));
  return JSON.parse(last ? last.slice(5) : text);
}
const call = (name, arguments_ = {}, more) => ask('tools/call', { name, arguments: arguments_ }, more);

/** The rows of the page that say all of this. */
const rows = (...words) => words.reduce((found, text) => found.filter({ hasText: text }), page.locator('table.calls tbody tr'));
/** A number of the line above the charts. */
const fact = async (name) => page.locator('#results .facts-line > div').filter({ has: page.locator('dt', { hasText: new RegExp(`^${name}$`) }) }).locator('dd').innerText();
/** Where results are exchanged by themselves: until it is so. */
const until = async (what, wanted) => {
  for (let left = 40; ; left -= 1) {
    const got = await what();
    if (JSON.stringify(got) === JSON.stringify(wanted) || left === 0) return assert.deepEqual(got, wanted);
    await page.waitForTimeout(100);
  }
};

test('before the first call the page says what will be there', async () => {
  await page.goto('/servers');
  await tab('Calls').click();
  await page.getByRole('heading', { name: 'No calls in the last day' }).waitFor();
  // And how to begin.
  assert.equal(await main().locator('code[data-copy]').innerText(), `${server.url}/mcp`);
  assert.equal(await main().getByRole('link', { name: 'Create an API token' }).getAttribute('href'), '/settings/tokens');
  assert.deepEqual(await picture(page, '/servers/calls', 'calls-empty'), []);
  clean();
});

test('a server is connected, and three of its tools are allowed', async () => {
  await page.goto('/servers/new');
  await page.getByLabel('Name', { exact: true }).fill('everything');
  await page.getByText('An address', { exact: true }).click();
  await page.getByRole('textbox', { name: 'Address' }).fill(tools.endpoint);
  await page.getByRole('button', { name: 'Add server' }).click();
  await page.goto('/servers');
  await page.getByRole('link', { name: 'everything', exact: true }).click();
  await page.locator('h1 .tag.connected').waitFor();
  for (const [name, button] of [['echo', 'Allow echo without asking'], ['get-sum', 'Allow get-sum without asking'], ['get-resource-reference', 'Allow get-resource-reference without asking']]) {
    const tool = page.locator('ul.tools > li').filter({ has: page.locator('strong', { hasText: new RegExp(`^${name}$`) }) });
    await tool.locator('summary').click();
    await tool.getByRole('button', { name: button }).click();
    await tool.locator('.tag.pending').waitFor({ state: 'detached' });
  }
  await createIncident(page, { title: 'Orders answer 502' });
  clean();
});

test('clients call: some succeed, some fail, one asks Fumehood itself', async () => {
  const echo = 'mcp_everything_echo';
  const listed = (await ask('tools/list')).result.tools.map((tool) => tool.name);
  for (const name of [echo, 'mcp_everything_get_sum', 'mcp_everything_get_resource_reference', 'fumehood_search_incidents']) assert.ok(listed.includes(name), `${name} of ${listed}`);
  assert.match(JSON.stringify(await call(echo, { message: `to ${mail}` })), /Echo: to maria/, 'what a caller sent itself comes back to it');
  for (const a of [1, 2, 3]) assert.match(JSON.stringify(await call('mcp_everything_get_sum', { a, b: 10 }, { client: 'adder' })), new RegExp(`${a + 10}`));
  assert.match(JSON.stringify(await call('fumehood_search_incidents', { query: 'orders' })), /Orders answer 502/);
  // Failures: what the server says of it, twice, and somebody who may only look.
  assert.match(JSON.stringify(await call(echo, { message: { not: 'text' } })), /error/i);
  assert.match(JSON.stringify(await call('mcp_everything_get_resource_reference', { resourceId: 'none' })), /error/i);
  assert.match(JSON.stringify(await call(echo, { message: 'as a viewer' }, { token: viewer })), /error/);
});

test('the page has charts, and its numbers are right', async () => {
  await page.goto('/servers');
  await tab('Calls').click();
  await until(() => rows('running').count(), 0);
  assert.equal(await rows().count(), 9);
  const [all, failed] = [Number(await fact('Calls')), Number(await fact('Failed'))];
  assert.deepEqual([all, failed], [9, 3]);
  assert.equal(await rows().locator('.tag.failed').count(), failed, 'as many as there are rows that failed');
  const charts = main().getByRole('img');
  assert.equal(await charts.count(), 2);
  assert.match(await charts.first().getAttribute('aria-label'), /^9 calls, 3 failed/);
  for (const shape of ['rect.all', 'rect.failed', 'polyline.p50', 'polyline.p99']) assert.ok(await page.locator(`.charts ${shape}`).count(), shape);
  // The bars stand for all calls, and each says so by itself.
  const titles = await page.locator('.charts title').allTextContents();
  const counted = titles.map((title) => Number(/: (\d+) calls?,/.exec(title)?.[1] ?? NaN)).reduce((sum, n) => sum + n, 0);
  assert.equal(counted, 9, titles.join('\n'));
  const of = async (section, name) => (await main().locator('section').filter({ hasText: section }).getByRole('row').filter({ hasText: name }).getByRole('cell').allInnerTexts()).slice(0, 2);
  assert.deepEqual(await of('By tool', 'get-sum'), ['3', '0']);
  assert.deepEqual(await of('By tool', 'echo'), ['3', '2']);
  assert.deepEqual(await of('By client', 'adder'), ['3', '0']);
  assert.doesNotMatch(await main().locator('section').filter({ hasText: 'By client' }).innerText(), /other/, 'a platform that is not known is not named');
  assert.deepEqual(await picture(page, '/servers/calls', 'calls'), []);
  clean();
});

test('what is chosen narrows rows, numbers and charts, and is in the address', async () => {
  await page.goto('/servers/calls');
  await page.getByLabel('State').selectOption('error');
  await until(() => rows().count(), 3);
  await until(() => fact('Calls'), '3');
  assert.match(page.url(), /status=error/);
  await page.getByLabel('Server', { exact: true }).selectOption('everything');
  await page.getByLabel('State').selectOption('ok');
  await until(async () => [await rows().count(), await rows('everything').count()], [4, 4]);
  await page.reload();
  assert.deepEqual([await rows().count(), await page.getByLabel('State').inputValue(), await page.getByLabel('Server', { exact: true }).inputValue()], [4, 'ok', 'everything']);
  await page.getByLabel('Client', { exact: true }).fill('adder');
  await until(() => rows().count(), 3);
  await page.getByLabel('Client', { exact: true }).fill('nobody at all');
  await page.getByRole('heading', { name: 'Nothing matches' }).waitFor();
  assert.deepEqual(await picture(page, undefined, 'calls-nothing'), []);
  await page.getByRole('link', { name: 'Clear' }).click();
  await until(() => rows().count(), 9);
  // Whoever goes on to follow it live follows what was chosen, not everything.
  await page.getByLabel('State').selectOption('error');
  await until(() => rows().count(), 3);
  await page.getByRole('link', { name: 'Follow live' }).click();
  await page.getByRole('link', { name: 'Live', exact: true }).waitFor();
  assert.match(page.url(), /status=error/);
  assert.equal(await rows().count(), 3);
  await page.getByLabel('State').selectOption('');
  await until(() => rows().count(), 9);
  assert.match(page.url(), /live=1/, 'choosing something else does not end it');
  await page.getByRole('link', { name: 'Live', exact: true }).click();
  await page.getByRole('link', { name: 'Follow live' }).waitFor();
  // Text is taken while it is typed, and the way back to everything is there at once.
  await page.getByLabel('Tool, resource or prompt').pressSequentially('get-sum');
  await until(() => rows().count(), 3);
  await page.getByRole('link', { name: 'Clear' }).click();
  await until(() => rows().count(), 9);
  clean();
});

test('a row leads to what was asked, as it went out, and to what was answered', async () => {
  await page.goto('/servers/calls?status=ok&tool=echo');
  await rows('echo').first().getByRole('link').click();
  await page.waitForURL(/\/servers\/calls\/[0-9a-f-]{36}$/);
  const [asked, answered] = await page.locator('pre.bytes').allInnerTexts();
  assert.match(asked, /to \[EMAIL-\d+\]/);
  assert.match(answered, /Echo: to /);
  await main().getByRole('heading', { name: 'Where the time went' }).waitFor();
  await main().getByText('flows 1.2.3').waitFor();
  assert.deepEqual(await picture(page, undefined, 'call'), []);
  await page.goto('/servers/calls?status=error&tool=get-resource-reference');
  await rows('get-resource-reference').first().getByRole('link').click();
  await page.waitForURL(/\/servers\/calls\/[0-9a-f-]{36}$/);
  await page.locator('.notice.bad').waitFor();
  assert.deepEqual(await picture(page, undefined, 'call-failed'), []);
  clean();
});

test('whoever follows live sees a new call within seconds, and can stop', async () => {
  await page.goto('/servers/calls');
  await page.getByRole('link', { name: 'Follow live' }).click();
  await page.getByRole('link', { name: 'Live', exact: true }).waitFor();
  const before = await rows().count();
  await call('mcp_everything_echo', { message: 'while somebody looks' }, { client: 'latecomer' });
  await rows('latecomer').first().waitFor({ timeout: 6_000 });
  await until(() => rows().count(), before + 1);
  await until(() => fact('Calls'), String(before + 1));
  assert.deepEqual(await picture(page, undefined, 'calls-live'), []);
  await page.getByRole('link', { name: 'Live', exact: true }).click();
  await page.getByRole('link', { name: 'Follow live' }).waitFor();
  await call('mcp_everything_echo', { message: 'while nobody looks' }, { client: 'unseen' });
  await page.waitForTimeout(4_000);
  assert.equal(await rows('unseen').count(), 0, 'it stands still again');
  clean();
});

test('clients are listed with their numbers, and lead to their calls', async () => {
  await page.goto('/servers');
  await tab('Clients').click();
  const row = (name) => page.locator('table.clients tbody tr').filter({ hasText: name });
  await row('adder').waitFor();
  assert.deepEqual(await Promise.all(['.s-version', '.s-calls', '.s-failed'].map((cell) => row('adder').locator(cell).innerText())), ['1.2.3', '3', '0']);
  for (const cell of ['.s-p50', '.s-p95']) assert.match(await row('flows').locator(cell).innerText(), /\d.*s$/);
  assert.deepEqual(await picture(page, undefined, 'clients'), []);
  await row('adder').getByRole('link').click();
  await page.waitForURL(/client=adder/);
  assert.equal(await rows().count(), 3);
  clean();
});

/** A client of the era before: it keeps a session. */
async function older(client) {
  const headers = { authorization: `Bearer ${responder}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  const send = async (method, params, id) => {
    const answer = await fetch(`${server.url}/mcp`, { method: 'POST', headers, body: JSON.stringify({ jsonrpc: '2.0', ...(id && { id }), method, params }) });
    await answer.text();
    return answer;
  };
  const clientInfo = { name: client, version: '0.9' };
  const begun = await send('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo }, 1);
  Object.assign(headers, { 'mcp-session-id': begun.headers.get('mcp-session-id'), 'mcp-protocol-version': '2025-11-25' });
  await send('notifications/initialized', {});
  return {
    id: headers['mcp-session-id'],
    call: (name, arguments_ = {}) => send('tools/call', { name, arguments: arguments_ }, 2),
    end: () => fetch(`${server.url}/mcp`, { method: 'DELETE', headers }),
  };
}

test('sessions are listed as open or ended, and lead to what was asked in them', async () => {
  await page.goto('/servers');
  await tab('Sessions').click();
  await page.getByRole('heading', { name: 'No sessions in the last day' }).waitFor();
  const [first, second] = [await older('codex'), await older('ancient')];
  await first.call('mcp_everything_echo', { message: 'in a session' });
  await first.call('mcp_everything_get_resource_reference', { resourceId: 'none' });
  await second.call('mcp_everything_get_sum', { a: 1, b: 2 });
  assert.ok((await second.end()).ok);
  const row = (name) => page.locator('table.sessions tbody tr').filter({ hasText: name });
  await until(async () => {
    await page.goto('/servers/sessions');
    return [await row('codex').locator('.s-failed').innerText(), await row('ancient').locator('.s-state').innerText()];
  }, ['1', 'ended']);
  assert.equal(await row('codex').locator('.s-state').innerText(), 'open');
  assert.match(await row('codex').innerText(), /codex 0\.9.*API token.*2025-11-25/s);
  assert.deepEqual(await picture(page, '/servers/sessions', 'sessions'), []);
  // What is chosen is in the address.
  await page.getByLabel('State').selectOption('errors');
  await until(() => page.locator('table.sessions tbody tr').count(), 1);
  assert.match(page.url(), /state=errors/);
  await page.getByRole('link', { name: 'Clear' }).click();
  await until(() => page.locator('table.sessions tbody tr').count(), 2);
  await page.getByLabel('Client', { exact: true }).fill('ancient');
  await until(() => page.locator('table.sessions tbody tr').count(), 1);
  await page.goto('/servers/sessions?server=everything');
  assert.equal(await page.locator('table.sessions tbody tr').count(), 2);
  await row('codex').getByRole('link').click();
  await page.waitForURL(/\/servers\/sessions\/[^/]+$/);
  await page.getByText(first.id, { exact: true }).waitFor();
  await main().getByText('still open').waitFor();
  const asked = Number(await rows().count());
  assert.equal(await rows('get-resource-reference').count(), 1);
  assert.deepEqual(await picture(page, undefined, 'session'), []);
  await page.getByRole('link', { name: 'Its calls, with charts' }).click();
  await page.waitForURL(/session=/);
  assert.equal(await rows().count(), asked, 'the calls of this session and no others');
  await page.getByRole('link', { name: 'one session' }).click();
  await page.getByText(first.id, { exact: true }).waitFor();
  clean();
});
