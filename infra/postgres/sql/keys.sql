-- name: put
-- Gives the participants whose first key this is.
INSERT INTO cairn.participant_key (study, participant, key, wrapped)
SELECT %(study)s, participant, key, wrapped
FROM unnest(%(participants)s::text[], %(keys)s::text[], %(wrapped)s::bytea[])
    AS made (participant, key, wrapped)
ORDER BY participant
ON CONFLICT DO NOTHING
RETURNING participant;

-- name: get
SELECT key, wrapped FROM cairn.participant_key
WHERE study = %(study)s AND participant = %(participant)s;

-- name: destroy
DELETE FROM cairn.participant_key WHERE study = %(study)s AND participant = %(participant)s;
