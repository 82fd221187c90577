// A security engineer and a plugin: it arrives, is looked at, granted less than it asked for, works, is stopped.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { addLog, becomeAdministrator, createIncident, launch, picture, session } from '../lib/browser.mjs';
import { binary, root, startServer } from '../lib/server.mjs';

const component = (name) => join(root, `plugins/examples/${name}/dist/${name}.wasm`);
const missing = existsSync(component('rust-scanner')) ? false : 'the example plugins are not built: tests/run --only plugins';

let server, browser, one, page, work;
before(async () => {
  if (missing) return;
  work = mkdtempSync(join(tmpdir(), 'fh-plugins-'));
  [server, browser] = await Promise.all([startServer(), launch()]);
  const key = join(work, 'publisher.key');
  const run = (...args) => execFileSync(binary, ['plugin', ...args], { encoding: 'utf8' });
  const trusted = run('key', key).trim();
  writeFileSync(join(server.data, 'policy.toml'),
    `[by-publisher.example]\nhttp = [{ host = "*.example.com", methods = ["GET", "POST"] }]\n[publishers.example]\nkeys = ["${trusted}"]\n`);
  const pack = (name, file, version, more = '') => {
    const manifest = join(work, `${file}.toml`);
    const own = readFileSync(join(root, `plugins/examples/${name}/fumehood.toml`), 'utf8');
    writeFileSync(manifest, own.replace('version = "0.1.0"', `version = "${version}"`) + more);
    const out = join(work, `${file}.wasm`);
    run('pack', component(name), '--manifest', manifest, '--out', out);
    run('sign', '--key', key, out);
    return out;
  };
  pack('rust-scanner', 'scanner', '1.0.0');
  pack('rust-integration', 'desk', '1.0.0',
    '\n[[http]]\nreason = "Looks up who is on call"\nhost = "*.oncall.example.com"\npath = "/v1"\nmethods = ["GET"]\n' +
    '\n[[secret]]\nhandle = "rota"\nreason = "Signs in at the rota"\nhosts = ["https://eu.oncall.example.com"]\n');
  pack('rust-integration', 'desk2', '1.1.0',
    '\n[[http]]\nreason = "Looks up who is on call, and calls them"\nhost = "*.oncall.example.com"\nmethods = ["GET", "POST"]\n');
  one = await session(browser, server);
  page = one.page;
  await becomeAdministrator(page, server);
});
after(async () => {
  await browser?.close();
  await server?.remove();
  if (work) rmSync(work, { recursive: true, force: true });
});

const clean = () => assert.deepEqual(one.seen.splice(0), []);

async function install(file) {
  await page.goto('/plugins');
  await page.getByText('Install…').click();
  await page.getByLabel('Component').setInputFiles(join(work, `${file}.wasm`));
  await page.getByLabel('Signature').setInputFiles(join(work, `${file}.wasm.sig`));
  await page.getByRole('button', { name: 'Install the component' }).click();
}

test('a scanner is installed, approved, and finds', { skip: missing }, async () => {
  await install('scanner');
  await page.getByRole('heading', { name: 'Version 1.0.0 waits for an approval' }).waitFor();
  await page.getByText('It asks for nothing but to compute.').waitFor();
  await page.getByRole('button', { name: 'Approve rust-scanner 1.0.0 with what is ticked' }).click();
  await page.locator('h1 .tag.ready').waitFor();
  const incident = await createIncident(page, { title: 'A plugin at work' });
  await addLog(page, 'people.log', 'EMP-123456 signed in\n');
  await page.goto(incident);
  await page.getByText('EMPLOYEE_ID').first().waitFor();
  clean();
});

test('without a signature it is refused, and the page says what to do', { skip: missing }, async () => {
  await page.goto('/plugins');
  await page.getByText('Install…').click();
  await page.getByLabel('Component').setInputFiles(join(work, 'desk.wasm'));
  await page.getByRole('button', { name: 'Install the component' }).click();
  await page.getByText('rust-integration is not signed.').waitFor();
  await page.getByText('allow-unsigned').waitFor();
  clean();
});

