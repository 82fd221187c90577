-- People and the ways in.
CREATE TABLE users (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, email TEXT NOT NULL, name TEXT NOT NULL,
    password_hash TEXT NOT NULL, role TEXT NOT NULL, created_us INTEGER NOT NULL, disabled_us INTEGER, seen_us INTEGER
) STRICT;
CREATE UNIQUE INDEX users_email ON users (tenant_id, email);
CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY, tenant_id TEXT NOT NULL, user_id TEXT NOT NULL REFERENCES users (id),
    created_us INTEGER NOT NULL, seen_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sign_in_links (
    token_hash BLOB PRIMARY KEY, id TEXT NOT NULL UNIQUE, tenant_id TEXT NOT NULL, role TEXT NOT NULL,
    email TEXT NOT NULL, note TEXT NOT NULL, created_us INTEGER NOT NULL, created_by TEXT NOT NULL,
    expires_us INTEGER NOT NULL, used_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, token_hash BLOB NOT NULL UNIQUE,
    created_us INTEGER NOT NULL, created_by TEXT NOT NULL, expires_us INTEGER, used_us INTEGER, revoked_us INTEGER
) STRICT;

-- Incidents and what belongs to them.
CREATE TABLE incidents (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, number INTEGER NOT NULL, title TEXT NOT NULL, description TEXT NOT NULL,
    severity TEXT NOT NULL, status TEXT NOT NULL, category TEXT NOT NULL, tags TEXT NOT NULL,
    created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL, created_by TEXT NOT NULL,
    sash_lowered_us INTEGER, version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX incidents_number ON incidents (tenant_id, number);
CREATE INDEX incidents_updated ON incidents (tenant_id, updated_us);
CREATE TABLE timeline (
    id INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, incident_id TEXT NOT NULL REFERENCES incidents (id),
    time_us INTEGER NOT NULL, actor TEXT NOT NULL, kind TEXT NOT NULL, summary TEXT NOT NULL, link TEXT NOT NULL
) STRICT;
CREATE INDEX timeline_incident ON timeline (tenant_id, incident_id, id);

-- Logs: compressed chunks on line boundaries where lines allow it, and one page of findings per chunk.
CREATE TABLE logs (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, incident_id TEXT NOT NULL REFERENCES incidents (id), name TEXT NOT NULL,
    encoding TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, sha256 BLOB,
    received_bytes INTEGER NOT NULL, expected_bytes INTEGER, text_bytes INTEGER NOT NULL, lines INTEGER NOT NULL,
    replaced INTEGER NOT NULL, created_us INTEGER NOT NULL, created_by TEXT NOT NULL
) STRICT;
CREATE INDEX logs_incident ON logs (tenant_id, incident_id, created_us);
CREATE INDEX logs_sha256 ON logs (tenant_id, incident_id, sha256);
CREATE TABLE log_chunks (
    tenant_id TEXT NOT NULL, log_id TEXT NOT NULL REFERENCES logs (id), seq INTEGER NOT NULL,
    first_byte INTEGER NOT NULL, text_bytes INTEGER NOT NULL, first_line INTEGER NOT NULL, lines INTEGER NOT NULL,
    starts_line INTEGER NOT NULL, body BLOB NOT NULL, findings BLOB NOT NULL,
    PRIMARY KEY (log_id, seq)
) STRICT;
CREATE TABLE log_kinds (
    tenant_id TEXT NOT NULL, log_id TEXT NOT NULL REFERENCES logs (id), kind TEXT NOT NULL, grp TEXT NOT NULL,
    total INTEGER NOT NULL, PRIMARY KEY (log_id, kind)
) STRICT, WITHOUT ROWID;
-- What a person decided: about one finding, or (with no range) about all of a kind in a log.
CREATE TABLE decisions (
    tenant_id TEXT NOT NULL, log_id TEXT NOT NULL REFERENCES logs (id), kind TEXT NOT NULL,
    start_byte INTEGER NOT NULL, end_byte INTEGER NOT NULL, accepted INTEGER NOT NULL,
    actor TEXT NOT NULL, time_us INTEGER NOT NULL,
    PRIMARY KEY (log_id, kind, start_byte, end_byte)
) STRICT, WITHOUT ROWID;
CREATE TABLE pseudonyms (
    tenant_id TEXT NOT NULL, incident_id TEXT NOT NULL REFERENCES incidents (id), kind TEXT NOT NULL,
    number INTEGER NOT NULL, original BLOB NOT NULL, PRIMARY KEY (incident_id, kind, number)
) STRICT, WITHOUT ROWID;

-- The record. The canonical bytes are the truth; the other columns are for looking up and are checked against them.
CREATE TABLE audit_entries (
    idx INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, leaf BLOB NOT NULL, body BLOB NOT NULL,
    time_us INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL
) STRICT;
CREATE INDEX audit_target ON audit_entries (tenant_id, target, idx);
CREATE TABLE audit_checkpoints (
    size INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, note TEXT NOT NULL, time_us INTEGER NOT NULL
) STRICT;
CREATE TABLE audit_head (
    one INTEGER PRIMARY KEY CHECK (one = 1), tenant_id TEXT NOT NULL, size INTEGER NOT NULL, note TEXT NOT NULL
) STRICT;
