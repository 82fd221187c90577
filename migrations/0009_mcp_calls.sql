-- Every request that came to the gateway, one row each; what was said is sealed, and kept as long as the setting says.
CREATE TABLE mcp_calls (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, tenant_id TEXT NOT NULL, time_us INTEGER NOT NULL, caller TEXT NOT NULL,
    session TEXT, client TEXT NOT NULL, client_version TEXT NOT NULL, platform TEXT NOT NULL, protocol TEXT NOT NULL,
    server TEXT NOT NULL, method TEXT NOT NULL, subject TEXT NOT NULL, latency_us INTEGER, policy_us INTEGER,
    scan_us INTEGER, audit_us INTEGER, upstream_us INTEGER, status TEXT NOT NULL, code INTEGER, message TEXT NOT NULL,
    bytes_in INTEGER NOT NULL, bytes_out INTEGER, sent BLOB, received BLOB
) STRICT;
CREATE INDEX mcp_calls_time ON mcp_calls (tenant_id, time_us);
CREATE INDEX mcp_calls_session ON mcp_calls (tenant_id, session) WHERE session IS NOT NULL;
CREATE INDEX mcp_calls_open ON mcp_calls (status) WHERE status = 'open';
CREATE TABLE mcp_sessions (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, caller TEXT NOT NULL, client TEXT NOT NULL, client_version TEXT NOT NULL,
    platform TEXT NOT NULL, protocol TEXT NOT NULL, began_us INTEGER NOT NULL, last_us INTEGER NOT NULL, ended_us INTEGER,
    calls INTEGER NOT NULL, errors INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL
) STRICT;
