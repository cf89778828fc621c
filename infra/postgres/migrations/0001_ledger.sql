-- The ledger: one append-only log per study, written only through append_batch.

DO $$
BEGIN
    -- The server's other databases share the role; an administrator may have made it before us.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cairn_app') THEN
        CREATE ROLE cairn_app NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL; -- made by another just now
END $$;
DO $$
BEGIN
    IF NOT pg_has_role(current_user, 'cairn_app', 'SET') THEN
        EXECUTE format('GRANT cairn_app TO %I', current_user);
    END IF;
    -- A temporary table could stand in the way of a real one.
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END $$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA cairn TO cairn_app;
GRANT SELECT ON cairn.migration TO cairn_app;

-- Where each study's log stands. The row is the lock under which its writers are serial.
CREATE TABLE cairn.head (
    study text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL CHECK (position >= 0),
    recorded_at text COLLATE "C" NOT NULL
) WITH (fillfactor = 50);
COMMENT ON COLUMN cairn.head.recorded_at IS
    'When the last event was recorded, as its envelope spells it (UTC, microseconds).';

-- Every unique key contains the study, so that the table can be distributed by it.
CREATE TABLE cairn.event (
    study text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    stream text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    topic text COLLATE "C" NOT NULL,
    source text COLLATE "C",
    event_id text COLLATE "C",
    fingerprint bytea,
    append bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    body bytea NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT event_position PRIMARY KEY (study, position),
    CONSTRAINT event_version UNIQUE (study, stream, version),
    CONSTRAINT event_source CHECK (event_id IS NULL OR source IS NOT NULL)
);
-- The most telling column first: it is only ever asked for whole, and comparing costs a batch most.
CREATE UNIQUE INDEX event_id ON cairn.event (event_id, source, study) WHERE event_id IS NOT NULL;
COMMENT ON COLUMN cairn.event.append IS
    'Which append brought it: a writer that lost its connection finds its own work again by this.';
COMMENT ON COLUMN cairn.event.body IS
    'The canonical envelope, as it was hashed; the other columns are derived from it.';

CREATE FUNCTION cairn.never() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER event_is_never_changed BEFORE UPDATE OR DELETE ON cairn.event
    FOR EACH ROW EXECUTE FUNCTION cairn.never();
CREATE TRIGGER event_is_never_emptied BEFORE TRUNCATE ON cairn.event
    FOR EACH STATEMENT EXECUTE FUNCTION cairn.never();
CREATE TRIGGER head_is_never_emptied BEFORE TRUNCATE ON cairn.head
    FOR EACH STATEMENT EXECUTE FUNCTION cairn.never();
CREATE TRIGGER head_is_never_removed BEFORE DELETE ON cairn.head
    FOR EACH ROW EXECUTE FUNCTION cairn.never();
CREATE TRIGGER head_never_goes_back BEFORE UPDATE ON cairn.head
    FOR EACH ROW WHEN (NEW.study <> OLD.study OR NEW.position < OLD.position
                       OR NEW.recorded_at < OLD.recorded_at)
    EXECUTE FUNCTION cairn.never();

-- What an earlier call of the same append recorded, when its answer was lost; no row when there was
-- none. `item` is the append's number in its batch.
CREATE FUNCTION cairn.appended_before(
    of_study text, item int, token bigint, size int, of_stream text, of_version bigint
) RETURNS TABLE (
    item int, outcome text, index int, stream text, version bigint, same boolean,
    positions bigint[], hashes bytea[], bodies bytea[]
)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT $2, 'appended', NULL::int, NULL::text, NULL::bigint, NULL::boolean,
        array_agg(e.position ORDER BY e.position), array_agg(e.hash ORDER BY e.position),
        array_agg(e.body ORDER BY e.position)
    FROM cairn.event f
    JOIN cairn.event e
        ON e.study = f.study AND e.position >= f.position AND e.position < f.position + size
    WHERE f.study = of_study AND f.stream = of_stream AND f.version = of_version
        AND f.append = token
    HAVING count(*) > 0;
END;

