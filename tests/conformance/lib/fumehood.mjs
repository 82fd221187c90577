// A Fumehood of its own, over what it shows to the outside: its command line, its pages as a browser has them, its API.

import { execFileSync, spawn } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const PERSON = { name: 'Judge', email: 'judge@ops.example', password: 'a long password for tests', again: 'a long password for tests' };
/** How long a discovery may take to come to a state, and a program to end. */
const SETTLE_MS = 40_000;
const END_MS = 5_000;
const HOPS = 12;

/** Nothing that the tester has set steers the server. */
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('FUMEHOOD_')));

/** Starts the binary on a folder once: plugins are compiled, and there is a person. What is given starts copies of it. */
export async function prepare(binary, data) {
  const server = await Fumehood.start({ binary, data });
  try {
    const { text } = await server.page('GET', new URL(server.link).pathname);
    const form = text.split('<form').find((form) => form.includes('name="password"'));
    const answer = await server.page('POST', attribute(form, 'action'), PERSON);
    const [, session] = /^fumehood=([^;]+)/.exec(answer.headers['set-cookie']?.[0] ?? '') ?? [];
    if (!session) throw new Error(`no account was made: ${answer.status} ${answer.text}`);
    const token = (role) => execFileSync(binary, ['token', 'create', '--role', role, '--data', data], { env: environment }).toString().trim();
    return { binary, data, session, admin: token('admin'), responder: token('responder') };
  } finally {
    await server.end();
  }
}

export class Fumehood {
  /** Starts on a copy of what was prepared. `home` is the address by which browsers know it, where it is another. */
  static async copy(prepared, data, home) {
    // Sockets are of the process that made them.
    cpSync(prepared.data, data, { recursive: true, filter: (path) => !path.endsWith('.sock') });
    return Fumehood.start({ ...prepared, data }, home);
  }

  static async start(prepared, home) {
    const more = home ? ['--public-url', home] : [];
    const child = spawn(prepared.binary, ['--data', prepared.data, '--listen', '127.0.0.1:0', ...more], {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe']
    });
    const server = new Fumehood();
    Object.assign(server, { child, ...prepared, log: '' });
    child.stderr.setEncoding('utf8').on('data', (text) => (server.log += text));
    server.ended = new Promise((resolve) => child.on('exit', resolve));
    process.on('exit', () => child.kill('SIGKILL'));
    await new Promise((resolve, reject) => {
      server.ended.then((code) => reject(new Error(`Fumehood ended with ${code}: ${server.log}`)));
      child.on('error', reject);
      createInterface({ input: child.stdout }).on('line', (line) => {
        const [, url] = /^listening on (\S+)$/.exec(line) ?? [];
        if (url) Object.assign(server, { url, home: home ?? url });
        else server.link = /https?:\/\/\S+/.exec(line)?.[0];
        // A folder without accounts has a link, and it follows at once.
        if (server.url && (server.link || prepared.session)) resolve();
      });
    });
    return server;
  }

  /** Ends it in order, or after a while without. */
  async end() {
    this.child.kill('SIGTERM');
    const late = setTimeout(() => this.child.kill('SIGKILL'), END_MS);
    await this.ended;
    clearTimeout(late);
  }

  /** A page or a form, as the person's browser asks for it. */
  page(method, path, fields) {
    const body = fields && new URLSearchParams(fields).toString();
    const { host, protocol } = new URL(this.home);
    const cookie = `${protocol === 'https:' ? '__Host-' : ''}fumehood=${this.session}`;
    return send(method, this.url + path, body, {
      host,
      ...(this.session && { cookie }),
      ...(fields && { origin: this.home, 'sec-fetch-site': 'same-origin', 'content-type': 'application/x-www-form-urlencoded' })
    });
  }

  /** A form that has to be taken. */
  async submit(path, fields = {}) {
    const answer = await this.page('POST', path, fields);
    if (answer.status >= 400) throw new Error(`${path} answers ${answer.status}: ${plain(answer.text)}`);
    return answer;
  }

