-- name: put
INSERT INTO cairn.document (study, sha256, body) VALUES (%(study)s, %(sha256)s, %(body)s)
ON CONFLICT DO NOTHING;

-- name: get
SELECT body FROM cairn.document WHERE study = %(study)s AND sha256 = %(sha256)s;
