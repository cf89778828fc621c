"""What processes cost, read from the kernel: processor time and memory."""

import contextlib
import os
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(process: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def processor_seconds(root: int) -> float:
    """Processor time of a process and all below it that live, and of those they waited for."""
    total, found = 0.0, [root]
    for one in found:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15])) / TICK
            children = Path(f"/proc/{one}/task/{one}/children").read_text()
            found += map(int, children.split())
    return total


def memory_mib(process: int, what: str = "VmRSS") -> float:
    """Memory of a process in MiB: what it has now (`VmRSS`), or the most it ever had (`VmHWM`)."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == what:
            return int(value.split()[0]) / 1024
    raise ValueError(what)
