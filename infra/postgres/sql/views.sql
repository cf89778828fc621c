-- The bookkeeping of views; each view's own statements stand beside it.

-- name: one_at_a_time
SELECT pg_advisory_xact_lock(7241971);

-- name: go_on
SELECT;

-- name: missing
SELECT count(*) FROM unnest(%(tables)s::text[]) AS t (name) WHERE to_regclass(t.name) IS NULL;

-- name: try_rebuild
SELECT pg_try_advisory_lock(7241972, hashtext(%(study)s || ' ' || %(view)s));

-- name: help_rebuild
-- A rebuild's helping process holds it as long as it lives.
SELECT pg_advisory_lock_shared(7241973, hashtext(%(study)s || ' ' || %(view)s));

-- name: helped_rebuild
-- Whether no process helps any more; nothing is held afterwards.
SELECT CASE WHEN pg_try_advisory_lock(7241973, hashtext(%(study)s || ' ' || %(view)s))
    THEN pg_advisory_unlock(7241973, hashtext(%(study)s || ' ' || %(view)s)) ELSE false END;

-- name: begin_first
INSERT INTO views.projection (study, view, version, generation, status, position)
VALUES (%(study)s, %(view)s, %(version)s, 1, 'active', 0)
ON CONFLICT DO NOTHING;

-- name: begin_building
INSERT INTO views.projection (study, view, version, generation, status, position)
SELECT %(study)s, %(view)s, %(version)s, max(generation) + 1, 'building', %(position)s
FROM views.projection WHERE study = %(study)s AND view = %(view)s AND version = %(version)s
RETURNING generation;

-- name: cursors
-- Of a view that is divided by partitions, its last partition tells.
SELECT p.view, p.version, p.generation, p.status, coalesce(k.position, p.position),
    coalesce(k.halted_at, p.halted_at), coalesce(k.error, p.error),
    coalesce(k.moved_at, p.moved_at), p.partitions
FROM views.projection p
CROSS JOIN LATERAL (
    SELECT min(d.position) AS position, max(d.moved_at) AS moved_at,
        min(d.halted_at) AS halted_at, min(d.error) AS error
    FROM views.projection_partition d
    WHERE d.study = p.study AND d.view = p.view AND d.version = p.version
        AND d.generation = p.generation
) k
WHERE p.study = %(study)s
ORDER BY p.view, p.version, p.generation;

-- name: partition_cursors
SELECT p.view, p.version, p.generation, p.status, d.position, d.halted_at, d.error, d.moved_at,
    p.partitions, d.partition, d.next_offset
FROM views.projection p
JOIN views.projection_partition d
    ON d.study = p.study AND d.view = p.view AND d.version = p.version
    AND d.generation = p.generation
WHERE p.study = %(study)s AND d.study = %(study)s
ORDER BY p.view, p.version, p.generation, d.partition;

-- name: active
SELECT p.generation, coalesce(k.position, p.position)
FROM views.projection p
CROSS JOIN LATERAL (
    SELECT min(d.position) AS position FROM views.projection_partition d
    WHERE d.study = p.study AND d.view = p.view AND d.version = p.version
        AND d.generation = p.generation
) k
WHERE p.study = %(study)s AND p.view = %(view)s AND p.version = %(version)s
    AND p.status = 'active';

-- name: stand
-- The position that all of some generations reflect.
SELECT min(coalesce(k.position, p.position)) FROM views.projection p
CROSS JOIN LATERAL (
    SELECT min(d.position) AS position FROM views.projection_partition d
    WHERE d.study = p.study AND d.view = p.view AND d.version = p.version
        AND d.generation = p.generation
) k
WHERE p.study = %(study)s AND p.view = %(view)s AND p.version = %(version)s
    AND p.generation = ANY (%(generations)s);

-- name: held
-- Nobody divides or joins the generation until the transaction ends.
SELECT position, partitions FROM views.projection
WHERE study = %(study)s AND view = %(view)s AND version = %(version)s
    AND generation = %(generation)s
FOR UPDATE;

-- name: active_held
SELECT generation, position, partitions FROM views.projection
WHERE study = %(study)s AND view = %(view)s AND version = %(version)s AND status = 'active'
FOR UPDATE;

-- name: held_partitions
-- Nobody moves them until the transaction ends.
SELECT partition, position, next_offset FROM views.projection_partition
WHERE study = %(study)s AND view = %(view)s AND version = %(version)s
    AND generation = %(generation)s
ORDER BY partition FOR UPDATE;

-- name: move
-- The fence: of two projectors that come from the same position one finds no row to move. They are
-- locked in one order, so that no two wait for each other.
WITH asked AS (
    SELECT * FROM unnest(%(views)s::text[], %(versions)s::int[], %(generations)s::int[],
        %(statuses)s::text[], %(froms)s::bigint[], %(tos)s::bigint[])
        AS a (view, version, generation, status, at, up_to)
), held AS (
    SELECT a.* FROM views.projection p
    JOIN asked a ON a.view = p.view AND a.version = p.version AND a.generation = p.generation
        AND a.status = p.status AND a.at = p.position
    WHERE p.study = %(study)s AND p.partitions IS NULL
    ORDER BY p.view, p.version, p.generation
    FOR UPDATE OF p
)
UPDATE views.projection p
SET position = h.up_to, moved_at = clock_timestamp(),
    halted_at = CASE WHEN p.halted_at > h.up_to THEN p.halted_at END,
    error = CASE WHEN p.halted_at > h.up_to THEN p.error END
