"""A local key ring: one key per participant, wrapped by a key that lives outside the database.

AES-256-GCM with a random 96-bit nonce; the associated data binds a ciphertext to its study,
participant and field, so that it cannot be moved. Destroying the wrapped key erases what it sealed.
"""

import base64
import hashlib
import hmac
import os
import secrets
from collections import OrderedDict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

from domain.kernel import Sealed
from infra.ledger.types import StoreAway
from infra.postgres.pool import Pool, borrowed, reading
from infra.postgres.statements import load

SQL = load("keys")

NONCE_BYTES = 12
KEYS_CACHED_MAX = 5_000
"""Each takes some 3 kB with the cipher made of it, most of it outside Python's own memory."""


Wrapped = Mapping[str, tuple[str, bytes]]
"""Participant -> key id and wrapped key."""


class KeyStore(Protocol):
    """Where wrapped keys are kept: beside the ledger, never beside the wrapping key."""

    def get(self, study: str, participant: str) -> tuple[str, bytes] | None:
        """The participant's key id and wrapped key, or None."""

    def put(self, study: str, made: Wrapped) -> Wrapped:
        """Keep wrapped keys, of each participant unless there is one; those kept are returned."""

    def destroy(self, study: str, participant: str) -> None:
        """Forget the key; what it sealed cannot be read again."""


class MemoryKeyStore:
    """Wrapped keys in memory, for tests and dry runs."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str], tuple[str, bytes]] = {}

    def get(self, study: str, participant: str) -> tuple[str, bytes] | None:
        """The participant's key id and wrapped key, or None."""
        return self._keys.get((study, participant))

    def put(self, study: str, made: Wrapped) -> Wrapped:
        """Keep wrapped keys, of each participant unless there is one; those kept are returned."""
        return {name: self._keys.setdefault((study, name), key) for name, key in made.items()}

    def destroy(self, study: str, participant: str) -> None:
        """Forget the key."""
        self._keys.pop((study, participant), None)


class PostgresKeyStore:
    """Wrapped keys in the ledger's database; the key that wraps them is not there."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def get(self, study: str, participant: str) -> tuple[str, bytes] | None:
        """The participant's key id and wrapped key, or None."""
        values = {"study": study, "participant": participant}
        with reading(self._pool) as connection:
            row = connection.execute(SQL["get"], values).fetchone()
        return (row[0], bytes(row[1])) if row else None

    def put(self, study: str, made: Wrapped) -> Wrapped:
        """Keep wrapped keys, of each participant unless there is one; those kept are returned.

        They are committed before anything sealed under them is appended: after a crash between the
        two there are keys that nothing needs, never the reverse. StoreAway when they cannot be
        kept.
        """
        # In one order everywhere, so that processes that make the same keys do not wait in a ring.
        names = sorted(made)
        values = {
            "study": study,
            "participants": names,
            "keys": [made[name][0] for name in names],
            "wrapped": [made[name][1] for name in names],
        }
        # A single statement outside a transaction commits by itself before it answers.
        with reading(self._pool) as connection:
            first = {row[0] for row in connection.execute(SQL["put"], values).fetchall()}
        kept = {name: made[name] if name in first else self.get(study, name) for name in names}
        found = {name: key for name, key in kept.items() if key is not None}
        if len(found) < len(kept):
            raise StoreAway("a key was destroyed meanwhile")
        return found

    def destroy(self, study: str, participant: str) -> None:
        """Forget the key; what it sealed cannot be read again."""
        with borrowed(self._pool) as connection:
            connection.execute(SQL["destroy"], {"study": study, "participant": participant})


def wrapping_key(path: Path) -> bytes:
    """Read the wrapping key from its file (0600), or make it on first use.

    The file is created under another name and linked into place, so that a crash leaves either no
    key or a whole one, and two processes that start together agree on one.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(32)))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return base64.b64decode(path.read_bytes())


class KeyRing:
    """Seals and unseals protected values; keeps unwrapped keys in memory only."""

    def __init__(self, wrapping: bytes, store: KeyStore) -> None:
        self._wrapping = wrapping
        self._store = store
        self._unwrapped: OrderedDict[tuple[str, str], tuple[str, AESGCM]] = OrderedDict()
        key = hmac.digest(wrapping, b"cairn fingerprint v1", hashlib.sha256)
        self._fingerprint = hmac.new(key, digestmod=hashlib.sha256)

    def seal(self, study: str, participant: str, field: str, value: Any) -> Sealed:
        """The value (JSON) as ciphertext under the participant's key, made on first use."""
        cached = self._unwrapped.get((study, participant))
        key, cipher = cached or self.make(study, [participant])[participant]
        nonce = secrets.token_bytes(NONCE_BYTES)
        clear = orjson.dumps(value)
        sealed = nonce + cipher.encrypt(nonce, clear, _bound(study, participant, field))
        return Sealed(sealed=base64.b64encode(sealed).decode(), key=key)

    def unseal(self, study: str, participant: str, field: str, sealed: Sealed) -> Any | None:
        """The value in clear; None when its key was destroyed or it was moved or altered."""
        found = self._key(study, participant)
        if found is None or found[0] != sealed.key:
            return None
        raw = base64.b64decode(sealed.sealed)
        try:
            clear = found[1].decrypt(
                raw[:NONCE_BYTES], raw[NONCE_BYTES:], _bound(study, participant, field)
            )
        except InvalidTag:
            return None
        return orjson.loads(clear)

    def make(self, study: str, participants: Collection[str]) -> dict[str, tuple[str, AESGCM]]:
        """The participants' keys, from now on in memory; what does not exist is made in one commit.

        Most are new: nobody looks before. Raises StoreAway.
        """
        made = {
            name: (secrets.token_hex(8), aes_key_wrap(self._wrapping, secrets.token_bytes(32)))
            for name in participants
        }
        # There may be a key, of another process or from before: the store keeps the first one.
        kept = self._store.put(study, made)
        return {name: self._remember(study, name, stored) for name, stored in kept.items()}

    def holds(self, study: str, participant: str) -> bool:
        """Whether the participant's key is in memory, so that sealing reads nothing."""
        return (study, participant) in self._unwrapped

    def fingerprint(self, content: bytes) -> bytes:
        """A keyed digest of content that holds protected values: equal content can be recognised,
        but nobody without the wrapping key can try names against it."""
        # A copy that is fed, not `hmac.digest`: that one lets go of the interpreter for
        # microseconds of work, and may wait for thousands to get it back.
        digest = self._fingerprint.copy()
        digest.update(content)
        return digest.digest()

    def destroy(self, study: str, participant: str) -> None:
        """Forget the participant's key, here and in the store."""
        self._unwrapped.pop((study, participant), None)
        self._store.destroy(study, participant)

    def _key(self, study: str, participant: str) -> tuple[str, AESGCM] | None:
        cached = self._unwrapped.get((study, participant))
        if cached is not None:
            return cached
        stored = self._store.get(study, participant)
        return self._remember(study, participant, stored) if stored else None

    def _remember(
        self, study: str, participant: str, stored: tuple[str, bytes]
    ) -> tuple[str, AESGCM]:
        key, wrapped = stored
        entry = (key, AESGCM(aes_key_unwrap(self._wrapping, wrapped)))
        self._unwrapped[study, participant] = entry
        if len(self._unwrapped) > KEYS_CACHED_MAX:
            self._unwrapped.popitem(last=False)
        return entry


def _bound(study: str, participant: str, field: str) -> bytes:
    return f"{study}|{participant}|{field}".encode()
