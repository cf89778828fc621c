"""The broker of the tests is a real one."""

from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from tests.kafka.cluster import Cluster


def test_what_is_sent_is_acknowledged(broker: str, study: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker)
    admin.create_topics([NewTopic(study, num_partitions=2, replication_factor=1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=broker)
    sent = producer.send(study, b"value", key=b"key").get(timeout=10)
    producer.close()
    assert (sent.topic, sent.offset) == (study, 0)


def test_three_brokers_keep_what_was_acknowledged_when_one_is_killed(brokers: Cluster) -> None:
    admin = KafkaAdminClient(bootstrap_servers=brokers.bootstrap)
    admin.create_topics([NewTopic("t", num_partitions=1, replication_factor=3)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=brokers.bootstrap)
    offsets = [producer.send("t", b"before").get(timeout=20).offset]
    brokers.kill(brokers.nodes[0])
    offsets.append(producer.send("t", b"during").get(timeout=40).offset)
    brokers.start()
    offsets.append(producer.send("t", b"after").get(timeout=40).offset)
    producer.close()
    assert offsets == [0, 1, 2]
