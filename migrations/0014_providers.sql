-- What a model's provider wants back unchanged with an answer, as sealed thoughts and their signatures: JSON.
ALTER TABLE messages ADD COLUMN kept TEXT;

-- Several models: the first that is on is asked, and the next where it cannot answer. Prices are in millionths of the
-- organisation's currency for a million tokens; what is not known is not counted.
ALTER TABLE models ADD COLUMN position INTEGER NOT NULL DEFAULT 0;
ALTER TABLE models ADD COLUMN enabled INTEGER NOT NULL DEFAULT 1;
ALTER TABLE models ADD COLUMN context_tokens INTEGER;
-- What its server said at the last test.
ALTER TABLE models ADD COLUMN listed_tokens INTEGER;
ALTER TABLE models ADD COLUMN input_price INTEGER;
ALTER TABLE models ADD COLUMN output_price INTEGER;

-- How much a call can do, by its server's own words (low, medium, high), and whether it was approved together with all later
-- calls of the same tool in its incident.
ALTER TABLE approvals ADD COLUMN risk TEXT NOT NULL DEFAULT 'high';
ALTER TABLE approvals ADD COLUMN for_incident INTEGER NOT NULL DEFAULT 0;

-- The model that an incident's people chose; gone where that model is removed.
ALTER TABLE incidents ADD COLUMN model_id TEXT REFERENCES models (id) ON DELETE SET NULL;

-- How many budgets an incident has: one, and each that it was given beyond it.
ALTER TABLE incidents ADD COLUMN budgets INTEGER NOT NULL DEFAULT 1;

-- What holds for all models: whether only those on this machine are asked, and the budget of an incident, in tokens and in
-- the same millionths; no limit where nothing stands.
CREATE TABLE model_rules (
  tenant_id TEXT PRIMARY KEY,
  local_only INTEGER NOT NULL DEFAULT 0,
  token_budget INTEGER,
  cost_budget INTEGER
) STRICT;

-- What a turn has cost, and what to do where it failed: retry, fix-key, shorten, raise-budget, give-up.
ALTER TABLE turns ADD COLUMN cost INTEGER NOT NULL DEFAULT 0;
ALTER TABLE turns ADD COLUMN advice TEXT NOT NULL DEFAULT '';
