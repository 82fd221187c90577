-- Components that a person turned down: the drop-in folder does not bring them back at the next start.
CREATE TABLE plugin_turned_down (
    tenant_id TEXT NOT NULL, digest TEXT NOT NULL, time_us INTEGER NOT NULL, actor TEXT NOT NULL,
    PRIMARY KEY (tenant_id, digest)
) STRICT, WITHOUT ROWID;
-- Installed plugins in the settings: what a provider is told beside address and model, and the transport of a server
-- (empty for the one that ships).
ALTER TABLE models ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
ALTER TABLE mcp_servers ADD COLUMN plugin TEXT NOT NULL DEFAULT '';
