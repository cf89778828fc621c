-- Schedule: the table of planned and held visits, and how it is read.

-- name: table
CREATE TABLE IF NOT EXISTS views.schedule_2 (
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
    work_day date NOT NULL,
    outside int,
    item json NOT NULL,
    PRIMARY KEY (study, generation, participant, key)
);
COMMENT ON COLUMN views.schedule_2.day IS
    'The target, else the day on which it was held, else the last of all days.';
COMMENT ON COLUMN views.schedule_2.settled IS 'The state, where time alone does not change it.';
COMMENT ON COLUMN views.schedule_2.work_day IS
    'The day on which it was held, else for which it is booked, else the target.';
COMMENT ON COLUMN views.schedule_2.outside IS
    'Of a visit that was held: days outside its window, negative early; null where it has none.';
CREATE INDEX IF NOT EXISTS schedule_2_day
    ON views.schedule_2 (study, generation, day, participant, key);
CREATE INDEX IF NOT EXISTS schedule_2_site
    ON views.schedule_2 (study, generation, site, day, participant, key);
CREATE INDEX IF NOT EXISTS schedule_2_due
    ON views.schedule_2 (study, generation, due_from, participant, key) WHERE settled IS NULL;
CREATE INDEX IF NOT EXISTS schedule_2_late
    ON views.schedule_2 (study, generation, late_from, participant, key)
    WHERE settled IS NULL AND NOT lapsed;
CREATE INDEX IF NOT EXISTS schedule_2_booked
    ON views.schedule_2 (study, generation, booked_on) WHERE booked_on IS NOT NULL;
CREATE INDEX IF NOT EXISTS schedule_2_work
    ON views.schedule_2 (study, generation, work_day);

-- name: put
-- A row that is there already is replaced.
INSERT INTO views.schedule_2 SELECT * FROM json_populate_recordset(NULL::views.schedule_2, %(rows)s::json)
ON CONFLICT (study, generation, participant, key) DO UPDATE SET (
    site, zone, visit, day, settled, due_from, late_from, lapsed, booked_on, work_day, outside,
    item
) = (
    excluded.site, excluded.zone, excluded.visit, excluded.day, excluded.settled,
    excluded.due_from, excluded.late_from, excluded.lapsed, excluded.booked_on, excluded.work_day,
    excluded.outside, excluded.item
);

-- name: remove
-- Without a key: all rows of the participant.
DELETE FROM views.schedule_2 AS held
USING json_to_recordset(%(gone)s::json) AS gone (participant text, key text)
WHERE held.study = %(study)s AND held.generation = %(generation)s
    AND held.participant = gone.participant AND (gone.key IS NULL OR gone.key = held.key);

-- name: copy
COPY views.schedule_2 FROM STDIN;

-- name: all
SELECT * FROM views.schedule_2
WHERE study = %(study)s AND generation = %(generation)s
ORDER BY participant, key;

-- name: of_participant
SELECT * FROM views.schedule_2
WHERE study = %(study)s AND generation = %(generation)s AND participant = %(participant)s
ORDER BY key;

-- name: clear
-- Not ANY (ARRAY(...)): for a table that was never analysed each row would be sought in the array.
DELETE FROM views.schedule_2
WHERE study = %(study)s AND generation = %(generation)s AND ctid IN (
    SELECT ctid FROM views.schedule_2
    WHERE study = %(study)s AND generation = %(generation)s LIMIT %(limit)s
);

-- name: page
-- By day. Which state holds depends on the day at each site: a row may come that the reader leaves
-- out when it looks closely, never the other way round.
SELECT * FROM views.schedule_2
WHERE study = %(study)s AND generation = %(generation)s
    AND (day, participant, key) > (%(after_day)s, %(after)s, %(after_key)s)
    AND day >= %(first)s AND day <= %(last)s
    AND (%(site)s::text IS NULL OR site = %(site)s)
    AND (%(participant)s::text IS NULL OR participant = %(participant)s)
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
SELECT * FROM views.schedule_2
WHERE study = %(study)s AND generation = %(generation)s AND settled IS NULL AND NOT lapsed
    AND due_from <= %(on)s::date + 1
    AND (%(site)s::text IS NULL OR site = %(site)s)
