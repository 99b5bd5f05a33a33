-- The workers that are connected to the server: a ListWorkersResponse of svi.v1.
ALTER TABLE servers ADD COLUMN workers BYTEA NOT NULL DEFAULT ''::bytea;
