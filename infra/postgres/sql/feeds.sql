-- Calendar feeds: made, found by their token's digest, listed, revoked.

-- name: keep
INSERT INTO cairn.feed (study, feed, digest, site, participant, made_by, made_at)
VALUES (
    %(study)s, %(feed)s, %(digest)s, %(site)s, %(participant)s, %(made_by)s, %(made_at)s
);

-- name: find
SELECT study, feed, site, participant, made_by, made_at, revoked_at FROM cairn.feed
WHERE study = %(study)s AND digest = %(digest)s;

-- name: page
SELECT study, feed, site, participant, made_by, made_at, revoked_at FROM cairn.feed
WHERE study = %(study)s AND (%(site)s::text IS NULL OR site = %(site)s)
    AND feed > %(after)s
ORDER BY feed
LIMIT %(limit)s;

-- name: revoke
UPDATE cairn.feed SET revoked_by = coalesce(revoked_by, %(by)s),
    revoked_at = coalesce(revoked_at, %(at)s)
WHERE study = %(study)s AND feed = %(feed)s
    AND (%(site)s::text IS NULL OR site = %(site)s)
RETURNING study, feed, site, participant, made_by, made_at, revoked_at;
