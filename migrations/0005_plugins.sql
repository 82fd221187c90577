-- Plugins that were installed beside those that ship: each version by its digest, at most one of a name active.
CREATE TABLE plugin_versions (
    tenant_id TEXT NOT NULL, digest TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, publisher TEXT NOT NULL,
    world TEXT NOT NULL, manifest TEXT NOT NULL, signer TEXT NOT NULL, source TEXT NOT NULL, bytes INTEGER NOT NULL,
    kinds TEXT NOT NULL, state TEXT NOT NULL, installed_us INTEGER NOT NULL, installed_by TEXT NOT NULL, activated_us INTEGER,
    component BLOB NOT NULL, PRIMARY KEY (tenant_id, digest)
) STRICT;
CREATE UNIQUE INDEX plugin_versions_active ON plugin_versions (tenant_id, name) WHERE state = 'active';
-- What a person granted to a digest. A plugin that ships has a row only where that differs from what it asks for.
CREATE TABLE plugin_grants (
    tenant_id TEXT NOT NULL, digest TEXT NOT NULL, plugin TEXT NOT NULL, generation INTEGER NOT NULL, body TEXT NOT NULL,
    decided_us INTEGER NOT NULL, decided_by TEXT NOT NULL, PRIMARY KEY (tenant_id, digest)
) STRICT, WITHOUT ROWID;
-- Kill switches that are thrown: `all`, `publisher:…`, `plugin:…`.
CREATE TABLE plugin_stops (
    tenant_id TEXT NOT NULL, target TEXT NOT NULL, reason TEXT NOT NULL, time_us INTEGER NOT NULL, actor TEXT NOT NULL,
    PRIMARY KEY (tenant_id, target)
) STRICT, WITHOUT ROWID;
-- Secrets that a plugin names by a handle of its own.
CREATE TABLE plugin_secrets (
    tenant_id TEXT NOT NULL, plugin TEXT NOT NULL, handle TEXT NOT NULL, credential_id TEXT NOT NULL REFERENCES credentials (id),
    PRIMARY KEY (tenant_id, plugin, handle)
) STRICT, WITHOUT ROWID;
-- Numbers by the hour: calls, and bytes by rule and host.
CREATE TABLE plugin_hours (
    tenant_id TEXT NOT NULL, plugin TEXT NOT NULL, hour INTEGER NOT NULL, calls INTEGER NOT NULL, errors INTEGER NOT NULL,
    computing_us INTEGER NOT NULL, memory_bytes INTEGER NOT NULL, wall BLOB NOT NULL, last_us INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, plugin, hour)
) STRICT, WITHOUT ROWID;
CREATE TABLE plugin_traffic (
    tenant_id TEXT NOT NULL, plugin TEXT NOT NULL, hour INTEGER NOT NULL, rule TEXT NOT NULL, host TEXT NOT NULL,
    requests INTEGER NOT NULL, sent_bytes INTEGER NOT NULL, received_bytes INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, plugin, hour, rule, host)
) STRICT, WITHOUT ROWID;
-- What was refused, with the grant that would allow it.
CREATE TABLE plugin_denials (
    tenant_id TEXT NOT NULL, plugin TEXT NOT NULL, attempt TEXT NOT NULL, remedy TEXT NOT NULL, digest TEXT NOT NULL,
    rule TEXT NOT NULL, sentence TEXT NOT NULL, count INTEGER NOT NULL, first_us INTEGER NOT NULL, last_us INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, plugin, attempt, remedy)
) STRICT, WITHOUT ROWID;
-- What a replay of a call needs and the log does not hold: the bytes of both ways, by the entry of the effect's intent.
CREATE TABLE effect_bodies (
    tenant_id TEXT NOT NULL, intent INTEGER NOT NULL, direction TEXT NOT NULL, plugin TEXT NOT NULL, time_us INTEGER NOT NULL,
    bytes INTEGER NOT NULL, sha256 BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY (intent, direction)
) STRICT;
CREATE INDEX effect_bodies_time ON effect_bodies (time_us);
