"""Topics: their names, and that they exist with the partitions and copies that Cairn needs."""

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError

from infra.kafka.brokers import Brokers

COPIES_MAX = 3


def events_topic(study: str) -> str:
    """Where the relay writes a study's ledger."""
    return f"cairn.{study}.events"


def inbound_topic(study: str) -> str:
    """Where other systems post a study's events."""
    return f"cairn.{study}.inbound"


def results_topic(study: str) -> str:
    """Where each inbound message is answered."""
    return f"cairn.{study}.inbound-results"


def ensure_topic(brokers: Brokers, name: str, partitions: int | None = None) -> None:
    """Make the topic unless it exists: on each of up to three brokers, and taken as written when
    all but one of them have it. An existing topic stays as it is. Raises KafkaError."""
    admin = KafkaAdminClient(**brokers.options())
    try:
        copies = min(COPIES_MAX, len(admin.describe_cluster()["brokers"]))
        configs = {"min.insync.replicas": str(max(1, copies - 1))}
        topic = NewTopic(name, partitions or brokers.partitions, copies, topic_configs=configs)
        admin.create_topics([topic])
    except TopicAlreadyExistsError:
        return
    finally:
        admin.close()
