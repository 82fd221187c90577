#!/usr/bin/env node
// The command that the suite runs to judge a client: it starts a Fumehood, adds the suite's server there, and does what a
// person and a client of the gateway would. judge.mjs says in CONFORMANCE_SETUP what to start and where.

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Caller, Refused } from './lib/caller.mjs';
import { Fumehood, outcomeOf, plain, remove } from './lib/fumehood.mjs';

/** An address that anybody could fetch, for clients that are known by a document; `.example` is nobody's. */
const PUBLIC = 'https://fumehood.example';

/** So much of what the server logged is kept where something went wrong, characters. */
const LOG = 4_000;

/** Sign-ins that have to be refused, and what the page says then. */
const REFUSED = {
  'auth/resource-mismatch': /describes https:\/\/evil.example.com\/mcp/,
  'auth/metadata-issuer-mismatch': /belongs to https:\/\/attacker.example.com/,
  'auth/iss-supported-missing': /does not say where it comes from/,
  'auth/iss-wrong-issuer': /comes from https:\/\/evil.example.com,/,
  'auth/iss-unexpected': /comes from https:\/\/evil.example.com,/,
  'auth/iss-normalized': /comes from http:\/\/localhost:\d+\/, but/
};

const SIGNED_IN = [
  'metadata-default', 'metadata-var1', 'metadata-var2', 'metadata-var3', 'basic-cimd', 'scope-from-www-authenticate',
  'scope-from-scopes-supported', 'scope-omitted-when-undefined', 'token-endpoint-auth-basic', 'token-endpoint-auth-post',
  'token-endpoint-auth-none', 'pre-registration', 'offline-access-scope', 'offline-access-not-supported', 'iss-supported',
  'iss-not-advertised'
];

/** What is done at the server of each scenario. It fails where Fumehood does otherwise. */
const STEPS = {
  async initialize(stage) {
    await stage.add('none');
    // It offers nothing, and has to be told so: not shown as an empty list.
    same((await stage.settled()).state, 'error', 'a server without tools');
    await stage.caller();
  },

  async tools_call(stage) {
    await stage.connected('none');
    const caller = await stage.caller();
    same(await caller.tools(), ['add_numbers']);
    same(text(await caller.call('add_numbers', { a: 2, b: 3 })), 'The sum of 2 and 3 is 5');
  },

  async 'elicitation-sep1034-client-defaults'(stage) {
    await stage.connected('none');
    const caller = await stage.caller();
    match(text(await caller.call('test_client_elicitation_defaults')), /^Elicitation completed:.*95\.5/);
  },

  async 'sse-retry'(stage) {
    await stage.connected('none');
    const caller = await stage.caller();
    same(text(await caller.call('test_reconnection')), 'Reconnection test completed successfully');
  },

  async 'request-metadata'(stage) {
    await stage.add('none');
    same((await stage.settled()).state, 'error', 'a server without tools');
    const caller = await stage.caller();
    same(await caller.tools(), []);
  },

  async 'sep-2322-client-request-state'(stage) {
    await stage.connected('none');
    const caller = await stage.caller();
    // Another call in the middle of one that waits for its answer.
    const unrelated = async () => same(text(await caller.call('test_mrtr_unrelated')), 'unrelated-ok');
    same(text(await caller.call('test_mrtr_echo_state', {}, unrelated)), 'echo-state-ok');
    same(text(await caller.call('test_mrtr_no_state', {}, unrelated)), 'no-state-ok');
    same(text(await caller.call('test_mrtr_no_result_type')), 'no-result-type-test-ok');
  },

  async 'http-standard-headers'(stage) {
    await stage.connected('none');
    const caller = await stage.caller();
    for (const name of await caller.tools()) same(text(await caller.call(name)), 'Headers test completed');
    for (const { uri } of (await caller.ask('resources/list')).resources) await caller.ask('resources/read', { uri });
    for (const { name } of (await caller.ask('prompts/list')).prompts) await caller.ask('prompts/get', { name });
  },

  async 'http-custom-headers'(stage) {
    await stage.connected('none');
    const caller = await stage.caller();
    await caller.tools();
    for (const call of stage.context.toolCalls) same(text(await caller.call(call.name, call.arguments)), 'Custom headers test completed');
  },

  async 'http-invalid-tool-headers'(stage) {
    same(await stage.connected('none'), ['valid_tool']);
    const caller = await stage.caller();
    same(await caller.tools(), ['valid_tool']);
    same(text(await caller.call('valid_tool', { region: 'eu' })), 'Tool call received');
  },

  async 'json-schema-ref-no-deref'(stage) {
    await stage.connected('none');
    const caller = await stage.caller();
    same(await caller.tools(), ['lookup_user']);
    // The server has no such call; its schema is looked at on the way.
    await refused(caller.call('lookup_user', { id: 'a-1', profile: {} }));
  },

  async 'json-schema-2020-12-preservation'(stage) {
    await stage.connected('none');
    const caller = await stage.caller();
    await caller.tools();
    same(text(await caller.call('json_schema_echo', { schema: caller.schema('json_schema_2020_12_tool') })), 'echoed');
  },

  async 'auth/scope-step-up'(stage) {
    await stage.add('oauth');
    await stage.signIn();
    await stage.allowed();
    await refused((await stage.caller()).call('test-tool'));
    match(await stage.page(), /asked for more than it was given: mcp:write/);
    await stage.signIn();
    await stage.allowed();
    await stage.tested();
  },

  async 'auth/scope-retry-limit'(stage) {
    await stage.add('oauth');
    // However often somebody signs in, the server wants the same again. Nothing goes round by itself.
    for (let time = 0; time < 2; time++) {
      await stage.signIn();
      same((await stage.settled()).state, 'sign-in');
    }
  },

  async 'auth/authorization-server-migration'(stage) {
    await stage.add('oauth');
    await stage.signIn();
    // The server takes the first token once, and from then on those of another issuer, which it now names.
    match((await stage.settled()).reason, /Sign in again on its page/);
    await stage.signIn();
    await stage.allowed();
    await stage.tested();
  },

  ...Object.fromEntries(SIGNED_IN.map((name) => [`auth/${name}`, signedIn])),
  ...Object.fromEntries(Object.entries(REFUSED).map(([name, reason]) => [name, (stage) => turnedAway(stage, reason)]))
};

