-- The bookkeeping of views; each view's own statements stand beside it.

-- name: one_at_a_time
SELECT pg_advisory_xact_lock(7241971);

-- name: try_rebuild
SELECT pg_try_advisory_lock(7241972, hashtext(%(study)s || ' ' || %(view)s));

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
SELECT view, version, generation, status, position, halted_at, error, moved_at
FROM views.projection WHERE study = %(study)s
ORDER BY view, version, generation;

-- name: active
SELECT generation, position FROM views.projection
WHERE study = %(study)s AND view = %(view)s AND version = %(version)s AND status = 'active';

-- name: active_held
SELECT generation, position FROM views.projection
WHERE study = %(study)s AND view = %(view)s AND version = %(version)s AND status = 'active'
FOR UPDATE;

-- name: move
-- The fence: of two projectors that come from the same position one finds no row to move.
UPDATE views.projection
SET position = %(to)s, moved_at = clock_timestamp(),
    halted_at = CASE WHEN halted_at > %(to)s THEN halted_at END,
    error = CASE WHEN halted_at > %(to)s THEN error END
WHERE study = %(study)s AND view = %(view)s AND version = %(version)s
    AND generation = %(generation)s AND status = %(status)s AND position = %(from)s;

-- name: halt
UPDATE views.projection SET halted_at = %(at)s, error = %(error)s
WHERE study = %(study)s AND view = %(view)s AND version = %(version)s
    AND generation = %(generation)s AND position = %(from)s;

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
