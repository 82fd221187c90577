-- What a model's provider wants back unchanged with an answer, as sealed thoughts and their signatures: JSON.
ALTER TABLE messages ADD COLUMN kept TEXT;
