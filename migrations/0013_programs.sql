-- What the program of a server over stdio held when a person set it up; empty where that is not known or there is none.
ALTER TABLE mcp_servers ADD COLUMN program_sha256 TEXT NOT NULL DEFAULT '';