FROM held h
WHERE p.study = %(study)s AND p.view = h.view AND p.version = h.version
    AND p.generation = h.generation;

-- name: move_partitions
-- The same fence for partitions.
WITH asked AS (
    SELECT * FROM unnest(%(views)s::text[], %(versions)s::int[], %(generations)s::int[],
        %(partitions)s::int[], %(froms)s::bigint[], %(tos)s::bigint[], %(offsets)s::bigint[])
        AS a (view, version, generation, partition, at, up_to, next_offset)
), held AS (
    SELECT a.* FROM views.projection_partition d
    JOIN asked a ON a.view = d.view AND a.version = d.version AND a.generation = d.generation
        AND a.partition = d.partition AND a.at = d.position
    WHERE d.study = %(study)s
    ORDER BY d.view, d.version, d.generation, d.partition
    FOR UPDATE OF d
)
UPDATE views.projection_partition d
SET position = h.up_to, next_offset = coalesce(h.next_offset, d.next_offset),
    moved_at = clock_timestamp(),
    halted_at = CASE WHEN d.halted_at > h.up_to THEN d.halted_at END,
    error = CASE WHEN d.halted_at > h.up_to THEN d.error END
FROM held h
WHERE d.study = %(study)s AND d.view = h.view AND d.version = h.version
    AND d.generation = h.generation AND d.partition = h.partition;

-- name: divide
UPDATE views.projection SET partitions = %(partitions)s
WHERE study = %(study)s AND view = %(view)s AND version = %(version)s
    AND generation = %(generation)s AND partitions IS NULL
RETURNING position;

-- name: begin_partitions
INSERT INTO views.projection_partition
    (study, view, version, generation, partition, position)
SELECT %(study)s, %(view)s, %(version)s, %(generation)s, n, %(position)s
FROM generate_series(0, %(partitions)s - 1) AS n;

-- name: join
UPDATE views.projection
SET partitions = NULL, position = %(position)s, moved_at = clock_timestamp(), halted_at = NULL,
    error = NULL
WHERE study = %(study)s AND view = %(view)s AND version = %(version)s
    AND generation = %(generation)s;

-- name: end_partitions
DELETE FROM views.projection_partition
WHERE study = %(study)s AND view = %(view)s AND version = %(version)s
    AND generation = %(generation)s;

-- name: take_offsets
-- What is known of the topic for one generation holds for another that stands there too.
UPDATE views.projection_partition d SET next_offset = o.next_offset
FROM views.projection_partition o
WHERE d.study = %(study)s AND d.view = %(view)s AND d.version = %(version)s
    AND d.generation = %(generation)s
    AND o.study = d.study AND o.view = d.view AND o.version = d.version
    AND o.generation = %(other)s AND o.partition = d.partition;

-- name: halt
UPDATE views.projection SET halted_at = %(at)s, error = %(error)s
WHERE study = %(study)s AND view = %(view)s AND version = %(version)s
    AND generation = %(generation)s AND position = %(from)s AND partitions IS NULL;

-- name: halt_partition
UPDATE views.projection_partition SET halted_at = %(at)s, error = %(error)s
WHERE study = %(study)s AND view = %(view)s AND version = %(version)s
    AND generation = %(generation)s AND partition = %(partition)s AND position = %(from)s;

-- name: turn
UPDATE views.projection SET status = %(status)s
WHERE study = %(study)s AND view = %(view)s AND version = %(version)s
    AND generation = %(generation)s;

-- name: forget
DELETE FROM views.projection
WHERE study = %(study)s AND view = %(view)s AND version = %(version)s
    AND generation = %(generation)s;

-- name: parked
SELECT view, version, generation, participant FROM views.parked WHERE study = %(study)s;

-- name: parked_of
SELECT participant, position FROM views.parked
WHERE study = %(study)s AND view = %(view)s AND version = %(version)s
    AND generation = %(generation)s AND participant = ANY (%(participants)s);

-- name: park
INSERT INTO views.parked AS known
    (study, view, version, generation, participant, position, error, attempts)
VALUES (%(study)s, %(view)s, %(version)s, %(generation)s, %(participant)s, %(position)s,
    %(error)s, 1)
ON CONFLICT (study, view, version, generation, participant)
    DO UPDATE SET error = EXCLUDED.error, attempts = known.attempts + 1;

-- name: unpark
DELETE FROM views.parked
WHERE study = %(study)s AND view = %(view)s AND version = %(version)s
    AND generation = %(generation)s AND participant = ANY (%(participants)s);

-- name: forget_parked
DELETE FROM views.parked
WHERE study = %(study)s AND view = %(view)s AND version = %(version)s
    AND generation = %(generation)s;

-- name: snapshot
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
