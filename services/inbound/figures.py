"""What the inbound process has done and still has before it: in its log, and for whoever asks."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from infra.kafka.activity import Activity
from infra.kafka.inbound import Partition
from services import logs

LOG_SECONDS = 60.0


class Figures:
    """Written as the work goes on, read by another thread at any moment."""

    def __init__(self, activity: Activity) -> None:
        self.activity = activity
        self._answered: Counter[int] = Counter()
        self._behind: dict[str, int] = {}
        self._held: dict[str, int] = {}
        self._parked: dict[str, int] = {}
        self._told = float("-inf")

    def answered(self, statuses: Iterable[int]) -> None:
        """Count answers that the brokers have."""
        self._answered.update(statuses)

    def stand(
        self, behind: Mapping[Partition, int], held: Mapping[str, int], parked: Mapping[str, int]
    ) -> None:
        """How many messages of this process's partitions were not read yet, are at hand and not
        answered, and wait for others; the last two by topic."""
        self._behind = dict.fromkeys(held, 0)
        for (topic, _), messages in behind.items():
            self._behind[topic] = self._behind.get(topic, 0) + messages
        self._held, self._parked = dict(held), dict(parked)

    def tell(self, now: float) -> None:
        """Log them now and then; `now` in seconds of any clock that does not go back."""
        if now < self._told + LOG_SECONDS:
            return
        self._told = now
        logs.happened(
            "inbound",
            answered={str(status): count for status, count in self._answered.items()},
            behind=sum(self._behind.values()),
            held=sum(self._held.values()),
            waiting=sum(self._parked.values()),
        )

    def families(self) -> Iterator[Metric]:
        """The figures for Prometheus."""
        answers = CounterMetricFamily(
            "cairn_inbound_answers", "Answers to messages, by status.", labels=["status"]
        )
        for status, count in self._answered.copy().items():
            answers.add_metric([str(status)], count)
        behind, held = self._behind, self._held
        lag = {topic: messages + held.get(topic, 0) for topic, messages in behind.items()}
        yield answers
        yield _by_topic(
            "cairn_inbound_lag_messages", "Messages of its partitions that have no answer yet.", lag
        )
        yield _by_topic(
            "cairn_inbound_parked_messages",
            "Messages of its partitions that have overtaken others and wait for them.",
            self._parked,
        )


def _by_topic(name: str, text: str, figures: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["topic"])
    for topic, figure in figures.items():
        family.add_metric([topic], figure)
    return family
