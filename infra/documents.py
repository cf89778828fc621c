"""Published protocol documents, addressed by their SHA-256; written once, never changed."""

from typing import Protocol as Shape

from infra.postgres.pool import Pool, borrowed
from infra.postgres.statements import load

SQL = load("documents")


class Documents(Shape):
    """Where the bytes of published protocols are kept."""

    def put(self, study: str, sha256: str, body: bytes) -> None:
        """Keep a document; the same again changes nothing."""

    def get(self, study: str, sha256: str) -> bytes | None:
        """The document, or None."""


class MemoryDocuments:
    """Documents in memory, for tests and dry runs."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], bytes] = {}

    def put(self, study: str, sha256: str, body: bytes) -> None:
        """Keep a document."""
        self._kept.setdefault((study, sha256), body)

    def get(self, study: str, sha256: str) -> bytes | None:
        """The document, or None."""
        return self._kept.get((study, sha256))


class PostgresDocuments:
    """Documents in the ledger's database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def put(self, study: str, sha256: str, body: bytes) -> None:
        """Keep a document. It is committed before the event that names it is appended: after a
        crash between the two there is a document that nothing names, never the reverse."""
        with borrowed(self._pool) as connection:
            connection.execute(SQL["put"], {"study": study, "sha256": sha256, "body": body})

    def get(self, study: str, sha256: str) -> bytes | None:
        """The document, or None."""
        with borrowed(self._pool) as connection:
            row = connection.execute(SQL["get"], {"study": study, "sha256": sha256}).fetchone()
        return bytes(row[0]) if row else None
