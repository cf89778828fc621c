"""Documents and keys for dry runs: what is kept elsewhere can be read, what is new stays here."""

from infra.documents import Documents, MemoryDocuments
from infra.vault.keyring import KeyStore, MemoryKeyStore, Wrapped


class RehearsedDocuments:
    """Reads through to other documents; keeps new ones in memory."""

    def __init__(self, base: Documents) -> None:
        self._base = base
        self._new = MemoryDocuments()

    def put(self, study: str, sha256: str, body: bytes) -> None:
        """Keep a document in memory."""
        self._new.put(study, sha256, body)

    def get(self, study: str, sha256: str) -> bytes | None:
        """The document, or None."""
        return self._new.get(study, sha256) or self._base.get(study, sha256)


class RehearsedKeys:
    """Reads through to other wrapped keys; keeps new ones in memory and destroys none below."""

    def __init__(self, base: KeyStore) -> None:
        self._base = base
        self._new = MemoryKeyStore()

    def get(self, study: str, participant: str) -> tuple[str, bytes] | None:
        """The participant's key id and wrapped key, or None."""
        return self._base.get(study, participant) or self._new.get(study, participant)

    def put(self, study: str, made: Wrapped) -> Wrapped:
        """Keep wrapped keys in memory, of each participant unless there is one."""
        known = {name: self._base.get(study, name) for name in made}
        new = {name: key for name, key in made.items() if known[name] is None}
        return {name: key for name, key in known.items() if key} | {**self._new.put(study, new)}

    def destroy(self, study: str, participant: str) -> None:
        """Forget a key of the rehearsal."""
        self._new.destroy(study, participant)
