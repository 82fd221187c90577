-- What a server asks in the middle of a tool's call, and calls through the gateway that wait for a person.
CREATE TABLE questions (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, incident_id TEXT NOT NULL REFERENCES incidents (id),
    approval_id TEXT NOT NULL REFERENCES approvals (id), kind TEXT NOT NULL, asked TEXT NOT NULL, state TEXT NOT NULL,
    answer TEXT NOT NULL, decided_by TEXT, decided_us INTEGER, expires_us INTEGER NOT NULL, created_us INTEGER NOT NULL
) STRICT;
CREATE INDEX questions_incident ON questions (tenant_id, incident_id, created_us);
CREATE TABLE mcp_asks (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, caller TEXT NOT NULL, client TEXT NOT NULL, call_id TEXT NOT NULL,
    server_id TEXT NOT NULL, server TEXT NOT NULL, tool TEXT NOT NULL, tool_sha256 BLOB NOT NULL, plugin_sha256 BLOB NOT NULL,
    arguments TEXT NOT NULL, arguments_sha256 BLOB NOT NULL, state TEXT NOT NULL, decided_by TEXT, decided_us INTEGER,
    expires_us INTEGER NOT NULL, created_us INTEGER NOT NULL
) STRICT;
CREATE INDEX mcp_asks_time ON mcp_asks (tenant_id, created_us);
CREATE INDEX mcp_asks_open ON mcp_asks (tenant_id, caller, server_id, arguments_sha256) WHERE state IN ('pending', 'approved');
-- What is asked of the server: a tool's call, or one of its resources.
ALTER TABLE approvals ADD COLUMN method TEXT NOT NULL DEFAULT 'tools/call';
