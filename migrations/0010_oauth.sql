-- Signing in at MCP servers (OAuth 2.1). What is secret is sealed; a registration goes with its issuer, a grant with its server.
CREATE TABLE oauth_clients (
    tenant_id TEXT NOT NULL, issuer TEXT NOT NULL, client_id TEXT NOT NULL, registration BLOB NOT NULL, created_us INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, issuer)
) STRICT;
CREATE TABLE oauth_pending (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, server_id TEXT NOT NULL REFERENCES mcp_servers (id) ON DELETE CASCADE,
    owner TEXT NOT NULL, actor TEXT NOT NULL, pending BLOB NOT NULL, expires_us INTEGER NOT NULL
) STRICT;
CREATE TABLE oauth_grants (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, server_id TEXT NOT NULL REFERENCES mcp_servers (id) ON DELETE CASCADE,
    owner TEXT NOT NULL, issuer TEXT NOT NULL, scopes TEXT NOT NULL, wanted TEXT NOT NULL, reason TEXT NOT NULL,
    expires_us INTEGER, signed_in_by TEXT NOT NULL, signed_in_us INTEGER NOT NULL, tokens BLOB NOT NULL,
    UNIQUE (tenant_id, server_id, owner)
) STRICT;
