// The authorization server: the certified `oidc-provider`, set up as MCP's authorization asks.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { errors, Provider } from 'oidc-provider';
import { READ, WRITE } from './resource.mjs';

/** The provider, and the public keys of its tokens. `resources` are the identifiers (RFC 8707) that tokens are issued for. */
export function authorizationServer({ issuer, resources, registration, format, seconds, client, documents }) {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const named = { kid: 'fixture', use: 'sig', alg: 'RS256' };
  const provider = new Provider(issuer, {
    clients: client ? [client] : [],
    clientDefaults: { grant_types: ['authorization_code', 'refresh_token'] },
    cookies: { keys: [randomBytes(32).toString('hex')], names: { session: 'as_session', interaction: 'as_interaction', resume: 'as_resume' } },
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), ...named }] },
    routes: { authorization: '/authorize', token: '/token', registration: '/register', revocation: '/revoke' },
    scopes: ['openid', 'offline_access'],
    responseTypes: ['code'],
    pkce: { required: () => true },
    // A test that lets a token expire must not wait for a tolerance on top.
    clockTolerance: 0,
    ttl: { AccessToken: seconds, AuthorizationCode: 60, RefreshToken: 86400, Interaction: 600, Session: 86400, Grant: 86400 },
    // MCP clients get refresh tokens without OpenID Connect's `offline_access`, which would need `prompt=consent`.
    issueRefreshToken: (_, asking) => asking.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    // Each refresh token works once; a second use revokes all that came of the same grant.
    rotateRefreshToken: true,
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    renderError: (ctx, out) => {
      ctx.type = 'json';
      ctx.body = out;
    },
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      revocation: { enabled: true },
      registration: { enabled: registration === 'dynamic' },
      clientIdMetadataDocument: { enabled: registration === 'document', ack: 'draft-02' },
      resourceIndicators: {
        enabled: true,
        // No default: both kinds of request have to name the resource.
        defaultResource: () => missingResource(),
        useGrantedResource: () => missingResource(),
        getResourceServerInfo: (_, resource) => {
          if (!resources.includes(resource)) throw new errors.InvalidTarget(`no resource ${resource}`);
          return { scope: `${READ} ${WRITE}`, audience: resource, accessTokenTTL: seconds, accessTokenFormat: format, jwt: { sign: { alg: 'RS256' } } };
        },
      },
    },
    // Client ID metadata documents: https in their names, and on loopback in a test.
    fetch: (url, { dispatcher: _, ...options }) => {
      const from = Object.keys(documents).find((origin) => new URL(url).origin === origin);
      return globalThis.fetch(from ? documents[from] + String(url).slice(from.length) : url, options);
    },
  });
  return { provider, keys: { keys: [{ ...publicKey.export({ format: 'jwk' }), ...named }] } };
}

const missingResource = () => {
  throw new errors.InvalidTarget('resource is required');
};
