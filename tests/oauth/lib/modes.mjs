// The ways in which the hostile authorization server misbehaves. Each is one difference from a well-behaved one.
//
//   last       the last step that a careful client takes; what comes later is marked `late` in the journal
//   describe   changes the resource's metadata        metadata   changes the authorization server's
//   callback   changes the answer of /authorize       tokens     changes the answer of /token
//   refresh    answers a refresh instead              manner     how the endpoint `--at` answers: huge, slow or redirect

export const STEPS = ['resource', 'metadata', 'register', 'authorize', 'token', 'use'];

/** Where `--at` points, as a step. */
export const AT = { resource: 'resource', issuer: 'metadata', register: 'register', token: 'token' };

const without = (name) => (object) => delete object[name];

export const MODES = {
  ok: { last: 'use' },

  'pkce-absent': { last: 'register', metadata: without('code_challenge_methods_supported') },
  'pkce-plain': { last: 'register', metadata: (doc) => (doc.code_challenge_methods_supported = ['plain']) },
  'other-issuer': { last: 'metadata', metadata: (doc) => (doc.issuer = 'https://issuer.invalid') },
  'javascript-url': {
    last: 'register',
    metadata: (doc, { target }) => (doc.authorization_endpoint = target ?? 'javascript:alert(1)'),
  },
  'http-endpoint': {
    last: 'register',
    metadata: (doc, { target }) => (doc.token_endpoint = target ?? 'http://token.example/token'),
  },

  'other-resource': { last: 'resource', describe: (doc) => (doc.resource = 'https://resource.invalid/mcp') },
  'metadata-internal': {
    last: 'resource',
    describe: (doc, { target }) => (doc.authorization_servers = [target ?? 'http://169.254.169.254/']),
  },
  'metadata-redirect': { manner: 'redirect', needs: 'target' },
  huge: { manner: 'huge' },
  slow: { manner: 'slow' },

  'wrong-iss': { last: 'authorize', callback: (params) => (params.iss = 'https://issuer.invalid') },
  // The metadata promises `iss`, in this mode as in all.
  'missing-iss': { last: 'authorize', callback: without('iss') },
  'state-drop': { last: 'authorize', callback: without('state') },
  'state-swap': { last: 'authorize', callback: (params) => (params.state = 'the-state-of-someone-else') },

  'token-redirect': {
    last: 'token',
    needs: 'target',
    tokens: (answer, { target }) => Object.assign(answer, { status: 307, headers: { location: target }, body: undefined }),
  },
  'token-echo': {
    last: 'token',
    tokens: (answer, { params, secret }) => {
      const said = `\u0000\u001b[31m\u0007\r\nSet-Cookie: echoed=1\u202e code=${params.code} client_secret=${secret} `;
      answer.status = 400;
      answer.body = { error: 'invalid_grant', error_description: said.repeat(Math.ceil(65536 / said.length)).slice(0, 65536) };
    },
  },
  'no-token-type': { last: 'token', tokens: (answer) => delete answer.body.token_type },

  'refresh-dead': { last: 'use', seconds: 2, refresh: () => ({ status: 400, body: { error: 'invalid_grant' } }) },
  'refresh-500': {
    last: 'use',
    seconds: 2,
    refresh: (count) => (count <= 2 ? { status: 500, body: { error: 'server_error' } } : undefined),
  },

  // A mix-up (RFC 9207): from the first registration or authorisation on, all metadata names a second issuer, which
  // sends people on to the first one's /authorize and would like to have the code.
  'second-iss': { last: 'use', second: true },
};
