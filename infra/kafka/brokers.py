"""How to reach the brokers: addresses, security, and how many partitions topics of ours have."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

PARTITIONS = 8
"""Of a topic that Cairn makes. A participant's partition follows from their number, so it is fixed
when the topic is made: more workers than this find nothing to do."""
PARTITIONS_MAX = 1_000

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

RECONNECT_MILLISECONDS_MAX = 1_000
"""A broker that comes back is found within about this time."""
REQUEST_MILLISECONDS = 10_000
ANSWER_MILLISECONDS = 4_000
"""How long a first answer is waited for, before the brokers count as away."""


@dataclass(frozen=True, slots=True)
class Brokers:
    """An Apache Kafka, as a client is told of it."""

    bootstrap: tuple[str, ...]
    """`host:port` of some of its brokers; the others are learnt from them."""
    partitions: int = PARTITIONS
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    """PEM: whom to believe that a broker is one; else the system's authorities."""
    certificate_file: Path | None = None
    key_file: Path | None = None

    def options(self) -> dict[str, Any]:
        """What every client of kafka-python is made with: producer, consumer and admin."""
        found = {
            "bootstrap_servers": list(self.bootstrap),
            "security_protocol": self.security_protocol,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
            "ssl_cafile": _text(self.ca_file),
            "ssl_certfile": _text(self.certificate_file),
            "ssl_keyfile": _text(self.key_file),
            "reconnect_backoff_max_ms": RECONNECT_MILLISECONDS_MAX,
            "request_timeout_ms": REQUEST_MILLISECONDS,
        }
        return {name: value for name, value in found.items() if value is not None}


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
