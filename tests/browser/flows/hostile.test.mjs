// Text that wants to be a program: in titles, tags, file names, log lines, a model's answers, a tool's name and result.
// In a real browser nothing of it runs, nothing is fetched, and all of it can be read as what it is.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { addLog, becomeAdministrator, createIncident, launch, session } from '../lib/browser.mjs';
import { model } from '../lib/peers.mjs';
import { root, startServer } from '../lib/server.mjs';

const CORPUS = [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '"><svg onload=alert(1)>',
  "' onfocus=alert(1) autofocus x='",
  '<iframe srcdoc="<script>parent.alert(1)</script>"></iframe>',
  '<a href="javascript:alert(1)">click</a>',
  '[click](javascript:alert(1))',
  '![exfiltrate](https://evil.example/?q=1)',
  '![exfiltrate][r]\n\n[r]: https://evil.example/ref.png',
  '<https://evil.example/auto>',
  '<style>@import url(https://evil.example/x.css);*{display:none}</style>',
  '<meta http-equiv=refresh content="0;url=https://evil.example">',
  '<form action="https://evil.example"><input name=x></form>',
  '<base href="https://evil.example/">',
  '</textarea><script>alert(1)</script>',
  '</title><script>alert(1)</script>',
  '<div hx-get="https://evil.example" hx-trigger="load">x</div>',
  '<div hx-on:click="alert(1)" data-copy="x" hx-trigger=load>x</div>',
  '<details open ontoggle=alert(1)>',
  '{{7*7}}${7*7}<%= 7*7 %>',
  '\u202egnp.exe\u202c \u200b\u2060 \u001b[31mred\u001b[0m \u0000',
  '--><script>alert(1)</script><!--',
  '<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>',
  '&lt;script&gt;alert(1)&lt;/script&gt;',
];

let server, browser, page, seen, mock, incident;
before(async () => {
  [server, browser] = await Promise.all([startServer(), launch()]);
  mock = await model([
    [(last, request) => request.messages.at(-1).role === 'tool', { content: CORPUS.join('\n\n') }],
    [(last) => last.includes('call it'), { toolCalls: [{ name: 'mcp_hostile_helper', arguments: JSON.stringify({ text: CORPUS.join(' ') }) }] }],
    [() => true, { content: `${CORPUS.join('\n\n')}\n\nThe end of it.` }],
  ]);
  ({ page, seen } = await session(browser, server));
  await becomeAdministrator(page, server);
});
after(async () => {
  await browser?.close();
  await mock?.stop();
  await server?.remove();
});

/** Nothing ran, nothing was fetched, and the page is still the page. */
async function harmless() {
  await page.waitForTimeout(200);
  assert.deepEqual(seen, []);
  assert.equal(await page.locator('iframe, object, embed, base, main img[src^="http"], meta[http-equiv=refresh]').count(), 0);
  assert.equal(await page.locator('main script, aside script').count(), 0);
  const links = await page.locator('a[href]').evaluateAll((all) => all.map((one) => one.getAttribute('href')));
  assert.deepEqual(links.filter((href) => /^\s*(javascript|data|vbscript):/i.test(href)), []);
}

test('a title, a description, a category and tags', async () => {
  for (const text of CORPUS.filter((one) => !/[\n\u0000-\u001f]/.test(one))) {
    incident = await createIncident(page, { title: text.slice(0, 190), description: `${text}\n\nand more`, category: text.slice(0, 90), tags: text.replaceAll(',', ' ').slice(0, 45) });
    assert.equal(await page.getByRole('main').getByRole('heading', { level: 1 }).innerText(), text.slice(0, 190).replace(/\s+/g, ' ').trim());
    await harmless();
  }
  await page.goto('/incidents');
  await harmless();
  await page.goto(`/incidents?q=${encodeURIComponent(CORPUS[2])}&status=${encodeURIComponent(CORPUS[0])}&sort=%3Cscript%3E`);
  await harmless();
});

