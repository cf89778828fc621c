-- Inbound messages that wait for others: where each stands in its topic, and until when it waits.
-- What it says is not here (it may hold names in clear): it is read again from the topic.

CREATE TABLE cairn.inbound_parked (
    study text COLLATE "C" NOT NULL,
    topic text COLLATE "C" NOT NULL,
    "partition" integer NOT NULL CHECK ("partition" >= 0),
    "offset" bigint NOT NULL CHECK ("offset" >= 0),
    participant text COLLATE "C",
    since timestamptz NOT NULL,
    until timestamptz NOT NULL CHECK (until >= since),
    CONSTRAINT inbound_parked_place PRIMARY KEY (study, topic, "partition", "offset")
);

GRANT SELECT, INSERT (study, topic, "partition", "offset", participant, since, until), DELETE
    ON cairn.inbound_parked TO cairn_app;
