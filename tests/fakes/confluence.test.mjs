// The fake Confluence is judged before it judges anyone: each refusal, each fault, both interfaces.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { CLOUD, DATA_CENTER, start } from './confluence.mjs';
import { fault } from './lib/storage-format.mjs';

let fake;
before(async () => (fake = await start()));
after(() => fake.close());
beforeEach(() => control('reset', {}));

const control = (name, body) =>
  fetch(`${fake.url}/__${name}`, body && { method: 'POST', body: JSON.stringify(body) }).then((answer) => answer.json());
const basic = `Basic ${Buffer.from(`${CLOUD.user}:${CLOUD.token}`).toString('base64')}`;
async function call(method, path, body, authorization = path.startsWith('/wiki') ? basic : `Bearer ${DATA_CENTER.token}`) {
  const answer = await fetch(fake.url + path, {
    method,
    headers: { authorization, ...(body && { 'content-type': 'application/json' }) },
    body: body && JSON.stringify(body),
    redirect: 'manual',
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text && text.startsWith('{') ? JSON.parse(text) : text };
}
const draft = (over = {}) => ({
  spaceId: '98306', status: 'current', title: 'RCA', body: { representation: 'storage', value: '<p>why</p>' }, ...over,
});

test('a page goes in, comes back, is updated by one version and not by a stale one', async () => {
  const made = await call('POST', '/wiki/api/v2/pages', draft());
  assert.equal(made.status, 200);
  const path = `/wiki/api/v2/pages/${made.body.id}`;
  assert.deepEqual((await call('GET', path)).body.body, {});
  assert.equal((await call('GET', `${path}?body-format=storage`)).body.body.storage.value, '<p>why</p>');
  const next = { ...draft(), id: made.body.id, version: { number: 2 } };
  assert.equal((await call('PUT', path, next)).body.version.number, 2);
  assert.equal((await call('PUT', path, next)).status, 409);
  const { version, ...without } = next;
  assert.equal(version.number, 2);
  assert.equal((await call('PUT', path, without)).status, 400);
});

test('what the real one refuses is refused', async () => {
  assert.equal((await call('POST', '/wiki/api/v2/pages', draft({ spaceId: undefined }))).status, 400);
  assert.equal((await call('POST', '/wiki/api/v2/pages', draft({ spaceId: '1' }))).status, 404);
  assert.equal((await call('POST', '/wiki/api/v2/pages', draft({ title: '' }))).status, 400);
  for (const value of ['<p>a & b</p>', '<p>open', '<br>', '<img src="x"/>', '<script>x</script>', '<p>\u0007</p>']) {
    const answer = await call('POST', '/wiki/api/v2/pages', draft({ body: { representation: 'storage', value } }));
    assert.equal(answer.status, 400, value);
  }
  assert.equal((await call('POST', '/wiki/api/v2/pages', draft())).status, 200);
  const twice = await call('POST', '/wiki/api/v2/pages', draft());
  assert.equal(twice.status, 400);
  assert.match(twice.body.errors[0].title, /already exists/);
  assert.equal((await call('GET', '/wiki/api/v2/spaces', undefined, 'Bearer wrong')).status, 401);
  assert.equal((await call('GET', '/rest/api/space', undefined, basic)).status, 401);
  assert.equal((await call('POST', '/wiki/rest/api/content', {})).status, 410);
});

test('storage format: what is legal passes', () => {
  for (const text of [
    '<p>x</p><hr/>',
    '<ac:structured-macro ac:name="code"><ac:plain-text-body><![CDATA[a < b & c ]]]]><![CDATA[> d]]></ac:plain-text-body></ac:structured-macro>',
    '<table><tbody><tr><th>&#233; &amp; &#x2014;</th></tr></tbody></table>',
    '<p><a href="https://x.example/?a=1&amp;b=2">l</a></p>',
  ]) assert.equal(fault(text), undefined, text);
  for (const text of ['<p a=b/>', '<p a="1" a="2"/>', '</p>', '<p>]]></p>', '<a href="javascript:x">l</a>', '&nbsp;']) {
    assert.ok(fault(text), text);
  }
});

test('spaces are paged with a cursor and a link', async () => {
  const first = await call('GET', '/wiki/api/v2/spaces?limit=1');
  assert.equal(first.body.results.length, 1);
  assert.match(first.headers.get('link'), /rel="next"/);
  const second = await call('GET', first.body._links.next);
  assert.equal(second.body.results[0].key, 'ENG');
  assert.equal(second.body._links.next, undefined);
});

test('properties have unique keys and versions of their own', async () => {
  const { id } = (await call('POST', '/wiki/api/v2/pages', draft())).body;
  const base = `/wiki/api/v2/pages/${id}/properties`;
  const made = await call('POST', base, { key: 'fumehood', value: { marker: 'm' } });
  assert.equal((await call('POST', base, { key: 'fumehood', value: 1 })).status, 409);
  assert.equal((await call('GET', `${base}?key=fumehood`)).body.results[0].value.marker, 'm');
  const change = { key: 'fumehood', value: 2, version: { number: 2 } };
  assert.equal((await call('PUT', `${base}/${made.body.id}`, change)).status, 200);
  assert.equal((await call('PUT', `${base}/${made.body.id}`, change)).status, 409);
});

test('Data Center writes through v1', async () => {
  const page = { type: 'page', title: 'RCA', space: { key: 'OPS' }, body: { storage: { value: '<p/>', representation: 'storage' } } };
  const made = await call('POST', '/rest/api/content', page);
  assert.equal(made.status, 200);
  const path = `/rest/api/content/${made.body.id}`;
  assert.equal((await call('PUT', path, page)).status, 400);
  assert.equal((await call('PUT', path, { ...page, version: { number: 2 } })).status, 200);
  const stale = await call('PUT', path, { ...page, version: { number: 2 } });
  assert.equal(stale.status, 409);
  assert.match(stale.body.message, /Current version is: 2/);
  assert.equal((await call('GET', '/rest/api/content?spaceKey=OPS&title=RCA')).body.size, 1);
  assert.equal((await call('POST', `${path}/property`, { key: 'k', value: 'v' })).status, 200);
  assert.equal((await call('GET', `${path}/property/k`)).body.value, 'v');
});

test('faults: each for its number of requests, and the effect stays where it says so', async () => {
  await control('faults', [{ kind: 'cut-after-commit', method: 'POST', path: '/pages$' }]);
  await assert.rejects(call('POST', '/wiki/api/v2/pages', draft()));
  assert.equal((await call('GET', '/wiki/api/v2/pages?space-id=98306&title=RCA')).body.results.length, 1);

  await control('faults', [{ kind: 'status', status: 429, headers: { 'retry-after': '1' }, times: 2 }]);
  for (const expected of [429, 429, 200]) {
    const answer = await call('GET', '/wiki/api/v2/spaces');
    assert.equal(answer.status, expected);
    assert.equal(answer.headers.get('retry-after'), expected === 429 ? '1' : null);
  }
  await control('faults', [{ kind: 'html' }, { kind: 'cut-before' }, { kind: 'slow', ms: 30 }, { kind: 'redirect', location: 'http://127.0.0.1:9/' }]);
  assert.match((await call('GET', '/wiki/api/v2/spaces')).body, /Log in/);
  await assert.rejects(call('GET', '/wiki/api/v2/spaces'));
  const before_ = performance.now();
  assert.equal((await call('GET', '/wiki/api/v2/spaces')).status, 200);
  assert.ok(performance.now() - before_ >= 29);
  assert.equal((await call('GET', '/wiki/api/v2/spaces')).status, 302);

  await control('faults', [{ kind: 'error-after-commit' }]);
  assert.equal((await call('POST', '/wiki/api/v2/pages', draft({ title: 'Two' }))).status, 502);
  assert.equal((await control('pages')).filter((page) => page.title === 'Two').length, 1);
});

test('the journal has every byte, of refused requests, too', async () => {
  await call('POST', '/wiki/api/v2/pages', draft({ title: 'canary-7f' }), 'Bearer wrong');
  const raw = await fetch(`${fake.url}/__journal/raw`).then((answer) => answer.text());
  assert.match(raw, /canary-7f/);
  assert.match(raw, /authorization: Bearer wrong/i);
  assert.equal((await control('journal')).length, 1);
});
