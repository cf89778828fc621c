-- The record of applied migrations. These run as the schema's owner.

-- name: lock
SELECT pg_advisory_lock(7241968, 1);

-- name: unlock
SELECT pg_advisory_unlock(7241968, 1);

-- name: prepare
CREATE SCHEMA IF NOT EXISTS cairn;
CREATE TABLE IF NOT EXISTS cairn.migration (
    name text COLLATE "C" PRIMARY KEY,
    sha256 bytea NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- name: applied
SELECT name, sha256 FROM cairn.migration ORDER BY name;

-- name: record
INSERT INTO cairn.migration (name, sha256) VALUES (%(name)s, %(sha256)s);
