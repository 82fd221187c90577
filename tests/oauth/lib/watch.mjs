// Knows every secret that the hostile server gave out, and sees when one of them arrives somewhere.

import { hash } from './journal.mjs';

const decoded = (text) => {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return '';
  }
};

/** All that a request says, in the spellings that a secret can have. */
function spoken(request, body) {
  const headers = Object.values(request.headers).flat().join('\n');
  const basic = /^basic +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
  const plain = Buffer.from(basic, 'base64').toString('utf8');
  return [request.url, headers, body, plain].flatMap((text) => [text, decoded(text)]).join('\n');
}

export class Watch {
  secrets = new Map();
  challenges = new Set();

  /** `owner` is the server that gave it out. */
  gave(value, kind, owner) {
    this.secrets.set(value, { kind, owner });
    return value;
  }

  challenge(value) {
    if (value) this.challenges.add(value);
  }

  /** What arrived: `[{ kind, owner }]`. */
  seen(request, body) {
    const text = spoken(request, body);
    const found = [...this.secrets].filter(([value]) => text.includes(value)).map(([, secret]) => secret);
    // A verifier is known by its challenge, or by its name.
    const candidates = text.match(/[A-Za-z0-9._~-]{43,128}/g) ?? [];
    if (/\bcode_verifier=/.test(text) || candidates.some((one) => this.challenges.has(hash(one)))) {
      found.push({ kind: 'code_verifier', owner: 'issuer' });
    }
    return found;
  }
}

/** Without knowledge of the secrets: whether something that looks like one arrived. For a server that should get nothing. */
export function suspicious(request, body) {
  const text = spoken(request, body);
  const names = ['code', 'code_verifier', 'client_secret', 'client_assertion', 'refresh_token', 'access_token', 'token'];
  const found = names.filter((name) => new RegExp(`(^|[?&\\s"])${name}("\\s*:|=)`, 'm').test(text));
  if (request.headers.authorization) found.push('authorization');
  if (request.headers.cookie) found.push('cookie');
  return found;
}
