-- Safety: the table of adverse events and contradictions, and how it is read.

-- name: table
CREATE TABLE IF NOT EXISTS views.safety_2 (
    study text COLLATE "C" NOT NULL,
    generation int NOT NULL,
    participant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    site text COLLATE "C",
    zone text NOT NULL,
    kind text NOT NULL,
    onset date NOT NULL,
    term text,
    grade int,
    serious boolean NOT NULL,
    suspected boolean NOT NULL,
    causality text,
    since_dose int,
    dose_limiting boolean NOT NULL,
    contradicted boolean NOT NULL,
    owed_since timestamptz,
    unsaid_from timestamptz,
    item json NOT NULL,
    PRIMARY KEY (study, generation, participant, key)
);
COMMENT ON COLUMN views.safety_2.kind IS
    'adverse-event, or participant for what is about no single event.';
COMMENT ON COLUMN views.safety_2.suspected IS
    'The investigator or the sponsor suspects the product, or nobody has judged it yet.';
COMMENT ON COLUMN views.safety_2.causality IS 'The stronger judgement of the product.';
COMMENT ON COLUMN views.safety_2.since_dose IS 'Civil days from the first dose to the onset.';
COMMENT ON COLUMN views.safety_2.owed_since IS
    'The first limit of a report that is neither sent nor closed.';
COMMENT ON COLUMN views.safety_2.unsaid_from IS
    'When the next limit passes that the log does not call breached.';
CREATE INDEX IF NOT EXISTS safety_2_onset
    ON views.safety_2 (study, generation, onset, participant, key);
CREATE INDEX IF NOT EXISTS safety_2_site
    ON views.safety_2 (study, generation, site, onset, participant, key);
CREATE INDEX IF NOT EXISTS safety_2_owed
    ON views.safety_2 (study, generation, owed_since, participant, key)
    WHERE owed_since IS NOT NULL;
CREATE INDEX IF NOT EXISTS safety_2_unsaid
    ON views.safety_2 (study, generation, unsaid_from) WHERE unsaid_from IS NOT NULL;
CREATE INDEX IF NOT EXISTS safety_2_serious
    ON views.safety_2 (study, generation, onset, participant, key) WHERE serious;
CREATE INDEX IF NOT EXISTS safety_2_contradicted
    ON views.safety_2 (study, generation, participant, key) WHERE contradicted;

-- name: put
-- A row that is there already is replaced.
INSERT INTO views.safety_2 SELECT * FROM json_populate_recordset(NULL::views.safety_2, %(rows)s::json)
ON CONFLICT (study, generation, participant, key) DO UPDATE SET (
    site, zone, kind, onset, term, grade, serious, suspected, causality, since_dose,
    dose_limiting, contradicted, owed_since, unsaid_from, item
) = (
    excluded.site, excluded.zone, excluded.kind, excluded.onset, excluded.term, excluded.grade,
    excluded.serious, excluded.suspected, excluded.causality, excluded.since_dose,
    excluded.dose_limiting, excluded.contradicted, excluded.owed_since, excluded.unsaid_from,
    excluded.item
);

-- name: remove
-- Without a key: all rows of the participant.
DELETE FROM views.safety_2 AS held
USING json_to_recordset(%(gone)s::json) AS gone (participant text, key text)
WHERE held.study = %(study)s AND held.generation = %(generation)s
    AND held.participant = gone.participant AND (gone.key IS NULL OR gone.key = held.key);

-- name: copy
COPY views.safety_2 FROM STDIN;

-- name: all
SELECT * FROM views.safety_2
WHERE study = %(study)s AND generation = %(generation)s
ORDER BY participant, key;

-- name: of_participant
SELECT * FROM views.safety_2
WHERE study = %(study)s AND generation = %(generation)s AND participant = %(participant)s
ORDER BY key;

-- name: clear
-- Not ANY (ARRAY(...)): for a table that was never analysed each row would be sought in the array.
DELETE FROM views.safety_2
WHERE study = %(study)s AND generation = %(generation)s AND ctid IN (
    SELECT ctid FROM views.safety_2
    WHERE study = %(study)s AND generation = %(generation)s LIMIT %(limit)s
);

-- name: page
-- Adverse events by onset.
SELECT * FROM views.safety_2
WHERE study = %(study)s AND generation = %(generation)s AND kind = 'adverse-event'
    AND (onset, participant, key) > (%(after_day)s, %(after)s, %(after_key)s)
    AND (%(site)s::text IS NULL OR site = %(site)s)
ORDER BY onset, participant, key LIMIT %(limit)s;

-- name: owed
-- Events with a report that is owed, the most urgent first.
SELECT * FROM views.safety_2
WHERE study = %(study)s AND generation = %(generation)s AND owed_since IS NOT NULL
    AND (%(site)s::text IS NULL OR site = %(site)s)
ORDER BY owed_since, participant, key LIMIT %(limit)s;

-- name: contradicted
SELECT * FROM views.safety_2
WHERE study = %(study)s AND generation = %(generation)s AND contradicted
    AND (%(site)s::text IS NULL OR site = %(site)s)
ORDER BY participant, key LIMIT %(limit)s;

-- name: serious
-- Serious events by onset.
SELECT * FROM views.safety_2
WHERE study = %(study)s AND generation = %(generation)s AND serious
    AND (%(site)s::text IS NULL OR site = %(site)s)
ORDER BY onset, participant, key LIMIT %(limit)s;

-- name: figures
-- What figures over the events count, one row an event, all of a participant's in a row.
SELECT participant, term, grade, serious, suspected, causality, since_dose, dose_limiting
FROM views.safety_2
WHERE study = %(study)s AND generation = %(generation)s AND kind = 'adverse-event'
    AND (%(site)s::text IS NULL OR site = %(site)s)
ORDER BY participant;

-- name: next_limit
-- The first limit yet to pass without a word in the log.
SELECT min(unsaid_from) FROM views.safety_2
WHERE study = %(study)s AND generation = %(generation)s AND unsaid_from >= %(on)s;

-- name: breaching
-- Whose limits have passed, and the log does not say so.
SELECT DISTINCT participant FROM views.safety_2
WHERE study = %(study)s AND generation = %(generation)s AND unsaid_from < %(on)s
    AND participant > %(after)s
ORDER BY participant LIMIT %(limit)s;
