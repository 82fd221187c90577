// The strict collector, judged: it takes what is right in both encodings, refuses each thing that is wrong by its name,
// and misbehaves as it is told.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { MESSAGES } from './lib/otlp.mjs';
import { start } from './otlp.mjs';

let fake;
before(async () => (fake = await start()));
after(() => fake.close());
const control = async (name, body) => (await fetch(`${fake.url}/__${name}`, { method: body === undefined ? 'GET' : 'POST', body: body && JSON.stringify(body) })).json();
beforeEach(() => control('reset', {}));

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const span = (over = {}) => ({
  traceId: TRACE, spanId: '00f067aa0ba902b7', flags: 257, name: 'tools/call', kind: 2,
  startTimeUnixNano: '1700000000000000000', endTimeUnixNano: '1700000000000000001',
  attributes: [{ key: 'gen_ai.tool.name', value: { stringValue: 'now' } }, { key: 'server.port', value: { intValue: '-443' } }], ...over,
});
const request = (...spans) => ({
  resourceSpans: [{
    resource: { attributes: [{ key: 'service.name', value: { stringValue: 'fumehood' } }] },
    scopeSpans: [{ scope: { name: 'fumehood' }, spans }],
  }],
});
const post = (body, headers = {}, path = '/v1/traces') =>
  fetch(`${fake.url}${path}`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: typeof body === 'object' && !Buffer.isBuffer(body) ? JSON.stringify(body) : body });

/** A message as protobuf, from the same tables that read it; `extra` is put behind. */
function encode(name, message, extra = []) {
  const parts = [];
  const number = (value) => {
    const bytes = [];
    for (let rest = BigInt.asUintN(64, BigInt(value)); ; rest >>= 7n) {
      bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
      if (rest <= 0x7fn) return Buffer.from(bytes);
    }
  };
  for (const [key, value] of Object.entries(message)) {
    const [field, type, repeated] = MESSAGES[name][key];
    for (const one of repeated ? value : [value]) {
      const tag = (wire) => parts.push(number((field << 3) | wire));
      if (MESSAGES[type] || type === 'string' || type === 'bytes') {
        const bytes = MESSAGES[type] ? encode(type, one) : Buffer.from(one, type === 'bytes' ? 'hex' : 'utf8');
        tag(2);
        parts.push(number(bytes.length), bytes);
      } else if (type === 'fixed64' || type === 'fixed32') {
        const bytes = Buffer.alloc(type === 'fixed64' ? 8 : 4);
        if (type === 'fixed64') bytes.writeBigUInt64LE(BigInt(one));
        else bytes.writeUInt32LE(one);
        tag(type === 'fixed64' ? 1 : 5);
        parts.push(bytes);
      } else {
        tag(0);
        parts.push(number(one));
      }
    }
  }
  return Buffer.concat([...parts, Buffer.from(extra)]);
}
const protobuf = (message, extra) => encode('ExportTraceServiceRequest', message, extra);
const PROTOBUF = { 'content-type': 'application/x-protobuf' };

test('what is right is taken, in both encodings alike, and remembered', async () => {
  const child = span({ spanId: '00000000000000ff', parentSpanId: '00f067aa0ba902b7', name: 'scan', kind: 1, status: { code: 2 }, startTimeUnixNano: '1700000000000000005', endTimeUnixNano: '1700000000000000005', links: [{ traceId: TRACE, spanId: '0000000000000001' }] });
  const answered = await post(request(child, span()));
  assert.equal(answered.status, 200);
  assert.equal(answered.headers.get('content-type'), 'application/json');
  assert.deepEqual(await answered.json(), {});
  const first = await control('spans');
  assert.deepEqual(first.map(({ name, kind, status, parentSpanId }) => [name, kind, status, parentSpanId]), [['scan', 'internal', 'error', '00f067aa0ba902b7'], ['tools/call', 'server', 'unset', null]]);
  assert.deepEqual(first[1].attributes, { 'gen_ai.tool.name': 'now', 'server.port': -443 });
  assert.deepEqual(first[1].resource, { 'service.name': 'fumehood' });
  assert.deepEqual(await control('trees'), { [TRACE]: [{ name: 'tools/call', kind: 'server', status: 'unset', parent: null, children: [{ name: 'scan', kind: 'internal', status: 'error', children: [] }] }] });

  await control('reset', {});
  const binary = await post(gzipSync(protobuf(request(child, span()))), { ...PROTOBUF, 'content-encoding': 'gzip' });
  assert.equal(binary.status, 200);
  assert.equal(binary.headers.get('content-type'), PROTOBUF['content-type']);
  assert.equal((await binary.arrayBuffer()).byteLength, 0);
  assert.deepEqual(await control('spans'), first);
  assert.deepEqual(await control('refused'), []);
  assert.deepEqual((await control('requests')).map(({ status, type, encoding, spans }) => [status, type, encoding, spans]), [[200, PROTOBUF['content-type'], 'gzip', 2]]);
});

