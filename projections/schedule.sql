-- Schedule: the table of planned and held visits, and how it is read.

-- name: table
CREATE TABLE IF NOT EXISTS views.schedule_1 (
    study text COLLATE "C" NOT NULL,
    generation int NOT NULL,
    participant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    site text COLLATE "C",
    zone text NOT NULL,
    visit text COLLATE "C" NOT NULL,
    day date NOT NULL,
    settled text,
    due_from date,
    late_from date,
    lapsed boolean NOT NULL,
    booked_on date,
    item json NOT NULL,
    PRIMARY KEY (study, generation, participant, key)
);
COMMENT ON COLUMN views.schedule_1.day IS
    'The target, else the day on which it was held, else the last of all days.';
COMMENT ON COLUMN views.schedule_1.settled IS 'The state, where time alone does not change it.';
CREATE INDEX IF NOT EXISTS schedule_1_day
    ON views.schedule_1 (study, generation, day, participant, key);
CREATE INDEX IF NOT EXISTS schedule_1_site
    ON views.schedule_1 (study, generation, site, day, participant, key);
CREATE INDEX IF NOT EXISTS schedule_1_due
    ON views.schedule_1 (study, generation, due_from, participant, key) WHERE settled IS NULL;
CREATE INDEX IF NOT EXISTS schedule_1_late
    ON views.schedule_1 (study, generation, late_from, participant, key)
    WHERE settled IS NULL AND NOT lapsed;
CREATE INDEX IF NOT EXISTS schedule_1_booked
    ON views.schedule_1 (study, generation, booked_on) WHERE booked_on IS NOT NULL;

-- name: put
INSERT INTO views.schedule_1 SELECT * FROM json_populate_recordset(NULL::views.schedule_1, %(rows)s::json);

-- name: remove
-- Without a key: all rows of the participant.
DELETE FROM views.schedule_1 AS held
USING json_to_recordset(%(gone)s::json) AS gone (participant text, key text)
WHERE held.study = %(study)s AND held.generation = %(generation)s
    AND held.participant = gone.participant AND (gone.key IS NULL OR gone.key = held.key);

-- name: copy
COPY views.schedule_1 FROM STDIN;

-- name: all
SELECT * FROM views.schedule_1
WHERE study = %(study)s AND generation = %(generation)s
ORDER BY participant, key;

-- name: of_participant
SELECT * FROM views.schedule_1
WHERE study = %(study)s AND generation = %(generation)s AND participant = %(participant)s
ORDER BY key;

-- name: clear
DELETE FROM views.schedule_1
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM views.schedule_1
    WHERE study = %(study)s AND generation = %(generation)s LIMIT %(limit)s
));

-- name: page
-- By day. Which state holds depends on the day at each site: a row may come that the reader leaves
-- out when it looks closely, never the other way round.
SELECT * FROM views.schedule_1
WHERE study = %(study)s AND generation = %(generation)s
    AND (day, participant, key) > (%(after_day)s, %(after)s, %(after_key)s)
    AND day >= %(first)s AND day <= %(last)s
    AND (%(site)s::text IS NULL OR site = %(site)s)
    AND (
        %(status)s::text IS NULL OR settled = %(status)s OR (settled IS NULL AND CASE %(status)s
            WHEN 'upcoming' THEN due_from > %(on)s::date - 1
            WHEN 'due' THEN due_from <= %(on)s::date + 1
                AND (late_from IS NULL OR late_from > %(on)s::date - 1)
            WHEN 'overdue' THEN late_from <= %(on)s::date + 1
            WHEN 'missed' THEN late_from <= %(on)s::date + 1
            ELSE false
        END)
    )
ORDER BY day, participant, key LIMIT %(limit)s;

-- name: open
-- Visits that may be due or overdue.
SELECT * FROM views.schedule_1
WHERE study = %(study)s AND generation = %(generation)s AND settled IS NULL AND NOT lapsed
    AND due_from <= %(on)s::date + 1
    AND (%(site)s::text IS NULL OR site = %(site)s)
ORDER BY due_from, participant, key LIMIT %(limit)s;

-- name: booked
-- Visits that may be booked for the day.
SELECT * FROM views.schedule_1
WHERE study = %(study)s AND generation = %(generation)s
    AND booked_on BETWEEN %(on)s::date - 1 AND %(on)s::date + 1
    AND (%(site)s::text IS NULL OR site = %(site)s)
ORDER BY booked_on, participant, key LIMIT %(limit)s;

-- name: lapsing
-- Whose windows may have closed without a visit, and the log does not say so; from which day on.
SELECT participant, zone, min(late_from) FROM views.schedule_1
WHERE study = %(study)s AND generation = %(generation)s AND settled IS NULL AND NOT lapsed
    AND late_from <= %(on)s::date + 1 AND participant > %(after)s
GROUP BY participant, zone
ORDER BY participant LIMIT %(limit)s;
