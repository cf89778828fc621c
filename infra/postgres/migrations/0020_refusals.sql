-- Refused decisions and impossible reports, without their bodies: who, what, when, by which rule.

CREATE TABLE cairn.refusal (
    study text COLLATE "C" NOT NULL,
    number bigint NOT NULL CHECK (number > 0),
    at timestamptz NOT NULL,
    actor text NOT NULL,
    role text NOT NULL,
    type text NOT NULL,
    problem text NOT NULL,
    rules text[] NOT NULL CHECK (cardinality(rules) > 0),
    blocked_by bigint[] NOT NULL,
    participant text COLLATE "C",
    site text COLLATE "C",
    source text COLLATE "C",
    event_id text COLLATE "C",
    CONSTRAINT refusal_number PRIMARY KEY (study, number)
);
CREATE INDEX refusal_site ON cairn.refusal (study, site, number);
COMMENT ON COLUMN cairn.refusal.number IS 'Dense within the study, in commit order.';

CREATE TRIGGER refusal_is_never_changed BEFORE UPDATE OR DELETE ON cairn.refusal
    FOR EACH ROW EXECUTE FUNCTION cairn.never();
CREATE TRIGGER refusal_is_never_emptied BEFORE TRUNCATE ON cairn.refusal
    FOR EACH STATEMENT EXECUTE FUNCTION cairn.never();

GRANT SELECT, INSERT (
    study, number, at, actor, role, type, problem, rules, blocked_by, participant, site, source,
    event_id
) ON cairn.refusal TO cairn_app;
