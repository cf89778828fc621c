-- The relay's cursors, and the lease under which one relay at a time works for a study.

-- name: find
SELECT study, position, encode(hash, 'hex'), sent, halted FROM cairn.relay
WHERE study = %(study)s;

-- name: begin
INSERT INTO cairn.relay (study, position, partitions, sent)
VALUES (%(study)s, 0, %(partitions)s, array_fill(0::bigint, ARRAY[%(partitions)s::int]))
ON CONFLICT DO NOTHING;

-- name: move
-- The fence: of two relays that come from the same position one finds no row to move.
UPDATE cairn.relay
SET position = %(position)s, hash = decode(%(hash)s, 'hex'), sent = %(sent)s,
    moved_at = clock_timestamp()
WHERE study = %(study)s AND position = %(from)s AND partitions = cardinality(%(sent)s::bigint[]);

-- name: halt
UPDATE cairn.relay SET halted = %(reason)s WHERE study = %(study)s;

-- name: forget
DELETE FROM cairn.relay WHERE study = %(study)s;

-- name: lease_terms
-- The server ends the session, and with it the lease, when it hears nothing: neither from the
-- process (it hangs) nor from its machine (it is gone, or the network is).
SELECT set_config('idle_session_timeout', %(milliseconds)s, false),
    set_config('tcp_keepalives_idle', '2', false),
    set_config('tcp_keepalives_interval', '1', false),
    set_config('tcp_keepalives_count', '3', false),
    set_config('tcp_user_timeout', %(milliseconds)s, false);

-- name: lease_take
SELECT pg_try_advisory_lock(hashtextextended('cairn ' || %(name)s, 0));

-- name: lease_keep
SELECT 1;
