-- The relay: how far each study's ledger has been handed to Apache Kafka.

CREATE TABLE cairn.relay (
    study text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL CHECK (position >= 0),
    hash bytea CHECK (octet_length(hash) = 32),
    partitions int NOT NULL CHECK (partitions > 0),
    sent bigint[] NOT NULL,
    halted text,
    moved_at timestamptz NOT NULL DEFAULT now(),
    CHECK (cardinality(sent) = partitions),
    CHECK ((position = 0) = (hash IS NULL))
);
COMMENT ON COLUMN cairn.relay.position IS
    'Every event up to here was acknowledged by the brokers, in each of its partitions.';
COMMENT ON COLUMN cairn.relay.hash IS
    'Leaf hash of the event at the position: tells a restored ledger from the one that was sent.';
COMMENT ON COLUMN cairn.relay.partitions IS
    'Of the topic; fixed, since a participant''s partition follows from their number.';
COMMENT ON COLUMN cairn.relay.sent IS
    'By partition, the position of the last event that it acknowledged; 0 when there is none.';
COMMENT ON COLUMN cairn.relay.halted IS
    'Why the relay does not go on before an operator has looked; NULL when it does.';

GRANT SELECT, INSERT, UPDATE, DELETE ON cairn.relay TO cairn_app;