-- Appends a batch to one study's log. Each append succeeds or fails alone, and all of its events or
-- none. Per append: its token, the study version it was judged on (or NULL), how many events it has.
-- Per event: its stream (by number in `names`, where 1 is the study's own), version, topic, source
-- and id with the fingerprint of what was sent, the hash it was judged on (or NULL) and its
-- bytes with blanks, each between two chr(3): the number of an event of the append for its position,
-- P<hash> for the hash before, T<instant> for the time of recording. In canonical JSON the last three
-- are always the event's own position, the hash before it and its time.
-- Gives a row for each append that was refused and for each whose first answer was lost, with the
-- append's number, and one without for all that is new: by event, NULL where its append was refused.
CREATE FUNCTION cairn.append_batch(
    of_study text, tokens bigint[], study_versions bigint[], sizes int[], names text[],
    stream_of int[], versions bigint[], topics text[], sources text[], ids text[],
    fingerprints bytea[], judged bytea[], templates text[]
) RETURNS TABLE (
    item int, outcome text, index int, stream text, version bigint, same boolean,
    positions bigint[], hashes bytea[], bodies bytea[]
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
-- The plans are kept from the first call, when the table may be empty: they must never become scans.
-- A LIMIT in each look-up keeps the planner from turning the join around.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off
SET lock_timeout = '10s'
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    queued boolean;
    before bigint;
    stands bigint;
    at text COLLATE "C";
    heads bigint[];
    chain bytea[];
    known int[];
    total int := cardinality(templates);
    out_append bigint[] := array_fill(NULL::bigint, ARRAY[total]);
    out_position bigint[] := array_fill(NULL::bigint, ARRAY[total]);
    out_at text[] := array_fill(NULL::text, ARRAY[total]);
    out_hash bytea[] := array_fill(NULL::bytea, ARRAY[total]);
    out_body bytea[] := array_fill(NULL::bytea, ARRAY[total]);
    first_event int;
    last_event int := 0;
    first_position bigint;
    refused int;
    s int;
    n int;
    parts text[];
    bytes bytea;
BEGIN
    -- Waiters queue for the advisory lock in order; the row lock is the one that counts.
    queued := pg_advisory_xact_lock(7241969, hashtext(of_study)) IS NULL;
    SELECT h.position, h.recorded_at INTO stands, at
        FROM cairn.head h WHERE h.study = of_study FOR UPDATE;
    IF NOT FOUND THEN
        stands := 0;
        at := '0001-01-01T00:00:00.000000Z';
        INSERT INTO cairn.head VALUES (of_study, stands, at);
    END IF;
    before := stands;

    SELECT array_agg(coalesce(e.version, 0) ORDER BY n.i), array_agg(e.hash ORDER BY n.i)
        INTO heads, chain
        FROM unnest(names) WITH ORDINALITY AS n (stream, i)
        LEFT JOIN LATERAL (
            SELECT o.version, o.hash FROM cairn.event o
            WHERE o.study = of_study AND o.stream = n.stream ORDER BY o.version DESC LIMIT 1
        ) e ON true;
    SELECT array_agg(n.i) INTO known
        FROM unnest(sources, ids) WITH ORDINALITY AS n (source, event_id, i)
        CROSS JOIN LATERAL (
            SELECT FROM cairn.event o
            WHERE o.study = of_study AND o.source = n.source AND o.event_id = n.event_id LIMIT 1
        ) e;

    FOR a IN 1 .. cardinality(sizes) LOOP
        first_event := last_event + 1;
        last_event := last_event + sizes[a];

        IF known IS NOT NULL THEN
            SELECT min(i) INTO refused FROM unnest(known) i
                WHERE i BETWEEN first_event AND last_event;
            IF refused IS NOT NULL THEN
                RETURN QUERY SELECT * FROM cairn.appended_before(of_study, a, tokens[a], sizes[a],
                    names[stream_of[first_event]], versions[first_event]);
                IF NOT FOUND THEN
                    RETURN QUERY
                        SELECT a, 'duplicate', refused - first_event, e.stream, e.version,
                            e.fingerprint IS NOT DISTINCT FROM fingerprints[refused],
                            ARRAY[e.position], NULL::bytea[], NULL::bytea[]
                        FROM cairn.event e
                        WHERE e.study = of_study AND e.source = sources[refused]
                            AND e.event_id = ids[refused];
                END IF;
                CONTINUE;
            END IF;
        END IF;

        refused := NULL;
        IF study_versions[a] <> heads[1] THEN
            refused := 1;
        ELSE
            FOR i IN first_event .. last_event LOOP
                s := stream_of[i];
                IF versions[i] <> heads[s] + 1 OR judged[i] <> chain[s] THEN
                    refused := s;
                    FOR undone IN first_event .. i - 1 LOOP
                        heads[stream_of[undone]] := heads[stream_of[undone]] - 1;
                    END LOOP;
                    EXIT;
                END IF;
                heads[s] := versions[i];
            END LOOP;
        END IF;
        IF refused IS NOT NULL THEN
            RETURN QUERY SELECT * FROM cairn.appended_before(of_study, a, tokens[a], sizes[a],
                names[stream_of[first_event]], versions[first_event]);
            IF NOT FOUND THEN
                RETURN QUERY SELECT a, 'conflict', NULL::int, names[refused], heads[refused],
                    NULL::boolean, NULL::bigint[], NULL::bytea[], NULL::bytea[];
            END IF;
            CONTINUE;
        END IF;

        first_position := stands + 1;
        FOR i IN first_event .. last_event LOOP
            s := stream_of[i];
            parts := string_to_array(templates[i], chr(3));
            n := cardinality(parts);
            IF n > 1 THEN
                at := greatest(at, substr(parts[n - 1], 2));
                parts[n - 1] := at;
                parts[n - 3] := coalesce('"' || encode(chain[s], 'hex') || '"', 'null');
                FOR j IN 2 .. n - 5 BY 2 LOOP
                    parts[j] := (first_position + parts[j]::int)::text;
                END LOOP;
            END IF;
            bytes := convert_to(array_to_string(parts, ''), 'UTF8');
            chain[s] := sha256('\x00'::bytea || bytes);
            stands := stands + 1;
            out_append[i] := tokens[a];
            out_position[i] := stands;
            out_at[i] := at;
            out_hash[i] := chain[s];
            out_body[i] := bytes;
        END LOOP;
    END LOOP;

    IF stands > before THEN
        UPDATE cairn.head h SET position = stands, recorded_at = at WHERE h.study = of_study;
        INSERT INTO cairn.event (study, position, stream, version, topic, source, event_id,
                                 fingerprint, append, recorded_at, body, hash)
            SELECT of_study, out_position[i], names[stream_of[i]], versions[i], topics[i],
                sources[i], ids[i], fingerprints[i], out_append[i], out_at[i]::timestamptz,
                out_body[i], out_hash[i]
            FROM generate_series(1, total) i WHERE out_position[i] IS NOT NULL;
        RETURN QUERY SELECT NULL::int, 'appended', NULL::int, NULL::text, NULL::bigint,
            NULL::boolean, out_position, out_hash, out_body;
    END IF;
END $$;

-- The last position recorded at or before an instant. Recording times never decrease with the
-- position, so halving the log finds it without an index of its own.
CREATE FUNCTION cairn.position_at(of_study text, instant timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    low bigint := 0;
    high bigint;
    middle bigint;
    at timestamptz;
BEGIN
    SELECT coalesce(max(h.position), 0) INTO high FROM cairn.head h WHERE h.study = of_study;
    WHILE low < high LOOP
        middle := (low + high + 1) / 2;
        SELECT e.recorded_at INTO STRICT at
            FROM cairn.event e WHERE e.study = of_study AND e.position = middle;
        IF at <= instant THEN
            low := middle;
        ELSE
            high := middle - 1;
        END IF;
    END LOOP;
    RETURN low;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA cairn FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cairn.append_batch, cairn.position_at TO cairn_app;
GRANT SELECT ON cairn.head, cairn.event TO cairn_app;
