// Several models: in an order, with a budget, on this machine only; what to do where one fails; a conversation asked again.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { becomeAdministrator, createIncident, launch, picture, session } from '../lib/browser.mjs';
import { root, startServer } from '../lib/server.mjs';

let server, browser, vendors, url, one, page, incident;
before(async () => {
  vendors = spawn(process.execPath, [`${root}tests/browser/lib/aimock.mjs`], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = await once(createInterface({ input: vendors.stdout }), 'line');
  url = line.replace('listening on ', '');
  [server, browser] = await Promise.all([startServer(), launch()]);
  one = await session(browser, server);
  page = one.page;
  page.on('console', (message) => message.type() === 'error' && one.seen.push(`console on ${page.url()}: ${message.text()}`));
  await becomeAdministrator(page, server);
});
after(async () => {
  await browser?.close();
  vendors?.kill();
  await server?.remove();
});

const clean = () => assert.deepEqual(one.seen.splice(0).filter((said) => !said.includes('422')), []);
const add = async (plugin, base, model) => {
  await page.goto(`/settings/models/new?plugin=${plugin}`);
  await page.locator('[name=base_url]').fill(url + base);
  await page.getByLabel('Model', { exact: true }).fill(model);
  await page.getByLabel('API key').fill('key-4711');
  await page.getByRole('button', { name: 'Save model' }).click();
  await page.getByRole('heading', { name: model }).waitFor();
};
const say = async (words) => {
  await page.goto(`${incident}/chat`);
  await page.locator('#text').fill(words);
  await page.getByRole('button', { name: 'Send' }).click();
};

test('models stand in an order, and each provider has its own form', async () => {
  await add('provider-anthropic', '/v1', 'denied-claude');
  assert.deepEqual(await picture(page, page.url(), 'model-anthropic'), []);
  await page.goto('/settings/models/new?plugin=provider-azure');
  await page.getByLabel('API version').waitFor();
  assert.deepEqual(await picture(page, page.url(), 'model-new-azure'), []);
  await add('provider-gemini', '/v1beta', 'gemini-plain');
  await page.goto('/settings/models');
  const rows = page.locator('tbody tr a.row-link');
  assert.deepEqual(await rows.allInnerTexts(), ['denied-claude', 'gemini-plain']);
  await page.getByRole('button', { name: 'Ask gemini-plain earlier' }).click();
  await page.waitForFunction(() => document.querySelector('tbody a.row-link').innerText === 'gemini-plain');
  await page.getByRole('button', { name: 'Ask gemini-plain later' }).click();
  await page.waitForFunction(() => document.querySelector('tbody a.row-link').innerText === 'denied-claude');
  clean();
});

test('the next one answers, and the timeline says why', async () => {
  await page.goto('/incidents/new');
  await createIncident(page, { title: 'Mail bounces' });
  incident = page.url().split('?')[0].replace(/\/(overview|evidence|chat)$/, '');
  await say('What failed first?');
  await page.getByText('Every worker waited for a free connection').waitFor();
  await page.locator('.reply .who strong', { hasText: 'gemini-plain' }).waitFor();
  await page.goto(`${incident}/timeline`);
  await page.getByText('denied-claude could not answer (auth); gemini-plain was asked instead').first().waitFor();
  clean();
});

test('where nobody answers it is said what can be done', async () => {
  await page.goto('/settings/models');
  await page.getByRole('link', { name: 'gemini-plain' }).click();
  await page.getByRole('button', { name: /switch off/i }).click();
  await say('And then?');
  await page.getByText('The provider refused the credential').waitFor();
  assert.deepEqual(await picture(page, `${incident}/chat`, 'chat-failed'), []);
  await page.goto(`${incident}/chat`);
  await page.getByRole('link', { name: "Look at the model's key" }).click();
  await page.getByRole('heading', { name: 'denied-claude' }).waitFor();
  clean();
});

test('a budget ends what an incident may spend, and an operator gives it as much again', async () => {
  await page.goto('/settings/models');
  await page.getByRole('link', { name: 'gemini-plain' }).click();
  await page.getByRole('button', { name: /switch on/i }).click();
  await page.goto('/settings/models');
  await page.getByLabel('Tokens for an incident').fill('few');
  await page.locator('#rules').getByRole('button', { name: 'Save' }).click();
  await page.getByText('Write a number of tokens').waitFor();
  await page.getByLabel('Tokens for an incident').fill('50');
  await page.locator('#rules').getByRole('button', { name: 'Save' }).click();
  await page.locator('.error').waitFor({ state: 'detached' });
  assert.deepEqual(await picture(page, '/settings/models', 'models-rules'), []);
  await say('Is it over?');
  await page.getByText('tokens of the 50 that it may').waitFor();
  assert.deepEqual(await picture(page, `${incident}/chat`, 'chat-budget'), []);
  await page.goto(`${incident}/chat`);
  for (let budgets = 1; budgets < 40; budgets += 1) {
    await page.getByRole('button', { name: 'Give this incident as much again' }).last().click();
    await page.waitForFunction((most) => document.querySelector('#composer-why').innerText.includes(`of ${most} tokens used`), (50 * (budgets + 1)).toLocaleString('en-US'));
  }
  await say('Is it over now?');
  await page.getByText('Every worker waited for a free connection').nth(1).waitFor();
  clean();
});

test('a conversation is asked again, side by side', async () => {
  await page.goto('/settings/models');
  await page.getByLabel('Tokens for an incident').fill('');
  await page.locator('#rules').getByRole('button', { name: 'Save' }).click();
  await page.goto(`${incident}/chat`);
  await page.getByRole('link', { name: 'Ask again…' }).click();
  await page.getByLabel('Model').selectOption({ label: `gemini-plain at ${new URL(url).host}` });
  await page.getByLabel('Other instructions').fill('Answer in one line, as for jane.roe@customer-mail.example.');
  await page.getByRole('button', { name: 'Ask again' }).click();
  await page.locator('.lead .tag', { hasText: 'done' }).waitFor();
  assert.equal(await page.locator('.replayed').count(), 4);
  assert.ok(!(await page.content()).includes('jane.roe'));
  const at = page.url();
  assert.deepEqual(await picture(page, at, 'replay'), []);
  assert.deepEqual(await picture(page, `${incident}/replays`, 'replays'), []);
  clean();
});

test('only models on this machine', async () => {
  await page.goto('/settings/models/new?plugin=provider-openai');
  await page.locator('[name=base_url]').fill('https://192.0.2.7/v1');
  await page.getByLabel('Model', { exact: true }).fill('elsewhere');
  await page.getByRole('button', { name: 'Save model' }).click();
  await page.goto('/settings/models');
  await page.getByLabel('Ask only models on this machine').check();
  await page.locator('#rules').getByRole('button', { name: 'Save' }).click();
  await page.getByText('Not asked').waitFor();
  assert.deepEqual(await picture(page, '/settings/models', 'models-here'), []);
  clean();
});