async function signedIn(stage) {
  await stage.add('oauth');
  await stage.signIn();
  await stage.allowed();
  await stage.tested();
}

async function turnedAway(stage, reason) {
  await stage.add('oauth');
  const page = await stage.tried();
  same(page.status, 409, plain(page.text));
  match(plain(page.text), reason);
  match(await stage.page(), /Nobody has signed in/);
}

/** A Fumehood with the server of a scenario. */
class Stage {
  constructor(fumehood, url, era, context) {
    Object.assign(this, { fumehood, url, era, context });
  }

  async add(auth) {
    this.id = await this.fumehood.add('judge', this.url, auth);
  }

  settled() {
    return this.fumehood.settled(this.id);
  }

  async page() {
    return plain((await this.fumehood.page('GET', `/servers/${this.id}`)).text);
  }

  /** Waits until it is connected and has its tools called without asking; their names. */
  async allowed() {
    const server = await this.settled();
    same(server.state, 'connected', server.reason);
    return this.fumehood.allow(this.id);
  }

  async connected(auth) {
    await this.add(auth);
    return this.allowed();
  }

  /** Signs in; the page on which that ends. */
  tried() {
    const { client_id, client_secret } = this.context;
    return this.fumehood.signIn(this.id, client_id && { client_id, client_secret });
  }

  async signIn() {
    const page = await this.tried();
    same([page.status, page.headers.location], [303, `/servers/${this.id}`], plain(page.text));
  }

  caller() {
    return Caller.open(`${this.fumehood.url}/mcp/judge`, this.fumehood.responder, this.era);
  }

  /** Calls the tool that the servers of sign-ins have. */
  async tested() {
    const caller = await this.caller();
    same(text(await caller.call('test-tool')), 'test');
  }
}

const text = (result) => result.content?.[0]?.text;

function same(got, wanted, why = '') {
  const [a, b] = [got, wanted].map((value) => JSON.stringify(value));
  if (a !== b) throw new Error(`${a} is not ${b}. ${why ?? ''}`);
}

function match(got, wanted) {
  if (!wanted.test(got)) throw new Error(`${wanted} is not in: ${got}`);
}

/** A request that has to be answered with an error. */
async function refused(answer) {
  const error = await answer.then((result) => new Error(`not refused: ${JSON.stringify(result)}`), (error) => error);
  if (!(error instanceof Refused)) throw error;
}

async function main() {
  const { MCP_CONFORMANCE_SCENARIO: scenario, MCP_CONFORMANCE_PROTOCOL_VERSION: era, MCP_CONFORMANCE_CONTEXT: context } = process.env;
  const { prepared, folder, limitMs } = JSON.parse(process.env.CONFORMANCE_SETUP);
  const data = join(folder, 'data', scenario);
  let fumehood;
  const leave = (why) => {
    fumehood?.child.kill('SIGKILL');
    remove(data);
    // The folder is gone where nobody reads it any more.
    if (existsSync(folder)) writeFileSync(outcomeOf(folder, scenario), why && `${why}\n${fumehood?.log.slice(-LOG) ?? ''}`);
    process.exit(why ? 1 : 0);
  };
  setTimeout(() => leave(`it took longer than ${limitMs / 1000} s`), limitMs).unref();
  process.on('SIGTERM', () => leave('it was ended'));
  // Whoever started this may go without a word.
  process.stdin.on('end', () => leave('the suite is gone')).resume().unref();
  try {
    const steps = STEPS[scenario];
    if (!steps) return leave('nobody has said what is done in this scenario: STEPS in client.mjs');
    fumehood = await Fumehood.copy(prepared, data, scenario === 'auth/basic-cimd' ? PUBLIC : undefined);
    await steps(new Stage(fumehood, process.argv[2], era, JSON.parse(context ?? '{}')));
    // Some servers of the suite wait for whoever is connected to leave.
    await fumehood.end();
    leave('');
  } catch (error) {
    leave(error.stack);
  }
}

await main();
