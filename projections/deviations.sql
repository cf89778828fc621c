-- Deviations: the table of what stands, and how it is read.

-- name: table
CREATE TABLE IF NOT EXISTS views.deviations_1 (
    study text COLLATE "C" NOT NULL,
    generation int NOT NULL,
    participant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    site text COLLATE "C",
    position bigint NOT NULL,
    category text NOT NULL,
    importance text NOT NULL,
    item json NOT NULL,
    PRIMARY KEY (study, generation, participant, key)
);
CREATE INDEX IF NOT EXISTS deviations_1_position
    ON views.deviations_1 (study, generation, position);
CREATE INDEX IF NOT EXISTS deviations_1_site
    ON views.deviations_1 (study, generation, site, position);

-- name: put
-- A row that is there already is replaced.
INSERT INTO views.deviations_1 SELECT * FROM json_populate_recordset(NULL::views.deviations_1, %(rows)s::json)
ON CONFLICT (study, generation, participant, key) DO UPDATE SET (
    site, position, category, importance, item
) = (
    excluded.site, excluded.position, excluded.category, excluded.importance, excluded.item
);

-- name: remove
-- Without a key: all rows of the participant.
DELETE FROM views.deviations_1 AS held
USING json_to_recordset(%(gone)s::json) AS gone (participant text, key text)
WHERE held.study = %(study)s AND held.generation = %(generation)s
    AND held.participant = gone.participant AND (gone.key IS NULL OR gone.key = held.key);

-- name: copy
COPY views.deviations_1 FROM STDIN;

-- name: all
SELECT * FROM views.deviations_1
WHERE study = %(study)s AND generation = %(generation)s
ORDER BY participant, key;

-- name: of_participant
SELECT * FROM views.deviations_1
WHERE study = %(study)s AND generation = %(generation)s AND participant = %(participant)s
ORDER BY key;

-- name: clear
-- Not ANY (ARRAY(...)): for a table that was never analysed each row would be sought in the array.
DELETE FROM views.deviations_1
WHERE study = %(study)s AND generation = %(generation)s AND ctid IN (
    SELECT ctid FROM views.deviations_1
    WHERE study = %(study)s AND generation = %(generation)s LIMIT %(limit)s
);

-- name: page
-- In the order of the log.
SELECT * FROM views.deviations_1
WHERE study = %(study)s AND generation = %(generation)s AND position > %(after)s
    AND (%(site)s::text IS NULL OR site = %(site)s)
ORDER BY position LIMIT %(limit)s;
