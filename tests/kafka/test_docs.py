"""The consumer of `docs/kafka.md`, run as it stands."""

import itertools
import re
from contextlib import closing
from pathlib import Path
from typing import Any

from infra.postgres.pool import Pool
from tests.kafka.relayed import Study, consumed, ports_on, relaying, sent, until

PAGE = Path(__file__).parents[2] / "docs" / "kafka.md"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_consumer_of_the_page_sees_every_event_once_and_in_order(
    pool: Pool, broker: str, study: str
) -> None:
    (code,) = BLOCK.findall(PAGE.read_text("utf-8"))
    page: dict[str, Any] = {}
    exec(code, page)
    ports = ports_on(pool, broker)
    with closing(ports.ledger):
        ledger = Study(ports.ledger, study)
        ledger.append(None, *[f"P{number % 7}" for number in range(40)])
        for _ in range(2):
            with relaying(ports):
                until(lambda: sent(ports, ledger), "all was sent")
            ports.cursors.forget(study)  # so that the next relay sends everything again
        told = ledger.told()
    count = sum(map(len, told.values()))
    assert sum(map(len, consumed(broker, study).values())) == 2 * count
    seen: dict[int, list[tuple[int, str]]] = {number: [] for number in told}
    positions: dict[int, int] = {}
    for partition, event in itertools.islice(page["events"](broker, study, positions), count):
        seen[partition].append((int(event["position"]), event["leafhash"]))
    assert seen == told
