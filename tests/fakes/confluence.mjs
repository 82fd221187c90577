// A Confluence that is as strict as the real one: Cloud v2 under `/wiki/api/v2` (with v1's user, search and attachments
// under `/wiki/rest/api`), and Data Center v1 under `/rest/api`, over one set of spaces and pages.
//
// It keeps state, so that "exactly once" can be judged: titles are unique in a space, versions only step by one, ids
// never come back, and nothing takes an idempotency key. Faults are switched on over `POST /__faults`, each for a
// number of matching requests; `cut-after-commit` is the one that an outbox exists for.
//
// Cloud takes `Basic ops@example.com:cf-cloud-token`, Data Center `Bearer cf-dc-pat`.

import { Buffer } from 'node:buffer';
import { html, isMain, json, main, parseJson, Refusal, serve, sleep } from './lib/http.mjs';
import { fault as storageFault } from './lib/storage-format.mjs';

export const CLOUD = { user: 'ops@example.com', token: 'cf-cloud-token' };
export const DATA_CENTER = { token: 'cf-dc-pat' };

const SIGN_IN = '<!doctype html><html><head><title>Log in with Atlassian account</title></head><body>Log in</body></html>';

class Site {
  spaces = [
    { id: '98306', key: 'OPS', name: 'Operations', homepageId: '98310' },
    { id: '98307', key: 'ENG', name: 'Engineering & Research', homepageId: '98311' },
  ];
  pages = new Map();
  attachments = [];
  faults = [];
  nextId = 200000;

  constructor() {
    for (const space of this.spaces) {
      const page = { id: space.homepageId, spaceId: space.id, title: `${space.name} Home`, value: '<p/>' };
      this.pages.set(page.id, { ...page, parentId: null, version: 1, message: '', status: 'current', properties: [], history: [] });
    }
  }

  id() {
    this.nextId += 1;
    return String(this.nextId);
  }

  space(match) {
    return this.spaces.find((space) => Object.entries(match).every(([key, value]) => space[key] === value));
  }

  page(id) {
    const page = this.pages.get(id);
    return page?.status === 'current' ? page : undefined;
  }

  titled(spaceId, title) {
    return [...this.pages.values()].find(
      (page) => page.status === 'current' && page.spaceId === spaceId && page.title === title,
    );
  }

  /** The next version of a page; the one before it stays readable. */
  revise(page, { title, value, message }) {
    page.history.push({ ...page });
    Object.assign(page, { title, value, message, version: page.version + 1 });
  }

  /** Check what both interfaces ask of a page, and put it in. `refuse(status, text)` makes the error. */
  write(page, { spaceId, title, value, parentId, number, message }, refuse) {
    if (typeof title !== 'string' || !title.trim()) refuse(400, 'A title is required');
    if (title.length > 255) refuse(400, 'The title is longer than 255 characters');
    if (typeof value !== 'string') refuse(400, 'body.value is required');
    const malformed = storageFault(value);
    if (malformed) refuse(400, `Error parsing xhtml: ${malformed}`);
    const taken = this.titled(spaceId, title);
    if (taken && taken.id !== page?.id) {
      refuse(400, `A page with this title already exists: A page already exists with the same TITLE in this space`);
    }
    if (parentId && !this.page(parentId)) refuse(404, 'The parent page was not found');
    if (!page) {
      const made = { id: this.id(), spaceId, title, value, version: 1, message: '', status: 'current', properties: [], history: [] };
      made.parentId = parentId ?? this.space({ id: spaceId }).homepageId;
      this.pages.set(made.id, made);
      return made;
    }
    if (number !== page.version + 1) {
      refuse(409, `Version must be incremented on update. Current version is: ${page.version}`);
    }
    this.revise(page, { title, value, message: message ?? '' });
    if (parentId) page.parentId = parentId;
    return page;
  }
}

/** A page as it was in a version; nothing where it never had that one. */
const asOf = (one, version) => (version === null || Number(version) === one.version ? one : one.history.find((old) => old.version === Number(version)));

const v2Error = (status, title) => {
  const code = { 400: 'INVALID_REQUEST_PARAMETER', 401: 'UNAUTHORIZED', 404: 'NOT_FOUND', 409: 'CONFLICT' }[status];
  return new Refusal(status, { errors: [{ status, code: code ?? 'ERROR', title, detail: null }] });
};
const v1Error = (status, message) =>
  new Refusal(status, { statusCode: status, data: { authorized: status !== 401, valid: false, errors: [] }, message });
