-- name: put
-- Gives a row when the key is the participant's first.
INSERT INTO cairn.participant_key (study, participant, key, wrapped)
VALUES (%(study)s, %(participant)s, %(key)s, %(wrapped)s)
ON CONFLICT DO NOTHING
RETURNING true;

-- name: get
SELECT key, wrapped FROM cairn.participant_key
WHERE study = %(study)s AND participant = %(participant)s;

-- name: destroy
DELETE FROM cairn.participant_key WHERE study = %(study)s AND participant = %(participant)s;
