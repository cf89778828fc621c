-- Published protocol documents, written once, and the wrapped keys of participants.

CREATE TABLE cairn.document (
    study text COLLATE "C" NOT NULL,
    sha256 text COLLATE "C" NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    body bytea NOT NULL CHECK (encode(sha256(body), 'hex') = sha256),
    PRIMARY KEY (study, sha256)
);
CREATE TRIGGER document_is_never_changed BEFORE UPDATE OR DELETE ON cairn.document
    FOR EACH ROW EXECUTE FUNCTION cairn.never();
CREATE TRIGGER document_is_never_emptied BEFORE TRUNCATE ON cairn.document
    FOR EACH STATEMENT EXECUTE FUNCTION cairn.never();
GRANT SELECT, INSERT (study, sha256, body) ON cairn.document TO cairn_app;

-- A key is added and destroyed, never replaced.
CREATE TABLE cairn.participant_key (
    study text COLLATE "C" NOT NULL,
    participant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    wrapped bytea NOT NULL,
    PRIMARY KEY (study, participant)
);
CREATE TRIGGER key_is_never_changed BEFORE UPDATE ON cairn.participant_key
    FOR EACH ROW EXECUTE FUNCTION cairn.never();
GRANT SELECT, INSERT (study, participant, key, wrapped), DELETE ON cairn.participant_key
    TO cairn_app;
