// A security engineer says what is personal here, tries it, and sees why; a responder sees it hold in an incident.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { addLog, becomeAdministrator, createIncident, launch, picture, session } from '../lib/browser.mjs';
import { startServer } from '../lib/server.mjs';

let server, browser, one, page, incident;
before(async () => {
  [server, browser] = await Promise.all([startServer(), launch()]);
  one = await session(browser, server);
  page = one.page;
  await becomeAdministrator(page, server);
});
after(async () => {
  await browser?.close();
  await server?.remove();
});

const clean = () => assert.deepEqual(one.seen.splice(0), []);
const TEXT = 'staff no E-481516 wrote to support@acme-mail.example\nfrom 203.0.113.77 about Project Nightjar\n';

test('a text is tried, and each finding says why', async () => {
  await page.goto('/settings/detection');
  await page.getByText('There are no rules of the organisation yet.').waitFor();
  await page.getByLabel('Text', { exact: true }).fill(TEXT);
  await page.getByRole('button', { name: 'See what would be found' }).click();
  const tried = page.getByRole('region', { name: 'What was found' });
  await tried.getByText('[EMAIL-1]').waitFor();
  await tried.getByRole('cell', { name: 'ipv4 address' }).waitFor();
  assert.equal(await tried.getByText('E-481516').count(), 1, 'it stands in the masked text as it is');
  assert.deepEqual(await picture(page, null, 'detection-tried'), []);
  clean();
});

test('rules are added one by one, and what is wrong is said there', async () => {
  await page.goto('/settings/detection');
  await page.getByText('A type of your own').click();
  const form = page.locator('details', { hasText: 'A type of your own' });
  await form.getByLabel('Name').fill('staff_no');
  await form.getByLabel('Pattern').fill(String.raw`\bE-(\d{6}\b`);
  await form.getByLabel('Examples in which it is found').fill('staff no E-481516');
  await form.getByRole('button', { name: 'Add' }).click();
  await form.getByText('unclosed group').waitFor();
  assert.equal(await form.getByLabel('Name').inputValue(), 'staff_no', 'nothing that was typed is lost');
  assert.deepEqual(await picture(page, null, 'detection-refused'), []);
  await form.getByLabel('Pattern').fill(String.raw`\bE-(\d{6})\b`);
  await form.getByRole('button', { name: 'Add' }).click();
  await page.getByRole('link', { name: 'added.toml' }).waitFor();
  await page.getByText('Never mask a value').click();
  const allow = page.locator('details', { hasText: 'Never mask a value' });
  await allow.getByLabel('Value').fill('support@acme-mail.example');
  await allow.getByRole('button', { name: 'Add' }).click();
  await page.getByText('1 type, 1 allowed').waitFor();
  assert.deepEqual(await picture(page, null, 'detection-rules'), []);
  clean();
});

test('a document is edited beside a text that it is tried on', async () => {
  await page.goto('/settings/detection');
  await page.getByRole('link', { name: 'New document' }).click();
  await page.getByLabel('Name').fill('thresholds.toml');
  await page.getByLabel('Rules, in TOML').fill('[thresholds]\nIPV4 = 1.0\n\n[pseudonyms]\nEMAIL = "domain"\n');
  await page.getByLabel('Text to try it on').fill(TEXT + 'and jo@acme-mail.example\n');
  await page.getByRole('button', { name: 'Try it' }).click();
  const tried = page.getByRole('region', { name: 'What was found' });
  await tried.getByText('below the threshold of 1').waitFor();
  await tried.getByText('allowed by a rule').waitFor();
  await tried.getByText('[STAFF_NO-1]').waitFor();
  await tried.getByText('[EMAIL-1 @ domain-1]').waitFor();
  assert.deepEqual(await picture(page, null, 'detection-draft'), []);
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('link', { name: 'thresholds.toml' }).waitFor();
  clean();
});

test('an incident has rules of its own, and its stored logs are scanned again', async () => {
  incident = await createIncident(page, { title: 'Rules at work' });
  await addLog(page, 'staff.log', TEXT);
  await page.goto(incident);
  await page.getByText('STAFF_NO').first().waitFor();
  await page.getByRole('link', { name: 'Detection rules' }).click();
  await page.getByText('Always mask a value').click();
  const deny = page.locator('details', { hasText: 'Always mask a value' });
  await deny.getByLabel('Value').fill('Project Nightjar');
  await deny.getByLabel('As').fill('codename');
  await deny.getByRole('button', { name: 'Add' }).click();
  await page.getByText('1 denied').waitFor();
  assert.deepEqual(await picture(page, null, 'detection-incident'), []);
  await page.getByRole('button', { name: 'Scan the stored logs again' }).click();
  await page.getByText(/Log scanned again: staff\.log/).first().waitFor();
  await page.goto(incident);
  await page.getByText('CODENAME').first().waitFor();
  await page.locator('[data-log]').getByRole('link', { name: /staff\.log/ }).click();
  await page.getByRole('link', { name: 'Masked' }).click();
  await page.getByText('[CODENAME-1]').first().waitFor();
  await page.getByText('support@acme-mail.example').first().waitFor();
  assert.deepEqual(await picture(page, null, 'detection-masked'), []);
  clean();
});
