// Two people on one incident, people with less rights, a phone, and no scripts at all.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { addLog, becomeAdministrator, createIncident, launch, session } from '../lib/browser.mjs';
import { model } from '../lib/peers.mjs';
import { startServer } from '../lib/server.mjs';

let server, browser, ana, ben, person, incident, mock;
before(async () => {
  [server, browser] = await Promise.all([startServer(), launch()]);
  mock = await model([[() => true, { content: 'One answer for both.' }]]);
  ana = await session(browser, server);
  ben = await session(browser, server);
  person = await becomeAdministrator(ana.page, server);
  incident = await createIncident(ana.page, { title: 'Seen by two' });
  await addLog(ana.page, 'two.log', 'from jane.roe@customer-mail.example\nand 10.20.30.40\n');
});
after(async () => {
  await browser?.close();
  await mock?.stop();
  await server?.remove();
});

const clean = () => assert.deepEqual([...ana.seen, ...ben.seen], []);

/** Invite someone with a role and let them in. */
async function join(one, name, role) {
  await ana.page.goto('/settings/people');
  const form = ana.page.locator('form.boxed');
  await form.getByRole('textbox').first().fill(`${name.toLowerCase()}@ops.example`);
  await form.getByLabel('Role').selectOption(role);
  await ana.page.getByRole('button', { name: 'Make a sign-in link' }).click();
  const link = await ana.page.locator('code.token').innerText();
  await becomeAdministrator(one.page, { link: link.trim() }, { name, email: `${name.toLowerCase()}@ops.example`, password: `${name} has a long password` });
}

test('a responder is invited by a link that works once', async () => {
  await join(ben, 'Ben', 'responder');
  await ben.page.getByRole('link', { name: 'Seen by two' }).waitFor();
  clean();
});

test('two edits of the same incident: the second sees the first, nothing is overwritten', async () => {
  for (const { page } of [ana, ben]) await page.goto(`${incident}?edit=1`);
  await ana.page.getByLabel('Title', { exact: true }).fill('Changed by Ana');
  await ana.page.getByRole('button', { name: 'Save', exact: true }).click();
  await ana.page.getByRole('heading', { name: 'Changed by Ana' }).waitFor();
  await ben.page.getByLabel('Title', { exact: true }).fill('Changed by Ben');
  await ben.page.getByRole('button', { name: 'Save', exact: true }).click();
  await ben.page.getByText(/Ana|changed|meantime/i).first().waitFor();
  const { title } = await server.api('GET', `/api/v1${incident}`, undefined, server.token('viewer'));
  assert.equal(title, 'Changed by Ana');
  assert.equal(await ben.page.getByLabel('Title', { exact: true }).inputValue(), 'Changed by Ben', 'what Ben typed is kept');
});

test('two edits of the document: the second is told, and his text is kept', async () => {
  await ana.page.goto(`${incident}/document`);
  await ana.page.getByRole('button', { name: 'Start writing' }).click();
  await ana.page.getByLabel('Markdown').waitFor();
  await ben.page.goto(`${incident}/document`);
  for (const [{ page }, text] of [[ana, 'Ana wrote this.'], [ben, 'Ben wrote that.']]) {
    await page.getByLabel('Markdown').fill(text);
    await page.getByRole('button', { name: 'Save', exact: true }).click();
  }
  await ben.page.getByText(/saved this document/).first().waitFor();
  assert.equal(await ben.page.getByLabel('Markdown').inputValue(), 'Ben wrote that.');
  await ana.page.reload();
  assert.equal(await ana.page.getByLabel('Markdown').inputValue(), 'Ana wrote this.');
  // Ben's text is in no one's store: leaving it is asked about.
  await ben.page.goto(incident);
  assert.deepEqual(ben.seen.splice(0), ['asked before leaving']);
});

test('a conversation is the same for both, and a finding that one judged is judged for the other', async () => {
  await ana.page.goto('/settings/models/new');
  await ana.page.getByLabel('Base URL').fill(mock.base);
  await ana.page.getByLabel('Model', { exact: true }).fill('gpt-4o');
  await ana.page.getByRole('button', { name: 'Save model' }).click();
  await ben.page.goto(`${incident}/chat`);
  await ben.page.getByLabel('Message').fill('I was about to ask');
  await ana.page.goto(`${incident}/chat`);
  await ana.page.getByLabel('Message').fill('What happened?');
  await ana.page.getByRole('button', { name: 'Send' }).click();
  await ana.page.getByText('One answer for both.').waitFor();
  // Ben's page finds it by itself, and what he is writing stays.
  await ben.page.getByText('One answer for both.').waitFor();
  assert.equal(await ben.page.getByLabel('Message').inputValue(), 'I was about to ask');
  assert.equal(await ben.page.evaluate(() => document.activeElement.id), 'text', 'the focus stays where it was');
  await ben.page.locator('#sash.open').waitFor();

  // One lowers the sash: the other sees it where he is.
  await ana.page.locator('#sash > summary').click();
  await ana.page.getByRole('button', { name: 'Lower the sash' }).click();
  await ben.page.locator('#sash.lowered').waitFor();
  await ben.page.locator('#composer button:disabled').waitFor();
  await ana.page.getByRole('button', { name: 'Raise the sash' }).click();
  await ben.page.locator('#sash.open').waitFor();

  for (const { page } of [ana, ben]) {
    await page.goto(incident);
    await page.locator('[data-log] a.log-name').first().click();
    await page.getByRole('region', { name: 'Lines of two.log' }).waitFor();
  }
  await ana.page.getByRole('region', { name: 'Lines of two.log' }).focus();
  await ana.page.keyboard.press('n');
  await ana.page.getByRole('region', { name: 'Finding' }).waitFor();
  await ana.page.keyboard.press('a');
  await ana.page.getByRole('region', { name: 'Finding' }).getByText('accepted').waitFor();
  // Ben's page shows it without being asked, in the text and in the evidence.
  await ben.page.locator('a.f.accepted').first().waitFor();
  await ben.page.locator('.log-card.current').getByText('1 to review').waitFor();
  clean();
});

