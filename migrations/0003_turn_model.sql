-- The model that a turn asked, by name: an answer keeps it when another model is set up.
ALTER TABLE turns ADD COLUMN model TEXT NOT NULL DEFAULT '';
