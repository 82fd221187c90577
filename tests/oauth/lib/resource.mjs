// The protected MCP server: streamable HTTP of the era 2025-11-25 with plain JSON answers, behind bearer tokens.

const VERSIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'];
export const READ = 'notes:read';
export const WRITE = 'notes:write';

const schema = (properties = {}) => ({ type: 'object', properties, required: Object.keys(properties) });
const TOOLS = [
  { name: 'whoami', description: 'Says whose token this is, and what it is good for.', inputSchema: schema() },
  { name: 'write_note', description: `Writes a note. Needs the scope ${WRITE}.`, inputSchema: schema({ text: { type: 'string' } }) },
];

/** Why a token is no good: `missing`, `unknown`, `expired`, `issuer` or `audience`. */
export class Refused extends Error {}

/** RFC 9728's place for the metadata of a resource. */
export const metadataPath = (path) => `/.well-known/oauth-protected-resource${path}`;

export const resourceMetadata = (resource, issuer) => ({
  resource,
  authorization_servers: [issuer],
  scopes_supported: [READ, WRITE],
  bearer_methods_supported: ['header'],
});

export const bearer = (request) => /^bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];

/**
 * Answers one request to a resource as `{ status, headers, body, note }`; the note is for the journal.
 * `verify(token)` gives `{ subject, scopes }` or throws `Refused`.
 */
export async function answer({ request, body, resource, verify }) {
  const { origin, pathname } = new URL(resource);
  const documented = `resource_metadata="${origin}${metadataPath(pathname)}"`;
  const token = bearer(request);
  let who;
  try {
    if (!token) throw new Refused('missing');
    who = await verify(token);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const why = token ? `error="invalid_token", error_description="${error.message}", ` : '';
    return refusal(401, `Bearer ${why}scope="${READ}", ${documented}`, { refused: error.message });
  }
  if (request.method !== 'POST') return { status: 405, headers: { allow: 'POST' } };

  let message;
  try {
    message = JSON.parse(body);
  } catch {
    return { status: 400, body: { jsonrpc: '2.0', id: null, error: { code: -32700, message: 'not JSON' } } };
  }
  const { id, method, params = {} } = message;
  const note = { rpc: method, tool: params.name, subject: who.subject };
  if (id === undefined) return { status: 202, note };
  const result = (value) => ({ status: 200, body: { jsonrpc: '2.0', id, result: value }, note });
  const failure = (code, text) => ({ status: 200, body: { jsonrpc: '2.0', id, error: { code, message: text } }, note });
  const text = (value) => result({ content: [{ type: 'text', text: value }] });

  switch (method) {
    case 'initialize':
      return result({
        protocolVersion: VERSIONS.includes(params.protocolVersion) ? params.protocolVersion : VERSIONS.at(-1),
        capabilities: { tools: {} },
        serverInfo: { name: 'oauth-fixture', version: '1.0.0' },
      });
    case 'ping':
      return result({});
    case 'tools/list':
      return result({ tools: TOOLS });
    case 'tools/call':
      if (params.name === 'whoami') return text(JSON.stringify({ subject: who.subject, scopes: who.scopes }));
      if (params.name !== 'write_note') return failure(-32602, `no tool ${params.name}`);
      if (!who.scopes.includes(WRITE)) {
        // The step-up: what was granted and what is missing, as the client's next request has to name both.
        const scope = [...new Set([...who.scopes, WRITE])].join(' ');
        return refusal(403, `Bearer error="insufficient_scope", scope="${scope}", ${documented}`, { ...note, refused: 'scope' });
      }
      return text(`written: ${params.arguments?.text}`);
    default:
      // `server/discover` of the later era ends here, as it does with servers in the field.
      return failure(-32601, `no method ${method}`);
  }
}

const refusal = (status, challenge, note) => ({
  status,
  headers: { 'www-authenticate': challenge },
  body: { error: status === 401 ? 'invalid_token' : 'insufficient_scope' },
  note,
});

export function send(response, { status, headers = {}, body }) {
  const bytes = body === undefined ? '' : Buffer.from(JSON.stringify(body));
  response.writeHead(status, { ...(bytes && { 'content-type': 'application/json', 'content-length': bytes.length }), ...headers });
  response.end(bytes);
}

export async function readBody(request, limit = 1024 * 1024) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size <= limit) parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
