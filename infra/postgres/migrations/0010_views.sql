-- Views: where their tables live, how far each has come, and who was left out.

CREATE SCHEMA views;
GRANT USAGE, CREATE ON SCHEMA views TO cairn_app;

-- A view's rows are those of its active generation; another is built beside and takes its place.
CREATE TABLE views.projection (
    study text COLLATE "C" NOT NULL,
    view text COLLATE "C" NOT NULL,
    version int NOT NULL,
    generation int NOT NULL CHECK (generation > 0),
    status text NOT NULL CHECK (status IN ('active', 'building', 'old')),
    position bigint NOT NULL CHECK (position >= 0),
    moved_at timestamptz NOT NULL DEFAULT now(),
    halted_at bigint,
    error text,
    PRIMARY KEY (study, view, version, generation)
);
CREATE UNIQUE INDEX projection_active ON views.projection (study, view, version)
    WHERE status = 'active';
COMMENT ON COLUMN views.projection.position IS
    'The rows reflect the study''s log up to here; both change in one transaction.';
COMMENT ON COLUMN views.projection.halted_at IS
    'The event that a view which may have no gaps could not take in; error is the kind of failure.';

-- Participants whose events could not be projected: their rows are those of before.
CREATE TABLE views.parked (
    study text COLLATE "C" NOT NULL,
    view text COLLATE "C" NOT NULL,
    version int NOT NULL,
    generation int NOT NULL,
    participant text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    error text NOT NULL,
    attempts int NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (study, view, version, generation, participant)
);
COMMENT ON COLUMN views.parked.position IS 'The first event that is missing from the rows.';

GRANT SELECT, INSERT, UPDATE, DELETE ON views.projection, views.parked TO cairn_app;
