// What a server asks while its tool runs, as a responder answers it; and calls of other people's clients that wait for one.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { start as startModel } from '../../fakes/model.mjs';
import { becomeAdministrator, createIncident, launch, picture, session } from '../lib/browser.mjs';
import { root, startServer } from '../lib/server.mjs';

let server, browser, model, one, page, chat;
before(async () => {
  [server, browser, model] = await Promise.all([startServer(), launch(), startModel()]);
  one = await session(browser, server);
  page = one.page;
  page.on('console', (message) => message.type() === 'error' && one.seen.push(`console on ${page.url()}: ${message.text()}`));
  await becomeAdministrator(page, server);
  await page.goto('/settings/models/new');
  await page.getByLabel('Base URL', { exact: true }).or(page.locator('[name=base_url]')).first().fill(`${model.url}/v1`);
  await page.locator('[name=model]').fill('obey');
  await page.locator('[name=api_key]').fill('sk-fake-key');
  await page.getByRole('button', { name: /^Save|^Add/ }).first().click();
  await page.goto('/servers/new');
  await page.getByLabel('Name', { exact: true }).fill('Asking');
  await page.getByLabel('Program', { exact: true }).fill(process.execPath);
  await page.locator('[name=arguments]').fill(`${root}tests/fakes/mcp-asking.mjs\nlegacy`);
  await page.locator('main form button.primary').click();
  await page.locator('h1 .tag.connected').waitFor();
  // Every tool at once, as the page's form would.
  await page.evaluate(async () => {
    const keys = [...new Set([...document.querySelectorAll('[name=tool]')].map((one) => one.value))];
    await fetch(`${location.pathname}/tools`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams([['rule', 'allow'], ...keys.map((key) => ['tool', key])]) });
  });
});
after(async () => {
  await browser?.close();
  await model?.close();
  await server?.remove();
});

// What was typed and not taken is answered by 422, which the browser tells its console.
const clean = () => assert.deepEqual(one.seen.splice(0).filter((said) => !said.includes('422')), []);
const begin = async (title) => {
  await page.goto('/incidents/new');
  await createIncident(page, { title });
  chat = `${page.url().split('?')[0].replace(/\/(overview|evidence|chat)$/, '')}/chat`;
};
const say = async (words) => {
  await page.goto(chat);
  await page.locator('#text').fill(words);
  await page.getByRole('button', { name: 'Send' }).click();
};

test('a form appears while its tool runs, says what is wrong with it, and goes on when it is right', async () => {
  await begin('Who is on call');
  await say('CALL mcp_asking_survey {}');
  const question = page.locator('.question');
  await question.getByText('Who is on call?').waitFor();
  assert.deepEqual(await picture(page, chat, 'question'), []);
  await page.goto(chat);
  await question.getByLabel('Name').fill('Jo');
  await question.getByLabel('Nodes').fill('99');
  await question.getByLabel('Zone').selectOption({ label: 'Europe' });
  await question.getByLabel('mail').check();
  await question.getByRole('button', { name: 'Answer', exact: true }).click();
  await question.getByText('Give 9 or less.').waitFor();
  assert.equal(await question.getByLabel('Nodes').inputValue(), '99');
  await question.getByLabel('Nodes').fill('4');
  await question.getByRole('button', { name: 'Answer', exact: true }).click();
  await page.locator('.question .tag', { hasText: 'Answered' }).waitFor();
  await page.locator('.call .tag', { hasText: 'Done' }).waitFor();
  clean();
});

test('what the model would be asked is shown before it is', async () => {
  await begin('A server thinks');
  await say('CALL mcp_asking_think {}');
  const question = page.locator('.question.pending');
  await question.getByText('Be brief.').waitFor();
  assert.deepEqual(await picture(page, chat, 'question-sample'), []);
  await page.goto(chat);
  await question.getByRole('button', { name: 'Do not ask' }).click();
  await page.locator('.question .tag', { hasText: 'Declined' }).waitFor();
  clean();
});

test('a prompt of a server, filled in with what it suggests, is a draft that nobody has sent', async () => {
  await begin('Hand over');
  await page.goto(chat);
  await page.getByRole('link', { name: 'Prompts' }).click();
  const component = page.getByRole('combobox', { name: 'component' });
  await component.focus();
  await page.locator('datalist option[value=pump]').waitFor({ state: 'attached' });
  assert.deepEqual(await picture(page, page.url(), 'prompts'), []);
  await component.fill('pump');
  await page.getByRole('button', { name: /^Use Hand over/ }).click();
  await page.locator('#text').waitFor();
  assert.match(await page.locator('#text').inputValue(), /^Sum up the pump for \[EMAIL-\d+\]: no note$/);
  assert.equal(await page.locator('article.turn').count(), 0);
  clean();
});

test('a call that waits is seen on every page and decided with its arguments in sight', async () => {
  await page.goto('/servers');
  await page.getByRole('link', { name: 'Asking' }).first().click();
  await page.locator('h1 .tag.connected').waitFor();
  const token = server.token('responder');
  const own = page.url();
  // The rule of one tool, as its page sets it.
  await page.goto(own);
  await page.evaluate(async () => {
    const key = [...document.querySelectorAll('[name=tool]')].map((one) => one.value).find((value) => value.endsWith(' slowly'));
    await fetch(`${location.pathname}/tools`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams({ rule: 'ask', tool: key }) });
  });
  const answer = fetch(`${server.url}/mcp/asking`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'slowly',
    },
    body: JSON.stringify({
      jsonrpc: '2.0', id: 1, method: 'tools/call',
      params: {
        name: 'slowly', arguments: { host: 'db-7', note: 'restart it' },
        _meta: { progressToken: 1, 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {}, 'io.modelcontextprotocol/clientInfo': { name: 'flows', version: '1' } },
      },
    }),
  }).then((response) => response.text());
  await page.goto('/servers/waiting');
  await page.locator('.call.pending', { hasText: 'restart it' }).waitFor();
  assert.deepEqual(await picture(page, '/servers/waiting', 'waiting'), []);
  await page.goto('/incidents');
  await page.locator('a.badge').first().click();
  await page.getByRole('button', { name: /^Approve slowly on Asking/ }).click();
  await page.locator('.call', { hasText: 'Approved and called' }).or(page.locator('.call .tag', { hasText: 'Approved' })).first().waitFor();
  assert.match(await answer, /done/);
  clean();
});
