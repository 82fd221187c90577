// An OpenTelemetry collector over HTTP that is stricter than a real one: `POST /v1/traces`, protobuf or JSON, gzip or not.
//
// A real one takes what it can and drops the rest; this one refuses with 400 and the reason what is not as the protocol
// has it: another content type, a body that is none, fields that nobody knows, ids of another length or all zero, numbers
// of 64 bits that are no texts, spans without name, kind or times, that end before they start, that are their own parent
// or are there twice, or came before as other ones, attributes twice, a resource without a service's name, an empty request.
//
//   GET  /__spans     all spans that were taken, in their order, as `lib/otlp.mjs` says
//   GET  /__trees     by trace: what is whose child, as names, roots first
//   GET  /__refused   why requests were refused; empty where a client did everything right
//   GET  /__again     how many spans came more than once, which is right only where an answer was lost
//   GET  /__requests  of each request: status, content type, encoding, how many spans, how many bytes
//   POST /__faults    [{ times, kind, … }], each for as many requests to come:
//          status  { status, headers }   answers so, and takes nothing
//          reject  { spans, message }    takes all but so many of the last, and says so (partial success)
//          cut     hangs up before the answer, and takes nothing      lost  takes all, and hangs up before the answer
//          hang    never answers                                      slow  { ms } before the answer
//          page    200 with a page of a proxy                         large an answer of 8 MiB
//   POST /__key       { name, value }: from now on every request needs this header, or is answered with 401

import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { html, isMain, json, main, Refusal, serve, sleep } from './lib/http.mjs';
import { answer, decode, spans as checked, Wrong } from './lib/otlp.mjs';

const TYPES = ['application/json', 'application/x-protobuf'];
/// What the specification recommends that a server takes at most, after decompression.
const MOST_BYTES = 64 * 1024 * 1024;

export async function start(port = 0) {
  let state;
  const reset = () => (state = { spans: [], refused: [], requests: [], faults: [], key: undefined, again: 0 });
  reset();

  const read = async (request, body, type) => {
    const encoding = request.headers['content-encoding'] ?? 'identity';
    if (encoding === 'gzip') body = await promisify(gunzip)(body, { maxOutputLength: MOST_BYTES }).catch(() => { throw new Wrong('request: is no gzip'); });
    else if (encoding !== 'identity') throw new Wrong(`request: the encoding ${encoding} is not known`);
    if (type === 'application/x-protobuf') return checked(decode('ExportTraceServiceRequest', body));
    let value;
    try {
      value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    } catch (error) {
      throw new Wrong(`request: is no JSON: ${error.message}`);
    }
    return checked(value);
  };

  const handle = async ({ request, response, url, body }) => {
    const type = (request.headers['content-type'] ?? '').trim();
    const line = { status: 200, type, encoding: request.headers['content-encoding'] ?? '', spans: 0, bytes: body.length };
    state.requests.push(line);
    const refuse = (status, why) => {
      line.status = status;
      state.refused.push(why);
      throw new Refusal(status, { message: why });
    };
    if (url.pathname !== '/v1/traces' || url.search) refuse(404, `${request.url} is not /v1/traces`);
    if (request.method !== 'POST') refuse(405, `${request.method} is not POST`);
    if (!TYPES.includes(type)) refuse(415, `the content type is ${type || 'missing'}`);
    if (state.key && request.headers[state.key.name.toLowerCase()] !== state.key.value) {
      line.status = 401;
      throw new Refusal(401, { message: 'who are you?' });
    }
    let found;
    try {
      found = await read(request, body, type);
      for (const one of found) {
        const same = ({ traceId, spanId }) => traceId === one.traceId && spanId === one.spanId;
        if (found.filter(same).length > 1) throw new Wrong(`span ${one.spanId} ${one.name}: is there twice`);
        const before = state.spans.find(same);
        if (before && JSON.stringify(before) !== JSON.stringify(one)) throw new Wrong(`span ${one.spanId} ${one.name}: was another one before`);
      }
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      return refuse(400, error.message);
    }
    line.spans = found.length;

    const fault = state.faults.find((one) => one.times > 0);
    if (fault) fault.times -= 1;
    let rejected = 0;
    switch (fault?.kind) {
      case 'status':
        line.status = fault.status;
        throw new Refusal(fault.status, { message: 'the fake was told to' }, fault.headers ?? {});
      case 'cut':
        line.status = 0;
        return request.socket.destroy();
      case 'hang':
        line.status = 0;
        return undefined;
      case 'page':
        return html(response, 200, '<!doctype html><title>Sign in</title>');
      case 'large':
        response.writeHead(200, { 'content-type': type });
        return response.end(Buffer.alloc(8 << 20, 0x20));
      case 'slow':
        await sleep(fault.ms);
        break;
      case 'reject':
        rejected = Math.min(fault.spans, found.length);
        break;
      default:
    }
    // What is sent again because its answer was lost is what came before, and is there once.
    for (const one of found.slice(0, found.length - rejected)) {
      if (state.spans.some(({ traceId, spanId }) => traceId === one.traceId && spanId === one.spanId)) state.again += 1;
      else state.spans.push(one);
    }
    if (fault?.kind === 'lost') {
      line.status = 0;
      return request.socket.destroy();
    }
    const said = answer(type, rejected, fault?.kind === 'reject' ? (fault.message ?? 'the fake was told to') : '');
    response.writeHead(200, { 'content-type': type, 'content-length': said.length });
    return response.end(said);
  };

  const trees = () => {
    const byTrace = {};
    for (const { traceId } of state.spans) {
      const own = state.spans.filter((one) => one.traceId === traceId).sort((a, b) => (BigInt(a.start) < BigInt(b.start) ? -1 : 1));
      const below = (parent) => own.filter((one) => one.parentSpanId === parent).map((one) => ({ name: one.name, kind: one.kind, status: one.status, children: below(one.spanId) }));
      // A parent that is another party's never came here.
      const roots = own.filter((one) => !own.some(({ spanId }) => spanId === one.parentSpanId));
      byTrace[traceId] ??= roots.map((one) => ({ name: one.name, kind: one.kind, status: one.status, parent: one.parentSpanId, children: below(one.spanId) }));
    }
    return byTrace;
  };

  const control = {
    spans: () => state.spans,
    trees,
    refused: () => state.refused,
    again: () => state.again,
    requests: () => state.requests,
    faults: (faults) => {
      state.faults = faults.map((fault) => ({ times: 1, ...fault }));
    },
    key: (key) => {
      state.key = key;
    },
  };
  return serve({ handle, control, reset }, port);
}

if (isMain(import.meta)) await main(start);
