// An MCP server over standard input and output that asks back: `node mcp-asking.mjs [legacy|modern] [JOURNAL]`.
//
// `legacy` asks in the middle of a call, as 2025-11-25 does; `modern` answers `input_required`, as 2026-07-28 does. It is
// strict: an answer that is not of the kind that was asked for ends the call with an error that says what was wrong.
//
//   survey   a form: a name, a number, a choice, several choices, a flag      visit   an address to open
//   think    a request for the model                                       where   which roots there are
//   long     200 KiB of lines                                              slowly  progress, then an answer
//   hangup   all streams of changes end
//   poke     the resource and the list of prompts change, of which those hear who asked for it in the way of their era
//
// It offers one resource, note://runbook, and one prompt, handover, which wants a component (it suggests some) and takes a note.

import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [era = 'legacy', journal] = process.argv.slice(2);
process.stdout.on('error', () => process.exit(0));

const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const text = (words, isError = false) => ({ content: [{ type: 'text', text: words }], isError });

const FORM = {
  message: 'Who is on call?',
  requestedSchema: {
    type: 'object',
    properties: {
      name: { type: 'string', title: 'Name', minLength: 2 },
      nodes: { type: 'integer', title: 'Nodes', minimum: 1, maximum: 9, default: 3 },
      zone: { type: 'string', title: 'Zone', oneOf: [{ const: 'eu-1', title: 'Europe' }, { const: 'us-1', title: 'America' }] },
      tags: { type: 'array', title: 'Tags', items: { type: 'string', enum: ['db', 'web', 'mail'] } },
      urgent: { type: 'boolean', title: 'Urgent' },
    },
    required: ['name', 'nodes', 'zone'],
  },
};
const ASKS = {
  survey: ['elicitation/create', FORM],
  visit: ['elicitation/create', { mode: 'url', elicitationId: 'e1', message: 'Sign the form', url: 'https://forms.example/sign?id=7' }],
  think: ['sampling/createMessage', { systemPrompt: 'Be brief.', maxTokens: 50, messages: [{ role: 'user', content: { type: 'text', text: 'Is jane.roe@customer-mail.example known?' } }] }],
  where: ['roots/list', {}],
};

/** What is wrong with an answer, as a strict server sees it. */
function wrong(tool, answer) {
  if (tool === 'think') {
    return answer.role === 'assistant' && answer.content?.type === 'text' && typeof answer.model === 'string' ? null : 'no message of a model';
  }
  if (tool === 'where') return Array.isArray(answer.roots) ? null : 'no roots';
  if (!['accept', 'decline', 'cancel'].includes(answer.action)) return `no action: ${answer.action}`;
  if (answer.action !== 'accept') return answer.content === undefined ? null : 'content without accepting';
  if (tool === 'visit') return answer.content === undefined ? null : 'content for an address';
  const { name, nodes, zone, tags, urgent, ...rest } = answer.content ?? {};
  if (Object.keys(rest).length) return `unknown fields ${Object.keys(rest)}`;
  if (typeof name !== 'string' || !Number.isInteger(nodes) || !['eu-1', 'us-1'].includes(zone)) return 'required fields';
  if (tags !== undefined && !(Array.isArray(tags) && tags.every((tag) => ['db', 'web', 'mail'].includes(tag)))) return 'tags';
  return urgent === undefined || typeof urgent === 'boolean' ? null : 'urgent';
}

const concluded = (tool, answer) => {
  const problem = wrong(tool, answer);
  return problem ? text(`the answer was refused: ${problem}`, true) : text(`answered: ${JSON.stringify(answer)}`);
};

let count = 0;
const waiting = new Map();
const ask = (method, params) =>
  new Promise((resolve) => {
    count += 1;
    waiting.set(`q${count}`, resolve);
    send({ id: `q${count}`, method, params });
  });

async function call({ name, _meta, inputResponses }, capabilities) {
  if (name === 'long') {
    return text(Array.from({ length: 4000 }, (_, at) => `line ${at + 1}: ${'x'.repeat(40)}${at === 3210 ? ' the needle' : ''}`).join('\n'));
  }
  if (name === 'slowly') {
    const progressToken = _meta?.progressToken;
    if (progressToken === undefined) return text('nobody wants to hear of progress', true);
    for (let at = 1; at <= 3; at += 1) send({ method: 'notifications/progress', params: { progressToken, progress: at, total: 3, message: `step ${at}` } });
    return text('done');
  }
  if (name === 'hangup') {
    for (const id of streams.keys()) send({ id, result: { resultType: 'complete' } });
    streams.clear();
    return text('hung up');
  }
  if (name === 'poke') {
    poke();
    return text('poked');
  }
  const [method, params] = ASKS[name] ?? [];
  if (!method) return text('there is no such tool', true);
  const kind = { 'elicitation/create': 'elicitation', 'sampling/createMessage': 'sampling', 'roots/list': 'roots' }[method];
  if (!capabilities?.[kind]) return text(`the client does not offer ${kind}`, true);
  if (era === 'modern') {
    if (!inputResponses) return { resultType: 'input_required', inputRequests: { it: { method, params } }, requestState: 'state-1' };
    return { resultType: 'complete', ...concluded(name, inputResponses.it ?? {}) };
  }
  const { result, error } = await ask(method, params);
  return error ? text(`refused: ${error.message}`, true) : concluded(name, result);
}

