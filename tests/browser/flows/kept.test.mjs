// What a responder types is not lost: by a link, by the sash, by another person, by a server that is away.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { addLog, becomeAdministrator, createIncident, launch, session } from '../lib/browser.mjs';
import { model } from '../lib/peers.mjs';
import { startServer } from '../lib/server.mjs';

let server, browser, one, page, incident, mock;
before(async () => {
  [server, browser] = await Promise.all([startServer(), launch()]);
  mock = await model([[() => true, { content: 'An answer.' }]]);
  one = await session(browser, server);
  page = one.page;
  await becomeAdministrator(page, server);
  incident = await createIncident(page, { title: 'Nothing is lost' });
  await addLog(page, 'kept.log', 'from jane.roe@customer-mail.example\n');
  await page.goto('/settings/models/new');
  await page.getByLabel('Base URL').fill(mock.base);
  await page.getByLabel('Model', { exact: true }).fill('test-model');
  await page.getByRole('button', { name: 'Save model' }).click();
});
after(async () => {
  await browser?.close();
  await mock?.stop();
  await server?.remove();
});

const clean = () => assert.deepEqual(one.seen.splice(0), []);

test('a message that was being typed is there again, until it is sent', async () => {
  await page.goto(`${incident}/chat`);
  const message = page.getByLabel('Message');
  await message.fill('What failed first?');
  await page.getByRole('link', { name: 'Whys', exact: true }).first().click();
  await page.getByRole('heading', { name: 'Whys', level: 1 }).waitFor();
  await page.goto(`${incident}/chat`);
  assert.equal(await message.inputValue(), 'What failed first?');
  await page.getByText('What you had typed is back.').waitFor();
  await message.focus();
  await page.keyboard.press('Control+Enter');
  await page.getByText('An answer.').waitFor();
  assert.equal(await message.inputValue(), '', 'what was sent does not stand there again');
  await page.reload();
  assert.equal(await message.inputValue(), '');
  clean();
});

test('the sash is lowered and raised where one is', async () => {
  await page.goto(`${incident}/chat`);
  await page.getByLabel('Message').fill('Half a question');
  await page.locator('#sash summary').click();
  await page.getByRole('button', { name: 'Lower the sash' }).click();
  await page.locator('#sash.lowered').waitFor();
  assert.ok(page.url().endsWith('/chat'), page.url());
  assert.equal(await page.getByLabel('Message').inputValue(), 'Half a question');
  await page.getByText('Lowered: nothing leaves.').waitFor();
  await page.getByRole('button', { name: 'Raise the sash' }).click();
  await page.locator('#sash:not(.lowered)').waitFor();
  await page.getByRole('button', { name: 'Send' }).and(page.locator(':enabled')).waitFor();
  assert.equal(await page.getByLabel('Message').inputValue(), 'Half a question');
  await page.getByLabel('Message').fill('');
  clean();
});

test('a page that was open goes on when the session is renewed elsewhere', async () => {
  await page.goto(`${incident}/chat`);
  const cookies = await one.context.cookies();
  await one.context.clearCookies();
  await page.getByText(/Your session is over/).waitFor();
  await one.context.addCookies(cookies);
  const admin = server.token('responder');
  await server.api('PUT', `/api/v1${incident}/sash`, { lowered: true }, admin);
  await page.locator('#sash.lowered').waitFor();
  await server.api('PUT', `/api/v1${incident}/sash`, { lowered: false }, admin);
  await page.locator('#sash:not(.lowered)').waitFor();
  clean();
});

test('a new incident that was begun is there again', async () => {
  await page.goto('/incidents/new');
  await page.getByLabel('Title', { exact: true }).fill('Begun and left');
  await page.getByText('Critical').click();
  await page.goto('/incidents');
  await page.goto('/incidents/new');
  assert.equal(await page.getByLabel('Title', { exact: true }).inputValue(), 'Begun and left');
  assert.ok(await page.getByRole('radio', { name: 'Critical' }).isChecked());
  await page.getByRole('button', { name: 'Create incident' }).click();
  await page.getByRole('heading', { name: 'Begun and left' }).waitFor();
  await page.goto('/incidents/new');
  assert.equal(await page.getByLabel('Title', { exact: true }).inputValue(), '');
  clean();
});

