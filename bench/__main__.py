"""`python -m bench`: everything that is measured, as one table and one JSON.

    python -m bench                          all parts
    python -m bench append http --quick      some of them, with less to do
    python -m bench --list                   what parts there are
    python -m bench --json figures.json      the rows for programs too

Contenders run in turns; figures are medians of the rounds with the lowest and the highest beside.
No figure decides the exit code: on a shared machine that would say nothing about the program.
"""

import argparse
import importlib
import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.measured import HEAD, Row, line
from bench.setting import ROUNDS, Setting, setting

PARTS: dict[str, str] = {
    "append": "bench.append",
    "http": "bench.http",
    "projecting": "bench.projecting",
    "loading": "bench.loading",
    "bulk": "bench.bulk",
    "hashing": "bench.hashing",
    "visible": "bench.visible",
    "growth": "bench.growth",
    "memory": "bench.memory",
    "eligibility": "bench.eligibility",
    "views": "bench.views",
    "as_of": "bench.as_of",
    "replay": "bench.replay",
    "what_if": "bench.what_if",
    "kafka": "bench.kafka",
    "kafka_inbound": "bench.kafka_inbound",
    "kafka_workers": "bench.kafka_workers",
}


def main() -> None:
    """Measure what is asked for; print it, and write it."""
    asked = _asked()
    if asked.list:
        for name, module in PARTS.items():
            print(f"{name:12} {(importlib.import_module(module).__doc__ or '').splitlines()[0]}")
        return
    documents: list[dict[str, Any]] = []
    with setting(quick=asked.quick, rounds=2 if asked.quick else asked.rounds) as place:
        told = {"machine": _machine(), "durability": place.durability()}
        print(_introduction(told), flush=True)
        print(*HEAD, sep="\n", flush=True)
        for name in asked.parts or PARTS:
            documents += _measured(place, name)
            if asked.json:
                text = json.dumps({**told, "rows": documents}, indent=1, ensure_ascii=False)
                asked.json.write_text(text + "\n")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help="what to measure: all by default")
    parser.add_argument("--quick", action="store_true", help="less of everything, two rounds")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--list", action="store_true", help="name the parts and end")
    asked = parser.parse_args()
    unknown = sorted(set(asked.parts) - set(PARTS))
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return asked


def _measured(place: Setting, name: str) -> list[dict[str, Any]]:
    """A part's rows, printed as they come. What fails is named; the other parts go on."""
    found: list[dict[str, Any]] = []
    began = time.perf_counter()
    try:
        for row in importlib.import_module(PARTS[name]).rows(place):
            print(line(row), flush=True)
            found.append(row.document(name))
    except Exception as error:  # noqa: BLE001  one part must not cost the figures of the others
        print(line(Row(name, "", [], note=f"failed: {type(error).__name__}: {error}")), flush=True)
        found.append({"part": name, "failed": f"{type(error).__name__}: {error}"})
    print(f"{name}: {time.perf_counter() - began:.0f} s, load {_load()}", file=sys.stderr)
    return found


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": _load(),
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
    }


def _load() -> str:
    return " ".join(f"{one:.1f}" for one in os.getloadavg())


def _introduction(told: dict[str, Any]) -> str:
    machine, durable = told["machine"], told["durability"]
    settings = ", ".join(f"{name} {value}" for name, value in durable.items())
    return (
        f"{machine['at']}, {machine['cores']} cores, Python {machine['python']},"
        f" load {machine['load']} at the start.\nPostgreSQL: {settings}.\n"
    )


if __name__ == "__main__":
    main()
