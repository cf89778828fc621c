"""What PostgreSQL does with no event store above it: keyed inserts, many rows at once, COPY.

The table has a dense key and a unique id, as any log of events needs; the bytes are the journey's.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bench.rivals import Events, Rival
from infra.postgres.embedded import _programs

TABLE = """
    CREATE TABLE happened (
        position bigserial PRIMARY KEY,
        id uuid NOT NULL UNIQUE,
        participant text NOT NULL,
        topic text NOT NULL,
        body bytea NOT NULL
    )
"""
INSERT = """
    INSERT INTO happened (id, participant, topic, body)
    SELECT * FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::bytea[])
"""
KEYED = (
    "INSERT INTO happened (id, participant, topic, body)"
    " VALUES (gen_random_uuid(), 'P-0', 'participant.consented.v1', '{body}');\n"
)
ROWS = 1_000
SECONDS = 4


class KeyedInsert(Rival):
    """pgbench: one row a transaction, prepared; its clients cost next to nothing."""

    name = "pgbench, keyed insert"
    callers = 32

    def __init__(self, conninfo: str, script: Path) -> None:
        with psycopg.connect(conninfo) as connection:
            connection.execute(TABLE)
        self._parts = conninfo_to_dict(conninfo)
        self._script = script

    def run(self, callers: int, journeys: int, events: Events) -> int:
        """Insert for some seconds, whatever number is asked for; how many rows that were."""
        del journeys
        body = max((state for _, state in events), key=len).decode().replace("\x03", "")
        # pgbench takes a colon for the beginning of a variable: a blank is as long.
        script = KEYED.format(body=body.replace("\\", "").replace("'", "").replace(":", " "))
        self._script.write_text(script)
        parts = self._parts
        told = subprocess.run(
            [
                *(str(_programs() / "pgbench"), "--no-vacuum", "--protocol=prepared"),
                *(f"--client={callers}", "--jobs=1", f"--time={SECONDS}"),
                *(
                    f"--file={self._script}",
                    f"--host={parts['host']}",
                    f"--username={parts['user']}",
                ),
                str(parts["dbname"]),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        (line,) = (one for one in told.stdout.splitlines() if "actually processed" in one)
        return int(line.partition(": ")[2].partition("/")[0])

    def close(self) -> None:
        """Nothing: pgbench ends by itself."""


class Table:
    """Rows that are inserted many at a time, each time durably."""

    def __init__(self, conninfo: str) -> None:
        self._connection = psycopg.connect(conninfo, autocommit=True)
        self._connection.execute(TABLE)

    def insert(self, events: Sequence[tuple[str, bytes]], batches: int) -> int:
        """INSERT of a thousand rows, committed, again and again; how many rows that were."""
        topics, bodies = _columns(events)
        for _ in range(batches):
            ids = [uuid4() for _ in topics]
            self._connection.execute(
                INSERT, [ids, ["P-0"] * ROWS, topics, bodies], prepare=True, binary=True
            )
        return batches * ROWS

    def copy(self, events: Sequence[tuple[str, bytes]], batches: int) -> int:
        """COPY of as many rows as that inserts, in one transaction."""
        topics, bodies = _columns(events)
        statement = "COPY happened (id, participant, topic, body) FROM STDIN (FORMAT binary)"
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(["uuid", "text", "text", "bytea"])
            for _ in range(batches):
                for topic, body in zip(topics, bodies, strict=True):
                    copy.write_row((uuid4(), "P-0", topic, body))
        return batches * ROWS

    def read(self) -> int:
        """Every row, as bytes; how many there were."""
        statement = "SELECT position, participant, topic, body FROM happened ORDER BY position"
        with self._connection.cursor(binary=True) as cursor:
            return len(cursor.execute(statement).fetchall())

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


def _columns(events: Sequence[tuple[str, bytes]]) -> tuple[list[str], list[bytes]]:
    some = [events[number % len(events)] for number in range(ROWS)]
    return [topic for topic, _ in some], [body for _, body in some]