test('marking the root cause saves the answer that was typed, and other whys keep theirs', async () => {
  await page.goto(`${incident}/whys`);
  for (const [at, question] of [[1, 'Why did it fail?'], [2, 'Why was that so?']]) {
    await page.locator('#add').getByLabel('Question').fill(question);
    await page.getByRole('button', { name: `Add why ${at}` }).click();
    await page.getByLabel(`Question ${at}`, { exact: true }).waitFor();
  }
  await page.getByLabel('Answer 1', { exact: true }).fill('Because of the first thing.');
  await page.getByLabel('Answer 2', { exact: true }).fill('Because of the second thing.');
  const second = page.locator('li.why').nth(1);
  await second.getByRole('button', { name: 'Mark as root cause' }).click();
  await second.getByText('root cause', { exact: true }).waitFor();
  const whys = await server.api('GET', `/api/v1${incident}/whys`, undefined, server.token('viewer'));
  assert.equal(whys[1].answer, 'Because of the second thing.');
  assert.equal(whys[0].answer, '', 'not saved yet');
  assert.equal(await page.getByLabel('Answer 1', { exact: true }).inputValue(), 'Because of the first thing.');
  clean();
});

test('two who answer the same why: the second is told', async () => {
  const other = await one.context.newPage();
  await other.goto(`${incident}/whys`);
  await page.goto(`${incident}/whys`);
  await other.getByLabel('Answer 1', { exact: true }).fill('Theirs.');
  await page.getByLabel('Answer 1', { exact: true }).fill('Ours.');
  await other.getByRole('button', { name: 'Save', exact: true }).first().click();
  await other.waitForFunction(() => !document.querySelector('form.changed'));
  await page.getByRole('button', { name: 'Save', exact: true }).first().click();
  await page.getByText(/Somebody changed it while you wrote/).waitFor();
  assert.equal(await page.getByLabel('Answer 1', { exact: true }).inputValue(), 'Ours.');
  await page.getByRole('button', { name: 'Save', exact: true }).first().click();
  await page.waitForFunction(() => !document.querySelector('.why .error'));
  const [first] = await server.api('GET', `/api/v1${incident}/whys`, undefined, server.token('viewer'));
  assert.equal(first.answer, 'Ours.');
  await other.close();
  one.seen.splice(0); // the refused save is a 409 in the console
});

test('what somebody else adds appears on an open page', async () => {
  await page.goto(`${incident}/whys`);
  await server.api('POST', `/api/v1${incident}/whys`, { question: 'Asked by a program?' }, server.token('responder'));
  await page.getByLabel('Question 3', { exact: true }).waitFor();
  assert.equal(await page.getByLabel('Question 3', { exact: true }).inputValue(), 'Asked by a program?');
  await page.locator('#side').getByText('Asked by a program?').waitFor();
  clean();
});

test('a document is saved while one goes on writing, and is kept where the server is away', async () => {
  await page.goto(`${incident}/document`);
  await page.getByRole('button', { name: 'Start writing' }).click();
  const text = page.getByLabel('Markdown');
  await text.waitFor();
  await text.fill('First words.');
  await page.keyboard.press('Control+s');
  await page.keyboard.press('End');
  await page.keyboard.type(' And more.');
  await page.getByText(/version 2/).waitFor();
  assert.match(await text.inputValue(), /^First words\..* And more\.$/s);
  await page.route('**/document', (route) => route.abort());
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByText(/cannot be reached/).waitFor();
  assert.match(await text.inputValue(), / And more\.$/);
  await page.unroute('**/document');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByText(/version 3/).waitFor();
  const saved = await server.api('GET', `/api/v1${incident}/document`, undefined, server.token('viewer'));
  assert.match(saved.markdown, / And more\.$/);
  one.seen.splice(0);
});
