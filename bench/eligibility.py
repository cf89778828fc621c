"""How long the criteria take: all 24 of LK-23-01 at once, what one new fact costs, and single
criteria beside another rule engine where that is installed.

python -m bench.eligibility
"""

import time
from collections.abc import Callable

from bench import rules
from domain.eligibility.evaluate import evaluate, verdict_under
from domain.participant import Participant
from tests.domain.eligibility.charts import NEW_YORK, Fact, chart, eligible, lab, then, took
from tests.specs import Study, lk_23_01

RUNS = 1_500
"""Each is timed by itself: the best of many is what the work costs, however busy the machine."""


def main() -> None:
    """Print microseconds, the best of many single runs."""
    protocol, trial = lk_23_01(), Study(lk_23_01()).trial
    who = chart(eligible)
    busy = chart(eligible, [lab("platelets", str(100 + n), "10*3/uL") for n in range(500)])
    _print("all 24 criteria, fully documented", lambda: verdict_under(protocol, who, NEW_YORK))
    _print("the same beside 500 other results", lambda: verdict_under(protocol, busy, NEW_YORK))
    for name, fact in (
        ("a new fact that no criterion reads", lab("platelets", "200", "10*3/uL")),
        ("a new body weight", lab("weight", "66", "kg", on="2026-11-28")),
        ("a new serology", lab("hbsag", reads="negative", on="2026-11-28")),
        ("a new medicine", took("X", "other", "2026-11-01", at="2026-11-28")),
    ):
        _print(name, _learning(who, fact, lambda one: evaluate(trial, one)))
    _beside()


def _learning(
    before: Participant, fact: Fact, told: Callable[[Participant], object]
) -> Callable[[], object]:
    """One evaluation after a fact that alternates between known and not."""
    states = [before, then(before, fact, 9_999)]
    told(before)

    def run() -> object:
        states.reverse()
        return told(states[0])

    return run


def _beside() -> None:
    """Single criteria by Cairn and by the other engine, run by run in turn."""
    try:
        pairs = rules.pairs()
    except ImportError:
        print(f"\nnot compared: {rules.NAME} is not installed (pip install -e '.[bench]')")
        return
    print(f"\n{'one criterion':28} {'Cairn':>10} {rules.NAME:>12} {'ratio':>7}")
    for name, ours, theirs in pairs:
        runs = [(_timed(ours), _timed(theirs)) for _ in range(RUNS)]
        cairn, other = (min(times) for times in zip(*runs, strict=True))
        print(f"{name:28} {cairn * 1e6:7.1f} us {other * 1e6:9.1f} us {cairn / other:7.2f}")


def _print(name: str, run: Callable[[], object]) -> None:
    run()
    best = min(_timed(run) for _ in range(RUNS))
    print(f"{name:40} {best * 1e6:8.0f} us")


def _timed(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