const long = (key, value) => span({ [key]: value });
for (const [why, body] of [
  ['traceId: is not 32', long('traceId', TRACE.slice(1))],
  ['traceId: is not 32', long('traceId', 'S/kvNXezTaajzpKdDg5HNg==')],
  ['traceId: is all zero', long('traceId', '0'.repeat(32))],
  ['traceId: is not 32', span({ traceId: undefined })],
  ['spanId: is not 16', long('spanId', '')],
  ['spanId: is all zero', long('spanId', '0'.repeat(16))],
  ['parentSpanId: is not 16', long('parentSpanId', '')],
  ['is its own parent', long('parentSpanId', '00f067aa0ba902b7')],
  ['has no name', long('name', '')],
  ['has no name', span({ name: undefined })],
  ['has no kind', long('kind', 0)],
  ['has no kind', long('kind', 6)],
  ['kind: is no number', long('kind', 'SPAN_KIND_SERVER')],
  ['has no times', span({ endTimeUnixNano: undefined })],
  ['has no start', long('startTimeUnixNano', '0')],
  ['ends before it starts', long('endTimeUnixNano', '1699999999999999999')],
  ['startTimeUnixNano: is no decimal text', long('startTimeUnixNano', 1700000000000000000)],
  ['endTimeUnixNano: is no decimal text', long('endTimeUnixNano', '99999999999999999999')],
  ['has a status that is not known', long('status', { code: 3 })],
  ['has a message without an error', long('status', { code: 1, message: 'fine' })],
  ['there is no field description', long('status', { code: 2, description: 'x' })],
  ['there is no field start_time_unix_nano', long('start_time_unix_nano', '1')],
  ['has flags that are not known', long('flags', 0x401)],
  ['is remote, though nobody knows it', long('flags', 0x200)],
  ['flags: is no number', long('flags', '1')],
  ['attributes: is no list', long('attributes', {})],
  ['a is there twice', long('attributes', [{ key: 'a', value: { intValue: '1' } }, { key: 'a', value: { intValue: '2' } }])],
  ['a has not one value', long('attributes', [{ key: 'a', value: {} }])],
  ['a has not one value', long('attributes', [{ key: 'a', value: { intValue: '1', stringValue: 'x' } }])],
  ['an attribute has no key', long('attributes', [{ value: { intValue: '1' } }])],
  ['intValue: is no decimal text', long('attributes', [{ key: 'a', value: { intValue: 1 } }])],
  ['intValue: is no decimal text', long('attributes', [{ key: 'a', value: { intValue: '9223372036854775808' } }])],
  ['stringValue: is no text', long('attributes', [{ key: 'a', value: { stringValue: null } }])],
  ['boolValue: is no bool', long('attributes', [{ key: 'a', value: { boolValue: 'true' } }])],
  ['links.spanId: is not 16', long('links', [{ traceId: TRACE }])],
  ['an event without a name', long('events', [{ timeUnixNano: '1' }])],
]) {
  test(`refused: ${why}`, async () => {
    const answered = await post(request(body));
    assert.equal(answered.status, 400);
    assert.match((await answered.json()).message, new RegExp(why));
    assert.match((await control('refused'))[0], new RegExp(why));
    assert.deepEqual(await control('spans'), []);
  });
}

