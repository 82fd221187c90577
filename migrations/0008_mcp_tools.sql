-- What MCP servers offer, and what a person has seen of it. What was in use before counts as seen.
CREATE TABLE mcp_tools (
    tenant_id TEXT NOT NULL, server_id TEXT NOT NULL REFERENCES mcp_servers (id) ON DELETE CASCADE,
    name TEXT NOT NULL, rule TEXT NOT NULL,
    place INTEGER NOT NULL, pinned TEXT, seen TEXT, warnings TEXT NOT NULL, first_us INTEGER NOT NULL, changed_us INTEGER NOT NULL,
    decided_by TEXT, decided_us INTEGER,
    PRIMARY KEY (tenant_id, server_id, name)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO mcp_tools
    SELECT s.tenant_id, s.id, json_extract(t.value, '$.name'), 'ask', t.key, t.value, t.value, '[]', s.created_us, s.created_us,
           NULL, NULL
    FROM mcp_servers s, json_each(s.tools) t WHERE json_extract(t.value, '$.name') IS NOT NULL;
ALTER TABLE mcp_servers DROP COLUMN tools;
-- Every change of a tool, with the whole object before and after it.
CREATE TABLE mcp_tool_changes (
    id INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, server_id TEXT NOT NULL, tool TEXT NOT NULL, change TEXT NOT NULL,
    old TEXT, new TEXT, actor TEXT NOT NULL, time_us INTEGER NOT NULL
) STRICT;
CREATE INDEX mcp_tool_changes_tool ON mcp_tool_changes (tenant_id, server_id, tool, id);
