-- Ways out: credentials, models, MCP servers, integrations.
CREATE TABLE credentials (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, username TEXT NOT NULL,
    secret BLOB NOT NULL, origin TEXT NOT NULL, created_us INTEGER NOT NULL
) STRICT;
CREATE TABLE models (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, name TEXT NOT NULL, plugin TEXT NOT NULL, base_url TEXT NOT NULL,
    private_nets TEXT NOT NULL, model TEXT NOT NULL, credential_id TEXT REFERENCES credentials (id),
    created_us INTEGER NOT NULL, checked_us INTEGER, problem TEXT NOT NULL
) STRICT;
CREATE TABLE mcp_servers (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, name TEXT NOT NULL, slug TEXT NOT NULL, transport TEXT NOT NULL,
    url TEXT NOT NULL, private_nets TEXT NOT NULL, command TEXT NOT NULL, arguments TEXT NOT NULL, auth_kind TEXT NOT NULL,
    auth_header TEXT NOT NULL,
    credential_id TEXT REFERENCES credentials (id), enabled INTEGER NOT NULL, created_us INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, checked_us INTEGER, tools TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX mcp_servers_slug ON mcp_servers (tenant_id, slug);
CREATE TABLE integrations (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, name TEXT NOT NULL, plugin TEXT NOT NULL, base_url TEXT NOT NULL,
    private_nets TEXT NOT NULL, settings TEXT NOT NULL, credential_id TEXT REFERENCES credentials (id), created_us INTEGER NOT NULL,
    checked_us INTEGER, problem TEXT NOT NULL
) STRICT;
CREATE TABLE plugin_values (
    tenant_id TEXT NOT NULL, instance TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (tenant_id, instance, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE plugin_logs (
    id INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, plugin TEXT NOT NULL, time_us INTEGER NOT NULL,
    level INTEGER NOT NULL, text TEXT NOT NULL
) STRICT;

-- What left: the exact bytes, with what was masked in them.
CREATE TABLE departures (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, incident_id TEXT NOT NULL REFERENCES incidents (id),
    kind TEXT NOT NULL, destination TEXT NOT NULL, plugin TEXT NOT NULL, subject TEXT NOT NULL, method TEXT NOT NULL,
    url TEXT NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL, body_bytes INTEGER NOT NULL, body_sha256 BLOB NOT NULL,
    masked TEXT NOT NULL, masked_count INTEGER NOT NULL, time_us INTEGER NOT NULL, status INTEGER, result TEXT NOT NULL,
    received_bytes INTEGER NOT NULL
) STRICT;
-- Which values were masked in anything that left: what the sash counts.
CREATE TABLE departed_values (
    tenant_id TEXT NOT NULL, incident_id TEXT NOT NULL REFERENCES incidents (id), label TEXT NOT NULL,
    PRIMARY KEY (incident_id, label)
) STRICT, WITHOUT ROWID;
CREATE INDEX departures_incident ON departures (tenant_id, incident_id, time_us);

-- The conversation.
CREATE TABLE turns (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, incident_id TEXT NOT NULL REFERENCES incidents (id),
    model_id TEXT NOT NULL, state TEXT NOT NULL, problem TEXT NOT NULL, created_us INTEGER NOT NULL, ended_us INTEGER,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, actor TEXT NOT NULL
) STRICT;
CREATE INDEX turns_incident ON turns (tenant_id, incident_id, created_us);
CREATE TABLE messages (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, incident_id TEXT NOT NULL REFERENCES incidents (id),
    turn_id TEXT NOT NULL REFERENCES turns (id), role TEXT NOT NULL, text TEXT NOT NULL, tool_calls TEXT NOT NULL,
    tool_call_id TEXT, complete INTEGER NOT NULL, created_us INTEGER NOT NULL
) STRICT;
CREATE INDEX messages_incident ON messages (tenant_id, incident_id, id);
-- A tool call that waits for a person, consumed once.
CREATE TABLE approvals (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, incident_id TEXT NOT NULL REFERENCES incidents (id),
    turn_id TEXT NOT NULL REFERENCES turns (id), call_id TEXT NOT NULL, server_id TEXT NOT NULL, server TEXT NOT NULL,
    tool TEXT NOT NULL, tool_sha256 BLOB NOT NULL, plugin_sha256 BLOB NOT NULL, arguments TEXT NOT NULL,
    arguments_sha256 BLOB NOT NULL, masked TEXT NOT NULL, state TEXT NOT NULL, decided_by TEXT, decided_us INTEGER,
    expires_us INTEGER NOT NULL, result TEXT NOT NULL, problem TEXT NOT NULL, created_us INTEGER NOT NULL
) STRICT;
CREATE INDEX approvals_incident ON approvals (tenant_id, incident_id, created_us);

-- Whys, the document, and where it was published.
CREATE TABLE whys (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, incident_id TEXT NOT NULL REFERENCES incidents (id),
    position INTEGER NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL, root_cause INTEGER NOT NULL
) STRICT;
CREATE INDEX whys_incident ON whys (tenant_id, incident_id, position);
CREATE TABLE why_evidence (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, why_id TEXT NOT NULL REFERENCES whys (id) ON DELETE CASCADE,
    log_id TEXT NOT NULL REFERENCES logs (id), line INTEGER NOT NULL, last_line INTEGER NOT NULL, note TEXT NOT NULL
) STRICT;
CREATE TABLE documents (
    incident_id TEXT PRIMARY KEY REFERENCES incidents (id), tenant_id TEXT NOT NULL, title TEXT NOT NULL,
    markdown TEXT NOT NULL, version INTEGER NOT NULL, updated_us INTEGER NOT NULL, updated_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE publications (
    incident_id TEXT NOT NULL REFERENCES incidents (id), tenant_id TEXT NOT NULL,
    integration_id TEXT NOT NULL REFERENCES integrations (id), marker TEXT NOT NULL, state TEXT NOT NULL,
    problem TEXT NOT NULL, theirs TEXT NOT NULL, project TEXT NOT NULL, remote_id TEXT NOT NULL,
    remote_version TEXT NOT NULL, content_sha256 TEXT NOT NULL, url TEXT NOT NULL, title TEXT NOT NULL,
    document_version INTEGER NOT NULL, updated_us INTEGER NOT NULL, updated_by TEXT NOT NULL, PRIMARY KEY (incident_id, integration_id)
) STRICT, WITHOUT ROWID;
