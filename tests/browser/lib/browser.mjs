// Debian's Chromium, headless, with a witness: whatever a page does that it must not do (a dialog, a script error, a
// refusal by the content policy, a request to another host) is kept, and fails the test that asks.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { root } from './server.mjs';

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
/** What the product waits for at most: a first discovery, a streamed answer. */
const PATIENCE_MS = 20_000;
export const shots = join(root, 'tests/out');

export const launch = () => chromium.launch({ executablePath: process.env.FUMEHOOD_CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });

/** A session of its own, with `seen`: what its pages did that they must not do. */
export async function session(browser, server, options = {}) {
  const context = await browser.newContext({ baseURL: server.url, viewport: { width: 1440, height: 900 }, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const seen = [];
  const page = await context.newPage();
  const watch = (one) => {
    one.on('dialog', (dialog) => {
      // A page that holds what is not saved asks before it is left, and is left.
      seen.push(dialog.type() === 'beforeunload' ? 'asked before leaving' : `dialog: ${dialog.message()}`);
      dialog.type() === 'beforeunload' ? dialog.accept() : dialog.dismiss();
    });
    one.on('pageerror', (error) => seen.push(`script error on ${one.url()}: ${error.message}`));
    one.on('console', (message) => {
      if (/Content Security Policy|Refused to/i.test(message.text())) seen.push(`policy on ${one.url()}: ${message.text()}`);
    });
    one.on('request', (request) => {
      const url = new URL(request.url());
      if (!['data:', 'blob:', 'about:'].includes(url.protocol) && url.origin !== server.url) seen.push(`request to ${url}`);
    });
    one.on('response', (response) => {
      if (response.status() >= 500) seen.push(`${response.status()} of ${response.url()}`);
    });
  };
  context.on('page', watch);
  watch(page);
  return { context, page, seen };
}

/** Follow the one-time link and make the first administrator. */
export async function becomeAdministrator(page, server, person = { name: 'Ana Ops', email: 'ana@ops.example', password: 'correct horse battery' }) {
  await page.goto(server.link);
  await page.getByLabel('Name', { exact: true }).fill(person.name);
  const email = page.getByLabel(/^E-mail address/);
  if (await email.isEditable()) await email.fill(person.email); // an invitation for an address is for that one
  await page.getByLabel('Password', { exact: true }).fill(person.password);
  await page.getByLabel('Password again').fill(person.password);
  await page.getByRole('button', { name: 'Create account and sign in' }).click();
  await page.waitForURL('**/incidents');
  return person;
}

/** Create an incident over the form; its path. */
export async function createIncident(page, { title, description = '', severity = 'High', category = '', tags = '' }) {
  await page.goto('/incidents/new');
  await page.getByLabel('Title', { exact: true }).fill(title);
  await page.getByLabel('Description').fill(description);
  // The radio itself is hidden; its label is what a person clicks.
  await page.getByRole('group', { name: 'Severity' }).getByText(severity, { exact: true }).click();
  if (category) await page.getByLabel(/^Category/).fill(category);
  if (tags) await page.getByLabel('Tags').fill(tags);
  await page.getByRole('button', { name: 'Create incident' }).click();
  await page.waitForURL(/\/incidents\/[0-9a-f-]{36}$/);
  return new URL(page.url()).pathname;
}

/** Add a log on an incident's page and wait until it is scanned. */
export async function addLog(page, name, text) {
  await page.locator('input[type=file]').first().setInputFiles({ name, mimeType: 'text/plain', buffer: Buffer.from(text) });
  await page.locator('[data-log][data-state=ready]').filter({ hasText: name }).waitFor();
}

/**
 * Pictures of a page at both widths in both themes, and the two things that no page may have. Without a path it is the page
 * as it stands, which a form may have answered.
 */
export async function picture(page, path, name) {
  mkdirSync(shots, { recursive: true });
  const problems = [];
  for (const [width, height] of [[1440, 900], [390, 844]]) {
    for (const colorScheme of ['light', 'dark']) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      const answer = path ? await page.goto(path) : null;
      if (answer?.status() >= 500) problems.push(`${name}: ${answer.status()}`);
      await page.evaluate(() => document.fonts.ready);
      await page.screenshot({ path: join(shots, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 0) problems.push(`${name} at ${width}: ${wide} pixels wider than the window`);
    }
  }
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: null });
  return problems;
}
