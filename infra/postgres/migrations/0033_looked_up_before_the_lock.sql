-- Batches follow one another, each waiting for the study's lock. What one can look up while another
-- has the lock it looks up before; what was appended meanwhile is made up for under the lock.

-- Which of a batch's streams and event ids are among the events after a position: a row for each
-- such event, in order, with the number of its stream in `names` (NULL: none) and the number of the
-- batch's event that has its source and id (NULL: none).
CREATE FUNCTION cairn.came_since(
    of_study text, since bigint, names text[], sources text[], ids text[]
) RETURNS TABLE (name int, version bigint, hash bytea, event int)
LANGUAGE plpgsql STABLE
-- A few hundred events on either side, whatever the planner thinks of their number.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_nestloop = off
SET jit = off
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH new AS MATERIALIZED (
            SELECT o.position, o.stream, o.version, o.hash, o.source, o.event_id
            FROM cairn.event o WHERE o.study = of_study AND o.position > since
        )
        SELECT n.i::int, o.version, o.hash, m.i::int
        FROM new o
        LEFT JOIN unnest(names) WITH ORDINALITY AS n (stream, i) ON n.stream = o.stream
        LEFT JOIN unnest(sources, ids) WITH ORDINALITY AS m (source, event_id, i)
            ON m.source = o.source AND m.event_id = o.event_id
        WHERE n.i IS NOT NULL OR m.i IS NOT NULL
        ORDER BY o.position;
END $$;
REVOKE ALL ON FUNCTION cairn.came_since FROM PUBLIC;

-- As 0001 describes it; only when it looks is new.
CREATE OR REPLACE FUNCTION cairn.append_batch(
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
    seen bigint;
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
    came record;
    s int;
    n int;
    parts text[];
    bytes bytea;
BEGIN
    -- The position is read before all else: what comes after it is looked at again under the lock.
    seen := coalesce((SELECT h.position FROM cairn.head h WHERE h.study = of_study), 0);
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

    IF stands > seen THEN
        FOR came IN SELECT * FROM cairn.came_since(of_study, seen, names, sources, ids) LOOP
            IF came.name IS NOT NULL THEN
                heads[came.name] := came.version;
                chain[came.name] := came.hash;
            END IF;
            IF came.event IS NOT NULL THEN
                known := known || came.event;
            END IF;
        END LOOP;
    END IF;

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
