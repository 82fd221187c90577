// What a fixture was sent, one line of JSON for each request, for tests to assert on. Secrets never stand in it, only
// their length and hash.

import { createHash } from 'node:crypto';
import { appendFileSync, writeFileSync } from 'node:fs';

/** Parameters whose values are secrets, or stand for one. */
const SECRET = new Set([
  'code', 'code_verifier', 'refresh_token', 'access_token', 'token', 'id_token', 'client_secret', 'client_assertion', 'state', 'nonce',
]);

/** A PKCE verifier's hash is its S256 challenge, so that a test can compare the two. */
export const hash = (text) => createHash('sha256').update(text).digest('base64url');

export function masked(params) {
  return Object.fromEntries(
    Object.entries(params).map(([name, value]) => [
      name,
      SECRET.has(name) && value !== undefined ? { length: String(value).length, sha256: hash(String(value)) } : value,
    ]),
  );
}

/** Parameters as an object; what is said twice is a list. */
export function fromForm(text) {
  const params = {};
  for (const [name, value] of new URLSearchParams(text)) {
    params[name] = Object.hasOwn(params, name) ? [params[name], value].flat() : value;
  }
  return params;
}

export class Journal {
  constructor(file) {
    this.file = file;
    if (file) writeFileSync(file, '');
  }

  /** Written before the answer goes out, so that whoever has the answer finds the line. */
  write(line) {
    if (this.file) appendFileSync(this.file, `${JSON.stringify(line)}\n`);
  }
}
