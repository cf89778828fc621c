"""The relay beside other work of a process: in a thread of its own, ended with a block."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace

from infra.kafka.activity import Activity
from services.bootstrap import Cairn, relay_ports
from services.pulse import beat


@contextlib.contextmanager
def relaying(cairn: Cairn, only: str | None = None) -> Iterator[Activity]:
    """Relay every study, or one, while the block lasts; how it goes. NotConfigured."""
    ports = replace(relay_ports(cairn), beat=beat)
    from infra.kafka.relay import Relay

    relay, over = Relay(ports, only), threading.Event()
    thread = threading.Thread(target=relay.run, args=(over,), name="relay")
    thread.start()
    try:
        yield ports.activity
    finally:
        relay.stop(over)
        thread.join()