const TOOLS = ['survey', 'visit', 'think', 'where', 'long', 'slowly', 'poke', 'hangup'].map((name) => ({ name, description: `It does ${name}.`, inputSchema: { type: 'object' } }));
const OFFERS = { tools: {}, resources: { subscribe: true }, prompts: { listChanged: true }, completions: {} };
const RUNBOOK = 'note://runbook';
let subscribed = false;
const streams = new Map();
const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';

function poke() {
  const said = (method, params, id) => send({ method, params: id === undefined ? params : { ...params, _meta: { [SUBSCRIPTION]: id } } });
  if (era === 'legacy') {
    said('notifications/prompts/list_changed', {});
    if (subscribed) said('notifications/resources/updated', { uri: RUNBOOK });
  }
  for (const [id, wish] of streams) {
    if (wish.promptsListChanged) said('notifications/prompts/list_changed', {}, id);
    if (wish.resourceSubscriptions?.includes(RUNBOOK)) said('notifications/resources/updated', { uri: RUNBOOK }, id);
  }
}
const HANDOVER = {
  name: 'handover', title: 'Hand over a component', description: 'What the next shift has to know.',
  arguments: [{ name: 'component', description: 'Which one', required: true }, { name: 'note' }],
};
const COMPONENTS = ['paint', 'press', 'pump'];
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
let offered;

async function answer({ id, method, params = {} }) {
  const done = (result) => send({ id, result: era === 'modern' ? { resultType: 'complete', ...result } : result });
  const failed = (code, message) => send({ id, error: { code, message } });
  if (method === 'initialize' && era === 'legacy') {
    offered = params.capabilities;
    return done({ protocolVersion: '2025-11-25', capabilities: OFFERS, serverInfo: { name: 'asking', version: '1' } });
  }
  if (method === 'server/discover' && era === 'modern') {
    return done({ supportedVersions: ['2026-07-28'], capabilities: OFFERS, serverInfo: { name: 'asking', version: '1' }, ttlMs: 0, cacheScope: 'private' });
  }
  if (method === 'tools/list') return done({ tools: TOOLS, ...(era === 'modern' ? { ttlMs: 0, cacheScope: 'private' } : {}) });
  if (method === 'resources/list') return done({ resources: [{ uri: 'note://runbook', name: 'Runbook' }], ttlMs: 0, cacheScope: 'private' });
  if (method === 'resources/templates/list') return done({ resourceTemplates: [], ttlMs: 0, cacheScope: 'private' });
  if (method === 'resources/read') {
    if (params.uri !== 'note://runbook') return failed(-32602, 'there is no such resource');
    return done({ contents: [{ uri: params.uri, mimeType: 'text/plain', text: 'Restart the pump first.' }], ttlMs: 0, cacheScope: 'private' });
  }
  if (/^resources\/(un)?subscribe$/.test(method) && era === 'legacy') {
    if (params.uri !== RUNBOOK) return failed(-32602, 'there is no such resource');
    subscribed = method === 'resources/subscribe';
    return done({});
  }
  if (method === 'subscriptions/listen' && era === 'modern') {
    // Answered when it is over, which is when it is cancelled.
    const { resourceSubscriptions: uris, ...lists } = params.notifications;
    const told = uris ? { ...lists, resourceSubscriptions: uris.filter((uri) => uri === RUNBOOK) } : lists;
    streams.set(id, told);
    return send({ method: 'notifications/subscriptions/acknowledged', params: { notifications: told, _meta: { [SUBSCRIPTION]: id } } });
  }
  if (method === 'prompts/list') return done({ prompts: [HANDOVER], ...(era === 'modern' ? { ttlMs: 0, cacheScope: 'private' } : {}) });
  if (method === 'prompts/get') {
    const { component, note, ...rest } = params.arguments ?? {};
    if (params.name !== 'handover' || Object.keys(rest).length) return failed(-32602, 'there is no such prompt or argument');
    if (!COMPONENTS.includes(component)) return failed(-32602, `there is no component ${component}`);
    return done({ messages: [{ role: 'user', content: { type: 'text', text: `Sum up the ${component} for ops.desk@customer-mail.example: ${note ?? 'no note'}` } }] });
  }
  if (method === 'completion/complete') {
    if (params.ref?.type !== 'ref/prompt' || params.ref.name !== 'handover' || typeof params.argument?.value !== 'string') return failed(-32602, 'a prompt and an argument are needed');
    const values = params.argument.name === 'component' ? COMPONENTS.filter((one) => one.startsWith(params.argument.value)) : [];
    return done({ completion: { values, total: values.length, hasMore: false } });
  }
  if (method === 'tools/call') {
    const result = await call(params, era === 'modern' ? params._meta?.[CAPABILITIES] : offered);
    return send({ id, result });
  }
  if (method === 'ping') return done({});
  return failed(-32601, `there is no method ${method}`);
}

createInterface({ input: process.stdin }).on('line', (line) => {
  if (journal) appendFileSync(journal, `${line}\n`);
  let message;
  try {
    message = JSON.parse(line);
  } catch {
    return;
  }
  if (message.method === 'notifications/cancelled') streams.delete(message.params?.requestId);
  if (message.method && message.id !== undefined) answer(message);
  else if (message.id !== undefined) {
    waiting.get(message.id)?.(message);
    waiting.delete(message.id);
  }
});
process.stdin.on('end', () => process.exit(0));
