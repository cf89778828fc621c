-- The ledger's statements. They run as the application's role.

-- name: append
-- Prepared once for each connection, so its parameters have numbers.
SELECT item, outcome, index, stream, version, same, positions, hashes, bodies
FROM cairn.append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: find
SELECT position, stream, version, fingerprint FROM cairn.event
WHERE study = %(study)s AND source = %(source)s AND event_id = %(event_id)s;

-- name: stream
SELECT position, stream, version, topic, body, hash FROM cairn.event
WHERE study = %(study)s AND stream = %(stream)s AND version > %(after)s AND position <= %(up_to)s
ORDER BY version;

-- name: read
SELECT position, stream, version, topic, body, hash FROM cairn.event
WHERE study = %(study)s AND position > %(after)s AND position <= %(up_to)s
ORDER BY position LIMIT %(limit)s;

-- name: head
SELECT position FROM cairn.head WHERE study = %(study)s;

-- name: studies
SELECT study FROM cairn.head WHERE position > 0 ORDER BY study;

-- name: participants
-- One index look-up per name, however many events each has.
WITH RECURSIVE name (stream, n) AS (
    SELECT (SELECT e.stream FROM cairn.event e
            WHERE e.study = %(study)s AND e.stream > %(after)s AND e.stream <> '$study'
            ORDER BY e.stream LIMIT 1), 1
    UNION ALL
    SELECT (SELECT e.stream FROM cairn.event e
            WHERE e.study = %(study)s AND e.stream > name.stream AND e.stream <> '$study'
            ORDER BY e.stream LIMIT 1), name.n + 1
    FROM name WHERE name.stream IS NOT NULL AND name.n < %(limit)s
)
SELECT stream FROM name WHERE stream IS NOT NULL;

-- name: histories
-- Events by participant, after a version of one. The sum keeps the planner from walking the log by
-- position, and sorting what it finds, once for each page.
SELECT position, stream, version, topic, body, hash FROM cairn.event
WHERE study = %(study)s AND (stream, version) > (%(stream)s, %(version)s)
    AND stream < %(before)s AND stream <> '$study' AND position + 0 <= %(up_to)s
ORDER BY stream, version LIMIT %(limit)s;

-- name: position_at
SELECT cairn.position_at(%(study)s, %(instant)s);

-- name: notify
SELECT pg_notify('cairn_ledger', study) FROM unnest(%(studies)s::text[]) AS study;

-- name: listen
LISTEN cairn_ledger;