const throwing = (make) => (status, text) => {
  throw make(status, text);
};

function page(list, url, link) {
  const limit = Math.min(Number(url.searchParams.get('limit') ?? 25), 250);
  const cursor = url.searchParams.get('cursor');
  const start = cursor ? Number(Buffer.from(cursor, 'base64url').toString()) : 0;
  const results = list.slice(start, start + limit);
  const more = start + limit < list.length;
  const next = more ? `${link}${Buffer.from(String(start + limit)).toString('base64url')}` : undefined;
  return { results, next };
}

/** Cloud v2. */
function cloud(site, { request, response, url, body, origin }) {
  const refuse = throwing(v2Error);
  const path = url.pathname.slice('/wiki/api/v2'.length);
  const { method } = request;
  const view = (one, withBody) => ({
    id: one.id,
    status: one.status,
    title: one.title,
    spaceId: one.spaceId,
    parentId: one.parentId,
    parentType: one.parentId ? 'page' : null,
    authorId: '557058:fake',
    createdAt: '2026-11-20T10:00:00.000Z',
    version: { number: one.version, message: one.message, createdAt: '2026-11-20T10:00:00.000Z', minorEdit: false },
    body: withBody ? { storage: { value: one.value, representation: 'storage' } } : {},
    _links: {
      webui: `/spaces/${site.space({ id: one.spaceId }).key}/pages/${one.id}/${encodeURIComponent(one.title)}`,
      base: `${origin}/wiki`,
    },
  });
  const list = (items, base) => {
    const query = new URLSearchParams(url.searchParams);
    query.delete('cursor');
    const separator = query.size ? '&' : '';
    const { results, next } = page(items, url, `${base}?${query}${separator}cursor=`);
    const headers = next ? { link: `<${next}>; rel="next"` } : {};
    json(response, 200, { results, _links: { base: `${origin}/wiki`, ...(next && { next }) } }, headers);
  };
  const found = (id) => site.page(id) ?? refuse(404, 'Not Found');
  let match;

  if (path === '/spaces' && method === 'GET') {
    const keys = url.searchParams.get('keys')?.split(',');
    const spaces = site.spaces.filter((space) => !keys || keys.includes(space.key));
    const shown = spaces.map((space) => ({ ...space, type: 'global', status: 'current', _links: { webui: `/spaces/${space.key}` } }));
    return list(shown, '/wiki/api/v2/spaces');
  }
  if (path === '/pages' && method === 'GET') {
    const want = { spaceId: url.searchParams.get('space-id'), title: url.searchParams.get('title') };
    const pages = [...site.pages.values()].filter(
      (one) =>
        one.status === (url.searchParams.get('status') ?? 'current') &&
        (!want.spaceId || want.spaceId.split(',').includes(one.spaceId)) &&
        (!want.title || want.title === one.title),
    );
    return list(
      pages.map((one) => view(one, url.searchParams.get('body-format') === 'storage')),
      '/wiki/api/v2/pages',
    );
  }
  const written = (input) => {
    if (input.body?.representation !== 'storage') refuse(400, 'body.representation must be storage');
    if (!['current', 'draft'].includes(input.status ?? 'current')) refuse(400, 'status is not known');
    return { title: input.title, value: input.body.value, parentId: input.parentId };
  };
  if (path === '/pages' && method === 'POST') {
    const input = parseJson(request, body);
    if (typeof input.spaceId !== 'string') refuse(400, 'spaceId: must not be null');
    if (!site.space({ id: input.spaceId })) refuse(404, 'The space was not found');
    for (const key of Object.keys(input)) {
      if (!['spaceId', 'status', 'title', 'parentId', 'body', 'subtype'].includes(key)) refuse(400, `unknown field ${key}`);
    }
    const made = site.write(undefined, { spaceId: input.spaceId, ...written(input) }, refuse);
    return json(response, 200, view(made, true));
  }
  if ((match = /^\/pages\/(\d+)$/.exec(path))) {
    const one = found(match[1]);
    if (method === 'GET') {
      const shown = asOf(one, url.searchParams.get('version')) ?? refuse(404, 'The version was not found');
      return json(response, 200, view(shown, url.searchParams.get('body-format') === 'storage'));
    }
    if (method === 'DELETE') {
      one.status = 'trashed';
      response.writeHead(204);
      return response.end();
    }
    if (method !== 'PUT') refuse(405, 'Method Not Allowed');
    const input = parseJson(request, body);
    for (const key of ['id', 'status', 'title', 'body', 'version']) {
      if (input[key] === undefined || input[key] === null) refuse(400, `${key}: must not be null`);
    }
    if (input.id !== one.id) refuse(400, 'id does not match the path');
    if (!Number.isInteger(input.version.number)) refuse(400, 'version.number: must not be null');
    if (input.spaceId !== undefined && input.spaceId !== one.spaceId) refuse(400, 'a page cannot change its space');
    const { number, message } = input.version;
    return json(response, 200, view(site.write(one, { spaceId: one.spaceId, ...written(input), number, message }, refuse), true));
  }
  if ((match = /^\/pages\/(\d+)\/properties(?:\/(\d+))?$/.exec(path))) {
    return properties(found(match[1]), match[2]);
  }
  if ((match = /^\/pages\/(\d+)\/attachments$/.exec(path)) && method === 'GET') {
    return list(site.attachments.filter((one) => one.pageId === found(match[1]).id), `/wiki${url.pathname}`);
  }
  return refuse(404, 'Not Found');

  function properties(one, id) {
    const shown = ({ id: own, key, value, version }) => ({ id: own, key, value, version: { number: version } });
    if (!id && method === 'GET') {
      const key = url.searchParams.get('key');
      return list(one.properties.filter((property) => !key || property.key === key).map(shown), url.pathname);
    }
    if (!id && method === 'POST') {
      const input = parseJson(request, body);
      if (typeof input.key !== 'string' || !input.key || input.value === undefined) refuse(400, 'key and value are required');
      if (one.properties.some((property) => property.key === input.key)) refuse(409, 'A property with this key exists');
      const made = { id: site.id(), key: input.key, value: input.value, version: 1 };
      one.properties.push(made);
      return json(response, 200, shown(made));
    }
    const property = one.properties.find((candidate) => candidate.id === id) ?? refuse(404, 'Not Found');
    if (method === 'GET') return json(response, 200, shown(property));
    if (method === 'PUT') {
      const input = parseJson(request, body);
      if (input.key !== property.key || input.value === undefined) refuse(400, 'key and value are required');
      if (input.version?.number !== property.version + 1) refuse(409, 'the version of the property is stale');
      Object.assign(property, { value: input.value, version: input.version.number });
      return json(response, 200, shown(property));
    }
    if (method !== 'DELETE') refuse(405, 'Method Not Allowed');
    one.properties = one.properties.filter((candidate) => candidate !== property);
    response.writeHead(204);
    return response.end();
  }
}

