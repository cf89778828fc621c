-- name: read
SELECT name, setting FROM pg_catalog.pg_settings WHERE name = ANY (%(names)s);

-- name: cluster
SELECT c.system_identifier, d.oid
FROM pg_control_system() c, pg_database d WHERE d.datname = current_database();
