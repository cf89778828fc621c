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

ROUNDS = 20
RUNS_PER_ROUND = 50


def main() -> None:
    """Print microseconds of processor time, the best round of several."""
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
    """Single criteria by Cairn and by the other engine, round by round in turn."""
    try:
        pairs = rules.pairs()
    except ImportError:
        print(f"\nnot compared: {rules.NAME} is not installed (pip install -e '.[bench]')")
        return
    print(f"\n{'one criterion':28} {'Cairn':>10} {rules.NAME:>12} {'ratio':>7}")
    for name, ours, theirs in pairs:
        rounds = [(_round(ours), _round(theirs)) for _ in range(ROUNDS)]
        cairn, other = (min(times) for times in zip(*rounds, strict=True))
        print(f"{name:28} {cairn * 1e6:7.1f} us {other * 1e6:9.1f} us {cairn / other:7.2f}")


def _print(name: str, run: Callable[[], object]) -> None:
    run()
    best = min(_round(run) for _ in range(ROUNDS))
    print(f"{name:40} {best * 1e6:8.0f} us")


def _round(run: Callable[[], object]) -> float:
    started = time.process_time()
    for _ in range(RUNS_PER_ROUND):
        run()
    return (time.process_time() - started) / RUNS_PER_ROUND


if __name__ == "__main__":
    main()
