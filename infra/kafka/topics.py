"""Topics: their names, and that they exist with the partitions and copies that Cairn needs."""

import re
from collections.abc import Mapping
from contextlib import suppress

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import (
    KafkaConnectionError,
    KafkaError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)

from infra.kafka.brokers import ANSWER_MILLISECONDS, Brokers

COPIES = "default.replication.factor"
FOR_EVER: Mapping[str, str] = {"retention.ms": "-1", "retention.bytes": "-1"}
"""Of a topic whose messages are an account that new consumers read from its beginning."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")


def events_topic(study: str) -> str:
    """Where the relay writes a study's ledger."""
    return f"cairn.{study}.events"


def inbound_topic(study: str) -> str:
    """Where other systems post a study's events."""
    return f"cairn.{study}.inbound"


def results_topic(study: str) -> str:
    """Where each inbound message is answered."""
    return f"cairn.{study}.inbound-results"


def is_topic(name: str) -> bool:
    """Whether Apache Kafka takes the name; a study's may have characters that it does not."""
    return _NAME.fullmatch(name) is not None


def ensure_topic(
    brokers: Brokers,
    name: str,
    partitions: int | None = None,
    configs: Mapping[str, str] = {},
) -> int:
    """Make the topic unless it exists: in as many copies as brokers make by default, and taken
    as written when all but one of them have it. A cluster that is not whole yet refuses that rather
    than making fewer. An existing topic stays as it is. Gives how many bytes one batch of messages
    may have there. Raises KafkaError."""
    admin = KafkaAdminClient(**brokers.options(), bootstrap_timeout_ms=ANSWER_MILLISECONDS)
    try:
        with suppress(UnknownTopicOrPartitionError):
            return _bytes_max(admin, name)
        copies = _copies(admin)
        wanted = {"min.insync.replicas": str(max(1, copies - 1)), **configs}
        topic = NewTopic(name, partitions or brokers.partitions, copies, topic_configs=wanted)
        with suppress(TopicAlreadyExistsError):
            admin.create_topics([topic])
        return _bytes_max(admin, name)
    finally:
        admin.close()


def _bytes_max(admin: KafkaAdminClient, topic: str) -> int:
    return int(_setting(admin, ConfigResourceType.TOPIC, topic, "max.message.bytes"))


def _copies(admin: KafkaAdminClient) -> int:
    """What a broker makes by default; each knows it of itself only, and some may be away."""
    for one in admin.describe_cluster()["brokers"]:
        with suppress(KafkaError):
            name = str(one["broker_id"])
            return int(_setting(admin, ConfigResourceType.BROKER, name, COPIES))
    raise KafkaConnectionError("no broker tells how many copies it makes")


def _setting(admin: KafkaAdminClient, kind: ConfigResourceType, name: str, key: str) -> str:
    asked = ConfigResource(kind, name, configs={key: None})
    found = admin.describe_configs([asked], config_filter="all")[kind.name.lower()][name]
    if key not in found:
        # The broker that was asked has not heard of a topic that another has just made.
        raise UnknownTopicOrPartitionError(name)
    return str(found[key]["value"])