/** v1: all of it on Data Center; on Cloud the user, the search and attachments alone. */
function classic(site, { request, response, url, body, origin, isCloud }) {
  const refuse = throwing(v1Error);
  const base = isCloud ? `${origin}/wiki` : origin;
  const path = url.pathname.slice(isCloud ? '/wiki/rest/api'.length : '/rest/api'.length);
  const { method } = request;
  const view = (one) => ({
    id: one.id,
    type: 'page',
    status: one.status,
    title: one.title,
    space: (({ id, key, name }) => ({ id: Number(id), key, name, type: 'global' }))(site.space({ id: one.spaceId })),
    version: { number: one.version, message: one.message, when: '2026-11-20T10:00:00.000Z' },
    body: { storage: { value: one.value, representation: 'storage' } },
    _links: { webui: `/pages/viewpage.action?pageId=${one.id}`, base, self: `${base}/rest/api/content/${one.id}` },
  });
  const list = (items) => {
    const start = Number(url.searchParams.get('start') ?? 0);
    const limit = Number(url.searchParams.get('limit') ?? 25);
    const results = items.slice(start, start + limit);
    const query = new URLSearchParams(url.searchParams);
    query.set('start', String(start + limit));
    const next = start + limit < items.length ? { next: `${url.pathname}?${query}` } : {};
    json(response, 200, { results, start, limit, size: results.length, _links: { base, ...next } });
  };
  const found = (id) => site.page(id) ?? refuse(404, `No content found with id: ContentId{id=${id}}`);
  let match;

  if (path === '/user/current' && method === 'GET') {
    return json(response, 200, { type: 'known', username: 'ops', displayName: 'Ops Bot', accountId: '557058:fake' });
  }
  if ((path === '/search' || path === '/content/search') && method === 'GET') {
    const cql = url.searchParams.get('cql') ?? refuse(400, 'cql is required');
    if ((cql.replaceAll('\\"', '').match(/"/g)?.length ?? 0) % 2) refuse(400, 'Could not parse cql');
    const words = [...cql.matchAll(/(?:title|text)\s*~\s*"((?:[^"\\]|\\.)*)"/g)].map((found_) => found_[1].replace(/\\(.)/g, '$1').toLowerCase());
    const hits = [...site.pages.values()].filter(
      (one) => one.status === 'current' && words.every((word) => `${one.title} ${one.value}`.toLowerCase().includes(word)),
    );
    if (path === '/content/search') return list(hits.map(view));
    return list(hits.map((one) => ({ content: view(one), title: one.title, excerpt: '', url: view(one)._links.webui, lastModified: '2026-11-20T10:00:00.000Z' })));
  }
  if ((match = /^\/content\/(\d+)\/child\/attachment$/.exec(path)) && ['POST', 'PUT'].includes(method)) {
    const one = found(match[1]);
    if (!/^no-?check$/.test(request.headers['x-atlassian-token'] ?? '')) refuse(403, 'XSRF check failed');
    const name = /name="file"; filename="((?:[^"\\]|\\.)*)"/.exec(body.toString('latin1'))?.[1] ?? refuse(400, 'the part "file" is missing');
    if (method === 'POST' && site.attachments.some((old) => old.pageId === one.id && old.title === name)) {
      refuse(400, `Cannot add a new attachment with same file name as an existing attachment: ${name}`);
    }
    const made = { id: `att${site.id()}`, pageId: one.id, title: name, version: { number: 1 } };
    site.attachments.push(made);
    return json(response, 200, { results: [made], size: 1 });
  }
  // Pages through v1 are deprecated on Cloud, and a plugin that still writes them there has to be caught.
  if (isCloud) refuse(410, 'This deprecated endpoint has been removed. Use v2.');

  if (path === '/space' && method === 'GET') {
    const key = url.searchParams.get('spaceKey');
    return list(site.spaces.filter((space) => !key || space.key === key).map(({ id, key: own, name }) => ({ id: Number(id), key: own, name, type: 'global', _links: { webui: `/display/${own}` } })));
  }
  if ((match = /^\/space\/([A-Za-z0-9~]+)$/.exec(path)) && method === 'GET') {
    const space = site.space({ key: match[1] }) ?? refuse(404, `No space with key : ${match[1]}`);
    return json(response, 200, { id: Number(space.id), key: space.key, name: space.name, _links: { webui: `/display/${space.key}`, base } });
  }
  const value = (input) => {
    if (input.type !== 'page') refuse(400, 'type is required');
    if (input.body?.storage?.representation !== 'storage') refuse(400, 'body.storage.representation is required');
    return { title: input.title, value: input.body.storage.value, parentId: input.ancestors?.at(-1)?.id?.toString() };
  };
  if (path === '/content' && method === 'GET') {
    const space = url.searchParams.get('spaceKey');
    const title = url.searchParams.get('title');
    return list(
      [...site.pages.values()]
        .filter((one) => one.status === 'current' && (!title || one.title === title))
        .filter((one) => !space || site.space({ id: one.spaceId }).key === space)
        .map(view),
    );
  }
  if (path === '/content' && method === 'POST') {
    const input = parseJson(request, body);
    const space = site.space({ key: input.space?.key }) ?? refuse(404, 'No space with key');
    return json(response, 200, view(site.write(undefined, { spaceId: space.id, ...value(input) }, refuse)));
  }
  if ((match = /^\/content\/(\d+)$/.exec(path))) {
    const one = found(match[1]);
    if (method === 'GET') {
      const historical = url.searchParams.get('status') === 'historical';
      return json(response, 200, view(asOf(one, historical ? url.searchParams.get('version') : null) ?? refuse(404, 'No such version')));
    }
    if (method !== 'PUT') refuse(405, 'Method Not Allowed');
    const input = parseJson(request, body);
    if (!Number.isInteger(input.version?.number)) refuse(400, 'Must supply an incremented version when updating Content');
    const { number, message } = input.version;
    return json(response, 200, view(site.write(one, { spaceId: one.spaceId, ...value(input), number, message }, refuse)));
  }
  if ((match = /^\/content\/(\d+)\/property(?:\/([^/]+))?$/.exec(path))) {
    const one = found(match[1]);
    const key = match[2] && decodeURIComponent(match[2]);
    const shown = (property) => ({ id: property.id, key: property.key, value: property.value, version: { number: property.version } });
    if (!key && method === 'GET') return list(one.properties.map(shown));
    if (!key && method === 'POST') {
      const input = parseJson(request, body);
      if (typeof input.key !== 'string' || input.value === undefined) refuse(400, 'key and value are required');
      if (one.properties.some((property) => property.key === input.key)) refuse(409, 'Cannot add a content property with the same key');
      one.properties.push({ id: site.id(), key: input.key, value: input.value, version: 1 });
      return json(response, 200, shown(one.properties.at(-1)));
    }
    const property = one.properties.find((candidate) => candidate.key === key) ?? refuse(404, 'No property');
    if (method === 'GET') return json(response, 200, shown(property));
    if (method !== 'PUT') refuse(405, 'Method Not Allowed');
    const input = parseJson(request, body);
    if (input.version?.number !== property.version + 1) refuse(409, 'the version of the property is stale');
    Object.assign(property, { value: input.value, version: input.version.number });
    return json(response, 200, shown(property));
  }
  return refuse(404, 'Not Found');
}

