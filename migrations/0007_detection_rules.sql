-- Rules of what is personal or secret, as people wrote them: of the organisation where there is no incident.
CREATE TABLE detection_rules (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, incident_id TEXT REFERENCES incidents (id), name TEXT NOT NULL,
    toml TEXT NOT NULL, actor TEXT NOT NULL, changed_us INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX detection_rules_name ON detection_rules (tenant_id, coalesce(incident_id, ''), name);
