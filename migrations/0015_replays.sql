-- A past conversation, asked of a model again with the tool results that are on record. `transcript` is JSON: for each question
-- of a person its turn, and the rounds of the model with the calls that it asked for; pseudonyms stand inside.
CREATE TABLE replays (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  incident_id TEXT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
  model_id TEXT NOT NULL,
  model TEXT NOT NULL,
  instructions TEXT NOT NULL,
  state TEXT NOT NULL,
  problem TEXT NOT NULL,
  transcript TEXT NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cost INTEGER NOT NULL,
  actor TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  ended_us INTEGER
) STRICT;
CREATE INDEX replays_of_an_incident ON replays (tenant_id, incident_id, created_us);