  /** Every server, over the API. */
  async servers() {
    const { status, text } = await send('GET', `${this.url}/api/v1/servers`, undefined, { authorization: `Bearer ${this.admin}` });
    if (status !== 200) throw new Error(`the API answers ${status}: ${text}`);
    return JSON.parse(text);
  }

  /** Registers a server over the form; its id. */
  async add(name, url, auth) {
    await this.submit('/servers', { name, transport: 'http', command: '', arguments: '', url, auth, header: '', secret: '' });
    return (await this.servers()).find((server) => server.name === name).id;
  }

  /** A server, once it is in another state than `pending`. */
  async settled(id) {
    for (const begun = Date.now(); ; await sleep(25)) {
      const server = (await this.servers()).find((server) => server.id === id);
      if (server.state !== 'pending') return server;
      if (Date.now() - begun > SETTLE_MS) throw new Error('the discovery does not end');
    }
  }

  /** Has every tool called without asking, as the server's page shows them; their names. */
  async allow(id) {
    const { text } = await this.page('GET', `/servers/${id}`);
    const keys = new Set(text.split('name="tool" value="').slice(1).map((rest) => unescaped(rest.split('"')[0])));
    await this.submit(`/servers/${id}/tools`, [['rule', 'allow'], ...[...keys].map((key) => ['tool', key])]);
    return [...keys].map((key) => key.slice(key.indexOf(' ') + 1));
  }

  /**
   * From the button on a server's page to where the browser ends up: there and back, through whatever redirects. `own` is what
   * the person types where the issuer wants to know its clients beforehand.
   */
  async signIn(id, own) {
    let page = await this.page('POST', `/servers/${id}/sign-in`, {});
    if (page.status === 200 && page.text.includes('name="client_id"')) {
      if (!own) throw new Error(`a client has to be typed in: ${plain(page.text)}`);
      page = await this.page('POST', `/servers/${id}/sign-in`, own);
    }
    if (page.status !== 200) return page;
    const link = page.text.split('<a ').find((tag) => tag.startsWith('class="button primary"'));
    if (!link) throw new Error(`there is no link to go on with: ${plain(page.text)}`);
    let at = new URL(attribute(link, 'href'));
    for (let hop = 0; hop < HOPS; hop++) {
      if (at.origin === this.home) return this.page('GET', at.pathname + at.search);
      const answer = await send('GET', at.href);
      if (!answer.headers.location) throw new Error(`${at} leads nowhere: ${answer.status} ${answer.text}`);
      at = new URL(answer.headers.location, at);
    }
    throw new Error('the sign-in does not lead back');
  }
}

/** Where it is written how the steps of a scenario ended: nothing, or why they did not go as they should. */
export const outcomeOf = (folder, scenario) => join(folder, `steps-${scenario.replaceAll('/', '-')}`);

/** Removes a folder that a server may just have left. */
export const remove = (folder) => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });

/** What a page says, on one line. */
export const plain = (html) => {
  const main = html.split(/<main[^>]*>/).at(-1).split('</main>')[0];
  return unescaped(main.replace(/<svg.*?<\/svg>/gs, '').replace(/<[^>]*>/g, ' ')).replace(/\s+/g, ' ').trim().slice(0, 600);
};

const attribute = (tag, name) => unescaped(tag.split(`${name}="`)[1].split('"')[0]);

function unescaped(text) {
  const names = { amp: '&', lt: '<', gt: '>', quot: '"' };
  return text.replace(/&(?:#(\d+)|(\w+));/g, (whole, code, name) => (code ? String.fromCodePoint(code) : (names[name] ?? whole)));
}

/** One request; redirects are answers. */
function send(method, url, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece) => (text += piece));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text })).on('error', reject);
    });
    request.on('error', reject).end(body);
  });
}
