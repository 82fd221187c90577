// OTLP traces as they are on the wire: the messages by their numbers, and what has to be true of a request.
//
// Both encodings become one form, that of JSON with ids in hexadecimal digits, enumerations as numbers and 64-bit numbers
// as texts. The tables are those of opentelemetry/proto/{collector/trace,trace,common,resource}/v1, version 1.

const SCALARS = {
  string: 2, bytes: 2, bool: 0, int64: 0, uint32: 0, enum: 0, double: 1, fixed64: 1, fixed32: 5,
};

/// Name of a message → name of a field → [number, type, repeated].
export const MESSAGES = {
  ExportTraceServiceRequest: { resourceSpans: [1, 'ResourceSpans', true] },
  ResourceSpans: { resource: [1, 'Resource'], scopeSpans: [2, 'ScopeSpans', true], schemaUrl: [3, 'string'] },
  Resource: { attributes: [1, 'KeyValue', true], droppedAttributesCount: [2, 'uint32'] },
  ScopeSpans: { scope: [1, 'InstrumentationScope'], spans: [2, 'Span', true], schemaUrl: [3, 'string'] },
  InstrumentationScope: {
    name: [1, 'string'], version: [2, 'string'], attributes: [3, 'KeyValue', true], droppedAttributesCount: [4, 'uint32'],
  },
  Span: {
    traceId: [1, 'bytes'], spanId: [2, 'bytes'], traceState: [3, 'string'], parentSpanId: [4, 'bytes'], name: [5, 'string'],
    kind: [6, 'enum'], startTimeUnixNano: [7, 'fixed64'], endTimeUnixNano: [8, 'fixed64'], attributes: [9, 'KeyValue', true],
    droppedAttributesCount: [10, 'uint32'], events: [11, 'Event', true], droppedEventsCount: [12, 'uint32'],
    links: [13, 'Link', true], droppedLinksCount: [14, 'uint32'], status: [15, 'Status'], flags: [16, 'fixed32'],
  },
  Event: { timeUnixNano: [1, 'fixed64'], name: [2, 'string'], attributes: [3, 'KeyValue', true], droppedAttributesCount: [4, 'uint32'] },
  Link: {
    traceId: [1, 'bytes'], spanId: [2, 'bytes'], traceState: [3, 'string'], attributes: [4, 'KeyValue', true],
    droppedAttributesCount: [5, 'uint32'], flags: [6, 'fixed32'],
  },
  Status: { message: [2, 'string'], code: [3, 'enum'] },
  KeyValue: { key: [1, 'string'], value: [2, 'AnyValue'] },
  AnyValue: {
    stringValue: [1, 'string'], boolValue: [2, 'bool'], intValue: [3, 'int64'], doubleValue: [4, 'double'],
    arrayValue: [5, 'ArrayValue'], kvlistValue: [6, 'KeyValueList'], bytesValue: [7, 'bytes'],
  },
  ArrayValue: { values: [1, 'AnyValue', true] },
  KeyValueList: { values: [1, 'KeyValue', true] },
};

/** What is wrong, and where. */
export class Wrong extends Error {}

const wrong = (path, what) => {
  throw new Wrong(`${path}: ${what}`);
};

// --- protobuf -------------------------------------------------------------------------------------------------------

function varint(bytes, at, path) {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n, at += 1) {
    if (at >= bytes.length) wrong(path, 'a number is cut off');
    value |= BigInt(bytes[at] & 0x7f) << shift;
    if (bytes[at] < 0x80) return [BigInt.asUintN(64, value), at + 1];
  }
  return wrong(path, 'a number is too long');
}

function scalar(type, raw) {
  switch (type) {
    case 'string':
      return new TextDecoder('utf-8', { fatal: true }).decode(raw);
    case 'bytes':
      return Buffer.from(raw).toString('hex');
    case 'bool':
      return raw !== 0n;
    case 'int64':
      return String(BigInt.asIntN(64, raw));
    case 'fixed64':
      return String(raw);
    case 'double':
      return raw;
    default:
      return Number(raw);
  }
}

