-- Inbound messages that wait for others.

-- name: park
INSERT INTO cairn.inbound_parked (study, topic, "partition", "offset", participant, since, until)
VALUES (
    %(study)s, %(topic)s, %(partition)s, %(offset)s, %(participant)s, %(since)s, %(until)s
)
ON CONFLICT DO NOTHING;

-- name: release
DELETE FROM cairn.inbound_parked
WHERE
    study = %(study)s AND topic = %(topic)s AND "partition" = %(partition)s
    AND "offset" = any(%(offsets)s);

-- name: of_partition
SELECT "offset", participant, since, until
FROM cairn.inbound_parked
WHERE study = %(study)s AND topic = %(topic)s AND "partition" = %(partition)s
ORDER BY "offset";

