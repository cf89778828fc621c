-- Refusals: kept one by one, read page by page.

-- name: lock
SELECT pg_advisory_xact_lock(7241970, hashtext(%(study)s));

-- name: keep
INSERT INTO cairn.refusal (
    study, number, at, actor, role, type, problem, rules, blocked_by, participant, site, source,
    event_id
)
SELECT
    %(study)s, coalesce(max(number), 0) + 1, %(at)s, %(actor)s, %(role)s, %(type)s, %(problem)s,
    %(rules)s, %(blocked_by)s, %(participant)s, %(site)s, %(source)s, %(event_id)s
FROM cairn.refusal
WHERE study = %(study)s;

-- name: page
SELECT
    number, at, actor, role, type, problem, rules, blocked_by, participant, site, source, event_id
FROM cairn.refusal
WHERE study = %(study)s AND number > %(after)s AND (%(site)s::text IS NULL OR site = %(site)s)
ORDER BY number
LIMIT %(limit)s;
