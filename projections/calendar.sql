-- Calendar: the table of what calendars show or once showed, and how it is read.

-- name: table
CREATE TABLE IF NOT EXISTS views.calendar_1 (
    study text COLLATE "C" NOT NULL,
    generation int NOT NULL,
    participant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    site text COLLATE "C",
    current boolean NOT NULL,
    item json NOT NULL,
    PRIMARY KEY (study, generation, participant, key)
);
COMMENT ON COLUMN views.calendar_1.current IS
    'Whether this is where the participant is; else the row is for a former site only.';
CREATE INDEX IF NOT EXISTS calendar_1_site
    ON views.calendar_1 (study, generation, site, participant, key);

-- name: put
-- A row that is there already is replaced.
INSERT INTO views.calendar_1 SELECT * FROM json_populate_recordset(NULL::views.calendar_1, %(rows)s::json)
ON CONFLICT (study, generation, participant, key) DO UPDATE SET (
    site, current, item
) = (
    excluded.site, excluded.current, excluded.item
);

-- name: remove
-- Without a key: all rows of the participant.
DELETE FROM views.calendar_1 AS held
USING json_to_recordset(%(gone)s::json) AS gone (participant text, key text)
WHERE held.study = %(study)s AND held.generation = %(generation)s
    AND held.participant = gone.participant AND (gone.key IS NULL OR gone.key = held.key);

-- name: copy
COPY views.calendar_1 FROM STDIN;

-- name: all
SELECT * FROM views.calendar_1
WHERE study = %(study)s AND generation = %(generation)s
ORDER BY participant, key;

-- name: of_participant
SELECT * FROM views.calendar_1
WHERE study = %(study)s AND generation = %(generation)s AND participant = %(participant)s
ORDER BY key;

-- name: clear
-- Not ANY (ARRAY(...)): for a table that was never analysed each row would be sought in the array.
DELETE FROM views.calendar_1
WHERE study = %(study)s AND generation = %(generation)s AND ctid IN (
    SELECT ctid FROM views.calendar_1
    WHERE study = %(study)s AND generation = %(generation)s LIMIT %(limit)s
);

-- name: page
-- Of a site: also what it must be told of participants who have left it.
SELECT * FROM views.calendar_1
WHERE study = %(study)s AND generation = %(generation)s
    AND (participant, key) > (%(after)s, %(after_key)s)
    AND CASE WHEN %(site)s::text IS NULL THEN current ELSE site = %(site)s END
    AND (%(participant)s::text IS NULL OR participant = %(participant)s)
ORDER BY participant, key LIMIT %(limit)s;
