// The built binary, for the browser: a data folder of its own, its sign-in link, tokens, everything that it wrote.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export const root = new URL('../../..', import.meta.url).pathname;
const targets = [process.env.FUMEHOOD_BIN, process.env.CARGO_TARGET_DIR && join(process.env.CARGO_TARGET_DIR, 'release/fumehood'), join(root, 'target/release/fumehood')];
export const binary = targets.find((path) => path && existsSync(path));

/** A clean environment: nothing that the tester has set steers the server. */
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('FUMEHOOD_')));

/** Every regular file below a folder. */
export function* files(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* files(path);
    else if (entry.isFile() && statSync(path).size) yield path;
  }
}

/** Start a server on a new data folder. */
export async function startServer(more = []) {
  if (!binary) throw new Error('there is no built binary: cargo build --release, or set FUMEHOOD_BIN');
  const folder = mkdtempSync(join(tmpdir(), 'fumehood-browser-'));
  const data = join(folder, 'data');
  const child = spawn(binary, ['--data', data, '--listen', '127.0.0.1:0', ...more], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.on('data', (bytes) => (log += bytes));
  const lines = createInterface({ input: child.stdout });
  const exited = new Promise((resolve) => child.on('exit', resolve));
  const { url, link } = await new Promise((resolve, reject) => {
    let address;
    exited.then((code) => reject(new Error(`the server ended with ${code}: ${log}`)));
    lines.on('line', (line) => {
      if (!address) {
        address = /^listening on (http:\/\/\S+)$/.exec(line)?.[1];
        if (!address) reject(new Error(`the first line is ${line}`));
      } else {
        const found = /https?:\/\/\S+/.exec(line)?.[0];
        if (found) resolve({ url: address, link: found });
      }
    });
  });
  const token = (role) => execFileSync(binary, ['token', 'create', '--role', role, '--data', data], { env: environment }).toString().trim();
  return {
    url,
    link,
    data,
    log: () => log,
    token,
    verify: () => execFileSync(binary, ['audit', 'verify', '--data', data], { env: environment }).toString(),
    /** The JSON API. */
    async api(method, path, body, bearer) {
      const headers = { authorization: `Bearer ${bearer}`, ...(body !== undefined && { 'content-type': 'application/json' }) };
      const answer = await fetch(url + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
      return text && answer.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text;
    },
    /** The server's memory on disk, as a thief would have it. */
    stored: () => [...files(data)].map((path) => ({ path, bytes: readFileSync(path) })),
    async stop() {
      child.kill('SIGTERM');
      const code = await exited;
      return code;
    },
    async remove() {
      if (child.exitCode === null) child.kill('SIGKILL');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