/** A message of that name, as JSON has it. */
export function decode(name, bytes, path = name) {
  const fields = MESSAGES[name];
  const found = {};
  for (let at = 0; at < bytes.length; ) {
    let tag;
    [tag, at] = varint(bytes, at, path);
    const [number, wire] = [Number(tag >> 3n), Number(tag & 7n)];
    const field = Object.keys(fields).find((key) => fields[key][0] === number);
    if (!field) wrong(path, `there is no field ${number}`);
    const [, type, repeated] = fields[field];
    if (wire !== (SCALARS[type] ?? 2)) wrong(path, `${field} has the wire type ${wire}`);
    let raw;
    if (wire === 0) [raw, at] = varint(bytes, at, path);
    else {
      let length = wire === 1 ? 8n : 4n;
      if (wire === 2) [length, at] = varint(bytes, at, path);
      if (BigInt(bytes.length - at) < length) wrong(path, `${field} is cut off`);
      const part = bytes.subarray(at, at + Number(length));
      at += Number(length);
      if (wire === 2) raw = part;
      else if (type === 'double') raw = part.readDoubleLE();
      else raw = wire === 1 ? part.readBigUInt64LE() : BigInt(part.readUInt32LE());
    }
    let value;
    try {
      value = MESSAGES[type] ? decode(type, raw, `${path}.${field}`) : scalar(type, raw);
    } catch (error) {
      if (error instanceof Wrong) throw error;
      wrong(path, `${field} is no ${type}`);
    }
    if (repeated) (found[field] ??= []).push(value);
    else if (Object.hasOwn(found, field)) wrong(path, `${field} is there twice`);
    else found[field] = value;
  }
  return found;
}

/** An answer of this encoding: how many spans were rejected, and why. */
export function answer(type, rejected, words) {
  if (type === 'application/json') {
    return Buffer.from(JSON.stringify(rejected || words ? { partialSuccess: { rejectedSpans: String(rejected), errorMessage: words } } : {}));
  }
  if (!rejected && !words) return Buffer.alloc(0);
  const number = [];
  for (let rest = rejected; ; rest >>= 7) {
    number.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) break;
  }
  const text = Buffer.from(words.slice(0, 80));
  const partial = Buffer.concat([Buffer.from([0x08, ...number, 0x12, text.length]), text]);
  return Buffer.concat([Buffer.from([0x0a, partial.length]), partial]);
}

// --- what has to be true --------------------------------------------------------------------------------------------

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const UNSIGNED = { uint32: 2 ** 32, fixed32: 2 ** 32, enum: 2 ** 31 };

/** Every field is known and has its type. */
function shape(name, value, path) {
  if (!isObject(value)) wrong(path, 'is no object');
  for (const [key, one] of Object.entries(value)) {
    const field = MESSAGES[name][key];
    if (!field) wrong(path, `there is no field ${key}`);
    const [, type, repeated] = field;
    if (repeated && !Array.isArray(one)) wrong(`${path}.${key}`, 'is no list');
    for (const item of repeated ? one : [one]) {
      const at = `${path}.${key}`;
      if (MESSAGES[type]) shape(type, item, at);
      else if (type === 'bool' ? typeof item !== 'boolean' : type === 'double' ? typeof item !== 'number' : false) wrong(at, `is no ${type}`);
      else if ((type === 'string' || type === 'bytes') && typeof item !== 'string') wrong(at, 'is no text');
      else if (type === 'fixed64' && !(typeof item === 'string' && /^\d{1,20}$/.test(item) && BigInt(item) < 1n << 64n)) wrong(at, 'is no decimal text');
      else if (type === 'int64' && !(typeof item === 'string' && /^-?\d{1,19}$/.test(item) && BigInt.asIntN(64, BigInt(item)) === BigInt(item))) wrong(at, 'is no decimal text');
      else if (UNSIGNED[type] && !(Number.isInteger(item) && item >= 0 && item < UNSIGNED[type])) wrong(at, 'is no number of its range');
    }
  }
}

const id = (digits, value, path) => {
  if (typeof value !== 'string' || value.length !== digits || !/^[0-9a-f]+$/i.test(value)) wrong(path, `is not ${digits} hexadecimal digits`);
  if (/^0+$/.test(value)) wrong(path, 'is all zero');
};