/** Whether the credential is the right one for the half of the site that was asked. */
function authorised(request, isCloud) {
  const given = request.headers.authorization ?? '';
  if (!isCloud) return given === `Bearer ${DATA_CENTER.token}`;
  return given === `Basic ${Buffer.from(`${CLOUD.user}:${CLOUD.token}`).toString('base64')}`;
}

export async function start(port = 0) {
  let site = new Site();
  const handle = async ({ request, response, url, body }) => {
    const origin = `http://${request.headers.host}`;
    if (url.pathname === '/_edge/tenant_info') return json(response, 200, { cloudId: 'fake-cloud-id' });
    const isCloud = url.pathname.startsWith('/wiki/');
    const kind = /^\/wiki\/api\/v2\//.test(url.pathname) ? cloud : /^(?:\/wiki)?\/rest\/api\//.test(url.pathname) ? classic : undefined;
    if (!kind) return html(response, 404, '<html><body>Page Not Found</body></html>');

    const fault = site.faults.find(
      (one) => one.times > 0 && (!one.method || one.method === request.method) && (!one.path || new RegExp(one.path).test(url.pathname)),
    );
    if (fault) fault.times -= 1;
    switch (fault?.kind) {
      case 'cut-before':
        return request.socket.destroy();
      case 'status':
        return json(response, fault.status, { statusCode: fault.status, message: 'the fake was told to' }, fault.headers ?? {});
      case 'html':
        return html(response, fault.status ?? 200, SIGN_IN);
      case 'redirect':
        response.writeHead(302, { location: fault.location });
        return response.end();
      case 'slow':
        await sleep(fault.ms);
        break;
      default:
    }
    if (!authorised(request, isCloud)) {
      throw kind === cloud ? v2Error(401, 'Unauthorized') : v1Error(401, 'Basic Authentication Failure - Reason : AUTHENTICATED_FAILED');
    }
    // The effect happens and stays; what the client hears of it is another matter.
    let out = response;
    if (fault?.kind === 'cut-after-commit') out = swallow(() => request.socket.destroy());
    if (fault?.kind === 'error-after-commit') out = swallow(() => json(response, 502, { message: 'Bad Gateway' }));
    return kind(site, { request, response: out, url, body, origin, isCloud });
  };
  const control = {
    faults: (faults) => {
      site.faults = faults.map((fault) => ({ times: 1, ...fault }));
    },
    pages: () =>
      [...site.pages.values()].map(({ properties, history, ...rest }) => ({ ...rest, space: site.space({ id: rest.spaceId }).key, properties })),
    // What another person does in the meantime.
    edit: ({ id, value, title }) => {
      const one = site.page(id);
      site.revise(one, { value: value ?? one.value, title: title ?? one.title, message: '' });
    },
  };
  return serve({ handle, control, reset: () => (site = new Site()) }, port);
}

/** A response that is never seen: `then` runs when the handler has finished it. */
function swallow(then) {
  return { headersSent: false, destroyed: false, writeHead() {}, end: then };
}

if (isMain(import.meta)) await main(start);
