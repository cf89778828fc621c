-- Eligibility: the table of verdicts and criteria, and how it is read.

-- name: table
CREATE TABLE IF NOT EXISTS views.eligibility_2 (
    study text COLLATE "C" NOT NULL,
    generation int NOT NULL,
    participant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    site text COLLATE "C",
    zone text NOT NULL,
    verdict text NOT NULL,
    criterion text,
    outcome text,
    near boolean NOT NULL,
    awaited boolean NOT NULL,
    item json NOT NULL,
    PRIMARY KEY (study, generation, participant, key)
);
-- The participant's own row, beside those of the criteria, is the one without a criterion.
CREATE INDEX IF NOT EXISTS eligibility_2_verdict
    ON views.eligibility_2 (study, generation, verdict, participant) WHERE criterion IS NULL;
CREATE INDEX IF NOT EXISTS eligibility_2_site
    ON views.eligibility_2 (study, generation, site, participant) WHERE criterion IS NULL;
-- What is counted is in the index, so that counting need not read the rows.
CREATE INDEX IF NOT EXISTS eligibility_2_criterion
    ON views.eligibility_2 (study, generation, criterion, site, outcome, near)
    WHERE criterion IS NOT NULL;
CREATE INDEX IF NOT EXISTS eligibility_2_awaited
    ON views.eligibility_2 (study, generation, participant, key) WHERE awaited;
CREATE INDEX IF NOT EXISTS eligibility_2_awaited_site
    ON views.eligibility_2 (study, generation, site, participant, key) WHERE awaited;
CREATE INDEX IF NOT EXISTS eligibility_2_awaited_criterion
    ON views.eligibility_2 (study, generation, criterion, participant, key) WHERE awaited;

-- name: put
-- A row that is there already is replaced.
INSERT INTO views.eligibility_2 SELECT * FROM json_populate_recordset(NULL::views.eligibility_2, %(rows)s::json)
ON CONFLICT (study, generation, participant, key) DO UPDATE SET (
    site, zone, verdict, criterion, outcome, near, awaited, item
) = (
    excluded.site, excluded.zone, excluded.verdict, excluded.criterion, excluded.outcome,
    excluded.near, excluded.awaited, excluded.item
);

-- name: remove
-- Without a key: all rows of the participant.
DELETE FROM views.eligibility_2 AS held
USING json_to_recordset(%(gone)s::json) AS gone (participant text, key text)
WHERE held.study = %(study)s AND held.generation = %(generation)s
    AND held.participant = gone.participant AND (gone.key IS NULL OR gone.key = held.key);

-- name: copy
COPY views.eligibility_2 FROM STDIN;

-- name: all
SELECT * FROM views.eligibility_2
WHERE study = %(study)s AND generation = %(generation)s
ORDER BY participant, key;

-- name: of_participant
SELECT * FROM views.eligibility_2
WHERE study = %(study)s AND generation = %(generation)s AND participant = %(participant)s
ORDER BY key;

-- name: clear
-- Not ANY (ARRAY(...)): for a table that was never analysed each row would be sought in the array.
DELETE FROM views.eligibility_2
WHERE study = %(study)s AND generation = %(generation)s AND ctid IN (
    SELECT ctid FROM views.eligibility_2
    WHERE study = %(study)s AND generation = %(generation)s LIMIT %(limit)s
);

-- name: page
-- Whole participants: their own rows, and with them those of the criteria.
WITH page AS MATERIALIZED (
    SELECT participant FROM views.eligibility_2
    WHERE study = %(study)s AND generation = %(generation)s AND criterion IS NULL
        AND participant > %(after)s
        AND (%(site)s::text IS NULL OR site = %(site)s)
        AND (%(verdict)s::text IS NULL OR verdict = %(verdict)s)
    ORDER BY participant LIMIT %(limit)s
)
SELECT held.* FROM page JOIN views.eligibility_2 AS held
    ON held.study = %(study)s AND held.generation = %(generation)s
    AND held.participant = page.participant
ORDER BY held.participant, held.key;

-- name: missing
-- Criteria that wait for facts, of participants who are still on the way to the dose.
SELECT * FROM views.eligibility_2
WHERE study = %(study)s AND generation = %(generation)s AND awaited
    AND (participant, key) > (%(after)s, %(after_key)s)
    AND (%(site)s::text IS NULL OR site = %(site)s)
    AND (%(criterion)s::text IS NULL OR criterion = %(criterion)s)
    AND (%(participant)s::text IS NULL OR participant = %(participant)s)
ORDER BY participant, key LIMIT %(limit)s;

-- name: criteria
-- How often each criterion says what, and how often close to a limit.
SELECT criterion, outcome, near, count(*) FROM views.eligibility_2
WHERE study = %(study)s AND generation = %(generation)s AND criterion IS NOT NULL
    AND (%(site)s::text IS NULL OR site = %(site)s)
GROUP BY criterion, outcome, near;