test('an integration is granted less than it asks for', { skip: missing }, async () => {
  await install('desk');
  await page.getByText('“Looks up who is on call”').waitFor();
  assert.deepEqual(await picture(page, '/plugins/rust-integration', 'plugin-waiting'), []);
  const host = page.getByLabel('Host');
  await page.getByText('Grant less').nth(1).click();
  await host.fill('*.example.com');
  await page.getByRole('button', { name: /^Approve rust-integration/ }).click();
  await page.getByText('That goes further than it asks for').waitFor();
  assert.equal(await host.inputValue(), '*.example.com', 'what was typed stays');
  await page.getByText('Grant less').nth(1).click();
  await host.fill('eu.oncall.example.com');
  await page.getByLabel('Bytes out an hour, KiB').nth(1).fill('64');
  await page.getByRole('button', { name: /^Approve rust-integration/ }).click();
  await page.locator('h1 .tag.ready').waitFor();
  await page.getByText('https://eu.oncall.example.com/v1').first().waitFor();
  await page.getByText('and 64 KiB an hour').first().waitFor();
  await page.getByLabel('Secret', { exact: true }).fill('a-very-secret-token');
  await page.getByRole('button', { name: 'Store rota' }).click();
  await page.locator('#secrets ~ form .tag.ready').waitFor();
  assert.ok(!(await page.content()).includes('a-very-secret-token'));
  clean();
});

test('an integration is set up, and its page says what stands in the way', { skip: missing }, async () => {
  await page.goto('/integrations');
  assert.deepEqual(await picture(page, '/integrations', 'integrations-installed'), []);
  await page.goto('/integrations');
  await page.getByRole('link', { name: 'rust-integration' }).click();
  await page.getByLabel('Base URL').fill('https://desk.internal.example.org/api');
  await page.getByLabel('Token').fill('desk-token');
  await page.getByLabel('Publish to').fill('OPS');
  await page.getByRole('button', { name: 'Save rust-integration' }).click();
  await page.getByText('Not tested').waitFor();
  await page.getByRole('button', { name: 'Test the connection' }).click();
  await page.getByText('this is granted, but the organisation\'s ceiling does not allow it').waitFor();
  assert.ok(!(await page.content()).includes('desk-token'));
  assert.deepEqual(await picture(page, '/integrations/rust-integration', 'integration-installed'), []);
  await page.goto('/settings/models/new');
  const providers = page.getByRole('navigation', { name: 'Provider' }).getByRole('link');
  assert.deepEqual(await providers.allInnerTexts(), ['provider-openai', 'provider-anthropic', 'provider-azure', 'provider-gemini', 'provider-ollama']);
  await page.goto('/integrations/rust-integration');
  await page.getByText('Remove…').click();
  await page.getByRole('button', { name: 'Remove what was set up' }).click();
  await page.getByText('Not set up').waitFor();
  clean();
});

test('what a registry does not give is said where it was asked for', { skip: missing }, async () => {
  await page.goto('/plugins');
  await page.getByText('Install…').click();
  await page.getByText('Or from a registry').click();
  await page.getByLabel('Artefact, by its digest').fill('oci://127.0.0.1:1/acme/desk:latest');
  await page.getByRole('button', { name: 'Fetch and install it' }).click();
  await page.getByText(/sha256/).first().waitFor();
  await page.locator('.error').first().waitFor();
  assert.equal(await page.getByLabel('Artefact, by its digest').inputValue(), 'oci://127.0.0.1:1/acme/desk:latest');
  clean();
});

test('an upgrade that asks for more waits, and can be turned down', { skip: missing }, async () => {
  await install('desk2');
  await page.getByRole('heading', { name: 'Against 1.0.0, which runs until then' }).waitFor();
  await page.locator('.changes .new').first().waitFor();
  assert.deepEqual(await picture(page, '/plugins/rust-integration', 'plugin-upgrade'), []);
  await page.getByRole('button', { name: 'Turn 1.1.0 down' }).click();
  await page.getByRole('heading', { name: 'Versions' }).waitFor();
  assert.equal(await page.locator('.waiting').count(), 0);
  clean();
});

test('a plugin is stopped, says so everywhere, and is started again', { skip: missing }, async () => {
  await page.goto('/plugins/rust-scanner');
  await page.getByText('Stop…').click();
  await page.getByLabel('Why').fill('too many findings');
  await page.getByRole('button', { name: 'Stop rust-scanner' }).click();
  await page.getByText('because too many findings').waitFor();
  const incident = await createIncident(page, { title: 'While it is stopped' });
  await page.locator('input[type=file]').first().setInputFiles({ name: 'x.log', mimeType: 'text/plain', buffer: Buffer.from('x\n') });
  await page.getByText(/is stopped by the kill switch/).first().waitFor();
  assert.deepEqual(await picture(page, '/plugins', 'plugins'), []);
  assert.deepEqual(await picture(page, '/plugins/rust-scanner', 'plugin-stopped'), []);
  await page.goto('/plugins/rust-scanner');
  await page.getByRole('button', { name: 'Start plugin:rust-scanner again' }).click();
  await page.locator('h1 .tag.ready').waitFor();
  await page.goto(incident);
  await addLog(page, 'y.log', 'EMP-654321\n');
  clean();
});
