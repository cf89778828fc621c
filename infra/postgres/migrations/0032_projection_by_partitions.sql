-- Views kept by several workers, each for some partitions of a study's participants.

-- NULL: one cursor for everybody, that of this row. A number: each partition has a cursor of its own,
-- and the view stands where the last of them stands.
ALTER TABLE views.projection ADD COLUMN partitions int CHECK (partitions > 0);
COMMENT ON COLUMN views.projection.partitions IS
    'Into how many partitions the view''s participants are divided; NULL: they are not.';

CREATE TABLE views.projection_partition (
    study text COLLATE "C" NOT NULL,
    view text COLLATE "C" NOT NULL,
    version int NOT NULL,
    generation int NOT NULL,
    partition int NOT NULL CHECK (partition >= 0),
    position bigint NOT NULL CHECK (position >= 0),
    next_offset bigint CHECK (next_offset >= 0),
    moved_at timestamptz NOT NULL DEFAULT now(),
    halted_at bigint,
    error text,
    PRIMARY KEY (study, view, version, generation, partition),
    FOREIGN KEY (study, view, version, generation) REFERENCES views.projection ON DELETE CASCADE
) WITH (fillfactor = 50);
COMMENT ON COLUMN views.projection_partition.next_offset IS
    'No event of the partition after position has a smaller offset in the topic; NULL: not known.';

GRANT SELECT, INSERT, UPDATE, DELETE ON views.projection_partition TO cairn_app;