function attributes(list, path) {
  const keys = new Set();
  for (const { key, value } of list ?? []) {
    if (!key) wrong(path, 'an attribute has no key');
    if (keys.has(key)) wrong(path, `${key} is there twice`);
    keys.add(key);
    if (!isObject(value) || Object.keys(value).length !== 1) wrong(path, `${key} has not one value`);
  }
}

function span(one, path) {
  id(32, one.traceId, `${path}.traceId`);
  id(16, one.spanId, `${path}.spanId`);
  if (one.parentSpanId !== undefined) {
    id(16, one.parentSpanId, `${path}.parentSpanId`);
    if (one.parentSpanId === one.spanId) wrong(path, 'is its own parent');
  }
  if (!one.name) wrong(path, 'has no name');
  if (!(one.kind >= 1 && one.kind <= 5)) wrong(path, 'has no kind');
  if (one.startTimeUnixNano === undefined || one.endTimeUnixNano === undefined) wrong(path, 'has no times');
  if (BigInt(one.startTimeUnixNano) === 0n) wrong(path, 'has no start');
  if (BigInt(one.endTimeUnixNano) < BigInt(one.startTimeUnixNano)) wrong(path, 'ends before it starts');
  if (one.status && !((one.status.code ?? 0) <= 2)) wrong(path, 'has a status that is not known');
  if (one.status?.message && one.status.code !== 2) wrong(path, 'has a message without an error');
  if (((one.flags ?? 0) >>> 10) !== 0) wrong(path, 'has flags that are not known');
  if (((one.flags ?? 0) & 0x300) === 0x200) wrong(path, 'is remote, though nobody knows it');
  attributes(one.attributes, path);
  for (const link of one.links ?? []) {
    id(32, link.traceId, `${path}.links.traceId`);
    id(16, link.spanId, `${path}.links.spanId`);
    attributes(link.attributes, `${path}.links`);
  }
  for (const event of one.events ?? []) {
    if (!event.name) wrong(path, 'has an event without a name');
    attributes(event.attributes, `${path}.events`);
  }
}

const plain = (value) => {
  if (value === undefined) return undefined;
  if ('arrayValue' in value) return (value.arrayValue.values ?? []).map(plain);
  if ('kvlistValue' in value) return flat(value.kvlistValue.values);
  if ('intValue' in value) return Number(value.intValue);
  return Object.values(value)[0];
};
const flat = (list) => Object.fromEntries((list ?? []).map(({ key, value }) => [key, plain(value)]));

/**
 * Check a request, and give its spans as tests want them: ids, names, times as decimal texts, `attributes` and `resource`
 * as plain objects, `kind` and `status` by their names.
 */
export function spans(request) {
  shape('ExportTraceServiceRequest', request, 'request');
  const found = [];
  if (!request.resourceSpans?.length) wrong('request', 'holds nothing');
  request.resourceSpans.forEach(({ resource, scopeSpans }, r) => {
    attributes(resource?.attributes, 'resource');
    const about = flat(resource?.attributes);
    if (!about['service.name']) wrong('resource', 'has no service.name');
    if (!scopeSpans?.length) wrong('request', 'holds nothing');
    scopeSpans.forEach(({ scope, spans: list }, s) => {
      if (!list?.length) wrong('request', 'holds nothing');
      list.forEach((one, i) => {
        span(one, `resourceSpans[${r}].scopeSpans[${s}].spans[${i}]`);
        found.push({
          traceId: one.traceId.toLowerCase(),
          spanId: one.spanId.toLowerCase(),
          parentSpanId: one.parentSpanId?.toLowerCase() ?? null,
          name: one.name,
          kind: ['', 'internal', 'server', 'client', 'producer', 'consumer'][one.kind],
          status: ['unset', 'ok', 'error'][one.status?.code ?? 0],
          message: one.status?.message ?? '',
          start: one.startTimeUnixNano,
          end: one.endTimeUnixNano,
          flags: one.flags ?? 0,
          attributes: flat(one.attributes),
          links: (one.links ?? []).map(({ traceId, spanId }) => ({ traceId, spanId })),
          events: one.events?.length ?? 0,
          traceState: one.traceState ?? '',
          scope: scope?.name ?? '',
          resource: about,
        });
      });
    });
  });
  return found;
}
