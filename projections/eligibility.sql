-- Eligibility: the table of verdicts and criteria, and how it is read.

-- name: table
CREATE TABLE IF NOT EXISTS views.eligibility_1 (
    study text COLLATE "C" NOT NULL,
    generation int NOT NULL,
    participant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    site text COLLATE "C",
    zone text NOT NULL,
    verdict text NOT NULL,
    criterion text,
    outcome text,
    item json NOT NULL,
    PRIMARY KEY (study, generation, participant, key)
);
-- The participant's own row, beside those of the criteria, is the one without a criterion.
CREATE INDEX IF NOT EXISTS eligibility_1_verdict
    ON views.eligibility_1 (study, generation, verdict, participant) WHERE criterion IS NULL;
CREATE INDEX IF NOT EXISTS eligibility_1_site
    ON views.eligibility_1 (study, generation, site, participant) WHERE criterion IS NULL;
CREATE INDEX IF NOT EXISTS eligibility_1_criterion
    ON views.eligibility_1 (study, generation, criterion, outcome, participant)
    WHERE criterion IS NOT NULL;

-- name: put
INSERT INTO views.eligibility_1 SELECT * FROM json_populate_recordset(NULL::views.eligibility_1, %(rows)s::json);

-- name: remove
-- Without a key: all rows of the participant.
DELETE FROM views.eligibility_1 AS held
USING json_to_recordset(%(gone)s::json) AS gone (participant text, key text)
WHERE held.study = %(study)s AND held.generation = %(generation)s
    AND held.participant = gone.participant AND (gone.key IS NULL OR gone.key = held.key);

-- name: copy
COPY views.eligibility_1 FROM STDIN;

-- name: all
SELECT * FROM views.eligibility_1
WHERE study = %(study)s AND generation = %(generation)s
ORDER BY participant, key;

-- name: of_participant
SELECT * FROM views.eligibility_1
WHERE study = %(study)s AND generation = %(generation)s AND participant = %(participant)s
ORDER BY key;

-- name: clear
DELETE FROM views.eligibility_1
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM views.eligibility_1
    WHERE study = %(study)s AND generation = %(generation)s LIMIT %(limit)s
));

-- name: page
-- Whole participants: their own rows, and with them those of the criteria.
WITH page AS MATERIALIZED (
    SELECT participant FROM views.eligibility_1
    WHERE study = %(study)s AND generation = %(generation)s AND criterion IS NULL
        AND participant > %(after)s
        AND (%(site)s::text IS NULL OR site = %(site)s)
        AND (%(verdict)s::text IS NULL OR verdict = %(verdict)s)
    ORDER BY participant LIMIT %(limit)s
)
SELECT held.* FROM page JOIN views.eligibility_1 AS held
    ON held.study = %(study)s AND held.generation = %(generation)s
    AND held.participant = page.participant
ORDER BY held.participant, held.key;
