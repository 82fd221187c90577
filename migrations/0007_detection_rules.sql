-- Rules of what is personal or secret, as people wrote them: of the organisation where there is no incident.
CREATE TABLE detection_rules (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, incident_id TEXT REFERENCES incidents (id), name TEXT NOT NULL,
    toml TEXT NOT NULL, actor TEXT NOT NULL, changed_us INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX detection_rules_name ON detection_rules (tenant_id, coalesce(incident_id, ''), name);
-- A value may stand in a text in several spellings, all of one number.
CREATE TABLE pseudonyms_spelt (
    tenant_id TEXT NOT NULL, incident_id TEXT NOT NULL REFERENCES incidents (id), kind TEXT NOT NULL,
    number INTEGER NOT NULL, spelling INTEGER NOT NULL, original BLOB NOT NULL,
    PRIMARY KEY (incident_id, kind, number, spelling)
) STRICT, WITHOUT ROWID;
INSERT INTO pseudonyms_spelt SELECT tenant_id, incident_id, kind, number, 0, original FROM pseudonyms;
DROP TABLE pseudonyms;
ALTER TABLE pseudonyms_spelt RENAME TO pseudonyms;