ORDER BY due_from, participant, key LIMIT %(limit)s;

-- name: booked
-- Visits that may be booked for the day.
SELECT * FROM views.schedule_2
WHERE study = %(study)s AND generation = %(generation)s
    AND booked_on BETWEEN %(on)s::date - 1 AND %(on)s::date + 1
    AND (%(site)s::text IS NULL OR site = %(site)s)
ORDER BY booked_on, participant, key LIMIT %(limit)s;

-- name: lapsing
-- Whose windows may have closed without a visit, and the log does not say so; from which day on.
SELECT participant, zone, min(late_from) FROM views.schedule_2
WHERE study = %(study)s AND generation = %(generation)s AND settled IS NULL AND NOT lapsed
    AND late_from <= %(on)s::date + 1 AND participant > %(after)s
GROUP BY participant, zone
ORDER BY participant LIMIT %(limit)s;

-- name: opening
-- Visits without a booking whose windows may open soon.
SELECT * FROM views.schedule_2
WHERE study = %(study)s AND generation = %(generation)s AND settled IS NULL AND NOT lapsed
    AND booked_on IS NULL
    AND due_from > %(on)s::date - 1 AND due_from <= %(before)s
    AND (%(site)s::text IS NULL OR site = %(site)s)
ORDER BY due_from, participant, key LIMIT %(limit)s;

-- name: matrix
-- Whole participants, in order.
WITH page AS MATERIALIZED (
    SELECT DISTINCT participant FROM views.schedule_2
    WHERE study = %(study)s AND generation = %(generation)s AND participant > %(after)s
        AND (%(site)s::text IS NULL OR site = %(site)s)
    ORDER BY participant LIMIT %(limit)s
)
SELECT held.* FROM page JOIN views.schedule_2 AS held
    ON held.study = %(study)s AND held.generation = %(generation)s
    AND held.participant = page.participant
ORDER BY held.participant, held.key;

-- name: workload
-- Visits by week (its Monday), site and state. The day is one and the same everywhere, or at each
-- site that of a moment.
SELECT week, site, status, count(*), count(booked_on) FROM (
    SELECT
        work_day - (extract(isodow FROM work_day)::int - 1) AS week,
        site,
        booked_on,
        CASE
            WHEN settled IS NOT NULL THEN settled
            WHEN today < due_from THEN 'upcoming'
            WHEN late_from IS NULL OR today < late_from THEN 'due'
            WHEN lapsed THEN 'missed'
            ELSE 'overdue'
        END AS status
    FROM views.schedule_2
    CROSS JOIN LATERAL (
        SELECT coalesce(%(day)s::date, (%(moment)s::timestamptz AT TIME ZONE zone)::date) AS today
    ) AS there
    WHERE study = %(study)s AND generation = %(generation)s
        AND work_day >= %(first)s AND work_day <= %(last)s
        AND (%(site)s::text IS NULL OR site = %(site)s)
) AS visits
GROUP BY week, site, status;

-- name: adherence
-- Visits by code, site, state and the side of the window on which they were held.
SELECT visit, site, status, side, count(*) FROM (
    SELECT
        visit,
        site,
        sign(outside)::int AS side,
        CASE
            WHEN settled IS NOT NULL THEN settled
            WHEN today < due_from THEN 'upcoming'
            WHEN late_from IS NULL OR today < late_from THEN 'due'
            WHEN lapsed THEN 'missed'
            ELSE 'overdue'
        END AS status
    FROM views.schedule_2
    CROSS JOIN LATERAL (
        SELECT coalesce(%(day)s::date, (%(moment)s::timestamptz AT TIME ZONE zone)::date) AS today
    ) AS there
    WHERE study = %(study)s AND generation = %(generation)s
        AND work_day >= %(first)s AND work_day <= %(last)s
        AND (%(site)s::text IS NULL OR site = %(site)s)
) AS visits
GROUP BY visit, site, status, side;
