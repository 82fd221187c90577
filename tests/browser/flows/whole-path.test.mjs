// The whole way of an incident, in the order in which a responder goes it: one server, one browser, real peers. Each
// step stands on the one before it, so the first that fails explains the rest.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CLOUD, start as startConfluence } from '../../fakes/confluence.mjs';
import { addLog, becomeAdministrator, createIncident, launch, picture, session, shots } from '../lib/browser.mjs';
import { everything, judge, model, prism } from '../lib/peers.mjs';
import { leaked, log, plants } from '../lib/plants.mjs';
import { startServer } from '../lib/server.mjs';

const TIME = 'mcp_time_get_current_time';
const ECHO = 'mcp_everything_echo';
const KEY = 'sk-whole-path-key';

let server, browser, page, seen, context, confluence, mock, tools, incident, admin;

before(async () => {
  [server, browser, confluence, tools] = await Promise.all([startServer(), launch(), startConfluence(), everything()]);
  mock = await model([
    [(last) => /The current time|"timezone"|datetime/.test(last), { content: 'It is late; the pool was exhausted since 03:12.' }],
    [(last, request) => request.messages.at(-1).role === 'tool', { content: 'The tool has answered. **Check the pool size.**' }],
    [(last) => last.includes('what time'), { toolCalls: [{ name: TIME, arguments: JSON.stringify({ timezone: 'Europe/Berlin' }) }] }],
    [(last) => last.includes('echo the mailbox'), (request) => {
      const mailbox = /\[EMAIL-\d+\]/.exec(JSON.stringify(request.messages))?.[0] ?? 'none';
      return { toolCalls: [{ name: ECHO, arguments: JSON.stringify({ message: `mail ${mailbox}` }) }] };
    }],
    [(last) => last.includes('Who was affected'), (request) => ({
      content: `The mailbox ${/\[EMAIL-\d+\]/.exec(JSON.stringify(request.messages))?.[0] ?? 'none'} got no answer.`,
    })],
    [() => true, { content: '# Root cause\n\nThe connection pool was exhausted.\n\n- [ ] Raise the limit\n' }],
  ]);
  ({ page, seen, context } = await session(browser, server));
});
after(async () => {
  if (page && !page.isClosed()) {
    mkdirSync(shots, { recursive: true });
    await page.screenshot({ path: join(shots, 'whole-path-last.png'), fullPage: true }).catch(() => {});
    writeFileSync(join(shots, 'whole-path-server.log'), server.log());
  }
  await browser?.close();
  tools?.stop();
  await Promise.all([mock?.stop(), confluence?.close(), server?.remove()]);
});

/** A step. Where one that the rest stands on has failed, what follows fails at once instead of waiting for it. */
let broken;
const FOUNDATIONS = /^(1|3|4|7)\. /;
function step(name, options, run = options) {
  test(name, typeof options === 'function' ? {} : options, async (t) => {
    if (broken) throw new Error(`not reached: "${broken}" failed`);
    try {
      await run(t);
    } catch (error) {
      if (FOUNDATIONS.test(name)) broken = name;
      throw error;
    }
  });
}

/** Nothing happened on any page so far that must not happen. */
const clean = () => assert.deepEqual(seen, []);
const main = () => page.getByRole('main');
const say = async (text) => {
  await page.goto(`${incident}/chat`);
  await page.getByLabel('Message').fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
};

