"""A real Apache Kafka of one or more nodes (KRaft), each a Java process on the loopback address."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.kafka.jars import jars, java

CLUSTER_ID = "5L6g3nShT-eMCtK--X86sw"
START_SECONDS_MAX = 90
STOP_SECONDS_MAX = 20
LOGGING = Path(__file__).parent / "log4j2.properties"
JAVA_OPTIONS = (
    *("-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
    f"-Dlog4j2.configurationFile={LOGGING}",
)


@dataclass
class Node:
    """One broker, which is a controller too."""

    number: int
    port: int
    controller_port: int
    inside_port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Cluster:
    """Some nodes that know each other. `folder` keeps their data, so that a killed node comes back
    with what it had. With `secured`, the properties of a listener of that name, clients come by
    SASL and TLS only, as one of the `users`."""

    def __init__(
        self,
        folder: Path,
        nodes: int = 1,
        *,
        secured: Mapping[str, object] | None = None,
        users: Sequence[str] = (),
    ) -> None:
        self._secured = secured
        self._users = [word for user in users for word in ("--add-scram", user)]
        ports = free_ports(3 * nodes)
        self._class_path = f"{jars()}/*"
        self._java = java()
        self.nodes = [
            Node(number, ports.pop(), ports.pop(), ports.pop(), folder / f"node-{number}")
            for number in range(1, nodes + 1)
        ]
        for node in self.nodes:
            node.folder.mkdir(parents=True)
            (node.folder / "server.properties").write_text(self._properties(node))

    @property
    def bootstrap(self) -> str:
        """What a client is configured with."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> None:
        """Start every node that does not run, and wait until all take connections."""
        for node in self.nodes:
            self.begin(node)
        for node in self.nodes:
            self.await_ready(node)

    def begin(self, node: Node) -> None:
        """Start a node and do not wait for it."""
        if node.alive:
            return
        config = str(node.folder / "server.properties")
        command = [self._java, *JAVA_OPTIONS, "-cp", self._class_path]
        if not (node.folder / "data" / "meta.properties").exists():
            tool = [*command, "kafka.tools.StorageTool", "format"]
            subprocess.run(
                [*tool, "-t", CLUSTER_ID, "-c", config, *self._users],
                capture_output=True,
                check=True,
                timeout=START_SECONDS_MAX,
            )
        with (node.folder / "log").open("ab") as log:
            node.process = subprocess.Popen(
                [*command, "kafka.Kafka", config], stdout=log, stderr=log, start_new_session=True
            )
        (node.folder / "pid").write_text(str(node.process.pid))

    def await_ready(self, node: Node) -> None:
        """Wait until the node takes connections; its log is the message when it does not."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline and node.alive:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", node.port)):
                return
            time.sleep(0.05)
        raise AssertionError((node.folder / "log").read_text()[-4_000:])

    def kill(self, node: Node) -> None:
        """`kill -9`."""
        if node.process is not None:
            node.process.kill()
            node.process.wait(STOP_SECONDS_MAX)

    def stop(self) -> None:
        """End all nodes at once; what they hold is of no further use."""
        for node in self.nodes:
            self.kill(node)

    def leave(self) -> None:
        """Let the nodes outlive this process: `end_left` ends them by their pid files."""
        for node in self.nodes:
            if node.process is not None:
                node.process.returncode = 0  # else forgetting it would warn of a running child
                node.process = None

    def _properties(self, node: Node) -> str:
        voters = ",".join(f"{one.number}@127.0.0.1:{one.controller_port}" for one in self.nodes)
        copies = len(self.nodes)
        in_sync = max(1, copies - 1)
        clients = "SECURED" if self._secured else "PLAINTEXT"
        properties = {
            "process.roles": "broker,controller",
            "node.id": node.number,
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "listeners": f"{clients}://127.0.0.1:{node.port},"
            f"CONTROLLER://127.0.0.1:{node.controller_port},INSIDE://127.0.0.1:{node.inside_port}",
            "advertised.listeners": f"{clients}://127.0.0.1:{node.port},"
            f"INSIDE://127.0.0.1:{node.inside_port}",
            "inter.broker.listener.name": "INSIDE",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
            "INSIDE:PLAINTEXT,SECURED:SASL_SSL",
            "log.dirs": node.folder / "data",
            "auto.create.topics.enable": "false",
            "default.replication.factor": copies,
            "min.insync.replicas": in_sync,
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": in_sync,
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": in_sync,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1_000,
            **(self._secured or {}),
        }
        return "".join(f"{name}={value}\n" for name, value in properties.items())


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def end_left(folder: Path) -> None:
    """Kill the nodes below a folder, whoever started them; only Java that was started on it."""
    for pid_file in folder.glob("**/node-*/pid"):
        pid = int(pid_file.read_text())
        with contextlib.suppress(OSError):
            if str(pid_file.parent).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
