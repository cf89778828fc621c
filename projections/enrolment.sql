-- Enrolment: the table of the participants' summaries, and how it is read.

-- name: table
CREATE TABLE IF NOT EXISTS views.enrolment_1 (
    study text COLLATE "C" NOT NULL,
    generation int NOT NULL,
    participant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    site text COLLATE "C",
    zone text NOT NULL,
    stage text NOT NULL,
    stage_then text NOT NULL,
    stage_until date,
    reconsent_due text,
    consented boolean NOT NULL,
    screened boolean NOT NULL,
    confirmed boolean NOT NULL,
    enrolled boolean NOT NULL,
    dosed boolean NOT NULL,
    completed boolean NOT NULL,
    item json NOT NULL,
    PRIMARY KEY (study, generation, participant, key)
);
CREATE INDEX IF NOT EXISTS enrolment_1_site
    ON views.enrolment_1 (study, generation, site, participant);
CREATE INDEX IF NOT EXISTS enrolment_1_stage
    ON views.enrolment_1 (study, generation, stage, participant);
CREATE INDEX IF NOT EXISTS enrolment_1_reconsent
    ON views.enrolment_1 (study, generation, participant) WHERE reconsent_due IS NOT NULL;

-- name: put
-- A row that is there already is replaced.
INSERT INTO views.enrolment_1 SELECT * FROM json_populate_recordset(NULL::views.enrolment_1, %(rows)s::json)
ON CONFLICT (study, generation, participant, key) DO UPDATE SET (
    site, zone, stage, stage_then, stage_until, reconsent_due, consented, screened, confirmed,
    enrolled, dosed, completed, item
) = (
    excluded.site, excluded.zone, excluded.stage, excluded.stage_then, excluded.stage_until,
    excluded.reconsent_due, excluded.consented, excluded.screened, excluded.confirmed,
    excluded.enrolled, excluded.dosed, excluded.completed, excluded.item
);

-- name: remove
-- Without a key: all rows of the participant.
DELETE FROM views.enrolment_1 AS held
USING json_to_recordset(%(gone)s::json) AS gone (participant text, key text)
WHERE held.study = %(study)s AND held.generation = %(generation)s
    AND held.participant = gone.participant AND (gone.key IS NULL OR gone.key = held.key);

-- name: copy
COPY views.enrolment_1 FROM STDIN;

-- name: all
SELECT * FROM views.enrolment_1
WHERE study = %(study)s AND generation = %(generation)s
ORDER BY participant, key;

-- name: of_participant
SELECT * FROM views.enrolment_1
WHERE study = %(study)s AND generation = %(generation)s AND participant = %(participant)s
ORDER BY key;

-- name: clear
-- Not ANY (ARRAY(...)): for a table that was never analysed each row would be sought in the array.
DELETE FROM views.enrolment_1
WHERE study = %(study)s AND generation = %(generation)s AND ctid IN (
    SELECT ctid FROM views.enrolment_1
    WHERE study = %(study)s AND generation = %(generation)s LIMIT %(limit)s
);

-- name: page
-- A stage may end by itself, at midnight of the site: the reader looks at each row again.
SELECT * FROM views.enrolment_1
WHERE study = %(study)s AND generation = %(generation)s AND participant > %(after)s
    AND (%(site)s::text IS NULL OR site = %(site)s)
    AND (%(stage)s::text IS NULL OR stage = %(stage)s OR stage_then = %(stage)s)
ORDER BY participant LIMIT %(limit)s;

-- name: reconsents
SELECT * FROM views.enrolment_1
WHERE study = %(study)s AND generation = %(generation)s AND reconsent_due IS NOT NULL
    AND (%(site)s::text IS NULL OR site = %(site)s)
ORDER BY participant LIMIT %(limit)s;

-- name: expiring
SELECT * FROM views.enrolment_1
WHERE study = %(study)s AND generation = %(generation)s AND stage = 'eligible'
    AND stage_until <= %(before)s
    AND (%(site)s::text IS NULL OR site = %(site)s)
ORDER BY participant LIMIT %(limit)s;

-- name: funnel
SELECT
    site, zone, stage, stage_then, stage_until, count(*),
    count(*) FILTER (WHERE consented), count(*) FILTER (WHERE screened),
    count(*) FILTER (WHERE confirmed), count(*) FILTER (WHERE enrolled),
    count(*) FILTER (WHERE dosed), count(*) FILTER (WHERE completed)
FROM views.enrolment_1
WHERE study = %(study)s AND generation = %(generation)s
    AND (%(site)s::text IS NULL OR site = %(site)s)
GROUP BY site, zone, stage, stage_then, stage_until
ORDER BY site, stage, stage_then, stage_until;