step('1. the sign-in link makes the first administrator, once', async () => {
  const person = await becomeAdministrator(page, server);
  await page.getByRole('heading', { name: 'No incidents yet' }).waitFor();
  await page.goto(server.link);
  await page.getByRole('heading', { name: /no longer works/ }).waitFor();
  // Out and in again, with a wrong password first.
  await page.goto('/incidents');
  await page.locator('summary', { hasText: person.name }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.goto('/incidents');
  assert.match(page.url(), /sign-in/);
  await page.getByLabel('E-mail address').fill(person.email);
  await page.getByLabel('Password').fill('not the password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').waitFor();
  assert.equal(await page.getByLabel('E-mail address').inputValue(), person.email, 'what was typed is kept');
  await page.getByLabel('Password').fill(person.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL('**/incidents');
  admin = server.token('admin');
  const cookies = await context.cookies();
  assert.ok(cookies.every((cookie) => cookie.httpOnly && cookie.sameSite !== 'None'), JSON.stringify(cookies));
  clean();
});

step('2. empty pages say what will be there', async () => {
  for (const [path, heading] of [['/servers', 'No servers yet'], ['/settings/models', 'No models yet'], ['/integrations', 'Confluence'], ['/plugins', 'Plugins'], ['/audit', 'Audit']]) {
    await page.goto(path);
    await main().getByRole('heading', { name: heading, exact: true }).first().waitFor();
  }
  await page.goto('/plugins');
  for (const name of ['scanner-pii', 'provider-openai', 'transport-stdio', 'transport-http', 'integration-confluence']) {
    await page.getByRole('heading', { name }).waitFor();
  }
  clean();
});

step('3. an incident is created; a form that is wrong keeps what was typed', async () => {
  await page.goto('/incidents/new');
  await page.getByLabel('Title', { exact: true }).fill(' ');
  await page.getByLabel('Description').fill('Kept while the title is wrong.');
  await page.getByRole('button', { name: 'Create incident' }).click();
  await page.locator('#title-error').waitFor();
  assert.equal(await page.getByLabel('Description').inputValue(), 'Kept while the title is wrong.');
  incident = await createIncident(page, {
    title: 'Orders answer 502', description: `Since **03:12**. First seen by ${plants[0]}.`, severity: 'Critical', category: 'checkout', tags: 'pool, eu-west-1',
  });
  await main().getByRole('heading', { name: 'Orders answer 502' }).waitFor();
  await main().getByText('Critical').first().waitFor();
  await page.locator('#sash').getByText('nothing leaves').first().waitFor();
  clean();
});

step('4. a log is uploaded, scanned and recognised when it comes again', async () => {
  await page.goto(incident);
  await addLog(page, 'orders.log', log);
  await page.locator('input[type=file]').first().setInputFiles({ name: 'again.log', mimeType: 'text/plain', buffer: Buffer.from(log) });
  await page.getByText(/here already/).first().waitFor();
  assert.equal(await page.locator('[data-log]').count(), 1);
  clean();
});

step('5. an upload shows its progress and can be cancelled', async () => {
  const path = join(server.data, '..', 'large.log');
  writeFileSync(path, '2026-11-20T03:12:08.900Z ERROR orders[211]: pool exhausted, waiting for a free connection\n'.repeat(2_500_000));
  await page.goto(incident);
  await page.locator('input[type=file]').first().setInputFiles(path);
  await page.getByRole('progressbar').first().waitFor();
  await page.getByRole('button', { name: 'Cancel large.log' }).first().click();
  await page.getByText(/Cancelled/).first().waitFor();
  await page.goto(incident);
  await page.locator('[data-log]').first().waitFor();
  assert.equal(await page.locator('[data-log][data-state=ready]').count(), 1);
  assert.equal(await page.locator('[data-log][data-state=failed]').count(), 0, 'who cancels has not met a fault');
  clean();
});

step('6. the log is read with its findings, and reviewed with the keyboard alone', async () => {
  await page.goto(incident);
  await page.locator('[data-log]').getByRole('link', { name: /orders\.log/ }).click();
  const viewer = page.getByRole('region', { name: 'Lines of orders.log' });
  await viewer.waitFor();
  for (const value of plants) {
    await viewer.locator('a.f', { hasText: value }).first().waitFor();
  }
  assert.equal(await viewer.locator('a.f', { hasText: '4.2.17.3' }).count(), 0, 'a version is no address');
  await viewer.focus();
  await page.keyboard.press('n');
  const finding = page.getByRole('region', { name: 'Finding' });
  await finding.getByText('to review').waitFor();
  await page.keyboard.press('a');
  await finding.getByText('accepted').waitFor();
  await page.keyboard.press('n');
  await finding.getByText('to review').waitFor();
  await page.keyboard.press('r');
  await finding.getByText('rejected', { exact: true }).waitFor();
  // On second thoughts: nothing that was planted may leave.
  await page.keyboard.press('a');
  await finding.getByText('accepted').waitFor();
  await page.keyboard.press('Shift+A');
  await page.reload();
  await viewer.waitFor();
  await page.getByRole('link', { name: 'Masked' }).click();
  await page.getByText('How each line would leave').first().waitFor();
  await viewer.getByText('[EMAIL-1]').first().waitFor();
  assert.equal(leaked(await viewer.innerText()), undefined);
  clean();
});

step('7. a model is set up', async () => {
  await page.goto('/settings/models/new');
  await page.getByLabel('Base URL').fill('not a url');
  await page.getByLabel('Model', { exact: true }).fill('gpt-4o');
  await page.getByRole('button', { name: 'Save model' }).click();
  await page.locator('#base_url-error').waitFor();
  await page.getByLabel('Base URL').fill(mock.base);
  await page.getByLabel('API key').fill(KEY);
  await page.getByRole('button', { name: 'Save model' }).click();
  await page.getByRole('button', { name: 'Test the connection' }).click();
  await page.getByText('Works', { exact: true }).waitFor();
  assert.equal(await page.getByLabel('API key').inputValue(), '');
  assert.ok(!(await page.content()).includes(KEY), 'a secret is never read back');
  clean();
});

step('8. an MCP server over HTTP is connected', async () => {
  await page.goto('/servers/new');
  await page.getByLabel('Name', { exact: true }).fill('everything');
  await page.getByText('An address').click();
  await page.getByRole('textbox', { name: 'Address' }).fill(tools.endpoint);
  await page.getByRole('button', { name: 'Add server' }).click();
  await connected('everything', ECHO);
  clean();
});

step('9. an MCP server on standard input is connected', { skip: process.env.FUMEHOOD_TIME_SERVER ? false : 'mcp-server-time is not installed' }, async () => {
  await page.goto('/servers/new');
  await page.getByLabel('Name', { exact: true }).fill('time');
  await page.getByRole('textbox', { name: 'Program' }).fill(process.env.FUMEHOOD_TIME_SERVER);
  await page.getByRole('button', { name: 'Add server' }).click();
  await connected('time', TIME);
  clean();
});

async function connected(name, tool) {
  await page.waitForURL(/\/servers/);
  await page.goto('/servers');
  await page.getByRole('row').filter({ hasText: name }).getByText('Connected', { exact: false }).waitFor();
  await page.getByRole('link', { name, exact: true }).click();
  await page.getByText(/until you have looked at what the server says/).waitFor();
  const all = page.getByRole('button', { name: /^Approve \d+ tools as shown/ });
  if (await all.count() === 0) await page.locator('ul.tools summary').first().click();
  await page.getByRole('button', { name: /^Approve .* ask before each call$/ }).first().click();
  await page.getByText(/until you have looked at what the server says/).waitFor({ state: 'detached' });
  await page.getByText(tool, { exact: true }).waitFor();
}

step('10. an MCP server that does not answer says why', async () => {
  await page.goto('/servers/new');
  await page.getByLabel('Name', { exact: true }).fill('gone');
  await page.getByText('An address').click();
  await page.getByRole('textbox', { name: 'Address' }).fill('http://127.0.0.1:9/mcp');
  await page.getByRole('button', { name: 'Add server' }).click();
  await page.goto('/servers');
  const row = page.getByRole('row').filter({ hasText: 'gone' });
  await row.locator('.tag.unreachable, .tag.error').waitFor();
  assert.ok((await row.locator('.reason').innerText()).length > 10);
  clean();
});

step('11. the model answers, masked on the way out and restored for the reader', async () => {
  await say('Who was affected?');
  const reply = page.locator('article.turn').last();
  await reply.getByText('got no answer').waitFor();
  await reply.getByRole('link', { name: /What was sent/ }).first().waitFor();
  const chip = reply.locator('.pseudonym', { hasText: /\[EMAIL-\d+\]/ }).first();
  assert.equal(leaked(await reply.locator('.rounds').innerText()), undefined, 'originals are shown on demand, never by accident');
  await chip.click();
  await reply.getByText(plants[0]).waitFor();
  assert.equal(leaked(mock.received()), undefined);

  await reply.getByRole('link', { name: /What was sent/ }).first().click();
  await page.getByRole('heading', { name: /What left/ }).waitFor();
  const shown = await page.locator('pre.bytes').first().innerText();
  assert.match(shown, /\[EMAIL-\d+\]/);
  assert.equal(leaked(shown), undefined);
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Exact bytes' }).click()]);
  const exact = JSON.parse(await streamText(await download.createReadStream()));
  const sent = mock.requests().filter((request) => request.path.endsWith('/chat/completions')).map(({ body }) => JSON.stringify(body.messages));
  assert.ok(sent.includes(JSON.stringify(exact.messages)), 'what is shown is not what was received');
  await page.getByRole('link', { name: /Show the original/ }).click();
  await page.locator('pre.original').getByText(plants[0]).first().waitFor();
  clean();
});

async function streamText(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString();
}

step('12. a tool call is approved, and its result goes back to the model', { skip: process.env.FUMEHOOD_TIME_SERVER ? false : 'mcp-server-time is not installed' }, async () => {
  await say('Tell me what time it is there');
  const card = page.getByRole('region', { name: /Tool call get_current_time/ }).last();
  await card.getByText('Waits for approval').waitFor();
  await card.getByText('Europe/Berlin').waitFor();
  await card.getByRole('button', { name: /^Approve/ }).click();
  await page.getByText('It is late; the pool was exhausted since 03:12.').waitFor();
  await card.getByText(/^Done/).waitFor();
  clean();
});

step('13. a tool call is denied, and nothing is called', async () => {
  await say('Please echo the mailbox');
  const card = page.getByRole('region', { name: /Tool call echo/ }).last();
  await card.getByText('Waits for approval').waitFor();
  await card.getByText(/mail \[EMAIL-\d+\]/).waitFor();
  assert.equal(leaked(await card.innerText()), undefined, 'arguments stay masked');
  await card.getByRole('button', { name: 'Deny' }).click();
  await card.getByText(/^Denied/).waitFor();
  await page.locator('article.turn').last().getByText('The tool has answered.').waitFor();
  clean();
});

step('14. the sash is lowered: nothing leaves, and the page says so', async () => {
  await page.goto(`${incident}/chat`);
  await page.locator('#sash summary').click();
  await page.getByRole('button', { name: 'Lower the sash' }).click();
  await page.locator('#sash[data-state=lowered]').waitFor();
  await page.goto(`${incident}/chat`);
  assert.ok(await page.getByRole('button', { name: 'Send' }).isDisabled());
  const before_ = mock.requests().length;
  const answer = await fetch(`${server.url}/api/v1${incident}/turns`, {
    method: 'POST', headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' }, body: JSON.stringify({ text: 'past the page' }),
  });
  assert.equal(answer.status, 409);
  assert.equal(mock.requests().length, before_);
  await page.locator('#sash summary').click();
  await page.getByRole('button', { name: 'Raise the sash' }).click();
  await page.locator('#sash:not([data-state=lowered])').waitFor();
  clean();
});

step('15. five whys, with evidence that links to lines, and a root cause', async () => {
  await page.goto(`${incident}/whys`);
  for (const [i, [question, answer]] of [
    ['Why did orders answer 502?', 'No worker was free.'], ['Why was no worker free?', 'All waited for a connection.'],
    ['Why did they wait?', 'The pool was exhausted.'], ['Why was it exhausted?', 'It holds ten.'], ['Why ten?', 'Nobody changed the default.'],
  ].entries()) {
    const form = page.locator('#add');
    await form.getByLabel('Question').fill(question);
    await form.getByLabel('Answer').fill(answer);
    await form.getByRole('button', { name: `Add why ${i + 1}` }).click();
    await page.getByLabel(`Question ${i + 1}`, { exact: true }).waitFor();
  }
  const third = page.locator('li.why').nth(2);
  await third.locator('summary', { hasText: 'Evidence' }).click();
  await third.getByLabel('Lines').fill('9');
  await third.getByRole('button', { name: 'Add', exact: true }).click();
  const link = page.locator('li.why').nth(2).getByRole('link', { name: /orders\.log L9/ });
  await link.waitFor();
  await page.locator('li.why').nth(4).getByRole('button', { name: 'Mark as root cause' }).click();
  await page.locator('li.why').nth(4).getByText('root cause', { exact: true }).waitFor();
  await page.locator('li.why').nth(2).getByRole('link', { name: /orders\.log L9/ }).click();
  await page.locator('#L9').getByText('pool exhausted').waitFor();
  clean();
});

step('16. the document is generated, edited with a preview, and exported', async () => {
  await page.goto(`${incident}/document`);
  await page.getByRole('button', { name: 'Generate', exact: true }).click();
  const editor = page.getByLabel('Markdown');
  await editor.waitFor();
  const text = await editor.inputValue();
  assert.ok(text.length > 20, text);
  await editor.fill(`${text}\n\n## Who\n\nThe customer behind ${plants[0]}.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n`);
  await page.getByRole('region', { name: 'Preview' }).getByRole('table').waitFor();
  await page.getByLabel('Title').fill('RCA: Orders answer 502');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByText(/version 2/).waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Export' }).click()]);
  assert.match(download.suggestedFilename(), /\.md$/);
  assert.match(await streamText(await download.createReadStream()), /## Who/);
  clean();
});

step('17. Confluence is set up and tested', async () => {
  await page.goto('/integrations');
  await page.getByLabel('Base URL').fill(`${confluence.url}/wiki`);
  await page.getByLabel('E-mail address').fill(CLOUD.user);
  await page.locator('#token').fill('the wrong one');
  await page.getByLabel('Space').fill('OPS');
  await page.getByRole('button', { name: 'Save Confluence' }).click();
  await page.getByRole('button', { name: 'Test the connection' }).click();
  await page.getByText('Does not work', { exact: true }).waitFor();
  await page.locator('#token').fill(CLOUD.token);
  await page.getByRole('button', { name: 'Save Confluence' }).click();
  await page.getByRole('button', { name: 'Test the connection' }).click();
  await page.getByText('Works', { exact: true }).waitFor();
  assert.ok(!(await page.content()).includes(CLOUD.token));
  clean();
});

const pages = async () => (await (await fetch(`${confluence.url}/__pages`)).json()).filter((one) => /RCA/.test(one.title));
const fault = (faults) => fetch(`${confluence.url}/__faults`, { method: 'POST', body: JSON.stringify(faults) });

step('18. it is published once although the connection breaks after the commit, then updated, and a stranger\'s edit is not overwritten', async () => {
  await fault([{ kind: 'cut-after-commit', method: 'POST', path: '/pages$' }]);
  await page.goto(`${incident}/document`);
  await page.getByRole('button', { name: /Publish to OPS/ }).click();
  const link = page.getByRole('link', { name: 'RCA: Orders answer 502', exact: true });
  // It may find its page by itself, or say that it does not know and be asked again; never is there a second page.
  await Promise.race([link.waitFor(), page.getByRole('button', { name: /Publish to OPS/ }).and(page.locator(':enabled')).waitFor({ timeout: 15_000 })]);
  if (!(await link.count())) {
    await page.goto(`${incident}/document`);
    if (!(await link.count())) await page.getByRole('button', { name: /Publish to OPS|Update OPS/ }).click();
  }
  await link.waitFor();
  assert.match(await link.getAttribute('href'), /\/spaces\/OPS\/pages\/\d+/);
  let found = await pages();
  assert.equal(found.length, 1, 'exactly one page');
  assert.equal(leaked(JSON.stringify(found)), undefined);
  const [{ id, version }] = found;

  await page.getByLabel('Markdown').fill(`${await page.getByLabel('Markdown').inputValue()}\nSecond edition.\n`);
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByText(/publishing again updates/).waitFor();
  await page.getByRole('button', { name: /Update OPS/ }).click();
  await page.getByText(/It has changed here since/).waitFor({ state: 'detached' });
  found = await pages();
  assert.deepEqual([found.length, found[0].id, found[0].version], [1, id, version + 1]);
  assert.match(found[0].value, /Second edition/);

  await fetch(`${confluence.url}/__edit`, { method: 'POST', body: JSON.stringify({ id, value: '<p>A colleague was here.</p>' }) });
  await page.goto(`${incident}/document`);
  await page.getByLabel('Markdown').fill(`${await page.getByLabel('Markdown').inputValue()}\nThird edition.\n`);
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByText(/Saved by/).waitFor();
  await page.getByRole('button', { name: /Update OPS/ }).click();
  await page.getByText(/has another text/).waitFor();
  assert.match((await pages())[0].value, /A colleague was here/);
  await page.getByRole('button', { name: /Overwrite OPS/ }).click();
  await page.getByText(/has another text/).waitFor({ state: 'detached' });
  await page.getByText(/Published as/).waitFor();
  assert.match((await pages())[0].value, /Third edition/);
  clean();
});

step('19. Confluence\'s own document has no objection to what was sent', async (t) => {
  const oracle = await prism();
  if (!oracle) return t.skip('Confluence\'s OpenAPI document is not beside this checkout');
  try {
    const journal = await (await fetch(`${confluence.url}/__journal`)).json();
    const { judged, objections } = await judge(oracle.url, journal.filter((one) => one.headers.authorization));
    assert.ok(judged >= 5, `only ${judged} requests were judged`);
    assert.deepEqual(objections, []);
  } finally {
    oracle.stop();
  }
});

step('20. the timeline and the audit log have all of it', async () => {
  await page.goto(`${incident}/timeline`);
  const events = main().locator('ol.events li');
  await events.first().waitFor();
  assert.ok((await events.count()) >= 10, `${await events.count()} events`);
  const timeline = await main().innerText();
  for (const word of [/orders\.log/, /echo/, /why/i, /publish/i, /sash/i]) assert.match(timeline, word);
  await page.goto('/audit');
  await page.getByRole('button', { name: /^Verify/ }).click();
  await page.locator('.notice.good').waitFor();
  const audit = await main().innerText();
  assert.equal(leaked(audit), undefined);
  assert.match(server.verify(), /^ok: \d+/);
  for (const action of ['incident', 'log', 'plugin.call', 'effect.http']) {
    const { entries } = await server.api('GET', `/api/v1/audit?limit=1&action=${action}`, undefined, admin);
    assert.equal(entries.length, 1, `${action} is on record`);
  }
  clean();
});

step('21. every page at both widths in both themes', async () => {
  const href = async (path, selector) => {
    await page.goto(path);
    return page.locator(selector).first().getAttribute('href');
  };
  const places = {
    incidents: '/incidents', 'incident-new': '/incidents/new', overview: incident, 'overview-edit': `${incident}?edit=1`,
    log: await href(incident, '[data-log] a.log-name'), chat: `${incident}/chat`, whys: `${incident}/whys`, document: `${incident}/document`,
    timeline: `${incident}/timeline`, sent: `${incident}/sent`, departure: await href(`${incident}/sent`, 'a.row-link'),
    plugins: '/plugins', servers: '/servers', 'server-new': '/servers/new', server: await href('/servers', 'a.row-link'),
    integrations: '/integrations', audit: '/audit', account: '/account', models: '/settings/models', 'model-new': '/settings/models/new', model: await href('/settings/models', 'a.row-link'), people: '/settings/people', tokens: '/settings/tokens',
    keyboard: '/keyboard', 'not-found': '/no/such/page',
  };
  places['log-masked'] = `${places.log}?view=masked`;
  const problems = [];
  for (const [name, path] of Object.entries(places)) problems.push(...(await picture(page, path, name)));
  const stranger = await session(browser, server);
  problems.push(...(await picture(stranger.page, '/sign-in', 'sign-in')));
  await stranger.context.close();
  assert.deepEqual(problems, []);
  clean();
});

step('22. nothing that was planted left, was logged or lies open; no secret either', async () => {
  assert.equal(await server.stop(), 0);
  const raw = Buffer.from(await (await fetch(`${confluence.url}/__journal/raw`)).arrayBuffer());
  const places = [
    ['the model', mock.received()], ['Confluence', raw], ['the MCP server', tools.log()], ['standard error', server.log()],
    ...server.stored().map(({ path, bytes }) => [path, bytes]),
  ];
  for (const [place, content] of places) {
    assert.equal(leaked(content), undefined, `in: ${place}`);
    const text = Buffer.isBuffer(content) ? content.toString('latin1') : content;
    if (place !== 'the model') assert.ok(!text.includes(KEY), `the model's key is in: ${place}`);
    if (place !== 'Confluence') assert.ok(!text.includes(CLOUD.token), `Confluence's token is in: ${place}`);
  }
  // The search is able to find: what left is there, under its pseudonym.
  assert.match(mock.received(), /\[EMAIL-\d+\]/);
  assert.match(raw.toString(), /\[EMAIL-\d+\]/);
});