test('refused: requests that are none', async () => {
  const empty = { resourceSpans: [] };
  const nameless = request(span());
  nameless.resourceSpans[0].resource.attributes = [];
  for (const [status, why, ...rest] of [
    [404, 'is not /v1/traces', request(span()), {}, '/v1/traces/'],
    [404, 'is not /v1/traces', request(span()), {}, '/v1/traces?key=1'],
    [415, 'the content type is text/plain', request(span()), { 'content-type': 'text/plain' }],
    [415, 'the content type is application/json; charset', request(span()), { 'content-type': 'application/json; charset=utf-8' }],
    [400, 'is no JSON', '{', {}],
    [400, 'is no JSON', protobuf(request(span())), {}],
    [400, 'is no gzip', request(span()), { 'content-encoding': 'gzip' }],
    [400, 'the encoding zstd', request(span()), { 'content-encoding': 'zstd' }],
    [400, 'holds nothing', empty, {}],
    [400, 'holds nothing', request(), {}],
    [400, 'has no service.name', nameless, {}],
    [400, 'there is no field spans', { spans: [] }, {}],
    [400, 'is there twice', request(span(), span()), {}],
    [400, 'there is no field 9', protobuf(request(span()), [0x48, 1]), PROTOBUF],
    [400, 'cut off', protobuf(request(span())).subarray(0, -2), PROTOBUF],
    [400, 'has the wire type 0', protobuf(request(span()), [0x08, 1]), PROTOBUF],
    [400, 'is not 32', protobuf(request(span({ traceId: 'ab' }))), PROTOBUF],
    [400, 'is no string', Buffer.from(protobuf(request(span())).toString('latin1').replace('fumehood', '\xffumehood'), 'latin1'), PROTOBUF],
    [400, 'there is no field 15', '{"resourceSpans":[]}', PROTOBUF],
  ]) {
    const answered = await post(...rest);
    assert.equal(answered.status, status, why);
    assert.match((await answered.json()).message, new RegExp(why));
  }
  const got = await fetch(`${fake.url}/v1/traces`);
  assert.equal(got.status, 405);
  assert.deepEqual(await control('spans'), []);
});

test('a span comes once, unless its answer was lost', async () => {
  await control('faults', [{ kind: 'lost' }]);
  await assert.rejects(post(request(span())));
  assert.equal((await post(request(span()))).status, 200);
  assert.equal((await control('spans')).length, 1);
  assert.equal(await control('again'), 1);
  const answered = await post(request(span({ name: 'another' })));
  assert.equal(answered.status, 400);
  assert.match((await answered.json()).message, /was another one before/);
});

test('faults', async () => {
  await control('faults', [
    { kind: 'status', status: 503, headers: { 'retry-after': '1' } }, { kind: 'cut' }, { kind: 'reject', spans: 1, message: 'too old' },
    { kind: 'reject', spans: 1 }, { kind: 'page' }, { kind: 'large' }, { kind: 'slow', ms: 50 },
  ]);
  const one = (id) => span({ spanId: String(id).padStart(16, '0') });
  const busy = await post(request(one(1)));
  assert.deepEqual([busy.status, busy.headers.get('retry-after')], [503, '1']);
  await assert.rejects(post(request(one(1))));
  assert.deepEqual(await (await post(request(one(1), one(2)))).json(), { partialSuccess: { rejectedSpans: '1', errorMessage: 'too old' } });
  const binary = Buffer.from(await (await post(protobuf(request(one(3))), PROTOBUF)).arrayBuffer());
  assert.equal(binary.toString('hex'), `0a18080112${'14'}${Buffer.from('the fake was told to').toString('hex')}`);
  assert.match((await post(request(one(4)))).headers.get('content-type'), /text\/html/);
  assert.equal((await (await post(request(one(5)))).arrayBuffer()).byteLength, 8 << 20);
  const before = Date.now();
  assert.equal((await post(request(one(6)))).status, 200);
  assert.ok(Date.now() - before >= 45);
  assert.deepEqual((await control('spans')).map(({ spanId }) => Number(spanId)), [1, 6]);

  await control('faults', [{ kind: 'hang' }]);
  await assert.rejects(fetch(`${fake.url}/v1/traces`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(request(one(7))), signal: AbortSignal.timeout(300) }));
  assert.deepEqual((await control('requests')).map(({ status }) => status), [503, 0, 200, 200, 200, 200, 200, 0]);
  assert.deepEqual(await control('refused'), []);
});

test('a key is asked for', async () => {
  await control('key', { name: 'Authorization', value: 'Bearer abc' });
  assert.equal((await post(request(span()))).status, 401);
  assert.equal((await post(request(span()), { authorization: 'Bearer abc' })).status, 200);
  assert.equal((await control('spans')).length, 1);
});