test('a viewer reads, is offered nothing that he may not do, and is refused what he posts anyway', async () => {
  const eve = await session(browser, server);
  await join(eve, 'Eve', 'viewer');
  await eve.page.goto(incident);
  assert.equal(await eve.page.locator('input[type=file], a[href$="?edit=1"]').count(), 0);
  for (const path of ['/incidents/new', '/audit', '/settings/people', '/settings/tokens']) {
    const answer = await eve.page.goto(path);
    assert.ok([403, 404].includes(answer.status()), `${path}: ${answer.status()}`);
  }
  await eve.page.goto('/incidents');
  const status = await eve.page.evaluate(async () => (await fetch('/incidents', { method: 'POST', body: new URLSearchParams({ title: 'No', severity: 'low' }) })).status);
  assert.equal(status, 403);
  assert.deepEqual(eve.seen, []);
  await eve.context.close();
});

test('one who is switched off is out at once', async () => {
  await ana.page.goto('/settings/people');
  await ana.page.getByRole('button', { name: /Switch off Ben/ }).click();
  await ben.page.goto('/incidents');
  assert.match(ben.page.url(), /sign-in/);
});

test('a page of another site cannot act with the session', async () => {
  // A form on another origin (another port is another origin, and the same site: cookies would go along).
  const http = await import('node:http');
  const evil = http.createServer((_, response) => {
    response.setHeader('content-type', 'text/html');
    response.end(`<form id=f method=post action="${server.url}/incidents"><input name=title value=Forged><input name=severity value=low></form><script>f.submit()</script>`);
  });
  await new Promise((resolve) => evil.listen(0, '127.0.0.1', resolve));
  const page = await ana.context.newPage();
  await page.goto(`http://127.0.0.1:${evil.address().port}/`);
  await page.waitForURL(`${server.url}/**`);
  await page.close();
  evil.close();
  const { incidents } = await server.api('GET', '/api/v1/incidents', undefined, server.token('viewer'));
  assert.deepEqual(incidents.map(({ title }) => title).filter((title) => title === 'Forged'), []);
});

test('reading and plain forms work without scripts', async () => {
  const plain = await session(browser, server, { javaScriptEnabled: false });
  await plain.page.goto('/sign-in');
  await plain.page.getByLabel('E-mail address').fill(person.email);
  await plain.page.getByLabel('Password').fill(person.password);
  await plain.page.getByRole('button', { name: 'Sign in' }).click();
  await plain.page.getByRole('link', { name: 'Changed by Ana' }).click();
  await plain.page.getByRole('heading', { name: 'Changed by Ana' }).waitFor();
  await plain.page.locator('[data-log] a.log-name').first().click();
  await plain.page.locator('#L1').getByText('from').waitFor();
  const own = await createIncident(plain.page, { title: 'Made without scripts' });
  await plain.page.goto(`${own}/whys`);
  await plain.page.locator('#add').getByLabel('Question').fill('Why?');
  await plain.page.getByRole('button', { name: 'Add why 1' }).click();
  await plain.page.getByLabel('Question 1', { exact: true }).waitFor();
  await plain.page.goto(own);
  await plain.page.locator('input[type=file]').first().setInputFiles({ name: 'plain.log', mimeType: 'text/plain', buffer: Buffer.from('no scripts, from joe@customer-mail.example\n') });
  await plain.page.getByRole('button', { name: 'Upload' }).first().click();
  await plain.page.locator('[data-log]').filter({ hasText: 'plain.log' }).first().waitFor();
  assert.deepEqual(plain.seen, []);
  await plain.context.close();
});

test('a million lines stay fluid: little is loaded, and any line is near', async () => {
  const page = ana.page;
  // An earlier test has sent her to another site on purpose.
  ana.seen.length = 0;
  const own = await createIncident(page, { title: 'A million lines' });
  const bearer = server.token('responder');
  const line = (i) => `2026-11-20T03:12:08.900Z INFO orders: line ${i}\n`;
  let text = '';
  for (let i = 1; i <= 1_000_000; i += 1) text += line(i);
  const answer = await fetch(`${server.url}/api/v1${own}/logs?name=million.log`, { method: 'POST', headers: { authorization: `Bearer ${bearer}` }, body: text });
  assert.equal(answer.status, 201);
  await page.goto(own);
  await page.locator('[data-log] a.log-name').first().click();
  await page.getByText('line 1', { exact: false }).first().waitFor();
  const size = await page.evaluate(() => document.documentElement.outerHTML.length);
  assert.ok(size < 400_000, `the page holds ${size} characters`);
  for (const number of [500_000, 1_000_000, 3]) {
    const begun = performance.now();
    await page.getByLabel('Go to line').fill(String(number));
    await page.getByLabel('Go to line').press('Enter');
    await page.locator(`#L${number}`).getByText(`line ${number}`, { exact: false }).waitFor();
    assert.ok(performance.now() - begun < 3_000, `line ${number} took ${performance.now() - begun} ms`);
    assert.ok((await page.locator('.viewer .row').count()) < 3_000);
  }
  assert.deepEqual(ana.seen, []);
});