test('a log: its name and its lines, original and masked', async () => {
  await page.goto(incident);
  await addLog(page, 'x<img src=x onerror=alert(1)>.log', `${CORPUS.filter((one) => !one.includes('\u0000')).join('\n')}\nmail <b>jane.roe@customer-mail.example</b>\n`);
  await page.locator('[data-log] a.log-name').first().click();
  await page.getByText('<script>alert(1)</script>').first().waitFor();
  await harmless();
  await page.goto(`${new URL(page.url()).pathname}?view=masked`);
  await harmless();
  await page.goto(`${new URL(page.url()).pathname}?from=%3Cscript%3E&view="><script>alert(1)</script>&finding=<x>`);
  await harmless();
});

test('a model\'s answer', async () => {
  await page.goto('/settings/models/new');
  await page.getByLabel('Base URL').fill(mock.base);
  await page.getByLabel('Model', { exact: true }).fill('<img src=x onerror=alert(1)>');
  await page.getByRole('button', { name: 'Save model' }).click();
  await page.goto(`${incident}/chat`);
  await page.getByLabel('Message').fill(CORPUS.filter((one) => !one.includes('\u0000')).join('\n'));
  await page.getByRole('button', { name: 'Send' }).click();
  await page.getByText('The end of it.').waitFor();
  await harmless();
  await page.reload();
  await page.getByText('The end of it.').waitFor();
  await harmless();
});

test('a tool\'s title, description, arguments and result', async () => {
  await page.goto('/servers/new');
  await page.getByLabel('Name', { exact: true }).fill('hostile');
  await page.getByRole('textbox', { name: 'Program' }).fill(process.execPath);
  await page.getByLabel('Arguments').fill(`${root}tests/fakes/mcp-stdio.mjs\ninjection`);
  await page.getByRole('button', { name: 'Add server' }).click();
  await page.goto('/servers');
  await page.getByRole('row').filter({ hasText: 'hostile' }).getByText('Connected', { exact: false }).waitFor();
  await harmless();
  await page.getByRole('link', { name: 'hostile', exact: true }).click();
  await page.getByText(/holds characters that nobody sees: .*U\+200B/).first().waitFor();
  await harmless();
  // A tool with warnings is decided about by itself.
  await page.getByRole('button', { name: /^Approve helper, ask before each call/ }).click();
  await page.getByText(/until you have looked at what the server says/).waitFor({ state: 'detached' });
  await page.goto(`${incident}/chat`);
  await page.getByLabel('Message').fill('Now call it');
  await page.getByRole('button', { name: 'Send' }).click();
  const card = page.getByRole('region', { name: /Tool call/ }).last();
  await card.getByRole('button', { name: /^Approve/ }).waitFor();
  await harmless();
  await card.getByRole('button', { name: /^Approve/ }).click();
  await card.getByText(/^(Done|Failed)/).waitFor();
  await harmless();
});

test('whys, the document and its preview', async () => {
  await page.goto(`${incident}/whys`);
  await page.locator('#add').getByLabel('Question').fill(CORPUS[0]);
  await page.locator('#add').getByLabel('Answer').fill(CORPUS.filter((one) => !one.includes('\u0000')).join('\n'));
  await page.getByRole('button', { name: 'Add why 1' }).click();
  await page.getByLabel('Question 1', { exact: true }).waitFor();
  await harmless();
  await page.goto(`${incident}/document`);
  await page.getByRole('button', { name: 'Start writing' }).click();
  await page.getByLabel('Markdown').fill(`${CORPUS.filter((one) => !one.includes('\u0000')).join('\n\n')}\n\nLast line.\n`);
  await page.getByRole('region', { name: 'Preview' }).getByText('Last line.').waitFor();
  await harmless();
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByText(/version 2/).waitFor();
  await page.reload();
  await harmless();
});

test('the timeline, what was sent, the audit log', async () => {
  for (const path of [`${incident}/timeline`, `${incident}/sent`, '/audit', '/plugins', '/settings/models']) {
    await page.goto(path);
    await harmless();
  }
});
