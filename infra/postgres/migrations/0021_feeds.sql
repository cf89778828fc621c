-- Calendar feeds: each has a token of its own, of which only a digest is kept, and can be revoked.

CREATE TABLE cairn.feed (
    study text COLLATE "C" NOT NULL,
    feed text COLLATE "C" NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    site text COLLATE "C",
    participant text COLLATE "C",
    made_by text NOT NULL,
    made_at timestamptz NOT NULL,
    revoked_by text,
    revoked_at timestamptz,
    CONSTRAINT feed_name PRIMARY KEY (study, feed),
    CONSTRAINT feed_digest UNIQUE (digest),
    CHECK ((revoked_by IS NULL) = (revoked_at IS NULL))
);

CREATE TRIGGER feed_is_never_removed BEFORE DELETE ON cairn.feed
    FOR EACH ROW EXECUTE FUNCTION cairn.never();
CREATE TRIGGER feed_is_never_emptied BEFORE TRUNCATE ON cairn.feed
    FOR EACH STATEMENT EXECUTE FUNCTION cairn.never();

GRANT SELECT, INSERT (study, feed, digest, site, participant, made_by, made_at),
    UPDATE (revoked_by, revoked_at) ON cairn.feed TO cairn_app;
