-- A call that was made again, to see whether it is answered as before: the one that it repeats.
ALTER TABLE mcp_calls ADD COLUMN replay_of TEXT;
