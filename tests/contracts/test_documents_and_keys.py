"""Documents and wrapped keys: one contract, in memory and in PostgreSQL."""

import hashlib
import hmac

import psycopg
import pytest

from infra.documents import Documents, MemoryDocuments, PostgresDocuments
from infra.vault.keyring import KeyRing, KeyStore, MemoryKeyStore, PostgresKeyStore

BODY = b'{"version":"2.0"}'
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(params=["memory", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def documents(kind: str, request: pytest.FixtureRequest) -> Documents:
    if kind == "memory":
        return MemoryDocuments()
    return PostgresDocuments(request.getfixturevalue("pool"))


@pytest.fixture
def keys(kind: str, request: pytest.FixtureRequest) -> KeyStore:
    if kind == "memory":
        return MemoryKeyStore()
    return PostgresKeyStore(request.getfixturevalue("pool"))


def test_a_document_is_found_by_its_address_in_its_study_only(documents: Documents) -> None:
    documents.put("S", SHA256, BODY)
    documents.put("S", SHA256, BODY)
    assert documents.get("S", SHA256) == BODY
    assert documents.get("T", SHA256) is None


def test_the_first_key_of_a_participant_stays(keys: KeyStore) -> None:
    assert keys.get("S", "A") is None
    assert keys.put("S", {"A": ("k1", b"one")}) == {"A": ("k1", b"one")}
    assert keys.put("S", {"A": ("k2", b"two")}) == {"A": ("k1", b"one")}
    assert keys.get("S", "A") == ("k1", b"one")
    assert keys.get("S", "B") is None
    both = keys.put("S", {"B": ("k4", b"four"), "A": ("k3", b"three")})
    assert both == {"A": ("k1", b"one"), "B": ("k4", b"four")}
    assert keys.get("S", "B") == ("k4", b"four")
    assert keys.get("T", "A") is None


def test_what_was_sealed_is_unreadable_once_its_key_is_destroyed(keys: KeyStore) -> None:
    ring = KeyRing(b"w" * 32, keys)
    sealed = ring.seal("S", "A", "referred.contact", {"first_name": "Zoë"})
    another = KeyRing(b"w" * 32, keys)
    assert another.unseal("S", "A", "referred.contact", sealed) == {"first_name": "Zoë"}
    assert another.unseal("S", "A", "referred.message", sealed) is None
    ring.destroy("S", "A")
    assert keys.get("S", "A") is None
    assert KeyRing(b"w" * 32, keys).unseal("S", "A", "referred.contact", sealed) is None


def test_the_database_refuses_a_document_under_a_false_address(pool) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        PostgresDocuments(pool).put("S", "0" * 64, BODY)


def test_a_fingerprint_is_the_same_for_ever_and_needs_the_wrapping_key(keys: KeyStore) -> None:
    ring = KeyRing(b"w" * 32, keys)
    key = hmac.digest(b"w" * 32, b"cairn fingerprint v1", "sha256")
    for content in (b"", b"x" * 64, b"y" * 10_000):
        assert ring.fingerprint(content) == hmac.digest(key, content, "sha256")
    assert KeyRing(b"v" * 32, keys).fingerprint(b"x") != ring.fingerprint(b"x")
